"""Run the product's regular work once in this process, and print as JSON what each piece of it costs.

``python -m bench.chores CHORE ... [--server NAME=PID]`` works on the databases of its environment.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from bench import machine
from bench.shop import CONTEXTS

OFTEN = 5  # times, of what finds nothing to do
_OLD = timedelta(hours=20)  # half of what bench.filling writes is older


def _chores() -> dict[str, tuple[str, Callable[[], object], int]]:
    """By name: what it is, the work, and how often it is done."""
    from config.books import checkup
    from contexts.inventory.services import sweeping
    from contexts.inventory.tasks import sweep_holds
    from contexts.notifications import workflows as notices
    from contexts.orders.workflows import recovery
    from contexts.payments import workflows as payments
    from eci import idempotency, outbox

    def sweep_all() -> None:
        while sweeping.sweep_batch() == sweeping.SWEEP_BATCH:
            pass

    def prune_nothing() -> None:
        for context in CONTEXTS:
            outbox.prune(context)
            idempotency.prune(context)

    return {
        "sweep": ("sweep of the holds that ran out", sweep_all, 1),
        "sweep-idle": ("sweep, nothing to do", sweep_holds, OFTEN),
        "recover": ("recovery of orders, nothing to do", recovery.recover, OFTEN),
        "settle": ("settling of payments, nothing to do", payments.settle_unknown, OFTEN),
        "send": ("sending of mails, nothing to do", notices.send_due, OFTEN),
        "relay": ("relay, nothing due", lambda: outbox.relay_once(CONTEXTS), OFTEN),
        "prune-idle": ("pruning of messages and answers, nothing old", prune_nothing, OFTEN),
        "prune-outbox": ("pruning of half the outbox and inbox", lambda: _prune_half(outbox.prune), 1),
        "prune-answers": (
            "pruning of half the answers",
            lambda: idempotency.prune("orders", keep_for=_OLD),
            1,
        ),
        "check-up": ("check-up: audit and reconcile", checkup.check_up, 1),
    }


def _prune_half(prune: Callable[..., int]) -> int:
    return sum(prune(context, keep=_OLD) for context in CONTEXTS)


def measure(work: Callable[[], object], times: int, servers: Mapping[str, int]) -> dict[str, Any]:
    """ms for each time, of the clock and of processors. ``found``: the number it returned."""
    before, wall, cpu = machine.look(), time.perf_counter(), time.process_time()
    for _ in range(times):
        found = work()
    waited, used = time.perf_counter() - wall, time.process_time() - cpu
    after = machine.look()
    parts = {"Python": used * 1000} | {name: after.cpu(pid) - before.cpu(pid) for name, pid in servers.items()}
    return {
        "wall": waited * 1000 / times,
        "cpu": {part: spent / times for part, spent in parts.items()},
        "found": found if isinstance(found, int) else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.chores", description=__doc__)
    parser.add_argument("chores", nargs="+")
    parser.add_argument("--server", action="append", default=[], metavar="NAME=PID")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    chores = _chores()
    servers = {name: int(pid) for name, _, pid in (one.partition("=") for one in asked.server)}
    done = {}
    for name in asked.chores:
        words, work, times = chores[name]
        if times > 1:
            work()  # connections are open then
        done[words] = measure(work, times, servers)
    json.dump(done, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
