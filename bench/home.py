"""Where benchmarks work and write, one at a time, and which code they measure."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from bench.shop import ROOT, ShopError
from tools.servers import ServersError

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


@contextmanager
def kept(prefix: str = "") -> Iterator[tuple[dict[str, Any], Path]]:
    """Where a benchmark that works alone puts what it finds, and the file that has it then: also what was found before
    an error."""
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    results: dict[str, Any] = {"when": when, "commit": commit()}
    written = HOME / f"{prefix}{when.replace(':', '')}.json"
    with alone():
        try:
            yield results, written
        finally:
            written.write_text(json.dumps(results, indent=1))


def end_with(name: str, main: Callable[[], int]) -> NoReturn:
    """Run a benchmark, and end the process: 1 if it could not be measured."""
    try:
        sys.exit(main())
    except (ShopError, ServersError, OSError) as problem:
        print(f"\n{name}: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def commit() -> str:
    """Its short name; ``and changes`` where files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{' and changes' if changed else ''}"
