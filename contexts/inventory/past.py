"""Stock as of an instant: exact, from the ledger and the times of the holds.

A change counts from its own instant on. The movements and times of one transaction have the same one
(``parts.instant``), so no change is ever seen in part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import CharField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.fields import BigIntegerField
from django.db.models.functions import Cast, Coalesce

from contexts.inventory.domain import SPAN, SPANS
from contexts.inventory.models import Allocation, HistoryStart, Movement, PastHold, Stock, Warehouse, WarehouseChange
from contexts.inventory.public.contracts import AllocationState
from contexts.inventory.selectors import HOLDING
from eci.paging import Paging

Place = tuple[int, int, str]  # a stock row, its product and its warehouse
Count = tuple[int, int, str, int]  # a product, a stock row, a kind of units and how many of them
_ON_HAND = "ON_HAND"


@dataclass(frozen=True, kw_only=True)
class StockThen:
    """A stock row as it was. ``reserved``, ``owed`` and ``available`` are None before ``holds_known_from``.

    Holds that had run out count for nothing. ``available`` is 0 if the warehouse was not active.
    """

    stock_id: int
    product_id: int
    warehouse: str
    on_hand: int
    reserved: int | None
    owed: int | None
    available: int | None


def holds_known_from() -> datetime | None:
    """Since when holds keep their times; None if they always have. On hand is known from the first movement on."""
    start = HistoryStart.objects.first()
    return start.at if start else None


def product_as_of(*, product_id: int, moment: datetime) -> list[StockThen]:
    """What each warehouse had of the product, by code. Before the first movement that is nothing."""
    return _products_as_of([product_id], moment)


def stock_rows(*, paging: Paging, warehouse: str | None) -> list[Stock]:
    """The rows of a page of ``rows_as_of``."""
    rows = Stock.objects.all()
    return paging.slice(rows if warehouse is None else rows.filter(warehouse=warehouse))


def rows_as_of(*, rows: Sequence[Stock], moment: datetime) -> list[StockThen]:
    """These stock rows, in their order."""
    found = {one.stock_id: one for one in _products_as_of({row.product_id for row in rows}, moment)}
    return [found[row.pk] for row in rows]


def _products_as_of(product_ids: Collection[int], moment: datetime) -> list[StockThen]:
    rows = Stock.objects.filter(product_id__in=product_ids).order_by("product_id", "warehouse_id")
    places = list(rows.values_list("pk", "product_id", "warehouse_id"))
    ids = [pk for pk, *_ in places]
    counts = _counts(Stock.objects.filter(pk__in=ids), Q(stock__in=ids), Q(row__in=ids), moment)
    return _as_of(places, counts, moment)


def warehouse_as_of(*, warehouse: str, moment: datetime) -> list[StockThen]:
    """All stock rows of the warehouse, by product. They may be 100,000."""
    rows = Stock.objects.filter(warehouse=warehouse)
    here = Q(stock__warehouse=warehouse)
    counts = _counts(rows, here | Q(state=AllocationState.SHORT), here, moment)  # and what is owed elsewhere
    return _as_of(rows.order_by("product_id").values_list("pk", "product_id", "warehouse_id"), counts, moment)


def _as_of(places: Iterable[Place], counts: Iterable[Count], moment: datetime) -> list[StockThen]:
    units: dict[str, dict[int, int]] = {kind: defaultdict(int) for kind in (_ON_HAND, *HOLDING)}
    owed: dict[int, int] = defaultdict(int)
    for product_id, stock_id, kind, count in counts:
        units[kind][stock_id] += count
        if kind == AllocationState.SHORT:
            owed[product_id] += count
    start, closed = holds_known_from(), _closed(moment)
    is_known = start is None or moment >= start

    def then(stock_id: int, product_id: int, warehouse: str) -> StockThen:
        on_hand, reserved = units[_ON_HAND][stock_id], units[AllocationState.OPEN][stock_id]
        free = 0 if warehouse in closed else max(0, on_hand - reserved - owed[product_id])
        return StockThen(
            stock_id=stock_id,
            product_id=product_id,
            warehouse=warehouse,
            on_hand=on_hand,
            reserved=reserved if is_known else None,
            owed=units[AllocationState.SHORT][stock_id] if is_known else None,
            available=free if is_known else None,
        )

    return [then(*place) for place in places]


def _counts(rows: QuerySet[Stock], concerned: Q, ended: Q, moment: datetime) -> Iterable[Count]:
    """``concerned``: the holds of these rows, of which ``ended`` are those that may have ended.

    One statement, for a hold that ends meanwhile is in one place only.
    """
    last = Movement.objects.filter(product_id=OuterRef("product_id"), warehouse=OuterRef("warehouse"), at__lte=moment)
    on_hand = rows.annotate(
        kind=Value(_ON_HAND, output_field=CharField()),
        units=Coalesce(Subquery(last.order_by("-at", "-pk").values("on_hand")[:1]), 0, output_field=BigIntegerField()),
    )
    begun = Q(since__lte=moment)
    alive = Q(lapses_at=None) | Q(lapses_at__gt=moment)
    holding = Allocation.objects.filter(begun, alive, concerned, until=None, state__in=HOLDING)
    # A sum hides the row from planners: an index by it would have all holds that the row ever had.
    closed = Allocation.objects.alias(row=F("stock_id") + 0).filter(begun, _ended_after(moment), ended)
    before = PastHold.objects.filter(begun, concerned, until__gt=moment)
    return (
        on_hand.order_by()
        .values_list("product_id", "pk", "kind", "units")
        .union(
            _summed(holding, F("state")),
            _summed(closed, Value(AllocationState.OPEN.value)),
            _summed(before, F("state")),
            all=True,
        )
    )


def _ended_after(moment: datetime) -> Q:
    """Of allocations that began before. One that lasted for less than some seconds ended in as many after the moment:
    so an index has few others to pass by."""
    spans = (Q(lasted=n, until__gt=moment, until__lt=moment + timedelta(seconds=SPAN**n)) for n in range(SPANS))
    return reduce(or_, spans)


def _summed(holds: QuerySet[Any], kind: Any) -> QuerySet[Any, Any]:
    summed: QuerySet[Any, Any] = (
        holds.annotate(kind=Cast(kind, CharField()))
        .values_list("stock__product_id", "stock_id", "kind")
        .annotate(units=Sum("quantity"))
    )
    return summed


def _closed(moment: datetime) -> set[str]:
    """The warehouses that were not active: before a change, a warehouse was what it then ceased to be."""
    closed = set(Warehouse.objects.filter(is_active=False).values_list("pk", flat=True))
    later = WarehouseChange.objects.filter(at__gt=moment).order_by("-at", "-pk")
    for code, became_active in later.values_list("warehouse_id", "is_active"):
        closed = closed | {code} if became_active else closed - {code}
    return closed
