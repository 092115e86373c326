"""The sweeper's work: tidy up expired reservations, flag those whose payment takes too long."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Case, Exists, F, OuterRef, Value, When
from django.db.models.functions import Now

from contexts.inventory import selectors
from contexts.inventory.models import Allocation, Reservation, Stock, Sweep
from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from contexts.inventory.services import owed, parts
from eci.db import writes

SWEEP_BATCH = 200
PAYING_LIMIT = timedelta(hours=24)


@writes("inventory")
def sweep_batch() -> int:
    """Tidy up to one batch of expired reservations; returns their number.

    1. Lock the stock rows of their products, and close their allocations.
    2. Give a final status to those without open allocations.
    3. Record the time.
    """
    expired = Reservation.objects.filter(selectors.LAPSED).order_by("expires_at").values_list("pk", flat=True)
    due = list(expired[:SWEEP_BATCH])
    allocations = Allocation.objects.filter(reservation=OuterRef("pk"))
    holding = Allocation.objects.filter(reservation__in=due, state=AllocationState.OPEN)
    parts.lock_products_of(allocations=holding)
    owed.reclaim(stock_ids=set(holding.values_list("stock", flat=True)))
    ended = Reservation.objects.filter(
        selectors.LAPSED, ~Exists(allocations.filter(state=AllocationState.OPEN)), pk__in=due
    ).update(
        status=Case(
            When(Exists(allocations.filter(state=AllocationState.SHIPPED)), then=Value(ReservationStatus.SHIPPED)),
            default=Value(ReservationStatus.EXPIRED),
        ),
        version=F("version") + 1,
        updated_at=Now(),
    )
    if not Sweep.objects.update(at=Now()):
        Sweep.objects.bulk_create([Sweep(at=Now())], ignore_conflicts=True)
    return ended


@writes("inventory")
def cover_owed() -> None:
    """Give what is owed the units that are free. Writers do so themselves; earlier versions did not look elsewhere."""
    products = list(Stock.objects.filter(owed__gt=0).values_list("product_id", flat=True).distinct()[:SWEEP_BATCH])
    if products:
        owed.cover(stock_ids=[row.pk for row in parts.lock_stock_of(product_ids=products)])


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
