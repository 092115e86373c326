"""The units of a hold leave the warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import F, Sum

from contexts.inventory.models import Allocation, MovementKind, Stock
from contexts.inventory.public.contracts import AllocationState, InsufficientStock
from contexts.inventory.selectors import HOLDING, ReservationRows
from contexts.inventory.services import ledger, owed, parts
from contexts.inventory.services.holds import steps
from eci.db import Stale, writes
from eci.errors import InvalidTransition
from eci.statements import Change, change, changes, per_row

NOT_FOUND = "count corrected: the units had left"  # the ledger's reason


@changes
def _take_out(*, units: Mapping[int, int], at: datetime) -> Change:
    """Reserved units leave their stock rows, where they are reserved."""
    there = Stock.objects.filter(pk__in=units, reserved__gte=per_row(units))
    less = {name: F(name) - per_row(units) for name in ("on_hand", "reserved")}
    return change(there, **less, version=F("version") + 1, updated_at=at)


@changes
def _owe_less(*, units: Mapping[int, int], at: datetime) -> Change:
    """Units of stock rows are owed no more."""
    owed = F("owed") - per_row(units)
    return change(Stock.objects.filter(pk__in=units), owed=owed, version=F("version") + 1, updated_at=at)


@writes("inventory")
def ship(*, key: str, warehouse: str | None = None, actor: str, left: bool = False) -> ReservationRows:
    """The units leave, from one warehouse or from all. ``left``: they are gone already, with the shipment.

    1. Lock the reservation's stock rows.
    2. If one is short, see whether units of expired reservations cover it: InsufficientStock if they do not, or if the
       units have moved to a warehouse whose shipment does not know of them.
    3. Mark its allocations as shipped.
    4. Subtract the units from on hand and from reserved, and write the ledger.
    5. If no allocation is left, give the reservation its final status.

    What has ``left`` was there, so instead of 2, undo the moves that the shipment did not know of. A count that did not
    find the units is corrected in 4: they are not owed any more, and on hand stays as it was counted.

    Repeated, it changes nothing. ReservationExpired; InvalidTransition if everything concerned was released.
    """
    if left:
        at = steps.lock_products(key=key)
        rows = _lock_with_moves_undone(key, warehouse, at)
    else:
        rows = parts.lock_reservation(key=key)
        at = parts.instant(rows=(one.stock for one in rows.allocations))
        rows = steps.covered(rows=rows, at=at)
    concerned = steps.in_warehouse(allocations=rows.allocations, warehouse=warehouse)
    steps.require_unexpired(allocations=concerned)
    if not left:
        _require_there(concerned)
    leaving = [allocation for allocation in concerned if allocation.state in HOLDING]
    if not leaving:
        if any(allocation.state == AllocationState.SHIPPED for allocation in concerned):
            return rows
        raise InvalidTransition("This reservation was released.")
    not_found = [(one.stock, one.quantity) for one in leaving if one.state == AllocationState.SHORT]
    _leave(leaving, at)
    about = {"order_id": rows.reservation.order_id, "reference": key, "actor": actor}
    shipment = MovementKind.SHIPMENT  # the correction too: together they move nothing, for the count was right
    if not_found:
        ledger.record(changes=not_found, kind=shipment, reason=NOT_FOUND, at=at, **about)
    shipped = [(one.stock, -one.quantity) for one in leaving]
    ledger.record(changes=shipped, kind=shipment, reason="shipment", at=at, **about)
    healed = steps.healed(rows=rows) if not_found else {}
    steps.record(rows=rows, changes={"actor": actor} | healed, shipped=sum(one.quantity for one in leaving))
    if left:
        owed.cover(stock_ids={allocation.stock_id for allocation in rows.allocations}, at=at)
    return rows


def _leave(leaving: list[Allocation], at: datetime) -> None:
    """Close the allocations, and take their units out of the stock rows, or out of what those owe."""
    open_units = parts.units_in(allocations=leaving, state=AllocationState.OPEN)
    owed_units = parts.units_in(allocations=leaving, state=AllocationState.SHORT)
    parts.mark_allocations(allocations=leaving, state=AllocationState.SHIPPED, at=at)
    if _take_out(units=open_units, at=at) != len(open_units):
        raise Stale  # a count moved them to another row while this waited for the lock
    _owe_less.along(units=owed_units, at=at)


def _lock_with_moves_undone(key: str, warehouse: str | None, at: datetime) -> ReservationRows:
    rows = parts.lock_reservation(key=key)
    if warehouse is not None and owed.undo_moves(allocations=rows.allocations, warehouse=warehouse, at=at):
        rows = parts.lock_reservation(key=key)
    return rows


def _require_there(allocations: list[Allocation]) -> None:
    """InsufficientStock if units of a paid reservation, which a stock count did not find, are still missing, or have
    moved to a warehouse whose shipment does not know of them."""
    items = [
        {"product_id": one.stock.product_id, "requested": one.quantity, "available": _left_for(one)}
        for one in allocations
        if one.state == AllocationState.SHORT or one.moved_from
    ]
    if items:
        raise InsufficientStock("The units of this reservation are not there any more.", items=items)


def _left_for(short: Allocation) -> int:
    """The units of its stock row that older allocations leave to a short one."""
    older = Allocation.objects.filter(stock=short.stock_id, state=AllocationState.SHORT, pk__lt=short.pk)
    owed = older.aggregate(units=Sum("quantity"))["units"] or 0
    return max(0, short.stock.on_hand - short.stock.reserved - owed)


@writes("inventory")
def accept_moves(*, key: str) -> ReservationRows:
    """The order's shipments wait, and will be made to fit: units that moved belong to those from where they are.

    What is owed may move again, and does if units are free.
    """
    at = steps.lock_products(key=key)
    rows = parts.lock_reservation(key=key)
    moved = [allocation for allocation in rows.allocations if allocation.moved_from]
    if not moved:
        return rows
    parts.change_reservation(reservation=rows.reservation, changes={})
    Allocation.objects.filter(pk__in=[allocation.pk for allocation in moved]).update(moved_from=None)
    owed.cover(stock_ids={allocation.stock_id for allocation in rows.allocations}, at=at)
    return parts.lock_reservation(key=key)
