"""Shipments that must not leave: their units are not there, or their order was refunded in full."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.shipping import models
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import OrderRefunded, ShipmentShort, Withheld
from eci.calls.remote import RemoteFailure
from eci.errors import EciError
from eci.ids import new_order_id
from tests.support.people import staff

CODES = {"short": "insufficient_stock", "refunded": "order_refunded"}
ERRORS: dict[str, type[EciError]] = {"short": ShipmentShort, "refunded": OrderRefunded}


@pytest.fixture
def order_id() -> str:
    order_id = new_order_id()
    shipping.create(
        order_id=order_id, customer_id=None, warehouses=("WH1", "WH2"), address="1 Main Street", city="Springfield"
    )
    return order_id


def paths(order_id: str) -> list[str]:
    return [f"/v1/shipments/{one.shipment_id}" for one in shipping.shipments_of(order_ids=[order_id])]


def kept(order_id: str) -> Any:
    rows = models.Shipment.objects.filter(order_id=order_id).order_by("pk")
    return list(rows.values()), models.ShipmentEvent.objects.count(), models.OutboxEvent.objects.count()


@pytest.mark.parametrize("reason", ["short", "refunded"])
@pytest.mark.parametrize("status", ["SHIPPED", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"])
def test_a_withheld_shipment_does_not_leave_and_nobody_is_told(
    api: Any, order_id: str, reason: str, status: str
) -> None:
    """K1"""
    first, second = paths(order_id)
    withheld = shipping.withhold(order_id=order_id, warehouse="WH1", reason=reason)
    assert [one.withheld for one in withheld] == [(Withheld(reason),), ()]
    before = kept(order_id)

    answer = api.patch(first, {"status": status})

    assert (answer.status, answer.code) == (409, CODES[reason])
    assert kept(order_id) == before
    assert api.get(first).data["withheld"] == [reason]
    assert api.patch(first, {"status": "PACKED"}).status == 200, "it may be packed"
    assert api.patch(second, {"status": status}).status == 200, "the other warehouse's may leave"

    shipping.allow(order_id=order_id, warehouse="WH1", reason=reason)
    assert api.patch(first, {"status": status}).status == 200


@pytest.mark.parametrize("reason", ["short", "refunded"])
def test_dispatch_by_the_order_is_all_or_nothing(order_id: str, reason: str) -> None:
    """K1"""
    shipping.withhold(order_id=order_id, warehouse="WH2", reason=reason)
    before = kept(order_id)

    with pytest.raises(ERRORS[reason]) as refusal:
        shipping.dispatch(order_id=order_id)

    assert (refusal.value.status, refusal.value.code) == (409, CODES[reason])
    assert kept(order_id) == before
    shipping.allow(order_id=order_id, warehouse=None, reason=reason)
    assert all(one.dispatched for one in shipping.dispatch(order_id=order_id))


def test_withholding_again_changes_nothing_and_one_reason_leaves_the_other(order_id: str) -> None:
    once = shipping.withhold(order_id=order_id, warehouse=None, reason="short")
    before = kept(order_id)
    assert shipping.withhold(order_id=order_id, warehouse=None, reason="short") == once
    assert kept(order_id) == before

    shipping.withhold(order_id=order_id, warehouse=None, reason="refunded")
    left = shipping.allow(order_id=order_id, warehouse=None, reason="short")
    assert {one.withheld for one in left} == {(Withheld.REFUNDED,)}
    assert shipping.allow(order_id=order_id, warehouse=None, reason="short") == left


def test_stock_staff_may_insist_on_what_was_refunded_and_no_more(order_id: str, api: Any, settings: Any) -> None:
    """K1"""
    stock, service = staff("S"), staff("V")
    settings.ECI_OPEN = False
    first, second = paths(order_id)
    shipping.withhold(order_id=order_id, warehouse=None, reason="refunded")
    shipping.withhold(order_id=order_id, warehouse="WH2", reason="short")
    forced = {"status": "SHIPPED", "force": True}

    refused = service.patch(first, forced)
    assert (refused.status, list(refused.details)) == (400, ["force"])
    assert stock.patch(first, {"status": "SHIPPED", "force": False}).code == "order_refunded"
    assert stock.patch(first, forced).data["status"] == "SHIPPED"
    assert stock.patch(second, forced).code == "insufficient_stock"

    line = models.Trail.objects.get()
    assert (line.actor, line.thing) == ("staff:s@shop.example", f"shipment:{first.rpartition('/')[2]}")
    assert (line.before, line.after) == ({"status": "PENDING"}, {"status": "SHIPPED", "force": True})


def test_who_cancelled_is_kept(order_id: str) -> None:
    shipping.cancel(order_id=order_id, actor="command:root")
    assert {event.actor for event in models.ShipmentEvent.objects.filter(status="CANCELLED")} == {"command:root"}
    assert models.Trail.objects.filter(actor="command:root").count() == 2


def test_what_has_left_is_not_withheld_and_can_still_be_cancelled_when_it_waits(order_id: str, api: Any) -> None:
    first, _ = paths(order_id)
    api.patch(first, {"status": "SHIPPED"})

    withheld = shipping.withhold(order_id=order_id, warehouse=None, reason="refunded")

    assert [one.withheld for one in withheld] == [(), (Withheld.REFUNDED,)]
    assert api.patch(first, {"status": "DELIVERED"}).status == 200


def test_a_withheld_order_can_be_cancelled(order_id: str) -> None:
    shipping.withhold(order_id=order_id, warehouse=None, reason="short")
    assert {one.status for one in shipping.cancel(order_id=order_id)} == {"CANCELLED"}


def test_an_unknown_order_has_nothing_to_withhold() -> None:
    assert shipping.withhold(order_id="ORD-NOTHING", warehouse=None, reason="short") == ()
    with pytest.raises((ValueError, RemoteFailure), match="other|withhold"):  # the second where contexts are apart
        shipping.withhold(order_id="ORD-NOTHING", warehouse=None, reason="other")
