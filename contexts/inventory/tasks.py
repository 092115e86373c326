"""Beat's work for inventory."""

from __future__ import annotations

from celery import shared_task

from contexts.inventory import services
from eci import idempotency, outbox


@shared_task(name="inventory.sweep_holds")
def sweep_holds() -> None:
    """Tidy up expired holds, and point at those that have been paying for too long. No sale waits for it."""
    while services.sweep_batch() == services.SWEEP_BATCH:
        pass
    services.flag_long_paying()


@shared_task(name="inventory.prune")
def prune() -> None:
    outbox.prune("inventory")
    idempotency.prune("inventory")
