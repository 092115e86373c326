"""Who did it stands in the order's timeline, and what staff did in the trail."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from contexts.orders.models import Trail
from contexts.orders.public.api import orders
from tests.support.people import Person, customer, staff

pytestmark = pytest.mark.usefixtures("closed")


@pytest.fixture
def lamp() -> int:
    boss = staff("admin")
    boss.post("/v1/warehouses", {"code": "W", "name": "W"})
    product_id = boss.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "100.00"}).data["product_id"]
    boss.post("/v1/inventory", {"product_id": product_id, "warehouse": "W", "onhand": 100})
    return int(product_id)


def actors(order: dict[str, Any]) -> dict[str, str]:
    return {entry["event"]: entry["actor"] for entry in order["timeline"]}


def test_the_timeline_names_who_did_it(lamp: int) -> None:
    ann, support = customer("ann@example.com"), staff("P")
    lines = {"items": [{"product_id": lamp, "quantity": 1}], "fulfilment": "warehouse"}
    placed = ann.post("/v1/orders", lines).data
    me = f"customer:{ann.customer_id}"
    assert actors(placed) == {"placed": me, "confirmed": "system"}
    cancelled = support.post(f"/v1/orders/{placed['order_id']}/cancel", {"reason": "they called"}).data
    assert actors(cancelled)["cancelled"] == "staff:p@shop.example"
    assert cancelled["timeline"][-1]["detail"] == "they called"
    other = ann.post("/v1/orders", lines).data["order_id"]
    assert actors(ann.post(f"/v1/orders/{other}/cancel", {}).data)["cancelled"] == me


def test_customers_read_no_name_of_staff(lamp: int) -> None:
    ann, support, stock = customer("ann@example.com"), staff("P"), staff("S")
    items = [{"product_id": lamp, "quantity": 1}]
    cancelled = ann.post("/v1/orders", {"items": items, "fulfilment": "warehouse"}).data["order_id"]
    support.post(f"/v1/orders/{cancelled}/cancel", {"reason": "they called"})
    returned = support.post("/v1/orders", {"customer_id": ann.customer_id, "items": items}).data
    asked = ann.post(f"/v1/orders/{returned['order_id']}/returns", {"items": items, "reason": "broken"}).data
    path = f"/v1/orders/{returned['order_id']}/returns/{asked['return_id']}/receive"
    assert stock.post(path, {}).status == 200
    support.post(f"/v1/payments/{returned['payments'][0]['payment_id']}/refund", {"amount": "1.00", "reason": "sorry"})
    told = [ann.get(path).json for path in ("/v1/orders", f"/v1/orders/{cancelled}", "/v1/users/me/export")]
    told += [ann.get(f"/v1/{name}?order_id={returned['order_id']}").json for name in ("payments", "shipments")]
    told.append(ann.post(f"/v1/orders/{cancelled}/cancel", {}).json)
    assert "staff:" not in repr(told)
    assert actors(told[1]["data"])["cancelled"] == "staff"
    answered = {one["order_id"]: one["returns"] for one in told[0]["data"]}[returned["order_id"]]
    assert answered[0]["answered_by"] == "staff"


def test_a_price_of_staff_s_own_names_them(lamp: int) -> None:
    support, ann = staff("P"), customer("ann@example.com")
    items = [{"product_id": lamp, "quantity": 1, "unit_price": "80.00"}]
    order = support.post("/v1/orders", {"customer_id": ann.customer_id, "items": items}).data
    assert order["timeline"][0]["actor"] == "staff:p@shop.example"
    assert order["timeline"][0]["detail"] == "LAMP at 80.00 instead of 100.00"
    line = Trail.objects.get(action="priced")
    assert (line.actor, line.thing) == ("staff:p@shop.example", f"order:{order['order_id']}")
    assert line.after == {"LAMP": "80.00 instead of 100.00"}


def test_what_operators_do_is_in_the_trail(lamp: int) -> None:
    order_id = (
        staff("P")
        .post("/v1/orders", {"email": "guest@example.com", "items": [{"product_id": lamp, "quantity": 1}]})
        .data["order_id"]
    )
    orders.stop(reason="stocktaking", actor="command:root")
    orders.start(actor="command:root")
    orders.attended(order_id=order_id, actor="staff:ann")
    done = [(line.actor, line.action) for line in Trail.objects.order_by("pk")]
    assert done == [
        ("command:root", "orders stopped"),
        ("command:root", "orders taken again"),
        ("staff:ann", "attended"),
    ]


def test_a_customer_s_orders_are_found_by_their_address(lamp: int, admin_client: Client) -> None:
    ann, bob = customer("ann@example.com"), customer("bob@example.com")
    lines = {"items": [{"product_id": lamp, "quantity": 1}]}
    hers, his = (one.post("/v1/orders", lines).data["order_id"] for one in (ann, bob))
    guests = staff("P").post("/v1/orders", lines | {"email": "ann@example.com"}).data["order_id"]
    page = admin_client.get("/admin/orders/order/", {"q": "Ann@Example.com"}).content.decode()
    assert hers in page
    assert guests in page
    assert his not in page


def test_an_erased_person_s_guest_orders_forget_them(lamp: int) -> None:
    ann, support = customer("ann@example.com"), staff("P")
    lines = {"items": [{"product_id": lamp, "quantity": 1}], "shipping_address": "1 Lamp Street"}
    mine = support.post("/v1/orders", lines | {"email": "Ann@example.com"}).data["order_id"]
    waiting = support.post("/v1/orders", lines | {"email": "ann@example.com", "fulfilment": "warehouse"}).data
    others = support.post("/v1/orders", lines | {"email": "bob@example.com"}).data["order_id"]
    assert ann.send("DELETE", "/v1/users/me").status == 204

    def known(order_id: str) -> tuple[Any, Any]:
        order = support.get(f"/v1/orders/{order_id}").data
        return order["email"], order["shipping_address"]

    from contexts.orders.tasks import prune

    assert known(mine) == (None, None)
    assert known(others) == ("bob@example.com", "1 Lamp Street")
    assert known(waiting["order_id"]) == ("ann@example.com", "1 Lamp Street"), "it is to be sent"
    support.post(f"/v1/orders/{waiting['order_id']}/cancel", {})
    prune()
    assert known(waiting["order_id"]) == (None, None)


def test_own_names(lamp: int) -> None:
    """A system's name is in the timeline as a person's is."""
    service: Person = staff("V")
    order = service.post("/v1/orders", {"email": "g@example.com", "items": [{"product_id": lamp, "quantity": 1}]}).data
    assert order["timeline"][0]["actor"] == "staff:v@shop.example"
