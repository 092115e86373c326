"""Writes of reservations: hold units for an order, make that firm, give the units back or ship them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Now

from contexts.inventory import selectors
from contexts.inventory.domain import allocate, settled
from contexts.inventory.models import Allocation, MovementKind, Reservation, Stock
from contexts.inventory.public.contracts import (
    AllocationState,
    InsufficientStock,
    ReservationExpired,
    ReservationStatus,
    WarehouseNotFound,
)
from contexts.inventory.selectors import HOLDING, ReservationRows, ReservationView
from contexts.inventory.services import ledger, low, owed, parts
from eci import trail
from eci.db import Stale, unit_of_work, writes
from eci.errors import IdempotencyKeyReused, InvalidTransition
from eci.idempotency import fingerprint
from eci.statements import Change, Inserts, change, changes, per_row, reads

NOT_FOUND = "count corrected: the units had left"  # the ledger's reason

_add_reservation = Inserts(Reservation)
_add_allocations = Inserts(Allocation)


@reads
def _of_key(*, key: str) -> QuerySet[Reservation]:
    return Reservation.objects.filter(key=key)


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
def reserve(
    *,
    key: str,
    order_id: str,
    demand: Mapping[int, int],
    seconds: int,
    warehouse: str | None = None,
    paying: bool = False,
    again: bool = False,
    actor: str = "",
) -> ReservationView:
    """Hold every unit of ``demand`` (product id -> units) for ``seconds``, or none.

    1. If the key has made this reservation before, return it. With ``again``, one that has expired is made anew, and
       one that has not becomes ``paying`` if that is asked.
    2. Lock the products' stock rows, and choose among those that may be taken from: InsufficientStock.
    3. Reclaim expired allocations of the chosen rows whose units are needed.
    4. Add the units to what is reserved, if they are still available.
    5. Record the reservation and its allocations.
    6. Announce the rows that have become low.

    InvalidTransition if the key's reservation was released; IdempotencyKeyReused if the key asked for another one.
    """
    asked = fingerprint([order_id, sorted(demand.items()), warehouse])
    existing = _of_key.first(key=key)
    if existing is not None:
        repeated = _repeated(existing, asked)
        if not again or repeated.reservation.status not in (ReservationStatus.EXPIRED, ReservationStatus.RESERVED):
            return repeated
        if repeated.reservation.status == ReservationStatus.RESERVED:
            return mark_paying(key=key) if paying else repeated
        _clear_away(existing, demand)
    rows = parts.lock_stock_of(product_ids=demand)
    at = parts.instant(rows=rows)
    choices = selectors.allocatable(rows=rows, warehouse=warehouse)
    picks, choice = allocate(demand, choices)
    stock = {row.pk: row for row in rows}
    reclaimable = [pick.stock_id for pick in picks if pick.quantity > parts.free_units(row=stock[pick.stock_id])]
    if reclaimable:
        owed.reclaim(stock_ids=reclaimable, at=at)
    parts.reserve_units(units={pick.stock_id: pick.quantity for pick in picks}, at=at)
    now: datetime = rows[0].now
    expires_at = now + timedelta(seconds=seconds)
    promise = {
        "status": ReservationStatus.RESERVED,
        "paying": paying,
        "paying_since": now if paying else None,
        "choice": choice,
        "expires_at": expires_at,
        "actor": actor,
    }
    if existing is None:
        reservation = _create(
            key=key,
            order_id=order_id,
            fingerprint=asked,
            asked_warehouse=warehouse or "",
            created_at=now,
            updated_at=now,
            **promise,
        )
    else:
        reservation = existing
        parts.change_reservation(reservation=reservation, changes=promise | {"why": ""})
    allocations = [
        Allocation(
            reservation=reservation,
            stock=stock[pick.stock_id],
            quantity=pick.quantity,
            lapses_at=None if paying else expires_at,
            since=at,
        )
        for pick in picks
    ]
    _add_allocations(allocations)
    left = {one.stock_id: one.available for one in choices}
    low.tell(
        crossed=(
            (row, left[row.pk] - pick.quantity, row.version + 1)
            for pick in picks
            for row in [stock[pick.stock_id]]
            if left[row.pk] >= row.reorder_point > left[row.pk] - pick.quantity
        )
    )
    return ReservationRows(reservation=reservation, allocations=allocations)


def _create(**fields: Any) -> Reservation:
    made = Reservation(**fields)
    try:
        _add_reservation([made])
    except IntegrityError:  # another request made this key's reservation meanwhile: begin again and find it
        raise Stale from None
    return made


def _clear_away(expired: Reservation, demand: Mapping[int, int]) -> None:
    """Make room for the reservation's new allocations: its old ones, which count for nothing any more, are deleted.

    Every stock row of the demand is locked first, also in warehouses that have closed since.
    """
    at = parts.instant(rows=parts.lock_stock_of(product_ids=demand))
    old = list(expired.allocations.all())
    holding = [one for one in old if one.state in HOLDING]
    parts.close_allocations(allocations=holding, state=AllocationState.EXPIRED, at=at)
    parts.remember(allocations=expired.allocations.all(), at=at)
    Allocation.objects.filter(pk__in=[one.pk for one in old]).delete()
    owed.cover(stock_ids={one.stock_id for one in old}, at=at)


def _repeated(existing: Reservation, asked: str) -> ReservationView:
    if existing.fingerprint not in (parts.TOMBSTONE, asked):
        raise IdempotencyKeyReused("This reservation's key was used for a different request.")
    if existing.status == ReservationStatus.RELEASED:
        raise InvalidTransition("This reservation was released.")
    return selectors.reservations_by_key(keys=[existing.key])[existing.key]


@writes("inventory")
def confirm(*, key: str, actor: str = "") -> ReservationRows:
    """Make the reservation firm: it no longer expires."""
    rows = parts.lock_reservation(key=key)
    _require_unexpired(rows.allocations)
    if rows.reservation.status in (ReservationStatus.CONFIRMED, ReservationStatus.SHIPPED):
        return rows
    _require_reserved(rows.reservation)
    confirmed = {"status": ReservationStatus.CONFIRMED, "paying": False, "paying_since": None, "actor": actor}
    parts.change_reservation(reservation=rows.reservation, changes=confirmed)
    _leave_trail(rows.reservation, ReservationStatus.RESERVED)
    _stop_the_clock(rows.allocations)
    return rows


@writes("inventory")
def mark_paying(*, key: str) -> ReservationRows:
    """Record that the payment is under way: the reservation neither expires nor is reclaimed."""
    rows = parts.lock_reservation(key=key)
    _require_unexpired(rows.allocations)
    if rows.reservation.status != ReservationStatus.CONFIRMED and not rows.reservation.paying:
        _require_reserved(rows.reservation)
        parts.change_reservation(reservation=rows.reservation, changes={"paying": True, "paying_since": Now()})
        _stop_the_clock(rows.allocations)
    return rows


@writes("inventory")
def stop_paying(*, key: str, seconds: int) -> ReservationRows:
    """The payment waits for somebody, who may never come: the reservation expires in ``seconds``, as any other does.

    Nothing is owed to what is not paid, so one that a stock count made short expires at once. A reservation that is not
    ``paying`` stays as it is.
    """
    at = _lock_products(key)
    rows = _covered(parts.lock_reservation(key=key), at)
    reservation = rows.reservation
    if reservation.status != ReservationStatus.RESERVED or not reservation.paying:
        return rows
    holding = [allocation for allocation in rows.allocations if allocation.state in HOLDING]
    is_short = any(allocation.state == AllocationState.SHORT for allocation in holding)
    waits = {"paying": False, "paying_since": None, "needs_attention": False, "why": ""}
    if is_short:
        parts.close_allocations(allocations=holding, state=AllocationState.EXPIRED, at=at)
        _record(rows, waits | {"expires_at": Now(), "why": "a stock count found too little before it was paid"})
        owed.cover(stock_ids={allocation.stock_id for allocation in holding}, at=at)
    else:
        _record(rows, waits | {"expires_at": Now() + timedelta(seconds=seconds)})
    reservation.refresh_from_db(fields=["expires_at"])
    if not is_short:
        ids = [allocation.pk for allocation in holding]
        Allocation.objects.filter(pk__in=ids).update(lapses_at=reservation.expires_at)
    return rows


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
    at = _lock_products(key)
    rows = parts.lock_reservation(key=key)
    concerned = _in_warehouse(rows.allocations, warehouse)
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
    at = _lock_products(key)
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
    healed = _healed(rows) if was_short else {}
    _record(rows, {"actor": actor, **healed, "why": why}, released=sum(one.quantity for one in holding))


def _healed(rows: ReservationRows) -> dict[str, Any]:
    """What changes when units are not owed any more; nothing while others are."""
    if any(allocation.state == AllocationState.SHORT for allocation in rows.allocations):
        return {}
    return {"needs_attention": False, "why": ""}


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
        at = _lock_products(key)
        rows = _lock_with_moves_undone(key, warehouse, at)
    else:
        rows = parts.lock_reservation(key=key)
        at = parts.instant(rows=(one.stock for one in rows.allocations))
        rows = _covered(rows, at)
    concerned = _in_warehouse(rows.allocations, warehouse)
    _require_unexpired(concerned)
    if not left:
        _require_there(concerned)
    leaving = [allocation for allocation in concerned if allocation.state in HOLDING]
    if not leaving:
        if any(allocation.state == AllocationState.SHIPPED for allocation in concerned):
            return rows
        raise InvalidTransition("This reservation was released.")
    open_units = parts.units_in(allocations=leaving, state=AllocationState.OPEN)
    owed_units = parts.units_in(allocations=leaving, state=AllocationState.SHORT)
    not_found = [(one.stock, one.quantity) for one in leaving if one.state == AllocationState.SHORT]
    parts.mark_allocations(allocations=leaving, state=AllocationState.SHIPPED, at=at)
    if _take_out(units=open_units, at=at) != len(open_units):
        raise Stale  # a count moved them to another row while this waited for the lock
    _owe_less(units=owed_units, at=at)
    about = {"order_id": rows.reservation.order_id, "reference": key, "actor": actor}
    shipment = MovementKind.SHIPMENT  # the correction too: together they move nothing, for the count was right
    if not_found:
        ledger.record(changes=not_found, kind=shipment, reason=NOT_FOUND, at=at, **about)
    shipped = [(one.stock, -one.quantity) for one in leaving]
    ledger.record(changes=shipped, kind=shipment, reason="shipment", at=at, **about)
    healed = _healed(rows) if not_found else {}
    _record(rows, {"actor": actor} | healed, shipped=sum(one.quantity for one in leaving))
    if left:
        owed.cover(stock_ids={allocation.stock_id for allocation in rows.allocations}, at=at)
    return rows


def _lock_products(key: str) -> datetime:
    """Lock all stock rows of the reservation's products. When it is then: ``parts.instant``."""
    return parts.instant(rows=parts.lock_products_of(allocations=Allocation.objects.filter(reservation__key=key)))


def _lock_with_moves_undone(key: str, warehouse: str | None, at: datetime) -> ReservationRows:
    rows = parts.lock_reservation(key=key)
    if warehouse is not None and owed.undo_moves(allocations=rows.allocations, warehouse=warehouse, at=at):
        rows = parts.lock_reservation(key=key)
    return rows


@writes("inventory")
def accept_moves(*, key: str) -> ReservationRows:
    """The order's shipments wait, and will be made to fit: units that moved belong to those from where they are.

    What is owed may move again, and does if units are free.
    """
    at = _lock_products(key)
    rows = parts.lock_reservation(key=key)
    moved = [allocation for allocation in rows.allocations if allocation.moved_from]
    if not moved:
        return rows
    parts.change_reservation(reservation=rows.reservation, changes={})
    Allocation.objects.filter(pk__in=[allocation.pk for allocation in moved]).update(moved_from=None)
    owed.cover(stock_ids={allocation.stock_id for allocation in rows.allocations}, at=at)
    return parts.lock_reservation(key=key)


def _covered(rows: ReservationRows, at: datetime) -> ReservationRows:
    """The locked reservation again. What units of expired reservations can cover is not short any more."""
    short = {allocation.stock_id for allocation in rows.allocations if allocation.state == AllocationState.SHORT}
    if not short:
        return rows
    owed.reclaim(stock_ids=short, at=at)
    return parts.lock_reservation(key=rows.reservation.key)


def _require_unexpired(allocations: list[Allocation]) -> None:
    if any(allocation.state == AllocationState.EXPIRED for allocation in allocations):
        raise ReservationExpired("This reservation has expired.")


def _require_reserved(reservation: Reservation) -> None:
    if reservation.status != ReservationStatus.RESERVED:
        raise InvalidTransition(f"This reservation is {reservation.status} already.")


def _in_warehouse(allocations: list[Allocation], warehouse: str | None) -> list[Allocation]:
    if warehouse is None:
        return allocations
    concerned = [allocation for allocation in allocations if allocation.stock.warehouse_id == warehouse]
    if not concerned:
        raise WarehouseNotFound(f"This reservation holds nothing in warehouse {warehouse}.", warehouse=warehouse)
    return concerned


def _record(rows: ReservationRows, changes: dict[str, Any], **units: int) -> None:
    """Write these changes and, if no allocation is left, the reservation's final status."""
    before = rows.reservation.status
    status = settled(allocation.state for allocation in rows.allocations)
    final = {"status": status, "paying": False, "paying_since": None, "needs_attention": False} if status else {}
    parts.change_reservation(reservation=rows.reservation, changes=changes | final)
    _leave_trail(rows.reservation, before, **units)


def _leave_trail(reservation: Reservation, before: str, **units: int) -> None:
    trail.record(
        "inventory",
        actor=reservation.actor,
        action="reservation.change",
        thing=f"reservation:{reservation.pk}",
        before={"status": str(before)},
        after={"status": str(reservation.status), **units},
    )


def _stop_the_clock(allocations: list[Allocation]) -> None:
    """The allocations no longer lapse. Stale if one was reclaimed since it was read."""
    ids = [allocation.pk for allocation in allocations if allocation.lapses_at]
    if ids and Allocation.objects.filter(pk__in=ids, lapses_at__isnull=False).update(lapses_at=None) != len(ids):
        raise Stale


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
