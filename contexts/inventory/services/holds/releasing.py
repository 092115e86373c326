"""Give units of a hold back."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError
from django.db.models.functions import Now

from contexts.inventory.models import Allocation, Reservation
from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from contexts.inventory.selectors import HOLDING, ReservationRows
from contexts.inventory.services import owed, parts
from contexts.inventory.services.holds import steps
from eci.db import Stale, unit_of_work, writes
from eci.errors import InvalidTransition


@writes("inventory")
def release(
    *, key: str, warehouse: str | None = None, tombstone_for: str | None = None, actor: str = ""
) -> ReservationRows:
    """Give back what is still open or short, in one warehouse or in all.

    1. With ``tombstone_for``, an order id: if there is no such reservation, record it as released, so that a reserve
       that comes late is rejected.
    2. Lock the stock rows of its products.
    3. Close its allocations as released, and subtract their units from what is reserved, or owed.
    4. If no allocation is left, give the reservation its final status.
    5. The units that are free now go to what is owed to others.

    Repeated, it changes nothing. InvalidTransition if everything concerned was shipped.
    """
    if tombstone_for is not None and not Reservation.objects.filter(key=key).exists():
        return _bury(key, tombstone_for, actor)
    at = steps.lock_products(key=key)
    rows = parts.lock_reservation(key=key)
    concerned = steps.in_warehouse(allocations=rows.allocations, warehouse=warehouse)
    holding = [allocation for allocation in concerned if allocation.state in HOLDING]
    if holding:
        give_back(rows=rows, holding=holding, actor=actor, at=at)
        owed.cover(stock_ids={allocation.stock_id for allocation in holding}, at=at)
    elif concerned and all(allocation.state == AllocationState.SHIPPED for allocation in concerned):
        raise InvalidTransition("This reservation was shipped already.")
    return rows


@writes("inventory")
def give_up(*, key: str, warehouse: str, actor: str) -> ReservationRows:
    """What is owed to the reservation in this warehouse is released; what is there stays.

    What is owed to others of these products may get units now.
    """
    at = steps.lock_products(key=key)
    rows = parts.lock_reservation(key=key)
    short = [
        allocation
        for allocation in rows.allocations
        if allocation.state == AllocationState.SHORT and allocation.stock.warehouse_id == warehouse
    ]
    if short:
        give_back(rows=rows, holding=short, actor=actor, at=at)
        owed.cover(stock_ids={allocation.stock_id for allocation in short}, at=at)
    return rows


def give_back(*, rows: ReservationRows, holding: list[Allocation], actor: str, at: datetime, why: str = "") -> None:
    """A part of ``release``, whose caller gives the units to what is owed: these allocations are released."""
    was_short = any(allocation.state == AllocationState.SHORT for allocation in holding)
    parts.close_allocations(allocations=holding, state=AllocationState.RELEASED, at=at)
    healed = steps.healed(rows=rows) if was_short else {}
    steps.record(
        rows=rows, changes={"actor": actor, **healed, "why": why}, released=sum(one.quantity for one in holding)
    )


def _bury(key: str, order_id: str, actor: str) -> ReservationRows:
    tombstone = Reservation(
        key=key,
        order_id=order_id,
        fingerprint=parts.TOMBSTONE,
        status=ReservationStatus.RELEASED,
        expires_at=Now(),
        actor=actor,
    )
    try:
        with unit_of_work("inventory"):
            tombstone.save(force_insert=True)
    except IntegrityError:
        raise Stale from None
    tombstone.refresh_from_db()
    return ReservationRows(reservation=tombstone, allocations=[])
