"""What must not leave: orders whose units a count has taken, and orders that were refunded in full."""

from __future__ import annotations

from typing import Any

from contexts.inventory.models import Stock
from contexts.inventory.services import stock
from contexts.orders.models import Step
from contexts.orders.workflows import STEPS
from tests.support.shop import Shop


def count(shop: Shop, on_hand: int) -> None:
    """A stock count of the lamp, come what may."""
    row = Stock.objects.get(product_id=shop.product_id)
    stock.count(inventory_id=row.pk, on_hand=on_hand, reorder_point=None, reason="count", force=True, actor="staff:ann")
    shop.api.settle()


def dispatch(shop: Shop, order: dict[str, Any], **more: Any) -> Any:
    shipment = order["shipments"][0]["shipment_id"]
    return shop.api.patch(f"/v1/shipments/{shipment}", {"status": "SHIPPED"} | more)


def test_a_short_order_is_not_dispatched_before_its_units_are_back(shop: Shop) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    count(shop, 0)
    waiting = shop.read(order["order_id"])
    assert waiting["needs_attention"]
    assert waiting["shipments"][0]["withheld"] == ["short"]
    refused = dispatch(shop, order)
    assert (refused.status, refused.code) == (409, "insufficient_stock")
    assert shop.notices(order["order_id"]) == ["order_confirmation"]
    count(shop, 2)
    ready = shop.read(order["order_id"])
    assert (ready["needs_attention"], ready["shipments"][0]["withheld"]) == (False, [])
    assert dispatch(shop, order).status == 200
    assert shop.read(order["order_id"])["status"] == "SHIPPED"
    assert shop.stock() == (0, 0, 0)


def test_an_automatic_order_waits_for_its_units_and_goes_on(shop: Shop, monkeypatch: Any) -> None:
    order_id = _paid_and_short(shop, monkeypatch)
    waiting = shop.read(order_id)
    assert (waiting["status"], waiting["needs_attention"]) == ("CONFIRMED", True)
    assert [entry["event"] for entry in waiting["timeline"]].count("units_missing") == 1
    count(shop, 5)
    after = shop.read(order_id)
    assert (after["status"], after["needs_attention"]) == ("SHIPPED", False)
    assert shop.stock() == (3, 0, 3)


def test_a_short_order_can_be_cancelled(shop: Shop, monkeypatch: Any) -> None:
    order_id = _paid_and_short(shop, monkeypatch)
    answer = shop.api.post(f"/v1/orders/{order_id}/cancel", {})
    assert (answer.status, answer.data["status"], answer.data["payment_status"]) == (200, "CANCELLED", "REFUNDED")


def _paid_and_short(shop: Shop, monkeypatch: Any) -> str:
    """An order whose units are counted away between its payment and its shipping."""
    fulfil = STEPS[Step.FULFIL]

    def count_first(run: Any) -> None:
        monkeypatch.setitem(STEPS, Step.FULFIL, fulfil)
        count(shop, 0)
        fulfil(run)

    monkeypatch.setitem(STEPS, Step.FULFIL, count_first)
    answer = shop.order(2)
    assert (answer.status, answer.data["status"]) == (201, "CONFIRMED")
    return str(answer.data["order_id"])


def test_what_was_refunded_leaves_only_if_staff_insists(shop: Shop) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    payment = order["payments"][0]["payment_id"]
    assert shop.api.post(f"/v1/payments/{payment}/refund", {"reason": "gesture"}).status == 200
    shop.api.settle()
    refused = dispatch(shop, order)
    assert (refused.status, refused.code) == (409, "order_refunded")
    assert shop.read(order["order_id"])["status"] == "CONFIRMED"
    assert dispatch(shop, order, force=True).status == 200
    assert shop.read(order["order_id"])["status"] == "SHIPPED"


def test_what_was_refunded_in_part_leaves(shop: Shop) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    payment = order["payments"][0]["payment_id"]
    shop.api.post(f"/v1/payments/{payment}/refund", {"amount": "1.00", "reason": "gesture"})
    shop.api.settle()
    assert dispatch(shop, order).status == 200
