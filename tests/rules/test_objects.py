"""A customer reaches only what is theirs. One of them, with a good token of her own, tries every route with his ids."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings

from tests.support.api import settle
from tests.support.people import Person, customer, staff
from tests.support.policy import table

pytestmark = [pytest.mark.any_engine, pytest.mark.usefixtures("closed")]

NOBODY = 999_999
STREET = "7 Secret Lane"


@pytest.fixture
def ann() -> Person:
    return customer("ann@example.com")


@pytest.fixture
def bob() -> Person:
    return customer("bob@example.com", full_name="Robert Hidden", phone="+1 555 0199")


@pytest.fixture
def lamp() -> int:
    """A product of which there are 100."""
    admin = staff("admin")
    admin.post("/v1/warehouses", {"code": "WH001", "name": "North"})
    product_id = admin.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "99.99"}).data["product_id"]
    received = admin.post("/v1/inventory", {"product_id": product_id, "warehouse": "WH001", "onhand": 100})
    assert received.status == 201
    return int(product_id)


@pytest.fixture
def his(bob: Person, lamp: int) -> dict[str, Any]:
    """Ids of his by their names in the routes: an order that was shipped, and one that waits for his payment."""
    lines = {"items": [{"product_id": lamp, "quantity": 1}], "shipping_address": {"line1": STREET, "city": "Town"}}
    order = bob.post("/v1/orders", lines).data
    waiting = bob.post("/v1/orders", lines | {"pay_later": True}).data
    address = bob.post("/v1/users/me/addresses", {"line1": STREET, "city": "Town", "country": "US"}).data
    settle()
    notices = staff("P").get(f"/v1/notifications?order_id={order['order_id']}").data
    return {
        "order_id": order["order_id"],
        "waiting": waiting["order_id"],
        "due": waiting["order_total"],
        "payment_id": order["payments"][0]["payment_id"],
        "shipment_id": order["shipments"][0]["shipment_id"],
        "reservation_id": order["reservation"]["reservation_id"],
        "notification_id": notices[0]["notification_id"],
        "address_id": address["address_id"],
        "customer_id": bob.customer_id,
        "inventory_id": 1,
        "code": "WH001",
    }


def marks_of(his: dict[str, Any]) -> list[str]:
    """What could only come from something of his."""
    return ["bob@example.com", "Robert Hidden", "555 0199", STREET, his["order_id"], his["waiting"]]


def attempts(method: str, path: str, his: dict[str, Any], lamp: int) -> list[tuple[str, Any]]:
    """URLs and bodies by which this route might give away, or change, something of his."""
    if path == "/v1/orders/{order_id}/returns":
        body: Any = {"items": [{"product_id": lamp, "quantity": 1}], "reason": "mine now"}
    elif path in ("/v1/orders", "/v1/orders/quote"):
        body = {"customer_id": his["customer_id"], "items": [{"product_id": lamp, "quantity": 1}]}
    elif path in ("/v1/payments", "/v1/payments/charge"):
        body = {"order_id": his["waiting"], "amount": his["due"]}
    elif path == "/v1/payments/{payment_id}/refund":
        body = {"reason": "greed"}
    elif path.endswith("/addresses/{address_id}"):
        body = {"line1": "1 Stolen Street"}
    elif path == "/v1/customers/{customer_id}":
        body = {"email": "ann2@example.com"}
    elif path == "/v1/shipments/{shipment_id}":
        body = {"status": "DELIVERED"}
    else:
        body = {}
    url = re.sub(r"\{([a-z_]+)\}", lambda name: str(his.get(name[1], lamp)), path)
    bodies = [body] if method != "GET" else [None]
    if path in ("/v1/payments", "/v1/payments/charge") and method == "POST":
        bodies += [body | {"customer_id": his["customer_id"]}, body | {"order_id": his["order_id"]}]
    queries = [""]
    if method == "GET" and path in ("/v1/orders", "/v1/payments", "/v1/shipments"):
        asked = {"/v1/orders": "customer_id"}.get(path, "order_id")
        queries += [f"?{asked}={his[asked]}"]
    return [(url + query, each) for query in queries for each in bodies]


def rows() -> dict[str, list[Any]]:
    """Every row of every context, but what is kept of tokens."""
    return {
        model._meta.label: sorted(map(repr, model._default_manager.values()))
        for context in settings.ECI_CONTEXTS
        for model in apps.get_app_config(context).get_models()
        if model.__name__ not in ("TokenFamily", "RefreshToken")
    }


def test_nothing_of_another_customer_is_readable_or_changeable(
    ann: Person, bob: Person, lamp: int, his: dict[str, Any]
) -> None:
    before, found = rows(), {}
    about_herself = {("DELETE", "/v1/users/me"), ("POST", "/v1/users/password/change")}
    own = [call for call, row in table().items() if row["C"] == "own" and call not in about_herself]
    for method, path in sorted(own, key=lambda call: (call[1].endswith("/revoke"), call)):
        for url, body in attempts(method, path, his, lamp):
            answer = ann.send(method, url, body)
            text = json.dumps(answer.json).replace(url.partition("?")[0].rpartition("/v1")[2], "")
            given_away = [] if answer.status >= 400 else [mark for mark in marks_of(his) if mark in text]
            names_his = "{" in path or (body and body.get("order_id")) or (body and body.get("customer_id"))
            if given_away or (names_his and answer.status != 404):
                found[f"{method} {url} {body}"] = (answer.status, given_away)
    assert found == {}
    assert rows() == before


def test_what_a_role_keeps_from_customers_stays_so_with_another_s_ids(
    ann: Person, lamp: int, his: dict[str, Any]
) -> None:
    before, found = rows(), {}
    closed = [call for call, row in table().items() if row["C"] == "-"]
    for method, path in closed:
        for url, body in attempts(method, path, his, lamp):
            answer = ann.send(method, url, body)
            if answer.status != 403:
                found[f"{method} {url}"] = answer.status
    assert found == {}
    assert rows() == before


def test_what_is_another_s_looks_like_what_is_not_there(ann: Person, his: dict[str, Any]) -> None:
    for path, name, unknown in (
        ("/v1/orders/{}", "order_id", "ORD-0"),
        ("/v1/payments/{}", "payment_id", NOBODY),
        ("/v1/shipments/{}", "shipment_id", NOBODY),
        ("/v1/users/me/addresses/{}", "address_id", NOBODY),
    ):
        answers = [ann.get(path.format(each)) for each in (his[name], unknown)]
        texts = [
            json.dumps(answer.json | {"timestamp": ""}).replace(str(each), "?")
            for answer, each in zip(answers, (his[name], unknown), strict=True)
        ]
        assert texts[0] == texts[1], path


def test_the_owner_reaches_all_of_it(bob: Person, his: dict[str, Any]) -> None:
    for path in (
        "orders/{order_id}",
        "payments/{payment_id}",
        "shipments/{shipment_id}",
        "users/me/addresses/{address_id}",
    ):
        assert bob.get(f"/v1/{path.format(**his)}").status == 200, path
    listed = {row["order_id"] for row in bob.get(f"/v1/orders?customer_id={bob.customer_id}").data}
    assert listed == {his["order_id"], his["waiting"]}
    assert [row["payment_id"] for row in bob.get("/v1/payments").data] == [his["payment_id"]]
    assert [row["shipment_id"] for row in bob.get("/v1/shipments").data] == [his["shipment_id"]]
    paid = bob.post("/v1/payments/charge", {"order_id": his["waiting"], "amount": his["due"]})
    assert (paid.status, paid.data["customer_id"]) == (200, bob.customer_id)
    assert bob.post(f"/v1/orders/{his['order_id']}/returns", {"items": [], "reason": "x"}).status == 400


def test_staff_s_names_and_notes_are_not_for_the_customer(bob: Person, his: dict[str, Any]) -> None:
    stock = staff("S")
    path = f"/v1/shipments/{his['shipment_id']}"
    assert stock.patch(path, {"status": "IN_TRANSIT", "note": "grumpy customer", "location": "Hub"}).status == 200
    assert "grumpy" in json.dumps(stock.get(path).json)
    shown = json.dumps(bob.get(path).json)
    assert ("Hub" in shown, "grumpy" in shown, "s@shop.example" in shown) == (True, False, False)


class TestWhatIsNeverBelieved:
    def test_a_price(self, ann: Person, lamp: int) -> None:
        for path in ("/v1/orders", "/v1/orders/quote"):
            line = {"product_id": lamp, "quantity": 1, "unit_price": "0.01"}
            answer = ann.post(path, {"items": [line]})
            assert (answer.status, list(answer.details)) == (400, ["items"])

    def test_an_address_of_a_guest(self, ann: Person, lamp: int) -> None:
        answer = ann.post("/v1/orders", {"items": [{"product_id": lamp, "quantity": 1}], "email": "x@example.com"})
        assert (answer.status, list(answer.details)) == (400, ["email"])

    def test_a_customer_id(self, ann: Person, bob: Person, lamp: int) -> None:
        lines = {"items": [{"product_id": lamp, "quantity": 1}]}
        own = ann.post("/v1/orders", lines)
        assert (own.status, own.data["customer_id"]) == (201, ann.customer_id)
        assert ann.post("/v1/orders", lines | {"customer_id": ann.customer_id}).status == 201
        foreign = [ann.post("/v1/orders", lines | {"customer_id": each}) for each in (bob.customer_id, NOBODY)]
        assert [(answer.status, answer.code) for answer in foreign] == [(404, "not_found")] * 2

    def test_an_amount(self, ann: Person, lamp: int) -> None:
        order = ann.post("/v1/orders", {"items": [{"product_id": lamp, "quantity": 1}], "pay_later": True}).data
        for amount in ("0.01", "999999.00"):
            answer = ann.post("/v1/payments/charge", {"order_id": order["order_id"], "amount": amount})
            assert (answer.status, answer.code) == (409, "amount_mismatch")

    def test_an_order_of_another_system(self, ann: Person) -> None:
        answer = ann.post("/v1/payments/charge", {"order_id": "FOREIGN-1", "amount": "1.00"})
        assert (answer.status, answer.code) == (404, "not_found")

    def test_what_becomes_of_returned_goods(self, ann: Person, lamp: int) -> None:
        lines = {"items": [{"product_id": lamp, "quantity": 2}]}
        path = f"/v1/orders/{ann.post('/v1/orders', lines).data['order_id']}/returns"
        back = {"items": [{"product_id": lamp, "quantity": 1}], "reason": "too bright"}
        for disposition in ("resell", "damaged", "lost"):
            answer = ann.post(path, back | {"disposition": disposition})
            assert (answer.status, list(answer.details)) == (400, ["disposition"])
        assert (ann.post(path, back).status, ann.post(path, back).data["disposition"]) == (201, "resell")
        order = staff("P").post("/v1/orders", lines | {"customer_id": ann.customer_id}).data["order_id"]
        broken = staff("P", "q@shop.example").post(f"/v1/orders/{order}/returns", back | {"disposition": "damaged"})
        assert (broken.status, broken.data["disposition"]) == (201, "damaged")

    def test_totals_and_status(self, ann: Person, lamp: int) -> None:
        wishes = {"status": "DELIVERED", "payment_status": "PAID", "order_total": "0.00", "shipping_amount": "0.00"}
        order = ann.post(
            "/v1/orders", {"items": [{"product_id": lamp, "quantity": 1}], "pay_later": True} | wishes
        ).data
        assert (order["status"], order["payment_status"]) == ("AWAITING_PAYMENT", "UNPAID")
        assert order["shipping_amount"] == "10.00"

    def test_what_is_staff_s_to_say_of_me(self, ann: Person) -> None:
        changes = {"full_name": "Ann", "is_blocked": True, "customer_id": 1, "email_verified": True, "password": "x"}
        me = ann.patch("/v1/users/me", changes).data
        assert (me["full_name"], me["customer_id"], me["email_verified"]) == ("Ann", ann.customer_id, False)
        assert ann.get("/v1/users/me").status == 200

    def test_a_key_is_its_caller_s_own(self, ann: Person, bob: Person, lamp: int) -> None:
        lines = {"items": [{"product_id": lamp, "quantity": 1}]}
        orders = [person.post("/v1/orders", lines, key="same").data["order_id"] for person in (bob, ann)]
        assert orders[0] != orders[1]
