"""Reads of stock, holds and the ledger. A hold past its time counts for nothing in any of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.fields import BigIntegerField
from django.db.models.functions import Coalesce, Now

from contexts.inventory.domain import Shelf, require_enough, settled
from contexts.inventory.models import Allocation, Movement, Reservation, Stock, Sweep, Warehouse
from contexts.inventory.public import contracts
from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from eci.ids import ORDER_PREFIX
from eci.paging import Paging

LAPSED = Q(status=ReservationStatus.RESERVED, paying=False, expires_at__lte=Now())
SWEEP_IS_RECENT = timedelta(minutes=1)
FIRM = (ReservationStatus.CONFIRMED, ReservationStatus.SHIPPED)


def _sum_of(rows: QuerySet[Any], field: str) -> Coalesce:
    """The sum of ``field`` over rows that refer to an outer query, 0 without any."""
    total = rows.order_by().annotate(one=Value(1)).values("one").annotate(total=Sum(field)).values("total")
    return Coalesce(Subquery(total), 0, output_field=BigIntegerField())


def with_lapsed(rows: QuerySet[Stock]) -> QuerySet[Any]:
    """Stock rows with ``lapsed``: units that expired holds still claim of them until somebody tidies up."""
    lapsed = Allocation.objects.filter(stock=OuterRef("pk"), lapses_at__lte=Now())
    return rows.annotate(lapsed=_sum_of(lapsed, "quantity"))


def balances(rows: QuerySet[Stock]) -> QuerySet[Any]:
    """Stock rows with ``held`` and ``available``: an inactive warehouse has nothing available."""
    counted: QuerySet[Any] = with_lapsed(rows).annotate(
        held=ExpressionWrapper(F("reserved") - F("lapsed"), output_field=BigIntegerField()),
        available=Case(
            When(warehouse__is_active=True, then=F("on_hand") - F("reserved") + F("lapsed")),
            default=Value(0),
            output_field=BigIntegerField(),
        ),
    )
    return counted


_SHELVES: QuerySet[Any] = (  # made once: building it costs as much as asking it
    with_lapsed(Stock.objects.filter(warehouse__is_active=True))
    .annotate(now=Now())
    .select_related("warehouse")
    .order_by("pk")
)


def shelves(product_ids: Iterable[int]) -> QuerySet[Any]:
    """Stock rows that these products may be taken from, with ``lapsed`` and the database's ``now``."""
    return _SHELVES.filter(product_id__in=list(product_ids))


def as_shelf(row: Any) -> Shelf:
    return Shelf(
        stock_id=row.pk,
        product_id=row.product_id,
        warehouse=row.warehouse_id,
        priority=row.warehouse.priority,
        available=row.on_hand - row.reserved + row.lapsed,
    )


def require_available(*, demand: Mapping[int, int]) -> None:
    """As the contract says."""
    require_enough(demand, [as_shelf(row) for row in shelves(demand)])


def stock_rows(paging: Paging, *, product_id: int | None, warehouse: str | None, low_stock: bool | None) -> list[Stock]:
    rows = balances(Stock.objects.all())
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    if warehouse is not None:
        rows = rows.filter(warehouse_id=warehouse)
    if low_stock is not None:
        low = Q(available__lt=F("reorder_point"))
        rows = rows.filter(low if low_stock else ~low)
    return paging.slice(rows)


def stock_row(*, inventory_id: int) -> Stock | None:
    return balances(Stock.objects.filter(pk=inventory_id)).first()


def availability(*, product_ids: Iterable[int]) -> dict[int, list[Stock]]:
    """Each product's stock rows, by warehouse code; products without any have an empty list."""
    found: dict[int, list[Stock]] = {product_id: [] for product_id in product_ids}
    for row in balances(Stock.objects.filter(product_id__in=list(found))).order_by("product_id", "warehouse_id"):
        found[row.product_id].append(row)
    return found


def products_without_stock(*, product_ids: Iterable[int]) -> set[int]:
    ids = set(product_ids)
    return ids - set(Stock.objects.filter(product_id__in=ids).values_list("product_id", flat=True))


def warehouses(paging: Paging) -> list[Warehouse]:
    return paging.slice(Warehouse.objects.all())


def unknown_warehouses(*, codes: Iterable[str]) -> set[str]:
    wanted = set(codes)
    return wanted - set(Warehouse.objects.filter(pk__in=wanted).values_list("pk", flat=True))


def movements(paging: Paging, *, product_id: int | None, warehouse: str | None, order_id: str | None) -> list[Movement]:
    rows = Movement.objects.all()
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    if warehouse is not None:
        rows = rows.filter(warehouse_id=warehouse)
    if order_id is not None:
        rows = rows.filter(order_id=order_id)
    return paging.slice(rows)


def with_current(rows: QuerySet[Reservation]) -> QuerySet[Any]:
    """Holds with ``current``: their status as it counts now, whether or not the sweeper has been there."""
    partly_shipped = Allocation.objects.filter(reservation=OuterRef("pk"), state=AllocationState.SHIPPED)
    counted: QuerySet[Any] = rows.annotate(
        current=Case(
            When(LAPSED & Exists(partly_shipped), then=Value(ReservationStatus.SHIPPED)),
            When(LAPSED, then=Value(ReservationStatus.EXPIRED)),
            default=F("status"),
            output_field=CharField(),
        )
    )
    return counted


def reservation_rows(
    paging: Paging, *, status: str | None, order_id: str | None
) -> list[tuple[Reservation, contracts.Reservation]]:
    rows = with_current(Reservation.objects.all())
    if order_id is not None:
        rows = rows.filter(order_id=order_id)
    if status is not None:
        rows = rows.filter(status__in=(status, ReservationStatus.RESERVED), current=status)
    return [(row, _as_read(row)) for row in paging.slice(_with_parts(rows))]


def reservation(*, reservation_id: int) -> contracts.Reservation | None:
    rows = with_current(Reservation.objects.filter(pk=reservation_id))
    return next((_as_read(row) for row in _with_parts(rows)), None)


def reservations_by_key(*, keys: Iterable[str]) -> dict[str, contracts.Reservation]:
    rows = with_current(Reservation.objects.filter(key__in=list(keys)))
    return {row.key: _as_read(row) for row in _with_parts(rows)}


def _with_parts(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With allocations and their stock, joined: prefetching the stock would ask SQLite for 1,000 ids by OR, one too
    many for it."""
    return rows.prefetch_related(Prefetch("allocations", Allocation.objects.select_related("stock")))


def _as_read(row: Any) -> contracts.Reservation:
    allocations = list(row.allocations.all())
    if row.current != row.status:
        lapse(row, allocations)
    return as_contract(row, allocations)


def lapse(row: Reservation, allocations: list[Allocation]) -> None:
    """Give a hold whose time has run out, in memory, the states that tidying up will write."""
    for allocation in allocations:
        if allocation.state == AllocationState.OPEN:
            allocation.state = AllocationState.EXPIRED
    row.status = settled(allocation.state for allocation in allocations) or row.status


def as_contract(row: Reservation, allocations: list[Allocation]) -> contracts.Reservation:
    """The hold as these objects say. ``allocations`` come with their stock rows."""
    places = {allocation.stock.warehouse_id for allocation in allocations}
    return contracts.Reservation(
        reservation_id=row.pk,
        key=row.key,
        order_id=row.order_id,
        status=ReservationStatus(row.status),
        paying=row.paying,
        warehouse=next(iter(places)) if len(places) == 1 else None,
        choice=row.choice,
        allocations=tuple(
            contracts.Allocation(
                product_id=allocation.stock.product_id,
                warehouse=allocation.stock.warehouse_id,
                quantity=allocation.quantity,
                state=AllocationState(allocation.state),
            )
            for allocation in sorted(allocations, key=lambda allocation: allocation.stock_id)
        ),
        expires_at=None if row.status in FIRM else row.expires_at,
        needs_attention=row.needs_attention,
    )


def reservation_statistics() -> dict[str, Any]:
    soon = Q(current=ReservationStatus.RESERVED, paying=False, expires_at__lte=Now() + timedelta(hours=1))
    counts = with_current(Reservation.objects.all()).aggregate(
        active=Count("pk", filter=Q(current=ReservationStatus.RESERVED)),
        confirmed=Count("pk", filter=Q(current=ReservationStatus.CONFIRMED)),
        expired=Count("pk", filter=Q(current=ReservationStatus.EXPIRED)),
        shipped=Count("pk", filter=Q(current=ReservationStatus.SHIPPED)),
        released=Count("pk", filter=Q(current=ReservationStatus.RELEASED)),
        expiring=Count("pk", filter=soon),
    )
    recent = Case(When(at__gt=Now() - SWEEP_IS_RECENT, then=True), default=False)
    last = Sweep.objects.annotate(recent=recent).first()
    return {
        "reservation_stats": {
            f"{name}_reservations": counts[name] for name in ("active", "confirmed", "expired", "shipped", "released")
        },
        "expiring_in_1_hour": counts["expiring"],
        "cleanup_active": last is not None and last.recent,
        "last_cleanup_at": None if last is None else last.at,
    }


def audit() -> tuple[contracts.Finding, ...]:
    """Stock rows at odds with the ledger or with the holds. Each book is compared within one statement, so that sales
    going on meanwhile are not mistaken for differences."""
    moved = _sum_of(
        Movement.objects.filter(product_id=OuterRef("product_id"), warehouse=OuterRef("warehouse")), "delta"
    )
    open_units = _sum_of(Allocation.objects.filter(stock=OuterRef("pk"), state=AllocationState.OPEN), "quantity")
    rows = Stock.objects.annotate(moved=moved, open_units=open_units).order_by("pk")
    findings = []
    for row in rows.exclude(on_hand=F("moved"), reserved=F("open_units")).iterator():
        if row.on_hand != row.moved:
            problem = f"on hand is {row.on_hand}, the ledger sums up to {row.moved}"
            findings.append(contracts.Finding(subject=str(row), problem=problem))
        if row.reserved != row.open_units:
            problem = f"reserved is {row.reserved}, open holds are {row.open_units}"
            findings.append(contracts.Finding(subject=str(row), problem=problem))
    place = Stock.objects.filter(product_id=OuterRef("product_id"), warehouse=OuterRef("warehouse"))
    astray = Movement.objects.filter(~Exists(place)).values("product_id", "warehouse_id").annotate(total=Sum("delta"))
    for line in astray.exclude(total=0).order_by("product_id", "warehouse_id"):
        subject = f"product {line['product_id']} in {line['warehouse_id']}"
        problem = f"the ledger sums up to {line['total']}, there is no row"
        findings.append(contracts.Finding(subject=subject, problem=problem))
    return tuple(findings)


def order_has_hold(*, order_id: str) -> bool:
    return Reservation.objects.filter(order_id=order_id).exists()


def orders_holding() -> tuple[str, ...]:
    """Our orders with open allocations."""
    held = Allocation.objects.filter(state=AllocationState.OPEN, reservation__order_id__startswith=ORDER_PREFIX)
    return tuple(held.values_list("reservation__order_id", flat=True).distinct())


def statistics(limit: int = 200) -> contracts.Statistics:
    made = Reservation.objects.exclude(fingerprint="")  # without the tombstones of holds that never were
    written = Counter(dict(made.values_list("status").annotate(Count("pk"))))
    lapsed = Counter(dict(with_current(made.filter(LAPSED)).values_list("current").annotate(Count("pk"))))
    written[ReservationStatus.RESERVED] -= lapsed.total()
    rows = balances(Stock.objects.filter(warehouse__is_active=True))
    lowest = rows.order_by("available", "pk")[:limit]
    return contracts.Statistics(
        holds={status.value: written[status] + lapsed[status] for status in ReservationStatus},
        lowest=tuple(
            contracts.Level(product_id=row.product_id, warehouse=row.warehouse_id, available=row.available)
            for row in lowest
        ),
        low=rows.filter(available__lt=F("reorder_point")).count(),
    )
