"""What must not leave: orders whose units a count has taken, and orders that were refunded in full.

And what leaves all the same: because it left in the same moment, or because there are units elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.models.functions import Now

from config.books import audit
from contexts.inventory.models import Movement, OutboxEvent, Reservation, Stock
from contexts.inventory.services import stock
from contexts.payments import models as payment_models
from contexts.shipping import models as shipping_models
from eci import events
from eci.calls import rpc
from eci.errors import ContextUnavailable
from tests.support.crashes import later
from tests.support.shop import Shop

LAMP, RUG = "product_id", "other_id"  # the lamp is in WH001 only
SHORT, COVERED = "inventory.allocation_short.v1", "inventory.allocation_covered.v1"
DISPATCHED = "shipping.shipment_dispatched.v1"


def count(shop: Shop, on_hand: int, *, of: str = LAMP, warehouse: str = "WH001") -> None:
    """A stock count, come what may."""
    row = Stock.objects.get(product_id=getattr(shop, of), warehouse=warehouse)
    stock.count(inventory_id=row.pk, on_hand=on_hand, reorder_point=None, reason="count", force=True, actor="staff:ann")


def receive(shop: Shop, units: int, *, of: str = LAMP, warehouse: str = "WH002") -> None:
    body = {"product_id": getattr(shop, of), "warehouse": warehouse, "onhand": units}
    assert shop.api.post("/v1/inventory", body).status == 201


def dispatch(shop: Shop, order: dict[str, Any], which: int = 0, **more: Any) -> Any:
    shipment = order["shipments"][which]["shipment_id"]
    return shop.api.patch(f"/v1/shipments/{shipment}", {"status": "SHIPPED"} | more)


def rows(shop: Shop, of: str = LAMP) -> list[tuple[str, int, int, int]]:
    """Warehouse, on hand, reserved, owed."""
    found = Stock.objects.filter(product_id=getattr(shop, of)).order_by("warehouse")
    return list(found.values_list("warehouse", "on_hand", "reserved", "owed"))


def shipments(shop: Shop, order: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    shown = shop.read(order["order_id"])["shipments"]
    return [(one["warehouse"], one["status"], one["withheld"]) for one in shown]


@contextmanager
def late(*names: str) -> Iterator[None]:
    """Orders are told of these events after the block only."""
    table: Any = {subscription: events.handler_of(*subscription) for subscription in events.subscriptions()}
    with events.replaced(table | {("orders", name): (table["orders", name][0], _not_now) for name in names}):
        yield
    for outbox in (OutboxEvent, shipping_models.OutboxEvent):
        outbox.objects.filter(delivered_at=None).update(next_at=Now())


def _not_now(event: events.Event) -> None:
    raise RuntimeError("not now")


def require_shipped(shop: Shop, order: dict[str, Any], *, mails: int = 1) -> None:
    """It left, a mail for each shipment says so, and the books agree; what comes late changes nothing."""
    for _ in range(2):
        after = shop.read(order["order_id"])
        assert (after["status"], after["needs_attention"]) == ("SHIPPED", False)
        assert audit.look().findings == ()
        assert shop.notices(order["order_id"]) == ["order_confirmation"] + ["shipping_confirmation"] * mails


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
    """An order whose units are counted away after its payment, while its runner is dead."""
    order_id = _charged_unheard(shop, monkeypatch, 2)
    count(shop, 0)
    later()
    order = shop.read(order_id)
    assert (order["status"], order["payment_status"]) == ("CONFIRMED", "PAID")
    return order_id


def _charged_unheard(shop: Shop, monkeypatch: Any, quantity: int, **more: Any) -> str:
    """An order whose money is taken, while its runner does not hear of it."""
    payments = rpc.served("payments")[1]
    charge = payments.charge

    def unheard(**asked: Any) -> Any:
        charge(**asked)
        raise ContextUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(payments, "charge", unheard)
        answer = shop.order(quantity, **more)
    assert (answer.status, answer.data["status"]) == (202, "PAYMENT_PENDING")
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


# -- a count and a dispatch in the same moment ------------------------------------------------------------------------


@pytest.mark.parametrize("told_late", [SHORT, DISPATCHED])
def test_what_left_in_the_moment_of_a_count_was_there(shop: Shop, told_late: str) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    with late(told_late):
        if told_late == DISPATCHED:
            assert dispatch(shop, order).status == 200
            count(shop, 0)
        else:
            count(shop, 0)
            assert dispatch(shop, order).status == 200
    require_shipped(shop, order)
    assert rows(shop) == [("WH001", 0, 0, 0)]
    held = Reservation.objects.get(key=order["order_id"])
    assert (held.status, held.needs_attention, held.why) == ("SHIPPED", False, "")
    told = Movement.objects.filter(product_id=shop.product_id).order_by("pk").values_list("delta", "on_hand", "reason")
    assert list(told)[1:] == [
        (-100, 0, "count"),
        (2, 2, "count corrected: the units had left"),
        (-2, 0, "shipment"),
    ]
    back = {"items": [{"product_id": shop.product_id, "quantity": 2}], "reason": "too bright"}
    assert shop.api.post(f"/v1/orders/{order['order_id']}/returns", back).status in (200, 201)
    assert (rows(shop), audit.look().findings) == ([("WH001", 2, 0, 0)], ())


def test_what_was_found_again_leaves_as_ever(shop: Shop) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    with late(SHORT, COVERED):
        count(shop, 0)
        receive(shop, 3, warehouse="WH001")
        assert dispatch(shop, order).status == 200
    require_shipped(shop, order)
    assert rows(shop) == [("WH001", 1, 0, 0)]


# -- units in another warehouse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fulfilment", ["warehouse", "automatic"])
def test_a_short_order_gets_what_comes_in_elsewhere(shop: Shop, monkeypatch: Any, fulfilment: str) -> None:
    if fulfilment == "automatic":
        order = shop.read(_paid_and_short(shop, monkeypatch))
    else:
        order = shop.order(2, fulfilment="warehouse").data
        count(shop, 0)
    assert shipments(shop, order) == [("WH001", "PENDING", ["short"])]
    receive(shop, 1)
    assert shop.order(1).code == "insufficient_stock"  # it waits for the other unit
    receive(shop, 1)
    if fulfilment == "warehouse":
        moved = [("WH001", "CANCELLED", []), ("WH002", "PENDING", [])]
        assert shipments(shop, order) == moved
        assert rows(shop) == [("WH001", 0, 0, 0), ("WH002", 2, 2, 0)]
        ready = shop.read(order["order_id"])
        assert (ready["needs_attention"], ready["status"]) == (False, "CONFIRMED")
        assert dispatch(shop, order).status == 409
        assert dispatch(shop, ready, 1).status == 200
    require_shipped(shop, order)
    assert rows(shop) == [("WH001", 0, 0, 0), ("WH002", 0, 0, 0)]


def test_units_that_are_elsewhere_already_are_taken_at_once_and_back(shop: Shop) -> None:
    order = shop.order(4, product_id=shop.other_id, fulfilment="warehouse").data
    count(shop, 0, of=RUG)
    assert rows(shop, RUG) == [("WH001", 0, 0, 0), ("WH002", 5, 4, 0)]
    assert shipments(shop, order) == [("WH001", "CANCELLED", []), ("WH002", "PENDING", [])]
    assert not shop.read(order["order_id"])["needs_attention"]
    receive(shop, 4, of=RUG, warehouse="WH001")
    count(shop, 0, of=RUG, warehouse="WH002")
    assert shipments(shop, order) == [("WH001", "PENDING", []), ("WH002", "CANCELLED", [])]
    assert dispatch(shop, order).status == 200
    require_shipped(shop, order)


def test_two_shipments_become_one(shop: Shop) -> None:
    order = shop.order(8, product_id=shop.other_id, fulfilment="warehouse").data
    count(shop, 0, of=RUG)
    assert rows(shop, RUG) == [("WH001", 0, 0, 5), ("WH002", 5, 3, 0)]
    receive(shop, 3, of=RUG)
    assert rows(shop, RUG) == [("WH001", 0, 0, 0), ("WH002", 8, 8, 0)]
    assert dispatch(shop, order, 1).status == 200
    require_shipped(shop, order)


def test_what_left_before_it_was_told_of_a_move_was_there(shop: Shop) -> None:
    order = shop.order(4, product_id=shop.other_id, fulfilment="warehouse").data
    with late(SHORT, COVERED):
        count(shop, 0, of=RUG)
        assert rows(shop, RUG) == [("WH001", 0, 0, 0), ("WH002", 5, 4, 0)]
        assert dispatch(shop, order).status == 200
    require_shipped(shop, order)
    assert rows(shop, RUG) == [("WH001", 0, 0, 0), ("WH002", 5, 0, 0)]
    assert [(where, status) for where, status, _ in shipments(shop, order)] == [("WH001", "SHIPPED")]


def test_what_joins_a_shipment_that_has_left_is_owed_where_it_was(shop: Shop) -> None:
    order = shop.order(8, product_id=shop.other_id, fulfilment="warehouse").data
    with late(SHORT, COVERED):
        count(shop, 0, of=RUG)
        receive(shop, 3, of=RUG)
        assert dispatch(shop, order, 1).status == 200  # of the three that were to leave from there
    assert rows(shop, RUG) == [("WH001", 0, 0, 5), ("WH002", 5, 0, 0)]
    assert shipments(shop, order) == [("WH001", "PENDING", ["short"]), ("WH002", "SHIPPED", [])]
    receive(shop, 5, of=RUG, warehouse="WH001")
    assert dispatch(shop, order).status == 200
    require_shipped(shop, order, mails=2)
    assert rows(shop, RUG) == [("WH001", 0, 0, 0), ("WH002", 5, 0, 0)]


def test_an_automatic_order_whose_units_move_meanwhile_leaves_from_there(shop: Shop, monkeypatch: Any) -> None:
    order_id = _charged_unheard(shop, monkeypatch, 4, product_id=shop.other_id)
    count(shop, 0, of=RUG)
    later()
    order = shop.read(order_id)
    assert order["status"] == "SHIPPED"
    assert shipments(shop, order) == [("WH002", "SHIPPED", [])]
    require_shipped(shop, order)
    assert rows(shop, RUG) == [("WH001", 0, 0, 0), ("WH002", 1, 0, 0)]


def test_what_leaves_in_the_moment_of_a_count_was_there(shop: Shop, monkeypatch: Any) -> None:
    shipping = rpc.served("shipping")[1]
    send = shipping.send

    def count_first(**asked: Any) -> Any:
        monkeypatch.setattr(shipping, "send", send)
        count(shop, 0)
        return send(**asked)

    monkeypatch.setattr(shipping, "send", count_first)
    order = shop.order(2).data
    assert order["status"] == "SHIPPED"
    require_shipped(shop, order)
    assert rows(shop) == [("WH001", 0, 0, 0)]


# -- refunded in full -------------------------------------------------------------------------------------------------


def refund(shop: Shop, order: dict[str, Any]) -> None:
    payment = order["payments"][0]["payment_id"]
    assert shop.api.post(f"/v1/payments/{payment}/refund", {"reason": "gesture"}).status == 200
    shop.api.settle()


def require_ended(shop: Shop, order: dict[str, Any]) -> None:
    """Cancelled, with one mail about it and not a cent more refunded; it holds nothing, and the books agree."""
    after = shop.read(order["order_id"])
    assert (after["status"], after["payment_status"], after["needs_attention"]) == ("CANCELLED", "REFUNDED", False)
    assert after["payments"][0]["refunded"] == order["order_total"]
    assert {one["status"] for one in after["shipments"]} == {"CANCELLED"}
    assert shop.notices(order["order_id"]).count("order_cancellation") == 1
    assert audit.look().findings == ()


@pytest.mark.parametrize("refund_first", [True, False])
def test_nothing_is_owed_to_an_order_that_was_refunded(shop: Shop, refund_first: bool) -> None:
    refunded, paid = (shop.order(2, fulfilment="warehouse").data for _ in range(2))
    steps = [lambda: refund(shop, refunded), lambda: count(shop, 0)]
    for step in steps if refund_first else reversed(steps):
        step()
    require_ended(shop, refunded)
    assert rows(shop)[0] == ("WH001", 0, 0, 2)
    receive(shop, 2, warehouse="WH001")
    assert dispatch(shop, paid).status == 200
    assert shop.stock() == (0, 0, 0)


def test_units_that_came_before_orders_knew_of_the_refund_stay_held(shop: Shop) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    with late("payments.refund_completed.v1"):
        payment = order["payments"][0]["payment_id"]
        shop.api.post(f"/v1/payments/{payment}/refund", {"reason": "gesture"})
        count(shop, 0)
        receive(shop, 2, warehouse="WH001")
    payment_models.OutboxEvent.objects.filter(delivered_at=None).update(next_at=Now())
    shop.api.settle()
    assert shipments(shop, order) == [("WH001", "PENDING", ["refunded"])]
    count(shop, 1)
    require_ended(shop, order)
    assert shop.stock() == (1, 0, 1)


def test_what_is_there_of_a_refunded_order_waits_for_staff(shop: Shop) -> None:
    body = [{"product_id": shop.product_id, "quantity": 2}, {"product_id": shop.other_id, "quantity": 1}]
    order = shop.order(items=body, fulfilment="warehouse").data
    refund(shop, order)
    count(shop, 0)
    waiting = shop.read(order["order_id"])
    assert (waiting["status"], waiting["needs_attention"]) == ("CONFIRMED", False)
    assert [one["withheld"] for one in waiting["shipments"] if one["status"] != "CANCELLED"] == [["refunded"]]
    assert rows(shop)[0] == ("WH001", 0, 0, 0)
    assert audit.look().findings == ()
    alive = next(i for i, one in enumerate(waiting["shipments"]) if one["status"] != "CANCELLED")
    assert dispatch(shop, waiting, alive).code == "order_refunded"
    assert dispatch(shop, waiting, alive, force=True).status == 200
    assert shop.read(order["order_id"])["status"] == "SHIPPED"
    assert audit.look().findings == ()


def test_an_order_of_which_a_part_has_left_ends_with_the_refund(shop: Shop) -> None:
    """The rest will never come: what came can be sent back."""
    receive(shop, 2, warehouse="WH002")
    order = shop.order(102, fulfilment="warehouse").data
    assert dispatch(shop, order).status == 200
    count(shop, 0, warehouse="WH002")
    assert shop.read(order["order_id"])["needs_attention"]
    refund(shop, order)
    after = shop.read(order["order_id"])
    assert (after["status"], after["needs_attention"]) == ("SHIPPED", False)
    assert rows(shop) == [("WH001", 0, 0, 0), ("WH002", 0, 0, 0)]
    assert audit.look().findings == ()
