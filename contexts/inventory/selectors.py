"""Reads of stock, reservations and the ledger. None of them counts a reservation whose time has run out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import starmap
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.fields import BigIntegerField
from django.db.models.functions import Coalesce, Greatest, Lower, Now
from django.db.models.lookups import IsNull
from pydantic_core import from_json

from contexts.inventory.domain import Explanation, Hold, Out, StockRow, require_enough, settled, spread_back
from contexts.inventory.models import Allocation, Movement, MovementKind, Reservation, Stock, StockDay, Sweep, Warehouse
from contexts.inventory.public import contracts
from contexts.inventory.public.contracts import AllocationState, ReservationStatus, WarehouseNotFound
from eci import totals
from eci.clock import iso
from eci.db import locked
from eci.ids import ORDER_PREFIX
from eci.paging import Paging
from eci.statements import reads
from eci.statements.texts import databases

RETURN = "return"  # the ledger's reason for units that came back
LAPSED = Q(status=ReservationStatus.RESERVED, paying=False, expires_at__lte=Now())
SWEEP_IS_RECENT = timedelta(minutes=1)
FIRM = (ReservationStatus.CONFIRMED, ReservationStatus.SHIPPED)
HOLDING = (AllocationState.OPEN, AllocationState.SHORT)
# Without a parameter: of one, PostgreSQL's prepared plans don't see that an index is enough.
OWING = Q(owed__gt=RawSQL("0", ()))
_HAS_LAPSED = Q(state=AllocationState.OPEN, lapses_at__lte=Now())


@dataclass(frozen=True, kw_only=True)
class Moved:
    """``units`` that have come, less those that have gone. By ``changed`` on hand has grown, counts included."""

    units: int = 0
    changed: int = 0


# -- stock ------------------------------------------------------------------------------------------------------------


def _sum_of(rows: QuerySet[Any], field: str) -> Coalesce:
    """The sum of ``field`` over rows that refer to an outer query; 0 if there are none."""
    total = rows.order_by().annotate(one=Value(1)).values("one").annotate(total=Sum(field)).values("total")
    return Coalesce(Subquery(total), 0, output_field=BigIntegerField())


def _with_lapsed(rows: QuerySet[Stock]) -> QuerySet[Any]:
    """Stock rows with ``lapsed``: the units in ``reserved`` that belong to expired reservations, not yet swept."""
    lapsed = Allocation.objects.filter(stock=OuterRef("pk"), lapses_at__lte=Now())
    return rows.annotate(lapsed=_sum_of(lapsed, "quantity"))


def with_available(*, rows: QuerySet[Stock]) -> QuerySet[Any]:
    """Stock rows with ``held``, the units reserved now, and ``available``, which is 0 in an inactive warehouse.

    Units that are owed to paid reservations, in whatever warehouse, are not available.
    """
    of_product = Stock.objects.filter(product_id=OuterRef("product_id"))
    counted: QuerySet[Any] = _with_lapsed(rows).annotate(
        held=ExpressionWrapper(F("reserved") - F("lapsed"), output_field=BigIntegerField()),
        available=Case(
            When(
                warehouse__is_active=True,
                then=Greatest(F("on_hand") - F("reserved") - _sum_of(of_product, "owed") + F("lapsed"), 0),
            ),
            default=Value(0),
            output_field=BigIntegerField(),
        ),
    )
    return counted


def stock_of(*, product_ids: Collection[int], lock: bool = False) -> list[Any]:
    """All stock rows of these products, with ``lapsed`` and the database's ``now``."""
    if len(product_ids) == 1:  # as in ``availability``
        return _stock_of_one(product_id=next(iter(product_ids)), lock=lock)
    return _stock_of_several(product_ids=product_ids, lock=lock)


@reads
def _stock_of_one(*, product_id: int, lock: bool) -> QuerySet[Any]:
    return _for_reserving(Stock.objects.filter(product_id=product_id), lock)


@reads
def _stock_of_several(*, product_ids: Collection[int], lock: bool) -> QuerySet[Any]:
    return _for_reserving(Stock.objects.filter(product_id__in=product_ids), lock)


def _for_reserving(stock: QuerySet[Stock], lock: bool) -> QuerySet[Any]:
    rows = _with_lapsed(stock).annotate(now=Now()).select_related("warehouse").order_by("pk")
    return locked(rows) if lock else rows


def allocatable(*, rows: Iterable[Any], warehouse: str | None = None) -> list[StockRow]:
    """What of ``stock_of`` a reservation may take, as the domain's rules want it: in active warehouses, or in one."""
    rows = list(rows)
    owed: dict[int, int] = defaultdict(int)
    for row in rows:
        owed[row.product_id] += row.owed
    return [
        StockRow(
            stock_id=row.pk,
            product_id=row.product_id,
            warehouse=row.warehouse_id,
            priority=row.warehouse.priority,
            available=max(0, row.on_hand - row.reserved - owed[row.product_id] + row.lapsed),
        )
        for row in rows
        if row.warehouse.is_active and warehouse in (None, row.warehouse_id)
    ]


def require_available(*, demand: Mapping[int, int]) -> None:
    """InsufficientStock if a reservation of ``demand`` (product id -> units) would fail now."""
    require_enough(demand, allocatable(rows=stock_of(product_ids=demand.keys())))


def stock_rows(*, paging: Paging, product_id: int | None, warehouse: str | None, low_stock: bool | None) -> list[Stock]:
    if low_stock is None:
        return _stock_rows(paging=paging, product_id=product_id, warehouse=warehouse)
    rows = _rows_of(product_id, warehouse)
    return paging.slice(low(rows=rows) if low_stock else rows.exclude(_IS_LOW))


@reads
def _stock_rows(*, paging: Paging, product_id: int | None, warehouse: str | None) -> QuerySet[Stock]:
    return paging.of(_rows_of(product_id, warehouse))


def _rows_of(product_id: int | None, warehouse: str | None) -> QuerySet[Stock]:
    rows = with_available(rows=Stock.objects.all())
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    return rows if warehouse is None else rows.filter(warehouse_id=warehouse)


def low(*, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of ``with_available``'s rows that are low: an active warehouse has fewer units available than their reorder
    point. Nobody orders for one that is closed."""
    return rows.filter(_may_be_low(), _IS_LOW)


_IS_LOW = Q(available__lt=F("reorder_point"), warehouse__is_active=True)


def _may_be_low() -> Q:
    """Every row that is low is one of these, and an index finds them: what can be sold is at most what is not reserved,
    unless units of the product are owed somewhere."""
    return Q(runs_low=True) | Q(product_id__in=_owing())


@reads
def _owing() -> QuerySet[Stock, int]:
    """The products of which units are owed."""
    return Stock.objects.filter(OWING).values_list("product_id", flat=True).distinct()


def stock_row(*, inventory_id: int) -> Stock | None:
    return with_available(rows=Stock.objects.filter(pk=inventory_id)).first()


def stock_rows_of(*, inventory_ids: Iterable[int]) -> dict[int, Stock]:
    """The stock rows with these ids, by id."""
    return {row.pk: row for row in with_available(rows=Stock.objects.filter(pk__in=list(inventory_ids)))}


def rows_of_product(*, product_id: int) -> list[Any]:
    """The product's rows of ``with_available``, by warehouse."""
    rows = Stock.objects.filter(product_id=product_id).select_related("warehouse").order_by("warehouse")
    return list(with_available(rows=rows))


def products_in_stock() -> tuple[int, ...]:
    """The products of which an open warehouse has units available."""
    owed = set(Stock.objects.filter(OWING).values_list("product_id", flat=True))
    plain = _IN_USE.filter(on_hand__gt=F("reserved")).values_list("product_id", flat=True)
    # What is owed is not available, and what is all reserved may be so by reservations that have run out.
    doubtful = _IN_USE.filter(Q(product_id__in=owed) | Q(reserved__gt=0, on_hand__lte=F("reserved")))
    found = with_available(rows=doubtful).filter(available__gt=0).values_list("product_id", flat=True)
    return tuple(sorted((set(plain) - owed) | set(found)))


def stock_in(*, places: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Stock]:
    """The stock rows of these products in these warehouses, by both."""
    wanted = set(places)
    rows = Stock.objects.filter(
        product_id__in={product_id for product_id, _ in wanted}, warehouse__in={code for _, code in wanted}
    )
    return {place: row for row in rows if (place := (row.product_id, row.warehouse_id)) in wanted}


def last_actors(*, places: Iterable[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """Who wrote the last movement of these products in these warehouses."""
    wanted = set(places)
    found = Movement.objects.filter(
        product_id__in={product_id for product_id, _ in wanted}, warehouse__in={code for _, code in wanted}
    )
    last = found.values("product_id", "warehouse_id").annotate(last=Max("pk")).values("last")
    rows = Movement.objects.filter(pk__in=last).values_list("product_id", "warehouse_id", "actor")
    return {(product_id, code): actor for product_id, code, actor in rows}


Note = tuple[tuple[int, str], str]  # a delivery note of a product in a warehouse, as ``note_key`` has it


def note_key(*, reference: str) -> str:
    """Delivery notes are compared without case."""
    return reference.casefold()


def received(*, notes: Collection[Note], by_others_than: str | None = None) -> dict[Note, dict[str, int]]:
    """Of these delivery notes those that were booked and not taken back: how many units by each actor, in the order of
    their last ones."""
    if not notes:
        return {}
    found = Movement.objects.alias(lowered=Lower("reference")).filter(
        kind=MovementKind.RECEIPT,
        product_id__in={product_id for (product_id, _), _ in notes},
        lowered__in={as_lowered for _, note in notes for as_lowered in _small(note)},
        reference__gt="",  # as the index has it
    )
    sums = found.values_list("product_id", "warehouse_id", "reference", "actor").annotate(Sum("delta"), last=Max("pk"))
    booked: dict[Note, dict[str, int]] = defaultdict(dict)
    for product_id, code, reference, actor, units, _ in sums.order_by("last"):
        note = ((product_id, code), note_key(reference=reference))
        if note in notes and actor != by_others_than:
            booked[note][actor] = booked[note].pop(actor, 0) + units
    left = {note: {actor: units for actor, units in by.items() if units > 0} for note, by in booked.items()}
    return {note: by for note, by in left.items() if by}


_CAPITALS = re.compile("[A-Z]+")


def _small(note: str) -> set[str]:
    """What databases may make of it in small letters: SQLite leaves those beyond the English alphabet as they are."""
    return {_CAPITALS.sub(lambda found: found[0].lower(), one) for one in (note, note.lower(), note.upper())}


class Level(NamedTuple):
    """A product's units in one warehouse, as ``with_available`` counts them."""

    warehouse_id: str
    on_hand: int
    held: int
    owed: int
    available: int


@reads
def _levels(*, product_ids: Collection[int]) -> QuerySet[Any, Any]:
    return _levels_of(Stock.objects.filter(product_id__in=product_ids))


@reads
def _levels_of_one(*, product_id: int) -> QuerySet[Any, Any]:
    """Asked as one of several, PostgreSQL would foresee ten, and read all of a small table."""
    return _levels_of(Stock.objects.filter(product_id=product_id))


def _levels_of(stock: QuerySet[Stock]) -> QuerySet[Any, Any]:
    rows = _with_lapsed(stock).order_by("product_id", "warehouse_id")
    return rows.values_list(
        "product_id", "warehouse_id", "on_hand", "reserved", "owed", "lapsed", "warehouse__is_active"
    )


def availability(*, product_ids: Iterable[int]) -> dict[int, list[Level]]:
    """Each product's stock, by warehouse code; an empty list for a product without any. Counted here: the database
    would look for what is owed and for what has lapsed again for each number that they are a part of."""
    found: dict[int, list[Level]] = {product_id: [] for product_id in product_ids}
    rows = _levels(product_ids=found.keys()) if len(found) != 1 else _levels_of_one(product_id=next(iter(found)))
    all_owed: Counter[int] = Counter()
    for product_id, _, _, _, owed, *_ in rows:
        all_owed[product_id] += owed
    for product_id, warehouse, on_hand, reserved, owed, lapsed, is_active in rows:
        held = reserved - int(lapsed)
        available = max(0, on_hand - held - all_owed[product_id]) if is_active else 0
        found[product_id].append(Level(warehouse, on_hand, held, owed, available))
    return found


def products_without_stock(*, product_ids: Iterable[int]) -> set[int]:
    """Those of the products that have no stock row."""
    ids = set(product_ids)
    return ids - set(Stock.objects.filter(product_id__in=ids).values_list("product_id", flat=True))


def explanation(*, row: Any, limit: int = 100) -> Explanation:
    """Why the numbers of a row, as ``with_available`` has it, are what they are, with at most ``limit`` holds."""
    holding = Allocation.objects.filter(stock=row.pk, state__in=HOLDING).exclude(_HAS_LAPSED)
    holds = list(holding.select_related("reservation").order_by("pk")[:limit])
    elsewhere = Stock.objects.filter(OWING, product_id=row.product_id).exclude(pk=row.pk)
    return Explanation(
        warehouse=row.warehouse_id,
        is_active=row.warehouse.is_active,
        on_hand=row.on_hand,
        reserved=row.held,
        owed=row.owed,
        owed_elsewhere=elsewhere.aggregate(units=Coalesce(Sum("owed"), 0))["units"],
        available=row.available,
        holds=tuple(map(_hold, holds)),
        more=holding.count() - limit if len(holds) == limit else 0,
    )


def _hold(allocation: Allocation) -> Hold:
    reservation = allocation.reservation
    return Hold(
        reservation_id=reservation.pk,
        order_id=reservation.order_id,
        key=reservation.key,
        quantity=allocation.quantity,
        state=AllocationState(allocation.state),
        paying=reservation.paying,
        expires_at=allocation.lapses_at,
        why_here=_why_here(allocation),
    )


def _why_here(allocation: Allocation) -> str:
    if allocation.moved_from:
        return f"moved here from {', '.join(sorted(allocation.moved_from))}"
    return "this warehouse was asked for" if allocation.reservation.asked_warehouse else allocation.reservation.choice


def last_movements(*, row: Stock, limit: int = 10) -> list[Movement]:
    """The newest first."""
    return list(_movements_of(row).order_by("-at", "-pk")[:limit])


def warehouses(*, paging: Paging) -> list[Warehouse]:
    return paging.slice(Warehouse.objects.all())


def all_warehouses() -> list[Warehouse]:
    """All of them, by code; a shop has few."""
    return list(Warehouse.objects.order_by("pk"))


def no_warehouse(*, code: str) -> WarehouseNotFound:
    return WarehouseNotFound(f"There is no warehouse {code}.", warehouse=code)


def warehouse(*, code: str) -> Warehouse:
    """WarehouseNotFound."""
    found = Warehouse.objects.filter(pk=code).first()
    if found is None:
        raise no_warehouse(code=code)
    return found


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is in a warehouse: units of so many products, and reservations that hold some of them or are owed some."""

    warehouse: str
    units: int
    products: int
    holds: int

    @property
    def sentence(self) -> str:
        return f"In {self.warehouse} now: {self.units} units, {self.products} products, {self.holds} reservations."


def contents(*, warehouse: str) -> Contents:
    there = Stock.objects.filter(warehouse=warehouse, on_hand__gt=0)
    holding = Allocation.objects.filter(stock__warehouse=warehouse, state__in=HOLDING).exclude(_HAS_LAPSED)
    return Contents(
        warehouse=warehouse,
        **there.aggregate(units=Coalesce(Sum("on_hand"), 0), products=Count("pk")),
        holds=holding.aggregate(holds=Count("reservation", distinct=True))["holds"],
    )


def units_out(*, order_id: str, product_ids: Iterable[int]) -> list[Out]:
    """What of these products has left for the order, and is not back, by stock row."""
    wanted = list(product_ids)
    shipped = Allocation.objects.filter(
        reservation__order_id=order_id, state=AllocationState.SHIPPED, stock__product_id__in=wanted
    )
    back = Movement.objects.filter(order_id=order_id, reason=RETURN, product_id__in=wanted)
    units: dict[tuple[int, str], int] = defaultdict(int)
    for row in shipped.values("stock__product_id", "stock__warehouse_id").annotate(units=Sum("quantity")):
        units[row["stock__product_id"], row["stock__warehouse_id"]] += row["units"]
    for line in back.values("product_id", "warehouse_id").annotate(units=Sum("delta")):
        units[line["product_id"], line["warehouse_id"]] -= line["units"]
    rows = Stock.objects.filter(product_id__in=wanted).order_by("pk").values_list("pk", "product_id", "warehouse_id")
    return [
        Out(stock_id=pk, product_id=product_id, warehouse=code, units=units[product_id, code])
        for pk, product_id, code in rows
        if units[product_id, code]
    ]


def restock_plan(*, order_id: str, returned: Iterable[contracts.Returned]) -> tuple[contracts.Returned, ...]:
    """See ``Inventory.restock_plan``."""
    asked = list(returned)
    require_warehouses(codes={one.warehouse for one in asked if one.warehouse})
    out = units_out(order_id=order_id, product_ids={one.product_id for one in asked})
    plan: list[contracts.Returned] = []
    for one in asked:
        back = spread_back(out, {one.product_id: one.quantity})
        if one.warehouse:
            come = {one.warehouse: one.quantity}
        else:
            come = {row.warehouse: back[row.stock_id] for row in out if row.stock_id in back}
        plan += [replace(one, warehouse=code, quantity=units) for code, units in come.items()]
        out = _less(out, one.product_id, come)
    return tuple(plan)


def _less(out: list[Out], product_id: int, come: Mapping[str, int]) -> list[Out]:
    """``out`` after units of the product have come to these warehouses."""
    known = {row.warehouse for row in out if row.product_id == product_id}
    elsewhere = [
        Out(stock_id=0, product_id=product_id, warehouse=code, units=-units)
        for code, units in come.items()
        if code not in known
    ]
    less = [
        replace(row, units=row.units - come.get(row.warehouse, 0)) if row.product_id == product_id else row
        for row in out
    ]
    return [*less, *elsewhere]


def require_warehouses(*, codes: Iterable[str]) -> None:
    """WarehouseNotFound, naming the first of the codes that no warehouse has."""
    wanted = set(codes)
    for code in sorted(wanted - set(Warehouse.objects.filter(pk__in=wanted).values_list("pk", flat=True))):
        raise no_warehouse(code=code)


def units_moved(*, row: Stock, since: datetime | None = None, after: int | None = None, counts: bool = False) -> int:
    """The units that have come, less those that have gone, since then or after that movement; 0 without either.

    A count moves nothing: its correction is left out, unless ``counts``.
    """
    if since is None and after is None:
        return 0
    found = _movements_of(row)
    if since is not None:
        found = found.filter(at__gte=since)
    if after is not None:
        found = found.filter(pk__gt=after)
    if not counts:
        found = found.exclude(kind=MovementKind.COUNT)
    total: int | None = found.aggregate(total=Sum("delta"))["total"]
    return total or 0


def units_moved_since(*, times: Mapping[tuple[int, str], datetime]) -> dict[tuple[int, str], Moved]:
    """As ``units_moved``, of many stock rows, each since its own time. They are named by product and warehouse."""
    moved = {place: Moved() for place in times}
    if not times:
        return moved
    found = Movement.objects.filter(
        product_id__in={product_id for product_id, _ in times},
        warehouse__in={code for _, code in times},
        at__gte=min(times.values()),
    )
    for product_id, code, at, kind, delta in found.values_list(
        "product_id", "warehouse_id", "at", "kind", "delta"
    ).iterator():
        place = product_id, code
        if place in times and at >= times[place]:
            before = moved[place]
            units = before.units + (0 if kind == MovementKind.COUNT else delta)
            moved[place] = Moved(units=units, changed=before.changed + delta)
    return moved


def with_last_movement(*, rows: QuerySet[Stock]) -> QuerySet[Any]:
    """Stock rows with ``last_movement``, the key of the newest movement of each; 0 if there is none."""
    of_row = Movement.objects.filter(product_id=OuterRef("product_id"), warehouse=OuterRef("warehouse"))
    newest = of_row.order_by("-at", "-pk").values("pk")[:1]
    counted: QuerySet[Any] = rows.annotate(last_movement=Coalesce(Subquery(newest), 0))
    return counted


def movements_since(*, row: Stock, on_hand: int, since: datetime | None, limit: int = 100) -> list[dict[str, Any]]:
    """What has moved since then, or since on hand was last ``on_hand``: at most ``limit`` movements, the newest first.

    As JSON values: they are the details of a refusal.
    """
    found = _movements_of(row)
    if since is not None:
        found = found.filter(at__gte=since)
    elif last := found.filter(on_hand=on_hand).order_by("-pk").first():
        found = found.filter(pk__gt=last.pk)
    return [
        {
            "movement_id": line.pk,
            "delta": line.delta,
            "on_hand": line.on_hand,
            "reason": line.reason,
            "order_id": line.order_id or None,
            "reference": line.reference or None,
            "actor": line.actor,
            "at": iso(line.at),
        }
        for line in found.order_by("-pk")[:limit]
    ]


def _movements_of(row: Stock) -> QuerySet[Movement]:
    return Movement.objects.filter(product_id=row.product_id, warehouse=row.warehouse_id)


def movements(
    *, paging: Paging, product_id: int | None, warehouse: str | None, order_id: str | None, reference: str | None
) -> list[Movement]:
    rows = Movement.objects.all()
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    if warehouse is not None:
        rows = rows.filter(warehouse_id=warehouse)
    if order_id is not None:
        rows = rows.filter(order_id=order_id)
    if reference is not None:
        rows = rows.filter(reference=reference, reference__gt="")  # as the index has it
    return paging.slice(rows)


def movements_of(*, movement_ids: Collection[int]) -> dict[int, Movement]:
    """The movements with these ids, by id."""
    return Movement.objects.in_bulk(list(movement_ids))


# -- reservations -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Part:
    """What is read of an allocation. A page of reservations has hundreds, and models would cost more than the rest."""

    reservation_id: int
    product_id: int
    warehouse_id: str
    quantity: int
    state: str
    moved_from: dict[str, int] | None


@dataclass(frozen=True, kw_only=True)
class ReservationView:
    """A reservation and its allocations, in the order of their stock rows, with the status and states they have now."""

    reservation: Reservation
    allocations: Sequence[Allocation | Part]

    @property
    def warehouse(self) -> str | None:
        """The warehouse that all units are in; None if there are several, or no units."""
        codes = {allocation.warehouse_id for allocation in self.allocations}
        return codes.pop() if len(codes) == 1 else None

    @property
    def expires_at(self) -> datetime | None:
        """None once the reservation is firm."""
        return None if self.reservation.status in FIRM else self.reservation.expires_at


@dataclass(frozen=True, kw_only=True)
class ReservationRows(ReservationView):
    """With what may be changed: the allocations' rows, each with its stock row at hand."""

    allocations: list[Allocation]


def _is_partly_shipped() -> IsNull:
    """Not by EXISTS: of one in a condition, PostgreSQL may read all allocations to look up a page's reservations."""
    shipped = Allocation.objects.filter(reservation=OuterRef("pk"), state=AllocationState.SHIPPED)
    return IsNull(Subquery(shipped.values("pk")[:1]), False)


def with_current(*, rows: QuerySet[Reservation]) -> QuerySet[Any]:
    """Reservations with ``current``: the status they have now, whether or not the sweeper has written it."""
    counted: QuerySet[Any] = rows.annotate(
        current=Case(
            When(LAPSED & Q(_is_partly_shipped()), then=Value(ReservationStatus.SHIPPED)),
            When(LAPSED, then=Value(ReservationStatus.EXPIRED)),
            default=F("status"),
            output_field=CharField(),
        )
    )
    return counted


def reservations(
    *, paging: Paging, status: str | None, order_id: str | None, product_id: int | None, warehouse: str | None
) -> list[ReservationView]:
    rows = with_current(rows=Reservation.objects.all())
    if product_id is not None or warehouse is not None:
        parts = Allocation.objects.filter(reservation=OuterRef("pk"))
        if product_id is not None:
            parts = parts.filter(stock__product_id=product_id)
        if warehouse is not None:
            parts = parts.filter(stock__warehouse=warehouse)
        rows = rows.filter(Exists(parts))
    if order_id is not None:
        rows = rows.filter(order_id=order_id)
    if status is not None:
        rows = rows.filter(_is_now(status))
    return _with_allocations(paging.slice(rows))


def _is_now(status: str) -> Q:
    """``current`` is this, in words that have indexes."""
    written = Q(status=status)
    if status == ReservationStatus.RESERVED:
        return written & ~LAPSED
    if status == ReservationStatus.EXPIRED:
        return written | LAPSED & ~Q(_is_partly_shipped())
    return written | LAPSED & Q(_is_partly_shipped()) if status == ReservationStatus.SHIPPED else written


def reservation(*, reservation_id: int) -> ReservationView | None:
    rows = with_current(rows=Reservation.objects.filter(pk=reservation_id))
    return next(iter(_with_allocations(rows)), None)


@reads
def _of_keys(*, keys: Collection[str]) -> QuerySet[Any]:
    return with_current(rows=Reservation.objects.filter(key__in=keys))


class _Json(Func):
    """Columns, or the rows of a subquery, as one list of JSON. For PostgreSQL: MySQL cuts off what is long, and two
    questions to SQLite are as quick."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **how: Any) -> Any:
        names = {"jsonb_agg": "json_group_array", "jsonb_build_array": "json_array"}
        return self.as_sql(compiler, connection, function=names[self.extra["function"]], **how)


@reads
def _of_keys_with_parts(*, keys: Collection[str]) -> QuerySet[Any]:
    """With ``parts``, each as a list that begins with its stock row; None where there are none."""
    columns = ("stock_id", "stock__product_id", "stock__warehouse_id", "quantity", "state", "moved_from")
    parts = Allocation.objects.filter(reservation=OuterRef("pk")).order_by()
    listed = parts.values(listed=_Json(_Json(*columns, function="jsonb_build_array"), function="jsonb_agg"))
    rows: QuerySet[Any] = with_current(rows=Reservation.objects.filter(key__in=keys)).annotate(parts=Subquery(listed))
    return rows


@reads
def _parts_of(*, reservation_ids: Collection[int]) -> QuerySet[Allocation, Any]:
    rows = Allocation.objects.filter(reservation__in=reservation_ids).order_by("stock_id")
    return rows.values_list(
        "reservation_id", "stock__product_id", "stock__warehouse_id", "quantity", "state", "moved_from"
    )


def reservations_by_key(*, keys: Iterable[str]) -> dict[str, ReservationView]:
    """The reservations with these keys that exist, by key."""
    return {rows.reservation.key: rows for rows in _views_of_keys(keys=list(keys))}


def _views_of_keys(*, keys: Collection[str]) -> list[ReservationView]:
    if connections[databases.db_for_read(Reservation)].vendor != "postgresql":
        return _with_allocations(_of_keys(keys=keys))
    return [
        _view(row, [Part(row.pk, *columns) for _, *columns in sorted(from_json(row.parts or "[]"))])
        for row in _of_keys_with_parts(keys=keys)
    ]


def allocations_of(*, reservation_ids: Collection[int]) -> dict[int, list[Part]]:
    """What is read of the allocations of these reservations, by reservation."""
    found: dict[int, list[Part]] = {pk: [] for pk in reservation_ids}
    for one in starmap(Part, _parts_of(reservation_ids=reservation_ids)):
        found[one.reservation_id].append(one)
    return found


def holding(*, product_ids: Iterable[int]) -> QuerySet[Any, Any]:
    """The ids of the reservations of which a part is of these products."""
    return Allocation.objects.filter(stock__product_id__in=list(product_ids)).values("reservation")


def _with_allocations(reservations: Iterable[Any]) -> list[ReservationView]:
    """Reservations that have ``current``, as they are now."""
    by_id = {row.id: row for row in reservations}
    allocations: dict[int, list[Part]] = defaultdict(list)
    for one in starmap(Part, _parts_of(reservation_ids=by_id.keys())):
        allocations[one.reservation_id].append(one)
    return [_view(row, allocations[pk]) for pk, row in by_id.items()]


def _view(row: Any, parts: list[Part]) -> ReservationView:
    if row.current != row.status:
        lapse(reservation=row, allocations=parts)
    return ReservationView(reservation=row, allocations=parts)


def lapse(*, reservation: Reservation, allocations: Sequence[Allocation | Part]) -> None:
    """Give an expired reservation, in memory, the status and states that the sweeper will write."""
    for allocation in allocations:
        if allocation.state == AllocationState.OPEN:
            allocation.state = AllocationState.EXPIRED
    reservation.status = settled(allocation.state for allocation in allocations) or reservation.status


@dataclass(frozen=True, kw_only=True)
class ReservationStatistics:
    """Reservations by the status they had at ``counted_at``. ``expiring``: those that expire within the hour if they
    are not paid.

    ``swept_at``: when the sweeper last ran; ``is_swept``: that was within the last minute.
    """

    active: int
    confirmed: int
    expired: int
    shipped: int
    released: int
    expiring: int
    is_swept: bool
    swept_at: datetime | None
    counted_at: datetime


def reservation_statistics() -> ReservationStatistics:
    counted = totals.of("inventory", count)
    counts = counted.figures["by_status"]
    soon = Reservation.objects.filter(status=ReservationStatus.RESERVED, paying=False, expires_at__gt=Now())
    recent = Case(When(at__gt=Now() - SWEEP_IS_RECENT, then=True), default=False)
    last = Sweep.objects.annotate(recent=recent).first()
    return ReservationStatistics(
        active=counts[ReservationStatus.RESERVED],
        confirmed=counts[ReservationStatus.CONFIRMED],
        expired=counts[ReservationStatus.EXPIRED],
        shipped=counts[ReservationStatus.SHIPPED],
        released=counts[ReservationStatus.RELEASED],
        expiring=soon.filter(expires_at__lte=Now() + timedelta(hours=1)).count(),
        is_swept=last is not None and last.recent,
        swept_at=None if last is None else last.at,
        counted_at=counted.at,
    )


def count() -> tuple[int, dict[str, Any]]:
    """Of all reservations: how many have which status now, and how many of these are tombstones."""
    by_status = {status.value: 0 for status in ReservationStatus}
    tombstones: dict[str, int] = {}
    dead = Reservation.objects.filter(status=ReservationStatus.RELEASED, fingerprint="").annotate(one=Value(1))
    # in one statement, lest a counter go back; of rows, not of ids, so that the index of statuses is enough
    rows = Reservation.objects.values("status").annotate(
        number=Count("*"), dead=Subquery(dead.values("one").annotate(number=Count("*")).values("number"))
    )
    for row in rows:
        by_status[row["status"]] = row["number"]
        if row["status"] == ReservationStatus.RELEASED:
            tombstones[row["status"]] = row["dead"] or 0
    lapsed = with_current(rows=Reservation.objects.filter(LAPSED))
    for status, number in lapsed.values_list("current").annotate(Count("pk")):
        by_status[status] += number
        by_status[ReservationStatus.RESERVED] -= number
    return sum(by_status.values()), {"by_status": by_status, "tombstones": tombstones}


def order_has_reservation(*, order_id: str) -> bool:
    return Reservation.objects.filter(order_id=order_id).exists()


# -- sums over everything ---------------------------------------------------------------------------------------------


def audit() -> tuple[contracts.Finding, ...]:
    """Stock rows that differ from the ledger, or from the allocations that are open or short.

    Each comparison is one statement, so that sales made meanwhile are not mistaken for differences.
    """
    moved = _sum_of(
        Movement.objects.filter(product_id=OuterRef("product_id"), warehouse=OuterRef("warehouse")), "delta"
    )
    open_units, short_units = (
        _sum_of(Allocation.objects.filter(stock=OuterRef("pk"), state=state), "quantity") for state in HOLDING
    )
    rows = Stock.objects.annotate(moved=moved, open_units=open_units, short_units=short_units).order_by("pk")
    findings = []
    for row in rows.exclude(on_hand=F("moved"), reserved=F("open_units"), owed=F("short_units")).iterator():
        if row.on_hand != row.moved:
            problem = f"on hand is {row.on_hand}, the ledger sums up to {row.moved}"
            findings.append(contracts.Finding(subject=str(row), problem=problem))
        if row.reserved != row.open_units:
            problem = f"reserved is {row.reserved}, open allocations sum up to {row.open_units}"
            findings.append(contracts.Finding(subject=str(row), problem=problem))
        if row.owed != row.short_units:
            problem = f"owed is {row.owed}, short allocations sum up to {row.short_units}"
            findings.append(contracts.Finding(subject=str(row), problem=problem))
    same = Stock.objects.filter(product_id=OuterRef("product_id"), warehouse=OuterRef("warehouse"))
    without_row = Movement.objects.filter(~Exists(same)).values("product_id", "warehouse_id")
    lines = without_row.annotate(total=Sum("delta")).exclude(total=0)
    for line in lines.order_by("product_id", "warehouse_id"):
        subject = f"product {line['product_id']} in {line['warehouse_id']}"
        problem = f"the ledger sums up to {line['total']}, there is no stock row"
        findings.append(contracts.Finding(subject=subject, problem=problem))
    return tuple(findings)


def orders_holding() -> tuple[str, ...]:
    """Our orders with open or short allocations."""
    held = Allocation.objects.filter(state__in=HOLDING, reservation__order_id__startswith=ORDER_PREFIX)
    return tuple(held.values_list("reservation__order_id", flat=True).distinct())


def statistics() -> contracts.Statistics:
    """Counts for the metrics, and the lowest stock rows."""
    counted = totals.of("inventory", count)
    tombstones = counted.figures["tombstones"]  # they never held anything
    owed = dict(_owed())
    return contracts.Statistics(
        holds={status: number - tombstones.get(status, 0) for status, number in counted.figures["by_status"].items()},
        counted_at=counted.at,
        lowest=tuple(
            contracts.Level(product_id=product_id, warehouse=warehouse, available=available)
            for product_id, warehouse, available in _lowest(owing=owed)
        ),
        low=_count_low(owing=owed),
        owed=sum(owed.values()),
    )


@reads
def _owed() -> QuerySet[Stock, tuple[int, int]]:
    """The units that are owed of each product of which some are."""
    return Stock.objects.filter(OWING).order_by().values_list("product_id").annotate(units=Sum("owed"))


_IN_USE = Stock.objects.filter(warehouse__is_active=True)
_LOWEST = 200


def _lowest(*, owing: Collection[int]) -> list[tuple[int, str, int]]:
    """Product, warehouse and available units of stock rows of active warehouses, the lowest first: those that may be
    low, and if they are few, others too."""
    ids = _maybe_low(owing=list(owing))
    if len(ids) < _LOWEST:
        ids += _any_but(ids=ids)[: _LOWEST - len(ids)]
    return _by_available(ids=ids)


@reads
def _maybe_low(*, owing: Collection[int]) -> QuerySet[Stock, int]:
    maybe = _IN_USE.filter(Q(runs_low=True) | Q(product_id__in=owing)).annotate(free=F("on_hand") - F("reserved"))
    return maybe.order_by("free", "pk").values_list("pk", flat=True)[:_LOWEST]


@reads
def _any_but(*, ids: Collection[int]) -> QuerySet[Stock, int]:
    return _IN_USE.exclude(pk__in=ids).order_by("pk").values_list("pk", flat=True)[:_LOWEST]


@reads
def _by_available(*, ids: Collection[int]) -> QuerySet[Any, tuple[int, str, int]]:
    rows = with_available(rows=Stock.objects.filter(pk__in=ids)).order_by("available", "pk")
    return rows.values_list("product_id", "warehouse_id", "available")


def low_rows(*, limit: int) -> list[Any]:
    """At most so many low rows of active warehouses, those with the fewest units available first."""
    return list(low(rows=with_available(rows=Stock.objects.all())).order_by("available", "pk")[:limit])


def count_low() -> int:
    """The rows of active warehouses that run low, less those that units of expired reservations lift above their
    reorder point, and those that are low only because units are owed."""
    return _count_low(owing=_owing())


def _count_low(*, owing: Collection[int]) -> int:
    return sum(_running_low()) - sum(_lifted()) + sum(_lowered(owing=list(owing)))


def _number(rows: QuerySet[Any]) -> QuerySet[Any, int]:
    """How many rows there are; nothing if there is none."""
    counted: QuerySet[Any] = rows.order_by().annotate(one=Value(1)).values("one").annotate(number=Count("pk"))
    return counted.values_list("number", flat=True)


@reads
def _running_low() -> QuerySet[Any, int]:
    return _number(_IN_USE.filter(runs_low=True))


@reads
def _lifted() -> QuerySet[Any, int]:
    expired = Allocation.objects.filter(state=AllocationState.OPEN, reservation__in=Reservation.objects.filter(LAPSED))
    running = _IN_USE.filter(runs_low=True, pk__in=expired.values("stock"))
    return _number(with_available(rows=running).exclude(_IS_LOW))


@reads
def _lowered(*, owing: Collection[int]) -> QuerySet[Any, int]:
    return _number(with_available(rows=_IN_USE.filter(product_id__in=owing, runs_low=False)).filter(_IS_LOW))


# -- the front page's -------------------------------------------------------------------------------------------------


def waiting(*, rows: QuerySet[Reservation], seconds: int | None = None) -> QuerySet[Any]:
    """Reservations that wait for their payment; with ``seconds`` those that end within so many."""
    found = rows.filter(status=ReservationStatus.RESERVED).exclude(LAPSED)
    return found if seconds is None else found.filter(paying=False, expires_at__lte=Now() + timedelta(seconds=seconds))


def holds_alive(*, seconds: int) -> contracts.HoldsAlive:
    rows = Reservation.objects.all()
    return contracts.HoldsAlive(alive=waiting(rows=rows).count(), ending=waiting(rows=rows, seconds=seconds).count())


def stock_days(*, since: date) -> list[StockDay]:
    return list(StockDay.objects.filter(day__gte=since).order_by("day", "currency"))


def on_hand_after(*, product_id: int, limit: int) -> list[tuple[int, int]]:
    """The units on hand of products, by product: those after this one, at most ``limit``."""
    rows = Stock.objects.filter(product_id__gt=product_id).order_by("product_id").values("product_id")
    counted = rows.annotate(units=Sum("on_hand"))
    return [(row["product_id"], int(row["units"])) for row in counted[:limit]]
