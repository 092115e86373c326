"""The event when a stock row becomes low: once for each time, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contexts.inventory.models import OutboxEvent, Stock
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import InsufficientStock
from contexts.inventory.services import counts, holds, stock, sweeping

CROSSED = "inventory.stock_low.v1"


def told() -> list[tuple[str, int, int, int]]:
    """Warehouse, on hand, available and reorder point of each event since the last call."""
    found = OutboxEvent.objects.filter(name=CROSSED).order_by("pk")
    facts = [one.payload for one in found]
    found.delete()
    return [(one["warehouse"], one["on_hand"], one["available"], one["reorder_point"]) for one in facts]


def reserve(product_id: int, quantity: int, key: str, **more: Any) -> None:
    demand = {product_id: quantity}
    holds.reserve(key=key, order_id=f"X-{key}", demand=demand, seconds=600, paying=True, **more)


def test_once_for_each_crossing(stocked: Callable[..., int], statements: Any) -> None:
    product_id = stocked(A=12)
    assert told() == [], "what never had enough has not become low"
    with statements() as above:
        reserve(product_id, 2, "to-the-point")
    assert told() == []
    with statements() as crossing:
        reserve(product_id, 1, "below")
    assert told() == [("A", 12, 9, 10)]
    reserve(product_id, 1, "further")
    holds.ship(key="below", actor="t")
    assert told() == []
    assert crossing.total == above.total + 1
    holds.release(key="further")
    holds.release(key="to-the-point")
    assert told() == []
    reserve(product_id, 2, "again")
    assert told() == [("A", 11, 9, 10)]


def test_an_expired_hold_was_not_there(stocked: Callable[..., int], run_out: Callable[[str], None]) -> None:
    product_id = stocked(A=12)
    holds.reserve(key="old", order_id="X-1", demand={product_id: 5}, seconds=600)
    assert told() == [("A", 12, 7, 10)]
    run_out("old")
    reserve(product_id, 3, "new")
    assert told() == [("A", 12, 9, 10)]
    sweeping.sweep_batch()
    assert told() == []


def test_what_is_refused_is_not_told(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=12)
    with pytest.raises(InsufficientStock):
        reserve(product_id, 13, "too-much")
    assert told() == []


def test_every_door_tells(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=12, B=12)
    a, b = Stock.objects.filter(product_id=product_id).order_by("warehouse_id")
    counted: dict[str, Any] = {"reason": "count", "force": True, "actor": "t"}

    def on_hand(row: Stock, units: int) -> None:
        stock.count(inventory_id=row.pk, on_hand=units, reorder_point=None, **counted)

    def record(units: int) -> None:
        one = counts.Counted(product=product_id, product_id=product_id, warehouse="A", units=units)
        counts.record(counts=[one], add=False, partial=False, reason="count", actor="t")

    on_hand(a, 9)
    assert told() == [("A", 9, 9, 10)]
    on_hand(a, 12)
    stock.adjust(product_id=product_id, warehouse="A", delta=-4, reason="lost", actor="t")
    assert told() == [("A", 8, 8, 10)]
    record(12)
    record(7)
    assert told() == [("A", 7, 7, 10)]
    stock.transfer(product_id=product_id, from_warehouse="B", to_warehouse="A", quantity=5, actor="t")
    assert told() == [("B", 7, 7, 10)]
    stock.transfer_all(units={product_id: 5}, from_warehouse="A", to_warehouse="B", actor="t")
    assert told() == [("A", 7, 7, 10)]
    stock.count(inventory_id=b.pk, on_hand=None, reorder_point=13, **counted)
    assert told() == [("B", 12, 12, 13)]
    stock.count(inventory_id=b.pk, on_hand=None, reorder_point=10, **counted)
    reserve(product_id, 5, "paid", warehouse="A")
    told()
    on_hand(a, 0)
    assert told() == [("B", 12, 7, 10)], "what is owed in A is kept from buyers in B"


def test_a_closed_warehouse_tells_nothing(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=12)
    stock.update_warehouse(code="A", is_active=False, actor="t")
    stock.adjust(product_id=product_id, warehouse="A", delta=-4, reason="lost", actor="t")
    assert told() == []


def test_the_rows_that_are_low(stocked: Callable[..., int]) -> None:
    first, second = stocked(A=9, B=12), stocked(A=3)
    rows = inventory.low_rows(limit=10)
    assert [(row.product_id, row.warehouse, row.available, row.reorder_point) for row in rows] == [
        (second, "A", 3, 10),
        (first, "A", 9, 10),
    ]
    assert inventory.low_rows(limit=1) == rows[:1]
    assert inventory.low() == 2
