"""kill -9 at every boundary: python -m tests.trouble.torture [--kills N] [--seed S] [--only WORDS]

On SQLite, or on the servers that the environment names; ``make torture`` does both. Prints a table, and exits with 1
when the judge found something.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from tests.trouble.torture.stage import ENGINES, stage

LINE = "{:45} {:>10} {:>10} {:>7} {:>12} {:>9} {:>8}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trouble.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--only", default="", metavar="WORDS", help="scenarios whose name has these words")
    asked = parser.parse_args()
    print(f"{asked.kills} kills on {ENGINES}, seed {asked.seed}", flush=True)
    with stage() as environment:
        return torture(environment, kills=asked.kills, number=asked.seed, words=asked.only)


def torture(environment: dict[str, str], *, kills: int, number: int, words: str) -> int:
    from tests.trouble.torture.campaign import Campaign

    begun = time.monotonic()
    print(LINE.format("scenario", "boundaries", "killed at", "kills", "of recovery", "findings", "seconds"))
    together: Counter[str] = Counter()
    for row in Campaign(environment, seed=number).run(kills, words=words):
        figures = {
            "boundaries": row.boundaries,
            "killed at": len(row.killed_at),
            "kills": row.kills,
            "of recovery": row.recovery_kills,
            "findings": len(row.findings),
        }
        together.update(figures)
        print(LINE.format(row.scenario.name, *figures.values(), f"{row.seconds:.1f}"), flush=True)
        for finding, times in Counter(row.findings).most_common(10):
            print(f"    {times} x {finding}", flush=True)
    print(LINE.format("together", *together.values(), f"{time.monotonic() - begun:.1f}"))
    return 1 if together["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
