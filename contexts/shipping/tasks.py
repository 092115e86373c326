from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from contexts.shipping import services
from eci import idempotency, outbox


@shared_task(name="shipping.prune")
def prune() -> None:
    outbox.prune("shipping", keep=timedelta(days=14))
    idempotency.prune("shipping", keep_for=timedelta(hours=48))
    services.erase_late()
