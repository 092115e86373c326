"""The provider takes the money, and later refuses to give it back: it is asked again, and nothing is done twice."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from contexts.orders.models import Return
from contexts.payments.models import Refund
from tests.support.shop import Shop

REFUSED = {"payment": {"token": "tok_refund_refused"}}


def minutes_pass(shop: Shop) -> None:
    Refund.objects.filter(status="FAILED").update(updated_at=Now() - timedelta(minutes=10))
    shop.api.hasten()
    Return.objects.filter(done_at=None).update(next_at=Now())
    shop.api.settle()


def test_a_refused_refund_of_a_cancelled_order_is_asked_for_again_later(shop: Shop) -> None:
    order = shop.order(**REFUSED, fulfilment="warehouse").data
    path = f"/v1/orders/{order['order_id']}/cancel"
    assert shop.api.post(path, {}, key="c").status == 202
    shop.api.hasten()
    shop.api.settle()
    assert shop.api.post(path, {}, key="c").status == 202
    assert Refund.objects.count() == 1, "the provider is not pressed"
    minutes_pass(shop)
    done = shop.api.post(path, {}, key="c")
    assert (done.status, done.data["status"], done.data["payment_status"]) == (200, "CANCELLED", "REFUNDED")
    assert shop.stock() == (100, 0, 100)


def test_a_refused_refund_of_a_return_is_asked_for_again_later(shop: Shop) -> None:
    order = shop.order(3, **REFUSED).data
    path = f"/v1/orders/{order['order_id']}/returns"
    body = {"items": [{"product_id": shop.product_id, "quantity": 1}], "reason": "too bright"}
    first = shop.api.post(path, body, key="r1")
    assert (first.status, first.data["refund"]) == (202, "104.99")
    minutes_pass(shop)
    done = shop.api.post(path, body, key="r1")
    assert (done.status, done.data["refund"]) == (201, "104.99")
    assert shop.read(order["order_id"])["payment_status"] == "PARTIALLY_REFUNDED"
    assert shop.stock() == (98, 0, 98), "taken back once"


def test_staff_may_refund_by_hand_what_was_refused(shop: Shop) -> None:
    order = shop.order(**REFUSED, fulfilment="warehouse").data
    shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {})
    payment = order["payments"][0]["payment_id"]
    by_hand = shop.api.post(f"/v1/payments/{payment}/refund", {"reason": "by hand"})
    assert (by_hand.status, by_hand.data["status"]) == (200, "COMPLETED")
    minutes_pass(shop)
    after = shop.read(order["order_id"])
    assert (after["status"], after["payment_status"]) == ("CANCELLED", "REFUNDED")
    assert after["payments"][0]["refunded"] == order["order_total"]
