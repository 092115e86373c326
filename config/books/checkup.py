"""The check-up: beat looks at everything every few minutes and keeps the result where every process finds it."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta

from config.books import reconcile
from config.books.models import CheckUp, Repair
from eci.clock import utcnow

KEPT = timedelta(days=30)
SHARE = 10  # beat's check-ups take at most one part in so many of the time


def is_due() -> bool:
    """The last one is as long ago as it deserves: it reads every order and stock row, and a large shop has many."""
    found = last()
    return found is None or utcnow() - found.at > SHARE * timedelta(milliseconds=found.milliseconds)


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
