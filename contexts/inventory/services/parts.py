"""What the writes share: locks on stock rows, and the changes of reservations and allocations.

These functions are parts of a transaction that their caller has opened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Case, F, Q, When
from django.db.models.functions import Now

from contexts.inventory import selectors
from contexts.inventory.models import Allocation, Reservation, Stock
from contexts.inventory.public.contracts import AllocationState, ReservationNotFound, ReservationStatus
from contexts.inventory.public.events import (
    AllocationCovered,
    AllocationEvent,
    AllocationShort,
    HoldNeedsAttention,
)
from contexts.inventory.selectors import ReservationRows
from eci import outbox
from eci.clock import utcnow
from eci.db import Stale, locked, per_row
from eci.ids import is_our_order

TOMBSTONE = ""  # the fingerprint of a reservation that was released before it was made
_TOLD_AT_ONCE = 20  # orders; the relay tells the others, some moments later


# -- locks ------------------------------------------------------------------------------------------------------------


def lock_allocatable(*, product_ids: Iterable[int], warehouse: str | None) -> list[Any]:
    """The stock rows that these products may be taken from, of one warehouse or of all active ones."""
    rows = selectors.allocatable_stock(product_ids=product_ids)
    if warehouse is not None:
        rows = rows.filter(warehouse_id=warehouse)
    return list(locked(rows))


def lock_product(*, product_id: int, warehouses: Collection[str]) -> list[Stock]:
    """The product's stock rows in these warehouses, in the order given. Missing ones are created."""
    wanted = Stock.objects.filter(product_id=product_id, warehouse__in=warehouses).order_by("pk")
    rows = {row.warehouse_id: row for row in locked(wanted)}
    missing = [code for code in warehouses if code not in rows]
    if missing:
        made = [Stock(product_id=product_id, warehouse_id=code, created_at=utcnow()) for code in missing]
        Stock.objects.bulk_create(made, ignore_conflicts=True)
        rows = {row.warehouse_id: row for row in locked(wanted.all())}
    return [rows[code] for code in warehouses]


def lock_with_unpaid(*, stock_id: int) -> Stock | None:
    """The stock row. Locks the other rows of its unpaid reservations too, so that these may be released."""
    unpaid = Reservation.objects.filter(
        allocations__stock=stock_id,
        allocations__state=AllocationState.OPEN,
        status=ReservationStatus.RESERVED,
        paying=False,
    )
    allocations = Allocation.objects.filter(reservation__in=unpaid, state=AllocationState.OPEN)
    concerned = Stock.objects.filter(Q(pk=stock_id) | Q(pk__in=allocations.values("stock")))
    rows = {row.pk: row for row in locked(concerned.order_by("pk"))}
    if concerned.exclude(pk__in=rows).exists():
        raise Stale  # a reservation was made while this waited for the locks; from now on none can be
    return rows.get(stock_id)


_WITH_STOCK = (  # built once, as selectors' allocatable stock is
    Allocation.objects.select_related("reservation", "stock")
    .annotate(has_lapsed=Case(When(lapses_at__lte=Now(), then=True), default=False))
    .order_by("stock_id")
)


def lock_reservation(*, key: str) -> ReservationRows:
    """The reservation and its allocations, as they count now. Locks their stock rows. ReservationNotFound."""
    allocations: list[Any] = list(locked(_WITH_STOCK.filter(reservation__key=key), of=("stock",)))
    if allocations:
        reservation = allocations[0].reservation
        if any(one.has_lapsed or one.state == AllocationState.EXPIRED for one in allocations):
            selectors.lapse(reservation=reservation, allocations=allocations)
        return ReservationRows(reservation=reservation, allocations=allocations)
    bare = Reservation.objects.filter(key=key).first()
    if bare is None:
        raise ReservationNotFound("There is no such reservation.")
    if bare.fingerprint != TOMBSTONE:
        raise Stale  # it was made between the two statements
    return ReservationRows(reservation=bare, allocations=[])


# -- reservations -----------------------------------------------------------------------------------------------------


def change_reservation(*, reservation: Reservation, changes: dict[str, Any]) -> None:
    """Update the row if it is as it was read, and the object with it; otherwise Stale."""
    unchanged = Reservation.objects.filter(pk=reservation.pk, version=reservation.version)
    if not unchanged.update(**changes, version=F("version") + 1, updated_at=Now()):
        raise Stale
    reservation.version += 1
    for name, value in changes.items():
        if not hasattr(value, "resolve_expression"):  # what the database computes, it alone knows
            setattr(reservation, name, value)


def flag_reservation(*, reservation: Reservation, reason: str) -> None:
    """Mark the reservation as needing attention, and announce it if it belongs to one of our orders."""
    change_reservation(reservation=reservation, changes={"needs_attention": True, "why": reason})
    if is_our_order(reservation.order_id):
        outbox.emit(
            "inventory",
            HoldNeedsAttention(
                order_id=reservation.order_id,
                reservation_id=reservation.pk,
                reason=reason,
                version=reservation.version,
            ),
        )


# -- allocations ------------------------------------------------------------------------------------------------------


def free_units(*, row: Stock) -> int:
    """The units of a stock row that are neither reserved nor owed, expired reservations not yet taken into account."""
    return max(0, row.on_hand - row.reserved - row.owed)


def reserve_units(*, units: dict[int, int]) -> None:
    """Add these units (stock row id -> units) to what is reserved; Stale if a row has fewer available by now."""
    reserved = Stock.objects.filter(pk__in=units, on_hand__gte=F("reserved") + F("owed") + per_row(units)).update(
        reserved=F("reserved") + per_row(units), version=F("version") + 1, updated_at=Now()
    )
    if reserved != len(units):
        raise Stale  # another writer took units after they were read


def mark_allocations(*, allocations: list[Allocation], state: AllocationState) -> None:
    """Give allocations their final state if each is as it was read; otherwise Stale. Call it before changing stock."""
    for read in (AllocationState.OPEN, AllocationState.SHORT):
        ids = [allocation.pk for allocation in allocations if allocation.state == read]
        if ids and Allocation.objects.filter(pk__in=ids, state=read).update(state=state, lapses_at=None) != len(ids):
            raise Stale
    for allocation in allocations:
        allocation.state = state


def close_allocations(*, allocations: list[Allocation], state: AllocationState) -> None:
    """Give allocations their final state, and subtract their units from what is reserved, or owed.

    Units become free by it: once all else is written, call ``cover`` for the stock rows.
    """
    reserved, owed = (_units_in(allocations, read) for read in (AllocationState.OPEN, AllocationState.SHORT))
    mark_allocations(allocations=allocations, state=state)
    for name, units in (("reserved", reserved), ("owed", owed)):
        if units:
            less = {name: F(name) - per_row(units)}
            Stock.objects.filter(pk__in=units).update(**less, version=F("version") + 1, updated_at=Now())


def _units_in(allocations: list[Allocation], state: AllocationState) -> dict[int, int]:
    """Stock row id -> units of the allocations that are in this state."""
    units: dict[int, int] = defaultdict(int)
    for allocation in allocations:
        if allocation.state == state:
            units[allocation.stock_id] += allocation.quantity
    return dict(units)


def reclaim(*, stock_ids: Collection[int]) -> None:
    """Close the expired allocations of these stock rows, which are locked, and give what is owed its units.

    The same reservations' allocations in other rows are left to the sweeper, because locking those rows now would break
    the order of locks. They count for nothing either way.
    """
    lapsed = Allocation.objects.filter(stock__in=stock_ids, state=AllocationState.OPEN, lapses_at__lte=Now())
    close_allocations(allocations=list(lapsed), state=AllocationState.EXPIRED)
    cover(stock_ids=stock_ids)


# -- what is owed to paid reservations --------------------------------------------------------------------------------


def shorten(*, allocation: Allocation) -> None:
    """The units of a paid reservation's allocation are not there: from now on they are owed to it, and it is flagged.

    Its stock row is locked.
    """
    units = allocation.quantity
    marked = Allocation.objects.filter(pk=allocation.pk, state=AllocationState.OPEN).update(
        state=AllocationState.SHORT, lapses_at=None
    )
    if not marked:
        raise Stale
    Stock.objects.filter(pk=allocation.stock_id).update(
        reserved=F("reserved") - units, owed=F("owed") + units, version=F("version") + 1, updated_at=Now()
    )
    reason = f"a stock count left too little of product {allocation.stock.product_id}"
    flag_reservation(reservation=allocation.reservation, reason=reason)
    _announce(AllocationShort, [allocation])


def cover(*, stock_ids: Collection[int]) -> None:
    """Hold again what is owed to paid reservations, as far as units of these stock rows, which are locked, are free.

    Strictly the oldest allocation first: while it lacks units, a younger one gets none, though it needs fewer. Every
    writer that adds units to a row, or frees some, calls this last.
    """
    rows = Stock.objects.filter(pk__in=stock_ids, owed__gt=0)
    free = {row.pk: row.on_hand - row.reserved for row in rows}
    if not free:
        return
    short = Allocation.objects.filter(stock__in=free, state=AllocationState.SHORT)
    covered = []
    for allocation in short.select_related("stock").order_by("pk"):
        if free[allocation.stock_id] >= allocation.quantity:
            free[allocation.stock_id] -= allocation.quantity
            covered.append(allocation)
        else:
            free[allocation.stock_id] = 0
    if covered:
        _hold_again(covered)


def _hold_again(covered: list[Allocation]) -> None:
    units = _units_in(covered, AllocationState.SHORT)
    ids = [allocation.pk for allocation in covered]
    held = Allocation.objects.filter(pk__in=ids, state=AllocationState.SHORT).update(state=AllocationState.OPEN)
    fitting = Stock.objects.filter(pk__in=units, on_hand__gte=F("reserved") + per_row(units))
    moved = fitting.update(
        reserved=F("reserved") + per_row(units),
        owed=F("owed") - per_row(units),
        version=F("version") + 1,
        updated_at=Now(),
    )
    if (held, moved) != (len(ids), len(units)):
        raise Stale
    concerned = {allocation.reservation_id for allocation in covered}
    reservations = {row.pk: row for row in locked(Reservation.objects.filter(pk__in=concerned).order_by("pk"))}
    lacking = Allocation.objects.filter(reservation__in=concerned, state=AllocationState.SHORT)
    whole = concerned - set(lacking.values_list("reservation_id", flat=True))
    Reservation.objects.filter(pk__in=concerned).update(version=F("version") + 1, updated_at=Now())
    Reservation.objects.filter(pk__in=whole).update(needs_attention=False, why="")
    for allocation in covered:
        allocation.reservation = reservations[allocation.reservation_id]
    for reservation in reservations.values():
        reservation.version += 1
    _announce(AllocationCovered, covered)


def _announce(event: type[AllocationEvent], allocations: list[Allocation]) -> None:
    """Tell the orders among those that the allocations belong to."""
    facts = [
        event(
            order_id=allocation.reservation.order_id,
            reservation_id=allocation.reservation_id,
            warehouse=allocation.stock.warehouse_id,
            product_id=allocation.stock.product_id,
            quantity=allocation.quantity,
            version=allocation.reservation.version,
        )
        for allocation in allocations
        if is_our_order(allocation.reservation.order_id)
    ]
    outbox.emit("inventory", *facts)
    for order_id in sorted({fact.order_id for fact in facts})[:_TOLD_AT_ONCE]:
        outbox.deliver_after_commit("inventory", order_id)
