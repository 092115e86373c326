"""Where benchmarks work and write, one at a time, and which code they measure."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.shop import ROOT, ShopError

HOME = ROOT / "var/bench"


@contextmanager
def alone() -> Iterator[None]:
    """ShopError if another benchmark works here. On SIGTERM everything is stopped as after an error."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ShopError("Another benchmark is running here: two at once would measure each other.") from None
        yield


def commit() -> str:
    """Its short name; ``and changes`` where files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{' and changes' if changed else ''}"
