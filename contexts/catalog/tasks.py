"""Catalog's beat work."""

from __future__ import annotations

from functools import partial

from celery import shared_task

from contexts.catalog import category_counts, services
from eci import chores, idempotency, outbox
from eci.imports import leases, running


@shared_task(name="catalog.prune")
def prune() -> None:
    outbox.prune("catalog")
    idempotency.prune("catalog")
    services.index_missing()
    services.prune_changes()
    category_counts.add_up()
    running.prune("catalog")


@shared_task(name="catalog.run_imports")
def run_imports() -> None:
    """Read, apply and undo imports, for as long as one is due."""
    running.run_due("catalog")


chores.wake("catalog.run_imports", when=partial(leases.any_free, "catalog"))
