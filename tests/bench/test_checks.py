"""The replay's own arithmetic: a check that can't fail would prove nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bench.checks import Bought, Rules, Sale, Stock, percentile, shares

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

RULES = Rules(tax_rate=Decimal("0.05"), shipping_fee=Decimal("10.00"))


def bought(*sales: tuple[int, int, str]) -> Bought:
    return Bought("ORD-1", tuple(Sale(product, units, Decimal(price)) for product, units, price in sales), RULES)


def answer(**changes: Any) -> dict[str, Any]:
    items = [{"product_id": 1, "quantity": 3, "unit_price": "0.70", "line_total": "2.10"}]
    totals = {"subtotal": "2.10", "tax_amount": "0.11", "shipping_amount": "10.00", "order_total": "12.21"}
    return {"items": items, "payment_status": "PAID", **totals, **changes}


def test_tax_is_rounded_half_up_once() -> None:
    assert bought((1, 3, "0.70")).tax == Decimal("0.11")  # 0.105


def test_a_right_answer_has_no_differences() -> None:
    assert bought((1, 3, "0.7")).differences(answer()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"subtotal": "2.11"},
        {"tax_amount": "0.10"},
        {"shipping_amount": "0.00"},
        {"order_total": "12.2"},
        {"payment_status": "PENDING"},
        {"items": []},
        {"items": [{"product_id": 1, "quantity": 3, "unit_price": "0.71", "line_total": "2.10"}]},
        {"items": [{"product_id": 2, "quantity": 3, "unit_price": "0.70", "line_total": "2.10"}]},
    ],
)
def test_a_wrong_answer_is_told(changes: dict[str, Any]) -> None:
    assert len(bought((1, 3, "0.70")).differences(answer(**changes))) == 1


def test_refunds_of_lines_and_tax_up_to_the_last_cent() -> None:
    order = bought((1, 3, "0.70"))
    assert order.take_back({1: 1}, Decimal("0.74")) == []
    assert order.take_back({1: 2}, Decimal("1.47")) == []


@pytest.mark.parametrize(("refund", "right"), [("0.72", False), ("0.73", True), ("0.74", True), ("0.75", False)])
def test_a_share_of_tax_is_rounded_to_a_cent_up_or_down(refund: str, right: bool) -> None:
    found = bought((1, 3, "0.70")).take_back({1: 1}, Decimal(refund))
    assert (found == []) == right


def test_the_last_return_takes_the_remainder() -> None:
    assert bought((1, 3, "0.70")).take_back({1: 3}, Decimal("2.20")) != []


def test_several_prices_leave_a_range() -> None:
    order = bought((1, 1, "1.00"), (1, 1, "2.00"))
    assert order.take_back({1: 1}, Decimal("2.11")) == []
    assert bought((1, 1, "1.00"), (1, 1, "2.00")).take_back({1: 1}, Decimal("2.12")) != []


def test_units_are_accounted_for_one_by_one() -> None:
    stock = Stock(on_hand=7, available=5, received=10, sold=8, returned=2, adjusted=-1)
    assert stock.differences(on_hand=10, available=8) == []
    assert len(stock.differences(on_hand=11, available=8)) == 1
    assert len(stock.differences(on_hand=10, available=7)) == 1


@pytest.mark.parametrize("units", [0, 1, 10, 11, 12, 13, 100, 80_995])
def test_shares_are_whole(units: int) -> None:
    assert sum(shares(units)) == units
    assert min(shares(units)) >= 0


def test_percentiles() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.0
    assert percentile([float(value) for value in range(1, 101)], 95) == 95.0
    assert percentile([], 95) == 0.0
