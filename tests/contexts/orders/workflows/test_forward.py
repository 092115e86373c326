"""An order on its way: paid later or at once, dispatched by itself or by staff, delivered."""

from __future__ import annotations

from django.db.models.functions import Now

from tests.support.shop import Shop, charge, expire


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


def test_shipments_of_an_order_that_waits_are_its_own(shop: Shop) -> None:
    order = shop.order(pay_later=True).data
    answer = shop.api.post("/v1/shipments", {"order_id": order["order_id"]})
    assert (answer.status, answer.code) == (409, "owned_by_order")


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
