"""Totals of a context's whole tables. Scrapes want them every few seconds, and counting them takes the longer the more
rows there are.

Beat counts them once a minute, or more rarely where that takes long, and keeps them with the moment as of which they
are. Readers take what is kept, so they all tell the same, and no counter seems to go back. Few rows are counted anew by
each reader, and so are all when beat has kept nothing for some minutes, or for twice the pause it makes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import QuerySet

from eci.clock import utcnow
from eci.db import unit_of_work
from eci.statements import Reads, reads

FEW = 10_000  # rows
BELIEVED = timedelta(minutes=5)
SHARE = 200  # beat counts a context's rows for at most one part in so many of the time


class TotalsRow(models.Model):
    """One row: what was counted ``at`` that moment, over so many ``rows``, and how long that took."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()
    rows = models.PositiveBigIntegerField()
    figures = models.JSONField()
    milliseconds = models.PositiveIntegerField(db_default=0)

    class Meta:
        abstract = True

    @property
    def pause(self) -> timedelta:
        return SHARE * timedelta(milliseconds=self.milliseconds)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """``figures``: plain JSON."""

    at: datetime
    rows: int
    figures: dict[str, Any]


Count = Callable[[], tuple[int, dict[str, Any]]]  # of the rows, and the figures


def _kept(context: str) -> type[TotalsRow]:
    return apps.get_model(context, "Totals")


@functools.cache
def _kept_in(context: str) -> Reads[..., TotalsRow]:
    @reads
    def kept() -> QuerySet[TotalsRow]:
        return _kept(context)._default_manager.all()

    return kept


def _now(count: Count) -> Totals:
    at = utcnow()
    rows, figures = count()
    return Totals(at=at, rows=rows, figures=figures)


def of(context: str, count: Count) -> Totals:
    """The context's totals, as they were at most some minutes ago."""
    kept = _kept_in(context).first()
    if kept is None or utcnow() - kept.at >= max(BELIEVED, 2 * kept.pause):
        return _now(count)
    return Totals(at=kept.at, rows=kept.rows, figures=kept.figures)


def keep(context: str, count: Count) -> None:
    """Count, and keep it, unless the rows are few, or something later is kept, or the last count took too long for
    another one already."""
    last = _kept_in(context).first()
    if last is not None and utcnow() - last.at < last.pause:
        return
    began = time.monotonic()
    totals = _now(count)
    if totals.rows <= FEW:
        return
    columns = vars(totals) | {"milliseconds": round((time.monotonic() - began) * 1000)}
    kept = _kept(context)
    with unit_of_work(context):
        if not kept._default_manager.filter(at__lt=totals.at).update(**columns):
            kept._default_manager.bulk_create([kept(**columns)], ignore_conflicts=True)
