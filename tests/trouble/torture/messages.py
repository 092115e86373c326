"""Unreliable messages: python -m tests.trouble.torture.messages [--orders N] [--seed S]

A batch of orders is traded twice: in peace; and while events reach their consumers twice, in another order or not at
all, wake-ups of the worker are lost or doubled, and workers are killed amid their tasks. Both must end the same. Exits
with 1 when they do not, or when the judge found something.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from tests.trouble.torture.stage import ENGINES, stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trouble.torture.messages", description=__doc__)
    parser.add_argument("--orders", type=int, default=54)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    asked = parser.parse_args()
    print(f"{asked.orders} orders on {ENGINES}, seed {asked.seed}", flush=True)
    begun = time.monotonic()
    with stage() as environment:
        from tests.trouble.torture.trade import Trade

        trade = Trade(environment, orders=asked.orders, seed=asked.seed)
        peace, trouble = trade.in_peace(), trade.in_trouble()
        messages = dict(sorted(trade.messages.items()))
    found = [*peace.findings, *trouble.findings, *trade.differences(peace, trouble)]
    for finding, times in Counter(found).most_common(20):
        print(f"    {times} x {finding}")
    print(f"{trade.workers_killed} workers killed; messages: {messages}")
    print(f"{len(found)} findings, {time.monotonic() - begun:.1f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
