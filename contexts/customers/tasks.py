"""Customers' beat work."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from celery import shared_task

from contexts.customers import services
from eci import chores, idempotency, outbox
from eci.imports import leases, running


@shared_task(name="customers.prune")
def prune() -> None:
    outbox.prune("customers")
    idempotency.prune("customers")
    running.prune("customers")
    services.forget_ended_logins(keep=timedelta(days=1))


@shared_task(name="customers.run_imports")
def run_imports() -> None:
    """Read, apply and undo imports, for as long as one is due."""
    running.run_due("customers")


chores.wake("customers.run_imports", when=partial(leases.any_free, "customers"))
