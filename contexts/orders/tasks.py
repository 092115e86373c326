"""Beat's work for orders."""

from __future__ import annotations

from celery import shared_task

from contexts.orders import selectors, services
from contexts.orders.workflows import recovery
from eci import chores, idempotency, outbox, totals


@shared_task(name="orders.recover")
def recover() -> None:
    """Carry on whatever is due, until nothing is."""
    while recovery.recover() >= recovery.BATCH:
        pass


chores.wake("orders.recover", when=selectors.any_due)


@shared_task(name="orders.prune")
def prune() -> None:
    outbox.prune("orders")
    idempotency.prune("orders")
    services.erase_guests()
    services.erase_late()
    services.give_missing_numbers()


@shared_task(name="orders.roll_up")
def roll_up() -> None:
    """Roll up the sales of today, and of the days of which events told."""
    services.roll_up()


@shared_task(name="orders.count")
def count() -> None:
    totals.keep("orders", selectors.count)
