"""Run the product's regular work in this process, and print as JSON what each piece of it costs.

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

EVENTS = 20
SECONDS = 1.0  # of one piece of work, again and again: /proc counts processor time in steps of 10 ms
WARM_UP = 0.5  # before: connections open, pages come into memory, PostgreSQL plans each prepared statement five times
TIDYING = 1.0  # after what is done once: MariaDB marks rows as deleted, and removes them a moment after the commit
_OLD = timedelta(hours=20)  # half of what bench.filling writes is older


def known() -> dict[str, tuple[str, Callable[[], object], bool]]:
    """By name: what it is, the work, and whether it can be done again and again."""
    from config.books import checkup
    from contexts.inventory.tasks import count as count_inventory
    from contexts.inventory.tasks import sweep_holds
    from contexts.notifications import workflows as notices
    from contexts.orders.models import Order
    from contexts.orders.public.events import OrderConfirmed
    from contexts.orders.tasks import count as count_orders
    from contexts.orders.workflows import recovery
    from contexts.payments import workflows as payments
    from contexts.payments.tasks import count as count_payments
    from eci import idempotency, outbox, totals
    from eci.db import unit_of_work

    ids = list(Order.objects.filter(status="SHIPPED").values_list("pk", flat=True)[:EVENTS])
    told = [OrderConfirmed(order_id=pk, version=9, order_total="1.00", currency="USD") for pk in ids]

    def deliver() -> None:
        """Their mails were sent long ago, so that the events change nothing."""
        with unit_of_work("orders"):
            outbox.emit("orders", *told)
        outbox.relay_once(["orders"])

    def count() -> None:
        share, totals.SHARE = totals.SHARE, 0  # without a pause
        try:
            for counting in (count_inventory, count_orders, count_payments):
                counting()
        finally:
            totals.SHARE = share

    def prune_nothing() -> None:
        for context in CONTEXTS:
            outbox.prune(context)
            idempotency.prune(context)

    return {
        "sweep": ("sweep of the holds that ran out", sweep_holds, False),
        "sweep-idle": ("sweep, nothing to do", sweep_holds, True),
        "recover": ("recovery of orders, nothing to do", recovery.recover, True),
        "settle": ("settling of payments, nothing to do", payments.settle_unknown, True),
        "send": ("sending of mails, nothing to do", notices.send_due, True),
        "count": ("counting of totals, once a minute at most", count, True),
        "relay": ("relay, nothing due", lambda: outbox.relay_once(CONTEXTS), True),
        "deliver": (f"telling and delivering of {EVENTS} events", deliver, True),
        "prune-idle": ("pruning of messages and answers, nothing old", prune_nothing, True),
        "prune-outbox": (
            "pruning of half the outboxes and inboxes, 1,000 rows",
            lambda: _prune_half(outbox.prune),
            False,
        ),
        "prune-answers": (
            "pruning of half the answers, 1,000 rows",
            lambda: idempotency.prune("orders", keep_for=_OLD),
            False,
        ),
        "check-up": ("check-up: audit and reconcile, 1,000 orders", lambda: checkup.check_up().orders, False),
    }


def _prune_half(prune: Callable[..., int]) -> int:
    return sum(prune(context, keep=_OLD) for context in CONTEXTS)


def measure(work: Callable[[], object], again: bool, servers: Mapping[str, int]) -> dict[str, Any]:
    """ms of the clock and of processors for each time, or, of what is done once, for 1,000 of the number it returns."""
    if again:
        _repeat(work, WARM_UP)
    before, wall, cpu = machine.look(), time.perf_counter(), time.process_time()
    times, found = _repeat(work, SECONDS) if again else (1, work())
    waited, used = (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000
    if servers and not again:
        time.sleep(TIDYING)
    after = machine.look()
    parts = {"Python": used} | {name: after.cpu(pid) - before.cpu(pid) for name, pid in servers.items()}
    share: float = found / 1000 if not again and isinstance(found, int) and found else times
    return {"wall": waited / share, "cpu": {part: spent / share for part, spent in parts.items()}}


def _repeat(work: Callable[[], object], seconds: float) -> tuple[int, object]:
    """How often it was done: for so long, and until nothing is left to do. And what it gave last."""
    end, times = time.monotonic() + seconds, 0
    while True:
        found, times = work(), times + 1
        if not found and time.monotonic() >= end:
            return times, found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.chores", description=__doc__)
    parser.add_argument("chores", nargs="+")
    parser.add_argument("--server", action="append", default=[], metavar="NAME=PID")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    chores = known()
    servers = {name: int(pid) for name, _, pid in (one.partition("=") for one in asked.server)}
    done = {}
    for name in asked.chores:
        words, work, again = chores[name]
        done[words] = measure(work, again, servers)
    json.dump(done, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
