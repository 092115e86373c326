"""Stock: warehouses, and every change of on hand but shipping."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.models import F, Q

from contexts.inventory import domain, selectors
from contexts.inventory.models import Allocation, MovementKind, Restocking, Stock, StockDay, Warehouse, WarehouseChange
from contexts.inventory.public.contracts import (
    AllocationState,
    BelowReserved,
    ChangedMeanwhile,
    InsufficientStock,
    ReservationStatus,
    TooManyUnits,
)
from contexts.inventory.services import holds, ledger, low, owed, parts
from eci import trail
from eci.clock import utcnow
from eci.db import Stale, locked, unit_of_work, writes
from eci.errors import Conflict, NotFound, PreconditionFailed
from eci.statements import per_row

MAX_UNITS = 1_000_000_000  # that one door takes, and that one stock row has: what can be there can be counted


class DuplicateWarehouse(Conflict):
    code = "duplicate_warehouse"


@writes("inventory")
def create_warehouse(*, code: str, name: str, priority: int, address: str, is_active: bool, actor: str) -> Warehouse:
    """DuplicateWarehouse."""
    fields = {"name": name, "priority": priority, "address": address, "is_active": is_active}
    try:
        with unit_of_work("inventory"):
            made = Warehouse.objects.create(code=code, created_at=utcnow(), **fields)
    except IntegrityError:
        raise DuplicateWarehouse(f"There is a warehouse {code} already.", code=code) from None
    trail.record("inventory", actor=actor, action="warehouse.create", thing=f"warehouse:{code}", after=fields)
    return made


@writes("inventory")
def update_warehouse(*, code: str, actor: str, version: int | None = None, **changes: Any) -> Warehouse:
    """The warehouse after the change. WarehouseNotFound; PreconditionFailed if it has another ``version``."""
    warehouse: Warehouse | None = locked(Warehouse.objects.filter(pk=code)).first()
    if warehouse is None:
        raise selectors.no_warehouse(code=code)
    _require_version(warehouse, version)
    before = {name: getattr(warehouse, name) for name in changes}
    if before != changes:
        Warehouse.objects.filter(pk=code).update(**changes, version=F("version") + 1)
        warehouse.refresh_from_db()
        if before.get("is_active") != changes.get("is_active"):
            _open_or_close(warehouse)
        thing = f"warehouse:{code}"
        trail.record("inventory", actor=actor, action="warehouse.update", thing=thing, before=before, after=changes)
    return warehouse


def _open_or_close(warehouse: Warehouse) -> None:
    """The warehouse opens, so that orders that lack units get what it has; or it closes."""
    at = utcnow()
    if warehouse.is_active:
        products = list(Stock.objects.filter(selectors.OWING).values_list("product_id", flat=True).distinct())
        rows = parts.lock_stock_of(product_ids=products)
        at = parts.instant(rows=rows)
        owed.cover(stock_ids=[row.pk for row in rows if row.warehouse_id == warehouse.pk], at=at)
    WarehouseChange.objects.create(warehouse=warehouse, is_active=warehouse.is_active, at=at)


def _require_version(row: Warehouse | Stock, version: int | None) -> None:
    if version not in (None, row.version):
        raise PreconditionFailed("This has changed since you read it.", version=row.version)


def _facts(row: Stock) -> dict[str, int]:
    return {"on_hand": row.on_hand, "reorder_point": row.reorder_point}


def _leave_trail(row: Stock, before: dict[str, int], *, action: str, actor: str) -> None:
    if trail.is_kept(actor):
        after = _facts(Stock.objects.get(pk=row.pk))
        trail.record("inventory", actor=actor, action=action, thing=f"stock:{row.pk}", before=before, after=after)


@writes("inventory")
def receive(
    *,
    product_id: int,
    warehouse: str,
    quantity: int,
    reorder_point: int | None,
    actor: str,
    create_warehouse: bool,
    reference: str = "",
) -> Stock:
    """Units arrive, maybe with a delivery note (``reference``); returns the stock row. TooManyUnits.

    WarehouseNotFound, unless ``create_warehouse``: then it is created.
    """
    if create_warehouse:
        made = Warehouse(code=warehouse, name=warehouse, created_at=utcnow())
        Warehouse.objects.bulk_create([made], ignore_conflicts=True)
    else:
        selectors.require_warehouses(codes=[warehouse])
    [row] = parts.lock_product(product_id=product_id, warehouses=[warehouse])
    at = parts.instant(rows=[row])
    before = _facts(row)
    _require_countable(row, row.on_hand + quantity)
    with low.watched(product_ids=[product_id] if reorder_point else []):
        if reorder_point is not None:
            Stock.objects.filter(pk=row.pk).update(reorder_point=reorder_point)
        _add({row.pk: quantity}, at)
        about = {"reason": "receipt", "reference": reference, "actor": actor}
        ledger.record(changes=[(row, quantity)], kind=MovementKind.RECEIPT, at=at, **about)
        owed.cover(stock_ids=[row.pk], at=at)
    _leave_trail(row, before, action="stock.receive", actor=actor)
    return row


def _add(units: dict[int, int], at: datetime) -> None:
    """Add units (stock row id -> units) to on hand. The caller writes the ledger, and gives them to what is owed."""
    Stock.objects.filter(pk__in=units).update(
        on_hand=F("on_hand") + per_row(units), version=F("version") + 1, updated_at=at
    )


def _require_countable(row: Stock, on_hand: int) -> None:
    """TooManyUnits, for what is there must be countable."""
    if on_hand > MAX_UNITS:
        raise TooManyUnits(
            f"A warehouse can have at most {MAX_UNITS:,} units of a product.", on_hand=row.on_hand, limit=MAX_UNITS
        )


@writes("inventory")
def count(
    *,
    inventory_id: int,
    on_hand: int | None,
    reorder_point: int | None,
    reason: str,
    force: bool,
    actor: str,
    expected_on_hand: int | None = None,
    counted_at: datetime | None = None,
    counted_after: int | None = None,
    version: int | None = None,
) -> Stock:
    """Set on hand of a stock row to what was counted; returns the row. NotFound if there is no such row.

    The units were there at ``counted_at``, or after the movement ``counted_after``, or now: units that have come and
    gone since are added to the count. ChangedMeanwhile if on hand was not ``expected_on_hand`` at ``counted_at``, or is
    not now; PreconditionFailed if the row has another ``version``.

    BelowReserved if more than that is reserved, unless ``force``: then unpaid reservations are released, the newest
    first. If that is not enough, allocations of paid ones move to warehouses that have the units, or become SHORT, and
    those reservations need attention.
    """
    row = parts.lock_with_unpaid(stock_id=inventory_id) if force else parts.lock_row(stock_id=inventory_id)
    if row is None:
        raise NotFound(f"There is no stock row {inventory_id}.")
    _require_version(row, version)
    before = _facts(row)
    changed = selectors.units_moved(row=row, since=counted_at, counts=True) if counted_at else 0
    if expected_on_hand not in (None, row.on_hand - changed):
        raise ChangedMeanwhile(
            f"On hand is {row.on_hand} now: it has changed meanwhile.",
            on_hand=row.on_hand,
            movements=selectors.movements_since(row=row, on_hand=expected_on_hand, since=counted_at),
        )
    at = parts.instant(rows=[row])
    with low.watched(product_ids=[row.product_id]):
        if reorder_point not in (None, row.reorder_point):
            Stock.objects.filter(pk=row.pk).update(reorder_point=reorder_point, version=F("version") + 1, updated_at=at)
        if on_hand is not None:
            on_hand += selectors.units_moved(row=row, since=counted_at, after=counted_after)
            if on_hand != row.on_hand:
                delta = on_hand - row.on_hand
                _change_on_hand(row, delta, kind=MovementKind.COUNT, reason=reason, actor=actor, force=force, at=at)
    _leave_trail(row, before, action="stock.count", actor=actor)
    return row


@writes("inventory")
def adjust(*, product_id: int, warehouse: str, delta: int, reason: str, actor: str) -> Stock:
    """Correct on hand by ``delta``; returns the stock row.

    BelowReserved if less than is reserved would be left; TooManyUnits.
    """
    selectors.require_warehouses(codes=[warehouse])
    [row] = parts.lock_product(product_id=product_id, warehouses=[warehouse])
    before = _facts(row)
    at = parts.instant(rows=[row])
    with low.watched(product_ids=[product_id] if delta < 0 else []):
        _change_on_hand(row, delta, kind=MovementKind.ADJUSTMENT, reason=reason, actor=actor, at=at)
    _leave_trail(row, before, action="stock.adjust", actor=actor)
    return row


def _change_on_hand(
    row: Stock, delta: int, *, kind: MovementKind, reason: str, actor: str, at: datetime, force: bool = False
) -> None:
    target = row.on_hand + delta
    touched = {row.pk}
    shortened: list[Allocation] = []
    if delta > 0:
        _require_countable(row, target)
    if target < row.reserved + row.owed:
        owed.reclaim(stock_ids=[row.pk], at=at)
        row.refresh_from_db()
    if target < row.reserved and force and target >= 0:
        freed, shortened = _make_room(row, row.reserved - target, actor=actor, at=at)
        touched |= freed
        row.refresh_from_db()
    if target < row.reserved:
        raise BelowReserved(
            f"{row.reserved} units are reserved; on hand cannot become {target}.",
            on_hand=row.on_hand,
            reserved=row.reserved,
        )
    Stock.objects.filter(pk=row.pk).update(on_hand=target, version=F("version") + 1, updated_at=at)
    ledger.record(changes=[(row, delta)], kind=kind, reason=reason, actor=actor, at=at)
    owed.cover(stock_ids=touched, at=at)
    owed.tell_short(allocations=shortened)


def _make_room(row: Stock, missing: int, *, actor: str, at: datetime) -> tuple[set[int], list[Allocation]]:
    """Free at least ``missing`` reserved units of the row: release unpaid reservations, then shorten paid ones.

    Returns the stock rows in which units became free, for what is owed, and the allocations that are short now. (Before
    either is dealt with, on hand has to be what was counted.)
    """
    touched: set[int] = set()
    open_here = Allocation.objects.filter(stock=row, state=AllocationState.OPEN)
    allocations = open_here.select_related("reservation", "stock")
    paid = Q(reservation__paying=True) | ~Q(reservation__status=ReservationStatus.RESERVED)
    for allocation in allocations.exclude(paid).order_by("-pk"):
        if missing <= 0:
            return touched, []
        rows = parts.lock_reservation(key=allocation.reservation.key)
        holding = [one for one in rows.allocations if one.state == AllocationState.OPEN]
        why = "a stock count left too little for it"
        holds.give_back(rows=rows, holding=holding, actor=actor, at=at, why=why)
        touched |= {one.stock_id for one in holding}
        missing -= allocation.quantity
    shortened = []
    for allocation in allocations.filter(paid).order_by("-pk"):
        if missing <= 0:
            break
        shortened.append(allocation)
        missing -= allocation.quantity
    if shortened:
        owed.shorten(allocations=shortened, at=at)
    return touched, shortened


@writes("inventory")
def transfer(
    *, product_id: int, from_warehouse: str, to_warehouse: str, quantity: int, actor: str
) -> tuple[Stock, Stock]:
    """Move units that nobody holds between warehouses; returns both stock rows, from and to.

    Units that are kept for what is owed elsewhere can be moved there.
    WarehouseNotFound; InsufficientStock; TooManyUnits.
    """
    selectors.require_warehouses(codes=[from_warehouse, to_warehouse])
    source, target = parts.lock_product(product_id=product_id, warehouses=[from_warehouse, to_warehouse])
    at = parts.instant(rows=[source, target])
    if parts.free_units(row=source) < quantity:
        owed.reclaim(stock_ids=[source.pk], at=at)
        source.refresh_from_db()
    available = parts.free_units(row=source)
    if available < quantity:
        short = {"product_id": product_id, "requested": quantity, "available": available}
        raise InsufficientStock(f"Warehouse {from_warehouse} has {available} units available.", items=[short])
    _require_countable(target, target.on_hand + quantity)
    before = {row.pk: _facts(row) for row in (source, target)}
    with low.watched(product_ids=[product_id]):
        _add({source.pk: -quantity, target.pk: quantity}, at)
        for row, units, reason in (
            (source, -quantity, f"transfer to {to_warehouse}"),
            (target, quantity, f"transfer from {from_warehouse}"),
        ):
            ledger.record(changes=[(row, units)], kind=MovementKind.TRANSFER, reason=reason, actor=actor, at=at)
        owed.cover(stock_ids=[target.pk], at=at)
    for row in (source, target):
        _leave_trail(row, before[row.pk], action="stock.transfer", actor=actor)
    return source, target


@writes("inventory")
def transfer_all(
    *, units: Mapping[int, int], from_warehouse: str, to_warehouse: str, actor: str, reference: str = ""
) -> None:
    """As ``transfer``, of many products (product id -> units), all of them or none.

    WarehouseNotFound; InsufficientStock, whose ``details.items`` are all that fall short; TooManyUnits.
    """
    selectors.require_warehouses(codes=[from_warehouse, to_warehouse])
    targets = {(product_id, to_warehouse) for product_id in units}
    rows = parts.lock_places(places={(product_id, from_warehouse) for product_id in units} | targets, new=targets)
    at = parts.instant(rows=rows.values())
    sources = {product_id: rows[product_id, code] for product_id, code in rows if code == from_warehouse}
    tight = [row.pk for row in sources.values() if parts.free_units(row=row) < units[row.product_id]]
    if tight:
        owed.reclaim(stock_ids=tight, at=at)
        sources |= {row.product_id: row for row in Stock.objects.filter(pk__in=tight)}
    free = {
        product_id: parts.free_units(row=sources[product_id]) if product_id in sources else 0 for product_id in units
    }
    short = [
        {"product_id": product_id, "requested": wanted, "available": free[product_id]}
        for product_id, wanted in units.items()
        if free[product_id] < wanted
    ]
    if short:
        raise InsufficientStock(f"Warehouse {from_warehouse} has too few units available.", items=short)
    moves = [(sources[product_id], rows[product_id, to_warehouse], wanted) for product_id, wanted in units.items()]
    for _, target, wanted in moves:
        _require_countable(target, target.on_hand + wanted)
    before = {row.pk: row.on_hand for source, target, _ in moves for row in (source, target)}
    deltas = {source.pk: -wanted for source, _, wanted in moves} | {target.pk: wanted for _, target, wanted in moves}
    left = [(source, -wanted) for source, _, wanted in moves]
    came = [(target, wanted) for _, target, wanted in moves]
    with low.watched(product_ids=list(units)):
        _add(deltas, at)
        for changes, reason in ((left, f"transfer to {to_warehouse}"), (came, f"transfer from {from_warehouse}")):
            about = {"reason": reason, "actor": actor, "reference": reference}
            ledger.record(changes=changes, kind=MovementKind.TRANSFER, at=at, **about)
        owed.cover(stock_ids=[target.pk for _, target, _ in moves], at=at)
    lines = [(f"stock:{pk}", {"on_hand": was}, {"on_hand": was + deltas[pk]}) for pk, was in before.items()]
    trail.record_all("inventory", actor=actor, action="stock.transfer", lines=lines)


@writes("inventory")
def restock(
    *, order_id: str, reference: str, returned: Mapping[int, int], disposition: str, actor: str, warehouse: str = ""
) -> None:
    """Returned units (product id -> units) come back to ``warehouse``, or those they left, once per ``reference``.

    1. Record the reference; if it is recorded already, change nothing.
    2. Lock the products' stock rows, and subtract earlier returns from what each of them shipped for the order.
    3. Spread the units over the rows: InvalidTransition if more come back than the order shipped.
    4. With ``disposition`` resell, add them to on hand and write the ledger; they go first to what is owed to others.
       With damaged or lost, write them to the ledger twice, as returned and as written off.
    """
    if Restocking.objects.filter(pk=reference).exists():
        return
    try:
        with unit_of_work("inventory"):
            Restocking.objects.create(reference=reference, order_id=order_id)
    except IntegrityError:  # another request recorded the reference meanwhile: begin again and find it
        raise Stale from None
    rows = {row.pk: row for row in parts.lock_stock_of(product_ids=returned)}
    at = parts.instant(rows=rows.values())
    back = domain.spread_back(selectors.units_out(order_id=order_id, product_ids=returned), returned)
    if warehouse:
        selectors.require_warehouses(codes=[warehouse])
        places = {(product_id, warehouse) for product_id in returned}
        named = parts.lock_places(places=places, new=places)
        rows = {row.pk: row for row in named.values()}
        at = parts.instant(rows=named.values())
        back = {named[product_id, warehouse].pk: units for product_id, units in returned.items()}
    changes = [(rows[pk], units) for pk, units in back.items()]
    if disposition == "resell":
        _add(back, at)
    about = {"order_id": order_id, "reference": reference, "actor": actor}
    kind = MovementKind.RETURN
    ledger.record(changes=changes, kind=kind, reason=selectors.RETURN, at=at, **about)
    if disposition != "resell":
        written_off = [(row, -units) for row, units in changes]
        ledger.record(changes=written_off, kind=kind, reason=disposition, at=at, **about)
    owed.cover(stock_ids=back, at=at)


@writes("inventory")
def note_worth(*, worth: Mapping[str, tuple[int, int]]) -> None:
    """Note what the stock is worth today, by currency: units, and minor units. Noted again, it replaces what was."""
    today = utcnow().date()
    StockDay.objects.filter(day=today).delete()
    StockDay.objects.bulk_create(
        [
            StockDay(day=today, currency=currency, units=units, value_minor=value)
            for currency, (units, value) in sorted(worth.items())
        ]
    )
