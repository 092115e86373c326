"""Inventory's contract, answered in this process: rows become contracts here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from functools import partial
from typing import Any

from contexts.inventory import models, selectors
from contexts.inventory.public.contracts import (
    Allocation,
    AllocationState,
    DayValue,
    Demand,
    Finding,
    HoldsAlive,
    Inventory,
    Ledger,
    LowRow,
    Reservation,
    ReservationStatus,
    Returned,
    Statistics,
    StockLevel,
    WarehouseRecord,
)
from contexts.inventory.selectors import Part, ReservationView
from contexts.inventory.services import holds, proof, stock
from eci import money
from eci.trail import TellsTrail

ACTOR = "orders"
_STATUSES = {status.value: status for status in ReservationStatus}  # quicker than the enumerations themselves
_STATES = {state.value: state for state in AllocationState}


def reservation(rows: ReservationView) -> Reservation:
    row = rows.reservation
    return Reservation(
        reservation_id=row.id,
        key=row.key,
        order_id=row.order_id,
        status=_STATUSES[row.status],
        paying=row.paying,
        warehouse=rows.warehouse,
        choice=row.choice,
        allocations=tuple(map(allocation, rows.allocations)),
        expires_at=rows.expires_at,
        needs_attention=row.needs_attention,
        why=row.why,
        actor=row.actor,
    )


def allocation(row: models.Allocation | Part) -> Allocation:
    return Allocation(
        product_id=row.product_id,
        warehouse=row.warehouse_id,
        quantity=row.quantity,
        state=_STATES[row.state],
        moved_from=tuple(sorted(row.moved_from or ())),
    )


def day_value(row: models.StockDay) -> DayValue:
    value = money.from_minor(row.value_minor, row.currency)
    return DayValue(day=row.day, currency=row.currency, units=row.units, value=value)


def stock_level(row: Any) -> StockLevel:
    return StockLevel(
        inventory_id=row.pk,
        warehouse=row.warehouse_id,
        is_open=row.warehouse.is_active,
        on_hand=row.on_hand,
        reserved=row.held,
        owed=row.owed,
        available=row.available,
        reorder_point=row.reorder_point,
    )


def low_row(row: Any) -> LowRow:
    return LowRow(
        inventory_id=row.pk,
        product_id=row.product_id,
        warehouse=row.warehouse_id,
        on_hand=row.on_hand,
        available=row.available,
        reorder_point=row.reorder_point,
    )


def units(items: Iterable[Demand]) -> dict[int, int]:
    """Units by product: two lines of one product are one demand."""
    total: dict[int, int] = defaultdict(int)
    for item in items:
        total[item.product_id] += item.quantity
    return dict(total)


class LocalInventory(TellsTrail, Inventory):
    context = "inventory"

    def reserve(
        self,
        *,
        order_id: str,
        key: str,
        items: tuple[Demand, ...],
        seconds: int,
        paying: bool = False,
        again: bool = False,
    ) -> Reservation:
        reserve = partial(holds.reserve, again=True) if again else holds.reserve_new
        return reservation(
            reserve(key=key, order_id=order_id, demand=units(items), seconds=seconds, paying=paying, actor=ACTOR)
        )

    def require_available(self, *, items: tuple[Demand, ...]) -> None:
        selectors.require_available(demand=units(items))

    def confirm(self, *, key: str) -> Reservation:
        return reservation(holds.confirm(key=key, actor=ACTOR))

    def mark_paying(self, *, key: str) -> Reservation:
        return reservation(holds.mark_paying(key=key))

    def stop_paying(self, *, key: str, seconds: int) -> Reservation:
        return reservation(holds.stop_paying(key=key, seconds=seconds))

    def release(self, *, key: str, order_id: str, actor: str = ACTOR) -> Reservation:
        return reservation(holds.release(key=key, tombstone_for=order_id, actor=actor))

    def ship(self, *, key: str, warehouse: str | None = None, actor: str = ACTOR, left: bool = False) -> Reservation:
        return reservation(holds.ship(key=key, warehouse=warehouse, actor=actor, left=left))

    def accept_moves(self, *, key: str) -> Reservation:
        return reservation(holds.accept_moves(key=key))

    def give_up(self, *, key: str, warehouse: str, actor: str = ACTOR) -> Reservation:
        return reservation(holds.give_up(key=key, warehouse=warehouse, actor=actor))

    def restock(
        self,
        *,
        order_id: str,
        reference: str,
        items: tuple[Demand, ...],
        disposition: str,
        actor: str = ACTOR,
        warehouse: str = "",
    ) -> None:
        stock.restock(
            order_id=order_id,
            reference=reference,
            returned=units(items),
            disposition=disposition,
            actor=actor,
            warehouse=warehouse,
        )

    def restock_plan(self, *, order_id: str, returned: tuple[Returned, ...]) -> tuple[Returned, ...]:
        return selectors.restock_plan(order_id=order_id, returned=returned)

    def warehouses(self) -> tuple[WarehouseRecord, ...]:
        return tuple(
            WarehouseRecord(code=row.pk, name=row.name, is_active=row.is_active) for row in selectors.all_warehouses()
        )

    def reservations(self, *, keys: Iterable[str]) -> dict[str, Reservation]:
        return {key: reservation(rows) for key, rows in selectors.reservations_by_key(keys=keys).items()}

    def orders_holding(self) -> tuple[str, ...]:
        return selectors.orders_holding()

    def low(self) -> int:
        return selectors.count_low()

    def low_rows(self, *, limit: int) -> tuple[LowRow, ...]:
        return tuple(map(low_row, selectors.low_rows(limit=limit)))

    def stock_of(self, *, product_id: int) -> tuple[StockLevel, ...]:
        return tuple(map(stock_level, selectors.rows_of_product(product_id=product_id)))

    def in_stock(self) -> tuple[int, ...]:
        return selectors.products_in_stock()

    def holds_alive(self, *, seconds: int) -> HoldsAlive:
        return selectors.holds_alive(seconds=seconds)

    def value_by_day(self, *, since: date) -> tuple[DayValue, ...]:
        return tuple(map(day_value, selectors.stock_days(since=since)))

    def statistics(self) -> Statistics:
        return selectors.statistics()

    def audit(self) -> tuple[Finding, ...]:
        return selectors.audit()

    def ledger(self) -> Ledger:
        return proof.state()
