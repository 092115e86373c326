"""Writes of stock and holds. Each is one transaction on this context's database.

Whoever changes a hold or a balance first locks the stock rows concerned, in the order of their keys: two commands can
wait for each other but never in a circle. On SQLite a writer holds the whole file, so there the lock is a plain read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import Case, Exists, F, OuterRef, Q, Sum, Value, When
from django.db.models.functions import Now

from contexts.inventory import selectors
from contexts.inventory.domain import Pick, allocate, settled
from contexts.inventory.models import Allocation, Movement, Reservation, Restocking, Stock, Sweep, Warehouse
from contexts.inventory.public import contracts
from contexts.inventory.public.contracts import (
    AllocationState,
    BelowReserved,
    InsufficientStock,
    ReservationExpired,
    ReservationNotFound,
    ReservationStatus,
    WarehouseNotFound,
)
from contexts.inventory.public.events import HoldNeedsAttention
from eci import outbox
from eci.clock import utcnow
from eci.db import Stale, locked, per_row, unit_of_work, writes
from eci.errors import Conflict, IdempotencyKeyReused, InvalidTransition, NotFound
from eci.idempotency import fingerprint
from eci.ids import is_our_order

SWEEP_BATCH = 200
TOMBSTONE = ""  # the fingerprint of a hold that was released before it was ever made
PAYING_LIMIT = timedelta(hours=24)
RETURN = "return"  # the ledger's reason for units that came back


class DuplicateWarehouse(Conflict):
    code = "duplicate_warehouse"


# -- holds ------------------------------------------------------------------------------------------------------------


@writes("inventory")
def reserve(
    *,
    key: str,
    order_id: str,
    demand: Mapping[int, int],
    seconds: int,
    warehouse: str | None = None,
    paying: bool = False,
) -> contracts.Reservation:
    """Hold every unit of ``demand`` (product id -> units) or none; the same again when ``key`` did so before.

    InsufficientStock; InvalidTransition when the key was released; IdempotencyKeyReused when it asked for another hold.
    """
    asked = fingerprint([order_id, sorted(demand.items()), warehouse])
    existing = Reservation.objects.filter(key=key).first()
    if existing is not None:
        return _repeat_of_reserve(existing, asked)
    rows = _lock_shelves(demand, warehouse)
    picks, choice = allocate(demand, [selectors.as_shelf(row) for row in rows])
    stock = {row.pk: row for row in rows}
    reclaimable = [p.stock_id for p in picks if p.quantity > stock[p.stock_id].on_hand - stock[p.stock_id].reserved]
    if reclaimable:
        _reclaim(reclaimable)
    _claim(picks)
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
    except IntegrityError:  # the same key won the race: begin again and find it
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
    return selectors.as_contract(reservation, allocations)


def _repeat_of_reserve(existing: Reservation, asked: str) -> contracts.Reservation:
    if existing.fingerprint not in (TOMBSTONE, asked):
        raise IdempotencyKeyReused("This reservation's key was used for a different request.")
    if existing.status == ReservationStatus.RELEASED:
        raise InvalidTransition("This reservation was released.")
    return selectors.reservations_by_key(keys=[existing.key])[existing.key]


def _lock_shelves(demand: Mapping[int, int], warehouse: str | None) -> list[Any]:
    rows = selectors.shelves(demand)
    if warehouse is not None:
        rows = rows.filter(warehouse_id=warehouse)
    return list(locked(rows))


def _claim(picks: Iterable[Pick]) -> None:
    units = {pick.stock_id: pick.quantity for pick in picks}
    claimed = Stock.objects.filter(pk__in=units, on_hand__gte=F("reserved") + per_row(units)).update(
        reserved=F("reserved") + per_row(units), updated_at=Now()
    )
    if claimed != len(units):
        raise Stale  # another writer took units after they were read


@writes("inventory")
def confirm(*, key: str) -> contracts.Reservation:
    """The hold becomes firm: it no longer lapses."""
    reservation, allocations = _open_hold(key)
    _refuse_expired(allocations)
    if reservation.status in (ReservationStatus.CONFIRMED, ReservationStatus.SHIPPED):
        return selectors.as_contract(reservation, allocations)
    _require_reserved(reservation)
    _change_status(reservation, {"status": ReservationStatus.CONFIRMED, "paying": False, "paying_since": None})
    _stop_the_clock(allocations)
    return selectors.as_contract(reservation, allocations)


@writes("inventory")
def mark_paying(*, key: str) -> contracts.Reservation:
    """Its payment is under way: the hold neither expires nor is reclaimed."""
    reservation, allocations = _open_hold(key)
    _refuse_expired(allocations)
    if reservation.status != ReservationStatus.CONFIRMED and not reservation.paying:
        _require_reserved(reservation)
        _change_status(reservation, {"paying": True, "paying_since": Now()})
        _stop_the_clock(allocations)
    return selectors.as_contract(reservation, allocations)


@writes("inventory")
def release(*, key: str, warehouse: str | None = None, tombstone_for: str | None = None) -> contracts.Reservation:
    """Give back what is still open, of one warehouse or of all.

    ``tombstone_for`` an order id: a hold that doesn't exist is recorded as released, so that a late reserve is refused.
    """
    if tombstone_for is not None and not Reservation.objects.filter(key=key).exists():
        return _bury(key, tombstone_for)
    reservation, allocations = _open_hold(key)
    concerned = _of_warehouse(allocations, warehouse)
    claiming = [a for a in concerned if a.state in (AllocationState.OPEN, AllocationState.SHORT)]
    if claiming:
        _close(claiming, AllocationState.RELEASED)
        _settle_status(reservation, allocations)
    elif concerned and all(a.state == AllocationState.SHIPPED for a in concerned):
        raise InvalidTransition("This reservation was shipped already.")
    return selectors.as_contract(reservation, allocations)


def _bury(key: str, order_id: str) -> contracts.Reservation:
    tombstone = Reservation(
        key=key, order_id=order_id, fingerprint=TOMBSTONE, status=ReservationStatus.RELEASED, expires_at=Now()
    )
    try:
        with unit_of_work("inventory"):
            tombstone.save(force_insert=True)
    except IntegrityError:
        raise Stale from None
    tombstone.refresh_from_db()
    return selectors.as_contract(tombstone, [])


@writes("inventory")
def ship(*, key: str, warehouse: str | None = None, actor: str) -> contracts.Reservation:
    """The units leave: on hand and reserved both go down, and the ledger says so."""
    reservation, allocations = _open_hold(key)
    concerned = _of_warehouse(allocations, warehouse)
    _refuse_expired(concerned)
    leaving = [a for a in concerned if a.state in (AllocationState.OPEN, AllocationState.SHORT)]
    if not leaving:
        if any(a.state == AllocationState.SHIPPED for a in concerned):
            return selectors.as_contract(reservation, allocations)
        raise InvalidTransition("This reservation was released.")
    short = [a for a in leaving if a.state == AllocationState.SHORT]
    _mark(leaving, AllocationState.SHIPPED)
    _claim_again(short)
    units = {a.stock_id: a.quantity for a in leaving}
    Stock.objects.filter(pk__in=units).update(
        on_hand=F("on_hand") - per_row(units), reserved=F("reserved") - per_row(units), updated_at=Now()
    )
    _record(
        [(a.stock, -a.quantity) for a in leaving],
        reason="shipment",
        order_id=reservation.order_id,
        reference=key,
        actor=actor,
    )
    _settle_status(reservation, allocations)
    return selectors.as_contract(reservation, allocations)


_HELD = (  # made once, as selectors' shelves are
    Allocation.objects.select_related("reservation", "stock")
    .annotate(has_lapsed=Case(When(lapses_at__lte=Now(), then=True), default=False))
    .order_by("stock_id")
)


def _open_hold(key: str) -> tuple[Reservation, list[Allocation]]:
    """The hold and its allocations as they count now, their stock rows locked."""
    allocations: list[Any] = list(locked(_HELD.filter(reservation__key=key), of=("stock",)))
    if allocations:
        reservation = allocations[0].reservation
        if any(part.has_lapsed or part.state == AllocationState.EXPIRED for part in allocations):
            selectors.lapse(reservation, allocations)
        return reservation, allocations
    bare = Reservation.objects.filter(key=key).first()
    if bare is None:
        raise ReservationNotFound("There is no such reservation.")
    if bare.fingerprint != TOMBSTONE:
        raise Stale  # it was made between the two statements
    return bare, []


def _refuse_expired(allocations: list[Allocation]) -> None:
    if any(allocation.state == AllocationState.EXPIRED for allocation in allocations):
        raise ReservationExpired("This reservation has expired.")


def _require_reserved(reservation: Reservation) -> None:
    if reservation.status != ReservationStatus.RESERVED:
        raise InvalidTransition(f"This reservation is {reservation.status} already.")


def _of_warehouse(allocations: list[Allocation], warehouse: str | None) -> list[Allocation]:
    if warehouse is None:
        return allocations
    concerned = [allocation for allocation in allocations if allocation.stock.warehouse_id == warehouse]
    if not concerned:
        raise WarehouseNotFound(f"This reservation holds nothing in warehouse {warehouse}.", warehouse=warehouse)
    return concerned


def _change_status(reservation: Reservation, changes: dict[str, Any]) -> None:
    """Update the row if it still is what was read; the object follows."""
    unchanged = Reservation.objects.filter(pk=reservation.pk, version=reservation.version)
    if not unchanged.update(**changes, version=F("version") + 1, updated_at=Now()):
        raise Stale
    reservation.version += 1
    for name in {"status", "paying", "needs_attention"} & changes.keys():
        setattr(reservation, name, changes[name])


def _settle_status(reservation: Reservation, allocations: list[Allocation]) -> None:
    """Once nothing is open, the hold has its final status."""
    status = settled(allocation.state for allocation in allocations)
    if status is not None:
        _change_status(reservation, {"status": status, "paying": False, "paying_since": None, "needs_attention": False})


def _stop_the_clock(allocations: list[Allocation]) -> None:
    """The allocations lapse no longer; if one was reclaimed since it was read, it is too late."""
    ids = [allocation.pk for allocation in allocations if allocation.lapses_at]
    if ids and Allocation.objects.filter(pk__in=ids, lapses_at__isnull=False).update(lapses_at=None) != len(ids):
        raise Stale


def _mark(allocations: list[Allocation], state: AllocationState) -> None:
    """Close the allocations if each is as it was read. Balances change only after this has held."""
    for read in (AllocationState.OPEN, AllocationState.SHORT):
        ids = [allocation.pk for allocation in allocations if allocation.state == read]
        if ids and Allocation.objects.filter(pk__in=ids, state=read).update(state=state, lapses_at=None) != len(ids):
            raise Stale
    for allocation in allocations:
        allocation.state = state


def _close(allocations: list[Allocation], state: AllocationState) -> None:
    """The allocations claim their units no longer."""
    units: dict[int, int] = defaultdict(int)
    for allocation in allocations:
        if allocation.state == AllocationState.OPEN:
            units[allocation.stock_id] += allocation.quantity
    _mark(allocations, state)
    if units:
        Stock.objects.filter(pk__in=units).update(reserved=F("reserved") - per_row(units), updated_at=Now())


def _claim_again(short: list[Allocation]) -> None:
    """Paid units that a count had found missing leave only if they are there again."""
    for allocation in short:
        row = allocation.stock
        if row.on_hand - row.reserved < allocation.quantity:
            _reclaim([row.pk])
            row.refresh_from_db()
        fits = Stock.objects.filter(pk=row.pk, on_hand__gte=F("reserved") + allocation.quantity)
        if not fits.update(reserved=F("reserved") + allocation.quantity):
            item = {"product_id": row.product_id, "requested": allocation.quantity}
            raise InsufficientStock(
                "The units of this reservation are not there any more.",
                items=[item | {"available": row.on_hand - row.reserved}],
            )


def _reclaim(stock_ids: Iterable[int]) -> None:
    """Free what expired holds still claim of these rows, which are locked.

    Their parts in other rows, which count for nothing either, are left to the sweeper: to lock those rows now would be
    out of order.
    """
    lapsed = Allocation.objects.filter(stock__in=stock_ids, state=AllocationState.OPEN, lapses_at__lte=Now())
    _close(list(lapsed), AllocationState.EXPIRED)


@writes("inventory")
def sweep_batch() -> int:
    """Tidy up to one batch of expired holds; returns how many."""
    expired = Reservation.objects.filter(selectors.LAPSED).order_by("expires_at").values_list("pk", flat=True)
    due = list(expired[:SWEEP_BATCH])
    parts = Allocation.objects.filter(reservation=OuterRef("pk"))
    claimed = Allocation.objects.filter(reservation__in=due, state=AllocationState.OPEN).values("stock")
    _reclaim([row.pk for row in locked(Stock.objects.filter(pk__in=claimed).order_by("pk"))])
    ended = Reservation.objects.filter(
        selectors.LAPSED, ~Exists(parts.filter(state=AllocationState.OPEN)), pk__in=due
    ).update(
        status=Case(
            When(Exists(parts.filter(state=AllocationState.SHIPPED)), then=Value(ReservationStatus.SHIPPED)),
            default=Value(ReservationStatus.EXPIRED),
        ),
        version=F("version") + 1,
        updated_at=Now(),
    )
    if not Sweep.objects.update(at=Now()):
        Sweep.objects.bulk_create([Sweep(at=Now())], ignore_conflicts=True)
    return ended


@writes("inventory")
def flag_long_paying() -> int:
    """Holds whose payment takes more than a day are shown to people."""
    stuck = Reservation.objects.filter(
        status=ReservationStatus.RESERVED, paying=True, paying_since__lte=Now() - PAYING_LIMIT, needs_attention=False
    )
    found = list(stuck.order_by("paying_since")[:SWEEP_BATCH])
    for reservation in found:
        _needs_attention(reservation, "its payment has been under way for more than a day")
    return len(found)


def _needs_attention(reservation: Reservation, reason: str) -> None:
    _change_status(reservation, {"needs_attention": True})
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


# -- stock ------------------------------------------------------------------------------------------------------------


def _record(
    changes: list[tuple[Stock, int]], *, reason: str, actor: str, order_id: str = "", reference: str = ""
) -> None:
    """Write the ledger for changes just made to locked rows: the balance is what was read plus delta."""
    at = utcnow()  # not the column's default: SQLite's has fewer digits, and pages are cut by comparing
    lines = []
    for row, delta in changes:
        row.on_hand += delta
        lines.append(
            Movement(
                product_id=row.product_id,
                warehouse_id=row.warehouse_id,
                delta=delta,
                on_hand=row.on_hand,
                reason=reason,
                order_id=order_id,
                reference=reference,
                actor=actor,
                at=at,
            )
        )
    Movement.objects.bulk_create(lines)


def _places(product_id: int, *warehouses: str) -> list[Stock]:
    """The product's rows in these warehouses, locked in the order of their keys; made where there is none."""
    places = Stock.objects.filter(product_id=product_id, warehouse__in=warehouses).order_by("pk")
    rows = {row.warehouse_id: row for row in locked(places)}
    missing = [code for code in warehouses if code not in rows]
    if missing:
        made = [Stock(product_id=product_id, warehouse_id=code, created_at=utcnow()) for code in missing]
        Stock.objects.bulk_create(made, ignore_conflicts=True)
        rows = {row.warehouse_id: row for row in locked(places.all())}
    return [rows[code] for code in warehouses]


def _lock_with_holds(stock_id: int) -> Stock | None:
    """The row, locked together with the other rows that its unpaid holds claim, so that these may be released."""
    unpaid = Reservation.objects.filter(
        allocations__stock=stock_id,
        allocations__state=AllocationState.OPEN,
        status=ReservationStatus.RESERVED,
        paying=False,
    )
    parts = Allocation.objects.filter(reservation__in=unpaid, state=AllocationState.OPEN)
    concerned = Stock.objects.filter(Q(pk=stock_id) | Q(pk__in=parts.values("stock")))
    rows = {row.pk: row for row in locked(concerned.order_by("pk"))}
    if concerned.exclude(pk__in=rows).exists():
        raise Stale  # a hold was made while this waited for the locks; from now on none can be
    return rows.get(stock_id)


def require_warehouses(*codes: str) -> None:
    for code in sorted(selectors.unknown_warehouses(codes=codes)):
        raise WarehouseNotFound(f"There is no warehouse {code}.", warehouse=code)


@writes("inventory")
def create_warehouse(*, code: str, name: str, priority: int, address: str, is_active: bool) -> Warehouse:
    try:
        with unit_of_work("inventory"):
            return Warehouse.objects.create(
                code=code, name=name, priority=priority, address=address, is_active=is_active, created_at=utcnow()
            )
    except IntegrityError:
        raise DuplicateWarehouse(f"There is a warehouse {code} already.", code=code) from None


@writes("inventory")
def receive(
    *, product_id: int, warehouse: str, quantity: int, reorder_point: int | None, actor: str, create_warehouse: bool
) -> int:
    """Units arrive; returns the stock row's id. ``create_warehouse``: an unknown code is made a warehouse."""
    if create_warehouse:
        made = Warehouse(code=warehouse, name=warehouse, created_at=utcnow())
        Warehouse.objects.bulk_create([made], ignore_conflicts=True)
    else:
        require_warehouses(warehouse)
    [row] = _places(product_id, warehouse)
    changes: dict[str, Any] = {} if reorder_point is None else {"reorder_point": reorder_point}
    Stock.objects.filter(pk=row.pk).update(on_hand=F("on_hand") + quantity, updated_at=Now(), **changes)
    _record([(row, quantity)], reason="receipt", actor=actor)
    return row.pk


@writes("inventory")
def count(
    *, inventory_id: int, on_hand: int | None, reorder_point: int | None, reason: str, force: bool, actor: str
) -> None:
    """Set a row to what was counted. NotFound when there is no such row.

    BelowReserved when holds claim more than that, unless ``force``: then unpaid holds are released, the newest first,
    and paid ones that still don't fit lose their claim and need attention.
    """
    row = _lock_with_holds(inventory_id) if force else locked(Stock.objects.filter(pk=inventory_id)).first()
    if row is None:
        raise NotFound(f"There is no inventory row {inventory_id}.")
    if reorder_point is not None:
        Stock.objects.filter(pk=row.pk).update(reorder_point=reorder_point, updated_at=Now())
    if on_hand is not None and on_hand != row.on_hand:
        _change_on_hand(row, on_hand - row.on_hand, reason=reason, actor=actor, force=force)


@writes("inventory")
def adjust(*, product_id: int, warehouse: str, delta: int, reason: str, actor: str) -> int:
    """Correct on hand by ``delta``; returns the row's id. BelowReserved when holds claim more than would be left."""
    require_warehouses(warehouse)
    [row] = _places(product_id, warehouse)
    _change_on_hand(row, delta, reason=reason, actor=actor, force=False)
    return row.pk


def _change_on_hand(row: Stock, delta: int, *, reason: str, actor: str, force: bool) -> None:
    target = row.on_hand + delta
    if target < row.reserved:
        _reclaim([row.pk])
        row.refresh_from_db()
    if target < row.reserved and force and target >= 0:
        _make_room(row, row.reserved - target)
        row.refresh_from_db()
    if target < row.reserved:
        raise BelowReserved(
            f"{row.reserved} units are reserved; on hand cannot become {target}.",
            on_hand=row.on_hand,
            reserved=row.reserved,
        )
    Stock.objects.filter(pk=row.pk).update(on_hand=target, updated_at=Now())
    _record([(row, delta)], reason=reason, actor=actor)


def _make_room(row: Stock, missing: int) -> None:
    """Free at least ``missing`` units of the row: whole unpaid holds first, then the claims of paid ones."""
    holds = Allocation.objects.filter(stock=row, state=AllocationState.OPEN).select_related("reservation", "stock")
    paid = Q(reservation__paying=True) | ~Q(reservation__status=ReservationStatus.RESERVED)
    for allocation in holds.exclude(paid).order_by("-pk"):
        if missing <= 0:
            return
        release(key=allocation.reservation.key)
        missing -= allocation.quantity
    for allocation in holds.filter(paid).order_by("-pk"):
        if missing <= 0:
            return
        Stock.objects.filter(pk=row.pk).update(reserved=F("reserved") - allocation.quantity)
        Allocation.objects.filter(pk=allocation.pk).update(state=AllocationState.SHORT, lapses_at=None)
        _needs_attention(allocation.reservation, f"a stock count left too little of product {row.product_id}")
        missing -= allocation.quantity


@writes("inventory")
def transfer(*, product_id: int, from_warehouse: str, to_warehouse: str, quantity: int, actor: str) -> list[int]:
    """Move available units between warehouses; returns both rows' ids, from and to."""
    require_warehouses(from_warehouse, to_warehouse)
    source, target = _places(product_id, from_warehouse, to_warehouse)
    if source.on_hand - source.reserved < quantity:
        _reclaim([source.pk])
        source.refresh_from_db()
    available = source.on_hand - source.reserved
    if available < quantity:
        short = {"product_id": product_id, "requested": quantity, "available": available}
        raise InsufficientStock(f"Warehouse {from_warehouse} has {available} units available.", items=[short])
    Stock.objects.filter(pk=source.pk).update(on_hand=F("on_hand") - quantity, updated_at=Now())
    Stock.objects.filter(pk=target.pk).update(on_hand=F("on_hand") + quantity, updated_at=Now())
    _record([(source, -quantity)], reason=f"transfer to {to_warehouse}", actor=actor)
    _record([(target, quantity)], reason=f"transfer from {from_warehouse}", actor=actor)
    return [source.pk, target.pk]


@writes("inventory")
def restock(*, order_id: str, reference: str, returned: Mapping[int, int], disposition: str, actor: str) -> None:
    """Returned units (product id -> units) go back to the warehouses they left, once per reference.

    ``resell`` adds them to on hand; ``damaged`` and ``lost`` stand in the ledger as come back and written off.
    """
    if Restocking.objects.filter(pk=reference).exists():
        return
    try:
        with unit_of_work("inventory"):
            Restocking.objects.create(reference=reference, order_id=order_id)
    except IntegrityError:  # the same command won the race: begin again and find it
        raise Stale from None
    shipped = Allocation.objects.filter(
        reservation__order_id=order_id, state=AllocationState.SHIPPED, stock__product_id__in=list(returned)
    )
    allocations = list(locked(shipped.select_related("stock").order_by("stock_id"), of=("stock",)))
    earlier = Movement.objects.filter(order_id=order_id, reason=RETURN, product_id__in=list(returned))
    out: dict[tuple[int, str], int] = defaultdict(int)
    for allocation in allocations:
        out[allocation.stock.product_id, allocation.stock.warehouse_id] += allocation.quantity
    for line in earlier.values("product_id", "warehouse_id").annotate(units=Sum("delta")):
        out[line["product_id"], line["warehouse_id"]] -= line["units"]
    rows = {allocation.stock_id: allocation.stock for allocation in allocations}
    missing = dict(returned)
    back: dict[int, int] = {}
    for row in rows.values():
        units = min(missing[row.product_id], out[row.product_id, row.warehouse_id])
        if units > 0:
            back[row.pk] = units
            missing[row.product_id] -= units
    if any(missing.values()):
        raise InvalidTransition("More units come back than the order shipped.")
    changes = [(rows[pk], units) for pk, units in back.items()]
    if disposition == "resell":
        Stock.objects.filter(pk__in=back).update(on_hand=F("on_hand") + per_row(back), updated_at=Now())
    _record(changes, reason=RETURN, order_id=order_id, reference=reference, actor=actor)
    if disposition != "resell":
        written_off = [(row, -units) for row, units in changes]
        _record(written_off, reason=disposition, order_id=order_id, reference=reference, actor=actor)
