"""Pay later, warehouse fulfilment, delivery, cancel and returns: state, stock, money and notices after each step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from tests.support.shop import Shop


def expire(order_id: str) -> None:
    """Let the order's deadline, and its hold's, be past."""
    from contexts.inventory.models import Allocation, Reservation
    from contexts.orders.models import Order
    from contexts.payments.models import PaymentRequest

    past = Now() - timedelta(seconds=1)
    Order.objects.filter(pk=order_id).update(next_at=past, expires_at=past)
    PaymentRequest.objects.filter(pk=order_id).update(deadline=past)
    Reservation.objects.filter(key=order_id).update(expires_at=past)
    Allocation.objects.filter(reservation__key=order_id).update(lapses_at=past)


def charge(shop: Shop, order: Any, *, amount: str | None = None, key: str | None = None, **more: Any) -> Any:
    body = {"order_id": order["order_id"], "amount": amount or order["order_total"]} | more
    return shop.api.post("/v1/payments/charge", body, key=key)


# -- pay later


def test_pay_later_waits_and_a_charge_carries_it_on(shop: Shop) -> None:
    answer = shop.order(pay_later=True)
    order = answer.data
    assert (answer.status, order["status"], order["payment_status"]) == (201, "AWAITING_PAYMENT", "UNPAID")
    assert order["expires_at"] is not None
    assert order["reservation"]["expires_at"] > order["expires_at"]
    assert shop.stock() == (100, 2, 98)
    paid = charge(shop, order)
    assert (paid.status, paid.data["status"]) == (200, "COMPLETED")
    after = shop.read(order["order_id"])
    assert (after["status"], after["payment_status"], after["expires_at"]) == ("SHIPPED", "PAID", None)
    assert shop.stock() == (98, 0, 98)
    assert shop.notices(order["order_id"]) == ["order_confirmation", "shipping_confirmation"]


def test_pay_later_refuses_a_wrong_amount_and_a_second_charge(shop: Shop) -> None:
    order = shop.order(pay_later=True).data
    wrong = charge(shop, order, amount="1.00")
    assert (wrong.status, wrong.code) == (409, "amount_mismatch")
    assert charge(shop, order).status == 200
    second = charge(shop, order)
    assert (second.status, second.code) == (409, "already_paid")


def test_a_declined_charge_leaves_the_order_waiting_for_another(shop: Shop) -> None:
    order = shop.order(pay_later=True).data
    declined = charge(shop, order, token="tok_declined")
    assert (declined.status, declined.code) == (402, "payment_declined")
    assert shop.read(order["order_id"])["status"] == "AWAITING_PAYMENT"
    assert charge(shop, order).status == 200
    assert shop.read(order["order_id"])["status"] == "SHIPPED"


def test_without_a_charge_the_order_expires_and_frees_its_stock(shop: Shop) -> None:
    order = shop.order(pay_later=True).data
    expire(order["order_id"])
    assert shop.stock() == (100, 0, 100)  # from that instant, before anybody tidies up
    shop.api.settle()
    after = shop.read(order["order_id"])
    assert (after["status"], after["payment_status"]) == ("EXPIRED", "UNPAID")
    late = charge(shop, order)
    assert (late.status, late.code) == (409, "reservation_expired")
    cancelled = shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {})
    assert (cancelled.status, cancelled.code) == (409, "invalid_transition")
    assert shop.notices(order["order_id"]) == ["order_expired"]


def test_a_charge_whose_hold_is_gone_is_refunded_and_the_order_cancelled(shop: Shop) -> None:
    from contexts.inventory.public.api import inventory

    order = shop.order(pay_later=True).data
    inventory.release(key=order["order_id"], order_id=order["order_id"])
    assert charge(shop, order).status == 200
    shop.api.settle()
    after = shop.read(order["order_id"])
    assert (after["status"], after["payment_status"]) == ("CANCELLED", "REFUNDED")
    assert after["refunded_amount"] == order["order_total"]
    assert shop.stock() == (100, 0, 100)
    assert shop.notices(order["order_id"]) == ["order_cancellation", "refund"]


def test_a_charge_under_way_at_the_deadline_keeps_the_hold_until_the_provider_speaks(shop: Shop) -> None:
    from contexts.orders.models import Order
    from contexts.orders.workflows.recovery import recover
    from contexts.payments.models import Payment

    order = shop.order(pay_later=True).data
    assert charge(shop, order, token="tok_timeout").status == 202
    Order.objects.filter(pk=order["order_id"]).update(next_at=Now())
    recover()
    waiting = shop.read(order["order_id"])
    assert (waiting["status"], waiting["reservation"]["paying"]) == ("AWAITING_PAYMENT", True)
    Payment.objects.update(next_at=Now())
    shop.api.settle()
    assert shop.read(order["order_id"])["status"] == "SHIPPED"


# -- warehouse fulfilment


def test_warehouse_fulfilment_ships_what_staff_dispatches(shop: Shop) -> None:
    order = shop.order(8, product_id=shop.other_id, fulfilment="warehouse").data
    assert (order["status"], order["payment_status"]) == ("CONFIRMED", "PAID")
    assert shop.stock(shop.other_id) == (10, 8, 2)
    first, second = sorted(order["shipments"], key=lambda shipment: shipment["warehouse"])

    shop.api.patch(f"/v1/shipments/{first['shipment_id']}", {"status": "SHIPPED"})
    assert shop.stock(shop.other_id) == (5, 3, 2)
    assert shop.read(order["order_id"])["status"] == "CONFIRMED"

    shop.api.patch(f"/v1/shipments/{second['shipment_id']}", {"status": "IN_TRANSIT"})
    assert shop.stock(shop.other_id) == (2, 0, 2)
    assert shop.read(order["order_id"])["status"] == "SHIPPED"

    for shipment in (first, second):
        shop.api.patch(f"/v1/shipments/{shipment['shipment_id']}", {"status": "DELIVERED"})
    assert shop.read(order["order_id"])["status"] == "DELIVERED"
    expected = ["order_confirmation", "shipping_confirmation", "shipping_confirmation"]
    assert shop.notices(order["order_id"]) == expected


def test_stock_and_parcels_of_an_order_change_only_through_it(shop: Shop) -> None:
    order = shop.order(fulfilment="warehouse").data
    hold = {"idempotency_key": order["reservation"]["idempotency_key"], "order_id": order["order_id"]}
    for verb in ("confirm", "release", "ship"):
        answer = shop.api.post(f"/v1/inventory/{verb}", hold)
        assert (answer.status, answer.code) == (409, "owned_by_order"), verb
    shipment = order["shipments"][0]["shipment_id"]
    answer = shop.api.patch(f"/v1/shipments/{shipment}", {"status": "CANCELLED"})
    assert (answer.status, answer.code) == (409, "owned_by_order")
    answer = shop.api.post("/v1/shipments", {"order_id": order["order_id"]})
    assert (answer.status, answer.code) == (409, "owned_by_order")
    answer = shop.api.post("/v1/inventory/reserve", {"product_id": 1, "quantity": 1, "order_id": order["order_id"]})
    assert (answer.status, answer.code) == (409, "owned_by_order")
    answer = shop.api.post("/v1/inventory/reserve", {"product_id": 1, "quantity": 1, "order_id": "ORD-NOBODYS"})
    assert (answer.status, answer.code) == (404, "not_found")


# -- cancel


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


def test_shipments_of_an_order_that_waits_are_its_own(shop: Shop) -> None:
    order = shop.order(pay_later=True).data
    answer = shop.api.post("/v1/shipments", {"order_id": order["order_id"]})
    assert (answer.status, answer.code) == (409, "owned_by_order")


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


# -- returns


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


def test_a_return_after_a_refund_by_hand_gives_what_is_left(shop: Shop) -> None:
    order = shop.order(1).data  # 99.99 + 5.00 + 10.00
    payment = order["payments"][0]["payment_id"]
    shop.api.post(f"/v1/payments/{payment}/refund", {"amount": "100.00", "reason": "gesture"})
    items = [{"product_id": shop.product_id, "quantity": 1}]
    answer = shop.api.post(f"/v1/orders/{order['order_id']}/returns", {"items": items, "reason": "r"})
    assert (answer.status, answer.data["refund"]) == (201, "14.99")
    shop.api.settle()
    assert shop.read(order["order_id"])["payment_status"] == "REFUNDED"


def test_a_refund_by_staff_shows_on_the_order(shop: Shop) -> None:
    order = shop.order().data
    payment = order["payments"][0]["payment_id"]
    assert shop.api.post(f"/v1/payments/{payment}/refund", {"amount": 5, "reason": "late"}).status == 200
    shop.api.settle()
    after = shop.read(order["order_id"])
    assert (after["payment_status"], after["refunded_amount"]) == ("PARTIALLY_REFUNDED", "5.00")
    assert "refunded" in [entry["event"] for entry in after["timeline"]]
    assert shop.notices(order["order_id"]) == ["order_confirmation", "refund", "shipping_confirmation"]
