from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from contexts.notifications import services, workflows
from eci import idempotency, outbox


@shared_task(name="notifications.send_due")
def send_due() -> None:
    workflows.send_due()


@shared_task(name="notifications.prune")
def prune() -> None:
    outbox.prune("notifications", keep=timedelta(days=14))
    idempotency.prune("notifications", keep_for=timedelta(hours=48))
    services.erase_late()
