"""Beat's work for payments."""

from __future__ import annotations

from celery import shared_task

from contexts.payments import selectors, services, workflows
from eci import chores, idempotency, outbox, totals


@shared_task(name="payments.settle_unknown")
def settle_unknown() -> None:
    workflows.settle_unknown()


chores.wake("payments.settle_unknown", when=selectors.any_due)


@shared_task(name="payments.prune")
def prune() -> None:
    outbox.prune("payments")
    idempotency.prune("payments")
    services.erase_late()


@shared_task(name="payments.count")
def count() -> None:
    totals.keep("payments", selectors.count)
