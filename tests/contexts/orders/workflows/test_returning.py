"""Returns after delivery: units are restocked and refunded, and an order returned whole ends so."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.orders import services
from tests.support.shop import Shop


def test_returns_restock_refund_and_end_returned(shop: Shop) -> None:
    order = shop.order(3).data  # 299.97 + 15.00 tax + 10.00
    path = f"/v1/orders/{order['order_id']}/returns"
    one = [{"product_id": shop.product_id, "quantity": 1}]
    first = shop.api.post(path, {"items": one, "reason": "too bright"}, key="r1")
    assert (first.status, first.data["refund"]) == (201, "104.99")
    again = shop.api.post(path, {"items": one, "reason": "too bright"}, key="r1")
    assert (again.status, again.data) == (201, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert shop.stock() == (98, 0, 98)
    shown = shop.read(order["order_id"])
    assert (shown["payment_status"], shown["refunded_amount"]) == ("PARTIALLY_REFUNDED", "104.99")

    too_many = shop.api.post(path, {"items": [{"product_id": shop.product_id, "quantity": 3}], "reason": "x"})
    assert (too_many.status, too_many.code) == (409, "return_exceeds_shipped")
    assert too_many.details["items"] == [{"product_id": shop.product_id, "requested": 3, "returnable": 2}]

    damaged = shop.api.post(path, {"items": one, "reason": "broke", "disposition": "damaged"})
    lost = shop.api.post(path, {"items": one, "reason": "lost", "disposition": "lost"})
    assert (damaged.data["refund"], lost.data["refund"]) == ("104.99", "104.99")
    assert shop.stock() == (98, 0, 98)
    shop.api.settle()
    after = shop.read(order["order_id"])
    assert (after["status"], after["refunded_amount"]) == ("RETURNED", "314.97")
    movements = shop.api.get(f"/v1/inventory/movements?order_id={order['order_id']}").data
    assert sorted(m["delta"] for m in movements) == [-3, -1, -1, 1, 1, 1]
    assert shop.notices(order["order_id"]).count("refund") == 3


def test_the_last_return_takes_the_remainder_of_the_tax(shop: Shop) -> None:
    items = [{"product_id": shop.product_id, "quantity": 3, "unit_price": "0.33"}]  # 0.99, tax 0.05
    order = shop.api.post("/v1/orders", {"customer_id": shop.customer_id, "items": items}).data
    path = f"/v1/orders/{order['order_id']}/returns"
    refunds = [
        shop.api.post(path, {"items": [{"product_id": shop.product_id, "quantity": 1}], "reason": "r"}).data["refund"]
        for _ in range(3)
    ]
    assert refunds == ["0.35", "0.34", "0.35"]


def test_before_shipping_nothing_can_be_returned(shop: Shop) -> None:
    order = shop.order(fulfilment="warehouse").data
    items = [{"product_id": shop.product_id, "quantity": 1}]
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/returns", {"items": items, "reason": "r"})
    assert (answer.status, answer.code) == (409, "invalid_transition")


def test_a_return_after_a_refund_by_hand_gives_what_is_left_but_never_the_shipping_fee(shop: Shop) -> None:
    order = shop.order(1).data  # 99.99 + 5.00 + 10.00
    payment = order["payments"][0]["payment_id"]
    shop.api.post(f"/v1/payments/{payment}/refund", {"amount": "100.00", "reason": "gesture"})
    items = [{"product_id": shop.product_id, "quantity": 1}]
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/returns", {"items": items, "reason": "r"})
    assert (answer.status, answer.data["refund"]) == (201, "4.99")
    shop.api.settle()
    after = shop.read(order["order_id"])
    assert (after["payment_status"], after["refunded_amount"]) == ("PARTIALLY_REFUNDED", "104.99")


def test_a_return_after_everything_was_refunded_by_hand_gives_nothing(shop: Shop) -> None:
    order = shop.order(1).data
    payment = order["payments"][0]["payment_id"]
    shop.api.post(f"/v1/payments/{payment}/refund", {"reason": "gesture"})
    items = [{"product_id": shop.product_id, "quantity": 1}]
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/returns", {"items": items, "reason": "r"})
    assert (answer.status, answer.data["refund"]) == (201, "0.00")
    assert shop.read(order["order_id"])["status"] == "RETURNED"


def test_a_refund_by_hand_in_the_middle_of_a_return_leaves_the_shipping_fee(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = shop.order(1).data
    payment = order["payments"][0]["payment_id"]
    fix = services.fix_refund

    def refund_after(**asked: Any) -> int:
        monkeypatch.setattr(services, "fix_refund", fix)
        fixed = fix(**asked)
        shop.api.post(f"/v1/payments/{payment}/refund", {"amount": "100.00", "reason": "gesture"})
        return fixed

    monkeypatch.setattr(services, "fix_refund", refund_after)
    items = [{"product_id": shop.product_id, "quantity": 1}]
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/returns", {"items": items, "reason": "r"})
    assert (answer.status, answer.data["refund"]) == (201, "4.99")


def test_a_refund_by_staff_shows_on_the_order(shop: Shop) -> None:
    order = shop.order().data
    payment = order["payments"][0]["payment_id"]
    assert shop.api.post(f"/v1/payments/{payment}/refund", {"amount": 5, "reason": "late"}).status == 200
    shop.api.settle()
    after = shop.read(order["order_id"])
    assert (after["payment_status"], after["refunded_amount"]) == ("PARTIALLY_REFUNDED", "5.00")
    assert "refunded" in [entry["event"] for entry in after["timeline"]]
    assert shop.notices(order["order_id"]) == ["order_confirmation", "refund", "shipping_confirmation"]
