"""The check-up: beat looks at everything every few minutes and keeps the result where every process finds it."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta

from config.books import reconcile
from config.books.models import CheckUp, Repair
from eci.clock import utcnow

KEPT = timedelta(days=30)


def check_up() -> CheckUp:
    began = time.monotonic()
    result = reconcile.find()
    return CheckUp.objects.create(
        at=utcnow(),
        milliseconds=round((time.monotonic() - began) * 1000),
        orders=result.orders,
        in_flight=result.in_flight,
        items=[asdict(item) for item in result.items],
        lags=reconcile.lags(),
    )


def last() -> CheckUp | None:
    return CheckUp.objects.order_by("-pk").first()


def prune() -> None:
    limit = utcnow() - KEPT
    CheckUp.objects.filter(at__lt=limit).delete()
    Repair.objects.filter(at__lt=utcnow() - timedelta(days=365)).delete()
