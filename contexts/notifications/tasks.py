"""The work that beat starts: sending, and forgetting what is old."""

from __future__ import annotations

from celery import shared_task

from contexts.notifications import services, workflows
from eci import chores, idempotency, outbox


@shared_task(name="notifications.send_due")
def send_due() -> None:
    workflows.send_due()


chores.wake("notifications.send_due", when=services.any_due)


@shared_task(name="notifications.mail_low_stock")
def mail_low_stock() -> None:
    workflows.mail_low_stock()


@shared_task(name="notifications.prune")
def prune() -> None:
    outbox.prune("notifications")
    idempotency.prune("notifications")
    services.erase_guests()
    services.erase_late()
