from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from eci import idempotency, outbox


@shared_task(name="catalog.prune")
def prune() -> None:
    outbox.prune("catalog", keep=timedelta(days=14))
    idempotency.prune("catalog", keep_for=timedelta(hours=48))
