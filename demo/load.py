#!/usr/bin/env python3
"""A hundred requests at once, as the documentation's load test: what was answered, and how long it took.

For more, and for orders, see locustfile.py.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from shop import Failed, Shop, add_options, addresses, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--requests", type=int, default=100, help="how many, all at once (100; at most 1000)")
    options = parser.parse_args()
    count = options.requests
    if not 1 <= count <= 1_000:
        raise Failed("--requests takes 1 to 1000.")
    at = addresses(options.base_url, options.ports)
    together = threading.Barrier(count)

    def ask() -> tuple[str, float]:
        shop = Shop(at, token=options.token)
        together.wait()
        begin = time.monotonic()
        try:
            answered = str(shop.send("catalog", "GET", "/v1/products").status)
        except Failed as failure:
            answered = str(failure)
        return answered, time.monotonic() - begin

    begin = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        answers = [future.result() for future in [pool.submit(ask) for _ in range(count)]]
    whole = time.monotonic() - begin
    times = sorted(seconds for _, seconds in answers)
    for answered, times_seen in Counter(answered for answered, _ in answers).most_common():
        print(f"{times_seen} × {answered}")
    print(f"median {times[count // 2] * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms, all in {whole:.1f} s")
    if {answered for answered, _ in answers} != {"200"}:
        raise Failed("Not every request was answered 200.")
    print(f"✅ {count} requests at once, {count} answers")


if __name__ == "__main__":
    run(main)
