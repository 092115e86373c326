"""Orders that are cancelled: stock and money go back, whatever was done before."""

from __future__ import annotations

import pytest

from tests.support.shop import Shop, charge


def test_cancelling_a_paid_order_gives_stock_and_money_back(shop: Shop) -> None:
    order = shop.order(fulfilment="warehouse").data
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {"reason": "changed my mind"})
    assert (answer.status, answer.data["status"], answer.data["payment_status"]) == (200, "CANCELLED", "REFUNDED")
    assert answer.data["refunded_amount"] == order["order_total"]
    assert [s["status"] for s in answer.data["shipments"]] == ["CANCELLED"]
    assert shop.stock() == (100, 0, 100)
    assert shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {}).status == 200
    assert shop.notices(order["order_id"]) == ["order_cancellation", "order_confirmation", "refund"]


def test_cancel_refunds_only_what_is_left(shop: Shop) -> None:
    order = shop.order(fulfilment="warehouse").data
    payment = order["payments"][0]["payment_id"]
    shop.api.post(f"/v1/payments/{payment}/refund", {"amount": "19.98", "reason": "late"})
    shop.api.settle()
    assert shop.read(order["order_id"])["payment_status"] == "PARTIALLY_REFUNDED"
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {})
    assert answer.data["payment_status"] == "REFUNDED"
    assert answer.data["payments"][0]["refunded"] == order["order_total"]


def test_an_order_that_has_left_cannot_be_cancelled(shop: Shop) -> None:
    order = shop.order().data
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {})
    assert (answer.status, answer.code) == (409, "invalid_transition")
    assert shop.read(order["order_id"])["status"] == "SHIPPED"


def test_a_partly_dispatched_order_cannot_be_cancelled_and_goes_on(shop: Shop) -> None:
    order = shop.order(8, product_id=shop.other_id, fulfilment="warehouse").data
    first, second = order["shipments"]
    shop.api.patch(f"/v1/shipments/{first['shipment_id']}", {"status": "SHIPPED"})
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {})
    assert (answer.status, answer.code) == (409, "invalid_transition")
    shop.api.patch(f"/v1/shipments/{second['shipment_id']}", {"status": "SHIPPED"})
    assert shop.read(order["order_id"])["status"] == "SHIPPED"


def test_the_key_of_a_cancel_that_waits_is_bound(shop: Shop) -> None:
    order_id = shop.order(payment={"token": "tok_timeout"}).data["order_id"]
    path = f"/v1/orders/{order_id}/cancel"
    first = shop.api.post(path, {"reason": "a"}, key="c")
    again = shop.api.post(path, {"reason": "a"}, key="c")
    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (202, 202, "true")
    assert shop.api.post(path, {"reason": "b"}, key="c").status == 422
    shop.api.hasten()
    shop.api.settle()
    done = [shop.api.post(path, {"reason": "a"}, key="c") for _ in range(2)]
    assert [(answer.status, answer.data["status"]) for answer in done] == [(200, "CANCELLED")] * 2
    assert all(answer.headers["Idempotent-Replayed"] == "true" for answer in done)


def test_cancelling_while_awaiting_payment(shop: Shop) -> None:
    order = shop.order(pay_later=True).data
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {})
    assert (answer.status, answer.data["status"], answer.data["payment_status"]) == (200, "CANCELLED", "UNPAID")
    assert shop.stock() == (100, 0, 100)
    late = charge(shop, order)
    assert late.status == 409
    assert shop.notices(order["order_id"]) == ["order_cancellation"]


@pytest.mark.parametrize("token", ["tok_timeout", "tok_timeout_declined"])
def test_cancelling_while_the_provider_is_silent_ends_cancelled(shop: Shop, token: str) -> None:
    order = shop.order(payment={"token": token}).data
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {})
    assert (answer.status, answer.data["status"]) == (202, "PAYMENT_PENDING")
    shop.api.hasten()
    shop.api.settle()
    after = shop.read(order["order_id"])
    assert after["status"] == "CANCELLED"
    assert all(p["status"] in ("VOIDED", "FAILED", "REFUNDED") for p in after["payments"])
    assert shop.stock() == (100, 0, 100)
    assert shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {}).status == 200
