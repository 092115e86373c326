"""Ask for each kind of read in this process, with nothing else running. Prints JSON.

``python -m bench.one_read READS [NAME=PID ...]`` works on the databases of its environment, which bench.filling has
filled. For each list it places a page of orders first, and asks READS times for each.

Of each read, by name: ``calls``, the Python functions that it calls, which others' load does not change; and µs
of processor time of this process and of the servers that NAME=PID name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping

from bench.measures import LISTED, ORDER_LIST, Call, reads
from bench.one_order import InProcess, calls, spent

LISTS = {"order list, one line each": 1, "order list, 22 lines each": 22}
WARM_UP = 50


def of(shop: InProcess, call: Callable[[], Call], times: int, servers: Mapping[str, int]) -> dict[str, float]:
    """Calls, and µs by part, of one such read."""

    def ask(times: int) -> None:
        for _ in range(times):
            shop.read(call().path)

    ask(WARM_UP)
    called = calls(lambda: ask(times)) / times
    used = spent(lambda: ask(times), servers)
    return {"calls": round(called)} | {part: ms * 1000 / times for part, ms in used.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.one_read", description=__doc__)
    parser.add_argument("reads", type=int)
    parser.add_argument("servers", nargs="*", metavar="NAME=PID")
    asked = parser.parse_args()
    servers = {name: int(pid) for name, _, pid in (one.partition("=") for one in asked.servers)}
    shop = InProcess()
    shop.order(1)
    [single] = shop.get("/v1/orders?limit=1")["data"]
    found = {
        name: of(shop, call, asked.reads, servers) for name, call in reads(range(1, 11), single["order_id"]).items()
    }
    for name, lines in LISTS.items():
        for number in range(LISTED + 1):  # one more than the page, as in any shop
            shop.order(lines, number + 1)
        found[name] = of(shop, lambda: ORDER_LIST, asked.reads, servers)
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
