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

EVENTS = 20
OFTEN = 5  # times, of what finds nothing to do
_OLD = timedelta(hours=20)  # half of what bench.filling writes is older


def known() -> dict[str, tuple[str, Callable[[], object], int]]:
    """By name: what it is, the work, and how often it is done."""
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
    from eci import idempotency, outbox
    from eci.db import unit_of_work

    ids = list(Order.objects.filter(status="SHIPPED").values_list("pk", flat=True)[:EVENTS])
    told = [OrderConfirmed(order_id=pk, version=9, order_total="1.00", currency="USD") for pk in ids]

    def deliver() -> None:
        """Their mails were sent long ago, so that the events change nothing."""
        with unit_of_work("orders"):
            outbox.emit("orders", *told)
        outbox.relay_once(["orders"])

    def count() -> None:
        for counting in (count_inventory, count_orders, count_payments):
            counting()

    def prune_nothing() -> None:
        for context in CONTEXTS:
            outbox.prune(context)
            idempotency.prune(context)

    return {
        "sweep": ("sweep of the holds that ran out", sweep_holds, 1),
        "sweep-idle": ("sweep, nothing to do", sweep_holds, OFTEN),
        "recover": ("recovery of orders, nothing to do", recovery.recover, OFTEN),
        "settle": ("settling of payments, nothing to do", payments.settle_unknown, OFTEN),
        "send": ("sending of mails, nothing to do", notices.send_due, OFTEN),
        "count": ("counting of totals, once a minute", count, OFTEN),
        "relay": ("relay, nothing due", lambda: outbox.relay_once(CONTEXTS), OFTEN),
        "deliver": (f"telling and delivering of {EVENTS} events", deliver, OFTEN),
        "prune-idle": ("pruning of messages and answers, nothing old", prune_nothing, OFTEN),
        "prune-outbox": ("pruning of half the outboxes and inboxes, 1,000 rows", lambda: _prune_half(outbox.prune), 1),
        "prune-answers": (
            "pruning of half the answers, 1,000 rows",
            lambda: idempotency.prune("orders", keep_for=_OLD),
            1,
        ),
        "check-up": ("check-up: audit and reconcile, 1,000 orders", lambda: checkup.check_up().orders, 1),
    }


def _prune_half(prune: Callable[..., int]) -> int:
    return sum(prune(context, keep=_OLD) for context in CONTEXTS)


def measure(work: Callable[[], object], times: int, servers: Mapping[str, int]) -> dict[str, Any]:
    """ms of the clock and of processors for each time, or, of what is done once, for 1,000 of the number it returns."""
    before, wall, cpu = machine.look(), time.perf_counter(), time.process_time()
    for _ in range(times):
        found = work()
    waited, used = (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000
    after = machine.look()
    parts = {"Python": used} | {name: after.cpu(pid) - before.cpu(pid) for name, pid in servers.items()}
    share: float = found / 1000 if times == 1 and isinstance(found, int) and found else times
    return {"wall": waited / share, "cpu": {part: spent / share for part, spent in parts.items()}}


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
        words, work, times = chores[name]
        while times > 1 and work():  # connections are open then, and what was left to do is done
            pass
        done[words] = measure(work, times, servers)
    json.dump(done, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
