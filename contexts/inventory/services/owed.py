"""What is owed to paid reservations: units that a stock count did not find. They get what comes in before anybody else.

Parts of a transaction that their caller has opened, as ``parts``.
"""

from __future__ import annotations

import copy
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import partial

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from contexts.inventory.models import Allocation, Reservation, Stock, Warehouse
from contexts.inventory.public.contracts import AllocationState
from contexts.inventory.public.events import AllocationCovered, AllocationEvent, AllocationShort
from contexts.inventory.selectors import HOLDING
from contexts.inventory.services import parts
from eci import outbox
from eci.db import Stale, after_commit, locked
from eci.ids import is_our_order
from eci.statements import per_row

TELLING = 5.0  # seconds that a writer spends on telling orders; the relay tells those that are left


def shorten(*, allocations: list[Allocation], at: datetime) -> None:
    """The units of these paid reservations' allocations are not there: from now on they are owed to them.

    Their stock rows are locked. Call ``cover`` next, and then ``tell_short``.
    """
    units = parts.units_in(allocations=allocations, state=AllocationState.OPEN)
    parts.begin_anew(allocations=allocations, at=at)
    _change_states(allocations, AllocationState.OPEN, AllocationState.SHORT)
    _add_to("reserved", {stock_id: -count for stock_id, count in units.items()}, at)
    _add_to("owed", units, at)


def tell_short(*, allocations: list[Allocation]) -> None:
    """Flag the reservations of those allocations that ``cover`` has left short, and tell their orders."""
    ids = [allocation.pk for allocation in allocations]
    short = Allocation.objects.filter(pk__in=ids, state=AllocationState.SHORT)
    still = list(short.select_related("reservation", "stock").order_by("-pk"))
    for allocation in still:
        why = f"a stock count left too little of product {allocation.stock.product_id}"
        flag = {"needs_attention": True, "why": why}
        parts.change_reservation(reservation=allocation.reservation, changes=flag)
    _announce(AllocationShort, still)


def reclaim(*, stock_ids: Collection[int], at: datetime) -> None:
    """Close the expired allocations of these stock rows, which are locked, and give what is owed its units.

    The same reservations' allocations in other rows are left to the sweeper, because locking those rows now would break
    the order of locks. They count for nothing either way.
    """
    _close_lapsed(stock_ids, at)
    cover(stock_ids=stock_ids, at=at)


def _close_lapsed(stock_ids: Collection[int], at: datetime) -> None:
    lapsed = Allocation.objects.filter(stock__in=stock_ids, state=AllocationState.OPEN, lapses_at__lte=Now())
    parts.close_allocations(allocations=list(lapsed), state=AllocationState.EXPIRED, at=at)


def cover(*, stock_ids: Collection[int], at: datetime) -> None:
    """Hold again what is owed of these rows' products, as far as units are free in any warehouse.

    1. Close the expired allocations of all rows of the products.
    2. Each row gives its units to what is owed there.
    3. What is owed elsewhere moves to a row that has units left, if its warehouse is active.

    Strictly the oldest allocation first: while it lacks units, a younger one gets none, though it needs fewer. Every
    writer that adds units to a row, or frees some, calls this last. It has locked all rows of the products.
    """
    products = Stock.objects.filter(pk__in=stock_ids).values("product_id")
    owing = set(Stock.objects.filter(product_id__in=products, owed__gt=0).values_list("product_id", flat=True))
    if not owing:
        return
    of_products = Stock.objects.filter(product_id__in=owing).order_by("pk")
    _close_lapsed(_require_locked(of_products), at)
    rows = list(of_products.all())
    free = {row.pk: row.on_hand - row.reserved for row in rows}
    covered, lacking = [], []
    short = Allocation.objects.filter(stock__in=rows, state=AllocationState.SHORT)
    for allocation in short.select_related("reservation", "stock").order_by("pk"):
        if free[allocation.stock_id] >= allocation.quantity:
            free[allocation.stock_id] -= allocation.quantity
            covered.append(allocation)
        else:
            free[allocation.stock_id] = 0
            lacking.append(allocation)
    if covered:
        _hold_again(covered, at)
    if lacking and any(free.values()):
        _move(lacking, rows=rows, free=free, at=at)


def _require_locked(rows: QuerySet[Stock]) -> list[int]:
    """Their keys. Stale if another writer has one of these rows: to wait for it now would break the order of locks."""
    mine = list(locked(rows.values_list("pk", flat=True), skip_locked=True))
    if rows.exclude(pk__in=mine).exists():
        raise Stale
    return mine


def _hold_again(covered: list[Allocation], at: datetime) -> None:
    units = parts.units_in(allocations=covered, state=AllocationState.SHORT)
    parts.begin_anew(allocations=covered, at=at)
    _change_states(covered, AllocationState.SHORT, AllocationState.OPEN)
    _reserve(units, at)
    _add_to("owed", {stock_id: -count for stock_id, count in units.items()}, at)
    _tell_covered(covered)


# -- from another warehouse -------------------------------------------------------------------------------------------


def _move(lacking: list[Allocation], *, rows: list[Stock], free: dict[int, int], at: datetime) -> None:
    """Move short allocations, the oldest first, to rows of their product that have units ``free``.

    One that fits nowhere keeps from younger ones what it could get. It goes where its order's shipment has not left
    yet, and joins what the reservation holds in that row already. A reservation whose last moves the order's shipments
    do not know of waits for that.
    """
    targets = _by_preference(rows)
    place = _Places(lacking)
    left: dict[int, int] = defaultdict(int)
    taken: dict[int, int] = defaultdict(int)
    moved: list[Allocation] = []
    for allocation in lacking:
        if allocation.reservation.asked_warehouse:
            continue
        fitting = [row for row in targets if place.may_take(allocation, row)]
        enough = (row for row in fitting if free[row.pk] >= allocation.quantity)
        target = None if place.is_moving(allocation) else next(enough, None)
        if target is None:
            free |= {row.pk: 0 for row in fitting}
            continue
        free[target.pk] -= allocation.quantity
        left[allocation.stock_id] -= allocation.quantity
        taken[target.pk] += allocation.quantity
        moved.append(place.move(allocation, target))
    if moved:
        parts.begin_anew(allocations=place.before.values(), at=at)
        _change_states(moved, AllocationState.SHORT, AllocationState.OPEN)
        place.write()
        _reserve(taken, at)
        _add_to("owed", left, at)
        _tell_covered(moved)


def _by_preference(rows: Iterable[Stock]) -> list[Stock]:
    """Those in active warehouses, in the order in which warehouses are asked."""
    warehouses = Warehouse.objects.filter(is_active=True).in_bulk([row.warehouse_id for row in rows])
    active = (row for row in rows if row.warehouse_id in warehouses)
    return sorted(active, key=lambda row: (warehouses[row.warehouse_id].priority, row.warehouse_id))


class _Places:
    """What the reservations of short allocations have where, while some of these are moved."""

    def __init__(self, lacking: Iterable[Allocation]) -> None:
        reservations = {allocation.reservation_id for allocation in lacking}
        found = list(Allocation.objects.filter(reservation__in=reservations).select_related("stock"))
        self._there = {(one.reservation_id, one.stock_id): one for one in found}
        self._gone = {
            (one.reservation_id, one.stock.warehouse_id) for one in found if one.state == AllocationState.SHIPPED
        }
        self._moving = {one.reservation_id for one in found if one.moved_from}
        self.before: dict[int, Allocation] = {}  # those that change, as they were read
        self._changed: dict[int, Allocation] = {}
        self._joined: list[int] = []

    def may_take(self, allocation: Allocation, row: Stock) -> bool:
        there = self._there.get((allocation.reservation_id, row.pk))
        return (
            row.product_id == allocation.stock.product_id
            and row.pk != allocation.stock_id
            and (there is None or there.state == AllocationState.OPEN)
            and (allocation.reservation_id, row.warehouse_id) not in self._gone
        )

    def is_moving(self, allocation: Allocation) -> bool:
        return allocation.reservation_id in self._moving

    def move(self, allocation: Allocation, target: Stock) -> Allocation:
        """``allocation`` becomes the target's, or is joined to what is there. Returns what moved, as it is now."""
        source = allocation.stock.warehouse_id
        reservation = allocation.reservation
        self.before.setdefault(allocation.pk, copy.copy(allocation))
        allocation.stock = target
        allocation.state = AllocationState.OPEN
        moved = copy.copy(allocation)
        there = self._there.setdefault((reservation.pk, target.pk), allocation)
        if there is not allocation:
            self.before.setdefault(there.pk, copy.copy(there))
            there.quantity += moved.quantity
            self._joined.append(moved.pk)
        if is_our_order(reservation.order_id) and reservation.key == reservation.order_id:
            came = there.moved_from or {}
            there.moved_from = came | {source: came.get(source, 0) + moved.quantity}
        self._changed[there.pk] = there
        return moved

    def write(self) -> None:
        Allocation.objects.filter(pk__in=self._joined).delete()
        Allocation.objects.bulk_update(self._changed.values(), ["stock", "quantity", "moved_from"])


def undo_moves(*, allocations: Iterable[Allocation], warehouse: str, at: datetime) -> bool:
    """The shipment from ``warehouse`` has left, and knew of no move. So what had moved away was in it, and what had
    moved there was not. Both are owed where they came from. Returns whether there are any.

    All stock rows of the products are locked.
    """
    undone = False
    for allocation in allocations:
        moved = allocation.moved_from or {}
        back = {code: count for code, count in moved.items() if warehouse in (code, allocation.stock.warehouse_id)}
        if back and allocation.state in HOLDING:
            undone = True
            _move_back(allocation, back, at)
    return undone


def _move_back(allocation: Allocation, back: Mapping[str, int], at: datetime) -> None:
    units = sum(back.values())
    parts.begin_anew(allocations=[allocation], at=at)
    as_read = Allocation.objects.filter(pk=allocation.pk, state=allocation.state, quantity=allocation.quantity)
    if allocation.quantity == units:
        changed, _ = as_read.delete()
    else:
        moved = {code: count for code, count in (allocation.moved_from or {}).items() if code not in back}
        changed = as_read.update(quantity=F("quantity") - units, moved_from=moved or None)
    if not changed:
        raise Stale
    _add_to("reserved" if allocation.state == AllocationState.OPEN else "owed", {allocation.stock_id: -units}, at)
    rows = Stock.objects.filter(product_id=allocation.stock.product_id, warehouse__in=back)
    owed = [
        Allocation(
            reservation=allocation.reservation,
            stock=row,
            quantity=back[row.warehouse_id],
            state=AllocationState.SHORT,
            since=at,
        )
        for row in rows
    ]
    Allocation.objects.bulk_create(owed)
    _add_to("owed", parts.units_in(allocations=owed, state=AllocationState.SHORT), at)


# -- parts they share -------------------------------------------------------------------------------------------------


def _change_states(allocations: list[Allocation], before: AllocationState, after: AllocationState) -> None:
    ids = [allocation.pk for allocation in allocations]
    if Allocation.objects.filter(pk__in=ids, state=before).update(state=after, lapses_at=None) != len(ids):
        raise Stale
    for allocation in allocations:
        allocation.state = after


def _reserve(units: Mapping[int, int], at: datetime) -> None:
    _add_to("reserved", units, at, when=Q(on_hand__gte=F("reserved") + per_row(dict(units))))


def _add_to(name: str, units: Mapping[int, int], at: datetime, *, when: Q | None = None) -> None:
    """Add these units (stock row id -> units) to a column; Stale unless ``when`` holds for every row."""
    rows = Stock.objects.filter(when or Q(), pk__in=units)
    more = {name: F(name) + per_row(dict(units))}
    if rows.update(**more, version=F("version") + 1, updated_at=at) != len(units):
        raise Stale


def _tell_covered(covered: list[Allocation]) -> None:
    """Their reservations need no attention any more, unless they lack other units; their orders are told."""
    concerned = {allocation.reservation_id for allocation in covered}
    reservations = {row.pk: row for row in locked(Reservation.objects.filter(pk__in=concerned).order_by("pk"))}
    lacking = Allocation.objects.filter(reservation__in=concerned, state=AllocationState.SHORT)
    whole = concerned - set(lacking.values_list("reservation_id", flat=True))
    Reservation.objects.filter(pk__in=concerned).update(version=F("version") + 1, updated_at=Now())
    Reservation.objects.filter(pk__in=whole).update(needs_attention=False, why="")
    for reservation in reservations.values():
        reservation.version += 1
    for allocation in covered:
        allocation.reservation = reservations[allocation.reservation_id]
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
    if facts:
        after_commit("inventory", partial(_tell, sorted({fact.order_id for fact in facts})))


def _tell(order_ids: list[str]) -> None:
    """Deliver the orders' events now, so that no shipment leaves without its units meanwhile."""
    until = time.monotonic() + TELLING
    for order_id in order_ids:
        if time.monotonic() > until:
            return
        outbox.deliver_due("inventory", aggregate_id=order_id)
