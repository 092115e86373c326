"""Catalog's beat work."""

from __future__ import annotations

from celery import shared_task

from contexts.catalog import services
from eci import idempotency, outbox


@shared_task(name="catalog.prune")
def prune() -> None:
    outbox.prune("catalog")
    idempotency.prune("catalog")
    services.index_missing()
