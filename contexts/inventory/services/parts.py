"""What the writes share: locks on stock rows, and the changes of reservations and allocations.

These functions are parts of a transaction that their caller has opened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Case, DateTimeField, F, Q, QuerySet, When
from django.db.models.functions import Coalesce, Least, Now

from contexts.inventory import selectors
from contexts.inventory.domain import span_of
from contexts.inventory.models import Allocation, PastHold, Reservation, Stock
from contexts.inventory.public.contracts import AllocationState, ReservationNotFound, ReservationStatus
from contexts.inventory.public.events import HoldNeedsAttention
from contexts.inventory.selectors import ReservationRows
from eci import outbox
from eci.clock import utcnow
from eci.db import Stale, locked
from eci.ids import is_our_order
from eci.statements import Change, Columns, change, changes, per_row, reads

Place = tuple[int, str]  # a product, and the code of a warehouse
TOMBSTONE = ""  # the fingerprint of a reservation that was released before it was made


# -- statements -------------------------------------------------------------------------------------------------------


@reads
def _held(*, key: str) -> QuerySet[Any]:
    """A reservation's allocations, with it and their stock rows, which stay locked."""
    allocations = Allocation.objects.filter(reservation__key=key).select_related("reservation", "stock")
    has_lapsed = Case(When(lapses_at__lte=Now(), then=True), default=False)
    return locked(allocations.annotate(has_lapsed=has_lapsed).order_by("stock_id"), of=("stock",))


@changes
def _reserve(*, units: Mapping[int, int], at: datetime) -> Change:
    """Units of stock rows are reserved, where they are still available."""
    there = Stock.objects.filter(pk__in=units, on_hand__gte=F("reserved") + F("owed") + per_row(units))
    return change(there, reserved=F("reserved") + per_row(units), version=F("version") + 1, updated_at=at)


@changes
def _close(*, ids: Collection[int], read: AllocationState, state: AllocationState, at: datetime, lasted: int) -> Change:
    """Allocations end, where they are as they were read: now, or when they lapsed."""
    ended = Least(Coalesce("lapses_at", at), at, output_field=DateTimeField())
    columns = {"until": ended, "lasted": lasted, "state": state, "lapses_at": None, "moved_from": None}
    return change(Allocation.objects.filter(pk__in=ids, state=read), **columns)


@changes
def _change(*, reservation_id: int, version: int, columns: Columns) -> Change:
    """The reservation changes, if it is as it was read."""
    unchanged = Reservation.objects.filter(pk=reservation_id, version=version)
    return change(unchanged, **columns, version=F("version") + 1, updated_at=Now())


# -- locks ------------------------------------------------------------------------------------------------------------


def instant(*, rows: Iterable[Stock]) -> datetime:
    """When what is changed of these rows, which are locked, changes: now.

    It is not before their last change, though clocks of machines differ: the order of a row's changes is that of their
    times. Whoever changes something takes it once, after the locks, so that all changes are of the same instant.
    """
    return max((utcnow(), *(row.updated_at for row in rows)))


def lock_stock_of(*, product_ids: Iterable[int]) -> list[Any]:
    """All stock rows of these products, as ``selectors.stock_of`` has them."""
    return selectors.stock_of(product_ids=list(product_ids), lock=True)


def lock_product(*, product_id: int, warehouses: Collection[str]) -> list[Stock]:
    """The product's stock rows in these warehouses, in the order given; missing ones are created.

    Locks all rows of the product.
    """
    rows = {row.warehouse_id: row for row in lock_products(product_ids=[product_id])}
    missing = [code for code in warehouses if code not in rows]
    if missing:
        now = utcnow()
        about = {"created_at": now, "updated_at": now}
        made = [Stock(product_id=product_id, warehouse_id=code, **about) for code in missing]
        Stock.objects.bulk_create(made, ignore_conflicts=True)
        rows = {row.warehouse_id: row for row in lock_products(product_ids=[product_id])}
    return [rows[code] for code in warehouses]


def lock_places(*, places: set[Place], new: set[Place]) -> dict[Place, Stock]:
    """The stock rows in these places. Missing ones are created, if they are among the ``new``.

    Locks all rows of the products.
    """
    found = _ids_of(places)
    missing = sorted(new - found.keys())
    if missing:
        now = utcnow()
        about = {"created_at": now, "updated_at": now}
        made = [Stock(product_id=product_id, warehouse_id=code, **about) for product_id, code in missing]
        Stock.objects.bulk_create(made, ignore_conflicts=True)
        found = _ids_of(places)
    rows = lock_products(product_ids={product_id for product_id, _ in places})
    return {(row.product_id, row.warehouse_id): row for row in rows if row.pk in found.values()}


def _ids_of(places: set[Place]) -> dict[Place, int]:
    rows = Stock.objects.filter(
        product_id__in={product_id for product_id, _ in places}, warehouse__in={code for _, code in places}
    )
    ids = {(product_id, code): pk for pk, product_id, code in rows.values_list("pk", "product_id", "warehouse_id")}
    return {place: pk for place, pk in ids.items() if place in places}


def lock_row(*, stock_id: int) -> Stock | None:
    """The stock row. Locks all rows of its product."""
    product = Stock.objects.filter(pk=stock_id).values("product_id")
    return next((row for row in lock_products(product_ids=product) if row.pk == stock_id), None)


def lock_with_unpaid(*, stock_id: int) -> Stock | None:
    """As ``lock_row``. Locks what its unpaid reservations hold too, so that these may be released."""
    unpaid = Reservation.objects.filter(
        allocations__stock=stock_id,
        allocations__state=AllocationState.OPEN,
        status=ReservationStatus.RESERVED,
        paying=False,
    )
    theirs = Stock.objects.filter(allocations__reservation__in=unpaid, allocations__state=AllocationState.OPEN)
    concerned = Stock.objects.filter(
        Q(product_id__in=Stock.objects.filter(pk=stock_id).values("product_id"))
        | Q(product_id__in=theirs.values("product_id"))
    )
    rows = {row.pk: row for row in locked(concerned.order_by("pk"))}
    if concerned.exclude(pk__in=rows).exists():
        raise Stale  # a reservation was made while this waited for the locks; from now on none can be
    return rows.get(stock_id)


def lock_products_of(*, allocations: QuerySet[Allocation]) -> list[Stock]:
    """All stock rows of the products that these allocations are of: units of them may become free."""
    return lock_products(product_ids=allocations.order_by().values("stock__product_id"))


def lock_products(*, product_ids: Iterable[int] | QuerySet[Any, Any]) -> list[Stock]:
    """All stock rows of these products."""
    return list(locked(Stock.objects.filter(product_id__in=product_ids).order_by("pk")))


def lock_reservation(*, key: str) -> ReservationRows:
    """The reservation and its allocations, as they count now. Locks their stock rows. ReservationNotFound."""
    allocations = _held(key=key)
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
    if not _change(reservation_id=reservation.pk, version=reservation.version, columns=Columns(changes)):
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


def reserve_units(*, units: dict[int, int], at: datetime) -> None:
    """Add these units (stock row id -> units) to what is reserved; Stale if a row has fewer available by now."""
    if _reserve(units=units, at=at) != len(units):
        raise Stale  # another writer took units after they were read


def begin_anew(*, allocations: Iterable[Allocation], at: datetime) -> None:
    """What these allocations were until now is past: call it before they become something else than closed."""
    begun = [allocation for allocation in allocations if allocation.since < at]
    if not begun:
        return
    remember(allocations=begun, at=at)
    Allocation.objects.filter(pk__in=[allocation.pk for allocation in begun]).update(since=at)
    for allocation in begun:
        allocation.since = at


def remember(*, allocations: Iterable[Allocation], at: datetime) -> None:
    """What these allocations were until now, or until they ended, is past: call it before they are deleted."""
    past = [
        PastHold(
            stock_id=allocation.stock_id,
            state=allocation.state if allocation.state in selectors.HOLDING else AllocationState.OPEN,
            quantity=allocation.quantity,
            since=allocation.since,
            until=min((at, *filter(None, (allocation.until, allocation.lapses_at)))),
        )
        for allocation in allocations
        if allocation.until or allocation.state in selectors.HOLDING
    ]
    PastHold.objects.bulk_create(past)


def mark_allocations(*, allocations: list[Allocation], state: AllocationState, at: datetime) -> None:
    """Give allocations their final state if each is as it was read; otherwise Stale. Call it before changing stock."""
    begin_anew(allocations=[one for one in allocations if one.state == AllocationState.SHORT], at=at)
    lasted = span_of(at - allocation.since for allocation in allocations)
    for read in (AllocationState.OPEN, AllocationState.SHORT):
        ids = [allocation.pk for allocation in allocations if allocation.state == read]
        if _close(ids=ids, read=read, state=state, at=at, lasted=lasted) != len(ids):
            raise Stale
    for allocation in allocations:
        allocation.state = state
        allocation.moved_from = None


def close_allocations(*, allocations: list[Allocation], state: AllocationState, at: datetime) -> None:
    """Give allocations their final state, and subtract their units from what is reserved, or owed.

    Units become free by it: once all else is written, call ``owed.cover`` for the stock rows.
    """
    reserved, owed = (
        units_in(allocations=allocations, state=read) for read in (AllocationState.OPEN, AllocationState.SHORT)
    )
    mark_allocations(allocations=allocations, state=state, at=at)
    for name, units in (("reserved", reserved), ("owed", owed)):
        if units:
            less = {name: F(name) - per_row(units)}
            Stock.objects.filter(pk__in=units).update(**less, version=F("version") + 1, updated_at=at)


def units_in(*, allocations: Iterable[Allocation], state: AllocationState) -> dict[int, int]:
    """Stock row id -> units of the allocations that are in this state."""
    units: dict[int, int] = defaultdict(int)
    for allocation in allocations:
        if allocation.state == state:
            units[allocation.stock_id] += allocation.quantity
    return dict(units)
