"""Writes of reservations: hold units for an order, make that firm, give the units back or ship them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import F
from django.db.models.functions import Now

from contexts.inventory import selectors
from contexts.inventory.domain import allocate, settled
from contexts.inventory.models import Allocation, Reservation, Stock
from contexts.inventory.public.contracts import (
    AllocationState,
    InsufficientStock,
    ReservationExpired,
    ReservationStatus,
    WarehouseNotFound,
)
from contexts.inventory.selectors import ReservationRows
from contexts.inventory.services import ledger, parts
from eci.db import Stale, per_row, unit_of_work, writes
from eci.errors import IdempotencyKeyReused, InvalidTransition
from eci.idempotency import fingerprint

_HOLDING = (AllocationState.OPEN, AllocationState.SHORT)


@writes("inventory")
def reserve(
    *,
    key: str,
    order_id: str,
    demand: Mapping[int, int],
    seconds: int,
    warehouse: str | None = None,
    paying: bool = False,
) -> ReservationRows:
    """Hold every unit of ``demand`` (product id -> units) for ``seconds``, or none.

    1. If the key has made this reservation before, return it.
    2. Lock the stock rows that the products may be taken from, and choose among them: InsufficientStock.
    3. Reclaim expired allocations of the chosen rows whose units are needed.
    4. Add the units to what is reserved, if they are still available.
    5. Record the reservation and its allocations.

    InvalidTransition if the key's reservation was released; IdempotencyKeyReused if the key asked for another one.
    """
    asked = fingerprint([order_id, sorted(demand.items()), warehouse])
    existing = Reservation.objects.filter(key=key).first()
    if existing is not None:
        return _repeated(existing, asked)
    rows = parts.lock_allocatable(product_ids=demand, warehouse=warehouse)
    picks, choice = allocate(demand, [selectors.as_stock_row(row=row) for row in rows])
    stock = {row.pk: row for row in rows}
    reclaimable = [p.stock_id for p in picks if p.quantity > stock[p.stock_id].on_hand - stock[p.stock_id].reserved]
    if reclaimable:
        parts.reclaim(stock_ids=reclaimable)
    parts.reserve_units(units={pick.stock_id: pick.quantity for pick in picks})
    now: datetime = rows[0].now
    expires_at = now + timedelta(seconds=seconds)
    try:
        with unit_of_work("inventory"):
            reservation = Reservation.objects.create(
                key=key,
                order_id=order_id,
                fingerprint=asked,
                status=ReservationStatus.RESERVED,
                paying=paying,
                paying_since=now if paying else None,
                choice=choice,
                expires_at=expires_at,
                created_at=now,
                updated_at=now,
            )
    except IntegrityError:  # another request made this key's reservation meanwhile: begin again and find it
        raise Stale from None
    allocations = [
        Allocation(
            reservation=reservation,
            stock=stock[pick.stock_id],
            quantity=pick.quantity,
            lapses_at=None if paying else expires_at,
        )
        for pick in picks
    ]
    Allocation.objects.bulk_create(allocations)
    return ReservationRows(reservation=reservation, allocations=allocations)


def _repeated(existing: Reservation, asked: str) -> ReservationRows:
    if existing.fingerprint not in (parts.TOMBSTONE, asked):
        raise IdempotencyKeyReused("This reservation's key was used for a different request.")
    if existing.status == ReservationStatus.RELEASED:
        raise InvalidTransition("This reservation was released.")
    return selectors.reservations_by_key(keys=[existing.key])[existing.key]


@writes("inventory")
def confirm(*, key: str) -> ReservationRows:
    """Make the reservation firm: it no longer expires."""
    rows = parts.lock_reservation(key=key)
    _require_unexpired(rows.allocations)
    if rows.reservation.status in (ReservationStatus.CONFIRMED, ReservationStatus.SHIPPED):
        return rows
    _require_reserved(rows.reservation)
    confirmed = {"status": ReservationStatus.CONFIRMED, "paying": False, "paying_since": None}
    parts.change_reservation(reservation=rows.reservation, changes=confirmed)
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
def release(*, key: str, warehouse: str | None = None, tombstone_for: str | None = None) -> ReservationRows:
    """Give back what is still open or short, in one warehouse or in all.

    1. With ``tombstone_for``, an order id: if there is no such reservation, record it as released, so that a reserve
       that comes late is rejected.
    2. Lock the reservation's stock rows.
    3. Close its allocations as released, and subtract their units from what is reserved.
    4. If no allocation is left, give the reservation its final status.

    Repeated, it changes nothing. InvalidTransition if everything concerned was shipped.
    """
    if tombstone_for is not None and not Reservation.objects.filter(key=key).exists():
        return _bury(key, tombstone_for)
    rows = parts.lock_reservation(key=key)
    concerned = _in_warehouse(rows.allocations, warehouse)
    holding = [allocation for allocation in concerned if allocation.state in _HOLDING]
    if holding:
        parts.close_allocations(allocations=holding, state=AllocationState.RELEASED)
        _settle_status(rows)
    elif concerned and all(allocation.state == AllocationState.SHIPPED for allocation in concerned):
        raise InvalidTransition("This reservation was shipped already.")
    return rows


def _bury(key: str, order_id: str) -> ReservationRows:
    tombstone = Reservation(
        key=key, order_id=order_id, fingerprint=parts.TOMBSTONE, status=ReservationStatus.RELEASED, expires_at=Now()
    )
    try:
        with unit_of_work("inventory"):
            tombstone.save(force_insert=True)
    except IntegrityError:
        raise Stale from None
    tombstone.refresh_from_db()
    return ReservationRows(reservation=tombstone, allocations=[])


@writes("inventory")
def ship(*, key: str, warehouse: str | None = None, actor: str) -> ReservationRows:
    """The units leave, from one warehouse or from all.

    1. Lock the reservation's stock rows.
    2. Mark its open and short allocations as shipped.
    3. Reserve the units of the short ones again: InsufficientStock if they are not there.
    4. Subtract the units from on hand and from reserved, and write the ledger.
    5. If no allocation is left, give the reservation its final status.

    Repeated, it changes nothing. ReservationExpired; InvalidTransition if everything concerned was released.
    """
    rows = parts.lock_reservation(key=key)
    concerned = _in_warehouse(rows.allocations, warehouse)
    _require_unexpired(concerned)
    leaving = [allocation for allocation in concerned if allocation.state in _HOLDING]
    if not leaving:
        if any(allocation.state == AllocationState.SHIPPED for allocation in concerned):
            return rows
        raise InvalidTransition("This reservation was released.")
    short = [allocation for allocation in leaving if allocation.state == AllocationState.SHORT]
    parts.mark_allocations(allocations=leaving, state=AllocationState.SHIPPED)
    _reserve_again(short)
    units = {allocation.stock_id: allocation.quantity for allocation in leaving}
    Stock.objects.filter(pk__in=units).update(
        on_hand=F("on_hand") - per_row(units), reserved=F("reserved") - per_row(units), updated_at=Now()
    )
    ledger.record(
        changes=[(allocation.stock, -allocation.quantity) for allocation in leaving],
        reason="shipment",
        order_id=rows.reservation.order_id,
        reference=key,
        actor=actor,
    )
    _settle_status(rows)
    return rows


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


def _settle_status(rows: ReservationRows) -> None:
    status = settled(allocation.state for allocation in rows.allocations)
    if status is not None:
        final = {"status": status, "paying": False, "paying_since": None, "needs_attention": False}
        parts.change_reservation(reservation=rows.reservation, changes=final)


def _stop_the_clock(allocations: list[Allocation]) -> None:
    """The allocations no longer lapse. Stale if one was reclaimed since it was read."""
    ids = [allocation.pk for allocation in allocations if allocation.lapses_at]
    if ids and Allocation.objects.filter(pk__in=ids, lapses_at__isnull=False).update(lapses_at=None) != len(ids):
        raise Stale


def _reserve_again(short: list[Allocation]) -> None:
    """Reserve the units that a stock count took from paid reservations: InsufficientStock if they are still missing."""
    for allocation in short:
        row = allocation.stock
        if row.on_hand - row.reserved < allocation.quantity:
            parts.reclaim(stock_ids=[row.pk])
            row.refresh_from_db()
        fits = Stock.objects.filter(pk=row.pk, on_hand__gte=F("reserved") + allocation.quantity)
        if not fits.update(reserved=F("reserved") + allocation.quantity):
            item = {"product_id": row.product_id, "requested": allocation.quantity}
            raise InsufficientStock(
                "The units of this reservation are not there any more.",
                items=[item | {"available": row.on_hand - row.reserved}],
            )
