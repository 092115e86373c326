"""Customers' beat work."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task

from contexts.customers import services
from eci import idempotency, outbox


@shared_task(name="customers.prune")
def prune() -> None:
    outbox.prune("customers")
    idempotency.prune("customers")
    services.forget_ended_logins(keep=timedelta(days=1))
