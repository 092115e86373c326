"""Beat's work for shipping."""

from __future__ import annotations

from celery import shared_task

from contexts.shipping import services
from eci import idempotency, outbox


@shared_task(name="shipping.prune")
def prune() -> None:
    outbox.prune("shipping")
    idempotency.prune("shipping")
    services.erase_late()
