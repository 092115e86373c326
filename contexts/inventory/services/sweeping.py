"""The sweeper's work: tidy up expired reservations, flag those whose payment takes too long."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, Exists, F, Min, OuterRef, QuerySet, Sum, Value, When
from django.db.models.functions import Now

from contexts.inventory import selectors
from contexts.inventory.domain import span_of
from contexts.inventory.models import Allocation, Reservation, Stock, Sweep
from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from contexts.inventory.services import owed, parts
from eci.clock import utcnow
from eci.db import Stale, locked, writes
from eci.statements import Change, change, changes, per_row, reads

SWEEP_BATCH = 250  # reservations whose stock rows are locked at once, for some hundredths of a second
PAYING_LIMIT = timedelta(hours=24)


@reads
def _due() -> QuerySet[Reservation, Any]:
    """The next batch, by when they expired, with that."""
    lapsed = Reservation.objects.filter(selectors.LAPSED).order_by("expires_at")
    return lapsed.values_list("pk", "expires_at")[:SWEEP_BATCH]


@reads
def _lock_products(*, due: Collection[int]) -> QuerySet[Stock, Any]:
    """All stock rows of the products of which these reservations hold units stay locked: when each changed last."""
    holding = Allocation.objects.filter(reservation__in=due, state=AllocationState.OPEN)
    rows = Stock.objects.filter(product_id__in=holding.values("stock__product_id"))
    return locked(rows.order_by("pk")).values_list("updated_at", flat=True)


def _expired(due: Collection[int], until: datetime) -> QuerySet[Allocation]:
    return Allocation.objects.filter(reservation__in=due, state=AllocationState.OPEN, lapses_at__lte=until)


@reads
def _units(*, due: Collection[int], until: datetime) -> QuerySet[Allocation, Any]:
    """Stock row, units, allocations, since when the oldest."""
    by_row = _expired(due, until).order_by().values("stock")
    sums = by_row.annotate(units=Sum("quantity"), count=Count("pk"), oldest=Min("since"))
    return sums.values_list("stock", "units", "count", "oldest")


@changes
def _close(*, due: Collection[int], until: datetime, lasted: int) -> Change:
    ended = {"until": F("lapses_at"), "lasted": lasted}
    return change(_expired(due, until), **ended, state=AllocationState.EXPIRED, lapses_at=None, moved_from=None)


@changes
def _free(*, units: Mapping[int, int], at: datetime) -> Change:
    rows = Stock.objects.filter(pk__in=units)
    return change(rows, reserved=F("reserved") - per_row(units), version=F("version") + 1, updated_at=at)


@reads
def _is_owed() -> QuerySet[Stock, Any]:
    return Stock.objects.filter(selectors.OWING).values_list("pk")[:1]


@changes
def _end(*, due: Collection[int]) -> Change:
    """A final status for those that hold nothing any more.

    In a CASE no index is seen for what has lapsed: by that, PostgreSQL may read all that wait to be swept.
    """
    allocations = Allocation.objects.filter(reservation=OuterRef("pk"))
    has_lapsed = Case(When(selectors.LAPSED, then=Value(True)), default=Value(False))
    lapsed = Reservation.objects.alias(has_lapsed=has_lapsed).filter(pk__in=due, has_lapsed=True)
    ended = lapsed.filter(~Exists(allocations.filter(state=AllocationState.OPEN)))
    shipped = Exists(allocations.filter(state=AllocationState.SHIPPED))
    status = Case(When(shipped, then=Value(ReservationStatus.SHIPPED)), default=Value(ReservationStatus.EXPIRED))
    return change(ended, status=status, version=F("version") + 1, updated_at=Now())


@writes("inventory")
def sweep_batch() -> int:
    """Tidy up to one batch of expired reservations; returns their number.

    1. Lock the stock rows of their products, close their allocations and free the units.
    2. Give what is owed its units.
    3. Give a final status to those without open allocations.
    4. Record the time.
    """
    due = dict(_due())
    ended = 0
    if due:
        until = max(due.values())  # not now: one that is given more time meanwhile must not be closed in part
        at = max((utcnow(), *_lock_products(due=due)))  # as parts.instant
        freed = _units(due=due, until=until)
        lasted = span_of(until - oldest for *_, oldest in freed)
        if _close(due=due, until=until, lasted=lasted) != sum(count for _, _, count, _ in freed):
            raise Stale
        _free(units={stock: units for stock, units, *_ in freed}, at=at)
        if _is_owed.first():
            owed.cover(stock_ids=[stock for stock, *_ in freed], at=at)
        ended = _end(due=due)
    if not Sweep.objects.update(at=Now()):
        Sweep.objects.bulk_create([Sweep(at=Now())], ignore_conflicts=True)
    return ended


@writes("inventory")
def cover_owed() -> None:
    """Give what is owed the units that are free. Writers do so themselves; earlier versions did not look elsewhere."""
    products = list(Stock.objects.filter(selectors.OWING).values_list("product_id", flat=True).distinct()[:SWEEP_BATCH])
    if products:
        rows = parts.lock_stock_of(product_ids=products)
        owed.cover(stock_ids=[row.pk for row in rows], at=parts.instant(rows=rows))


@writes("inventory")
def flag_long_paying() -> int:
    """Flag reservations whose payment has taken more than a day, up to one batch; returns their number."""
    stuck = Reservation.objects.filter(
        status=ReservationStatus.RESERVED, paying=True, paying_since__lte=Now() - PAYING_LIMIT, needs_attention=False
    )
    found = list(stuck.order_by("paying_since")[:SWEEP_BATCH])
    for reservation in found:
        parts.flag_reservation(reservation=reservation, reason="its payment has been under way for more than a day")
    return len(found)
