"""Measure what sealing and verifying a large stock ledger cost.

``python -m bench.ledger [MOVEMENTS [ROWS]]`` makes an inventory database of its own, on SQLite, or behind
``tools/servers.py`` on PostgreSQL, with MOVEMENTS movements (3,000,000) of ROWS stock rows (100,000). They are sealed
and verified as the worker does it, exported, and verified by ``verify_ledger.py`` alone. Then a movement of long ago is
changed by SQL, and must be found.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.models import F  # noqa: E402

from bench import as_of  # noqa: E402
from contexts.inventory.models import Movement  # noqa: E402
from contexts.inventory.services import proof, sealing  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def cpu() -> float:
    """Seconds of this process, of those that it has waited for, and of the one that serves our connection."""
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + waited.ru_utime + waited.ru_stime + as_of.server_ticks() / 1000


def measure(name: str, work: Callable[[], Any]) -> Any:
    connections["inventory"].ensure_connection()
    began, spent = time.perf_counter(), cpu()
    found = work()
    print(f"{name:30} {cpu() - spent:8.1f} CPU-s {time.perf_counter() - began:8.1f} s", flush=True)
    return found


def seal() -> None:
    while sealing.seal():  # a run ends after some minutes
        pass


def alone(keys: Path, ledger: Path) -> int:
    with ledger.open() as file:
        command = [sys.executable, "contexts/inventory/verify_ledger.py", str(keys)]
        return subprocess.run(command, cwd=ROOT, stdin=file, stdout=subprocess.DEVNULL, check=False).returncode


def main() -> int:
    movements = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    call_command("migrate", "inventory", database="inventory", verbosity=0)
    as_of.fill(movements, rows)
    print(f"{Movement.objects.count():,} movements on {connections['inventory'].vendor}, load {os.getloadavg()[0]:.1f}")
    measure("seal", seal)
    sound = measure("verify", proof.check)
    with tempfile.TemporaryDirectory() as folder:
        keys, ledger = Path(folder, "keys.pem"), Path(folder, "ledger.jsonl")
        with keys.open("w") as file:
            call_command("verify_ledger", keys=True, stdout=file)
        measure("export", lambda: call_command("verify_ledger", export=ledger))
        print(f"{'':30} {ledger.stat().st_size / 1e6:8.0f} MB")
        clean = measure("verify_ledger.py, by itself", lambda: alone(keys, ledger))
    Movement.objects.filter(pk=movements // 2).update(delta=F("delta") - 1)
    changed = measure("verify, one row changed", proof.check)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"findings: {sound.found}, {clean}, {changed.found}; {memory:.0f} MB, load {os.getloadavg()[0]:.1f}")
    return 0 if not sound.found and not clean and changed.found else 1


if __name__ == "__main__":
    sys.exit(main())
