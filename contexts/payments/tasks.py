from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from contexts.payments import services, workflows
from eci import idempotency, outbox


@shared_task(name="payments.settle_unknown")
def settle_unknown() -> None:
    workflows.settle_unknown()


@shared_task(name="payments.prune")
def prune() -> None:
    outbox.prune("payments", keep=timedelta(days=14))
    idempotency.prune("payments", keep_for=timedelta(hours=48))
    services.erase_late()
