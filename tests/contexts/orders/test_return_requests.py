"""A customer asks to return goods, and staff answers when the goods are there: nothing moves before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from config.books.audit import look
from contexts.orders.models import OrderLine, TimelineEntry
from contexts.orders.public.api import orders
from tests.support.api import settle
from tests.support.people import Person, customer, staff

pytestmark = pytest.mark.usefixtures("closed")


@pytest.fixture
def boss() -> Person:
    return staff("admin")


@pytest.fixture
def lamp(boss: Person) -> int:
    boss.post("/v1/warehouses", {"code": "W", "name": "W"})
    product_id = boss.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "100.00"}).data["product_id"]
    boss.post("/v1/inventory", {"product_id": product_id, "warehouse": "W", "onhand": 100})
    return int(product_id)


@pytest.fixture
def ann(boss: Person) -> Person:
    return customer("ann@example.com")


@pytest.fixture
def order_id(ann: Person, lamp: int) -> str:
    return str(ann.post("/v1/orders", {"items": [{"product_id": lamp, "quantity": 3}]}).data["order_id"])


def ask(person: Person, order_id: str, lamp: int, quantity: int = 2, **more: Any) -> Any:
    body = {"items": [{"product_id": lamp, "quantity": quantity}], "reason": "too bright"}
    return person.post(f"/v1/orders/{order_id}/returns", body, **more)


def on_hand(boss: Person, lamp: int) -> int:
    return int(boss.get(f"/v1/inventory/availability/{lamp}").data["total_on_hand"])


def mails(boss: Person, order_id: str) -> list[str]:
    settle()
    return [row["type"] for row in boss.get(f"/v1/notifications?order_id={order_id}").data]


def test_nothing_moves_before_the_goods_are_received(boss: Person, ann: Person, lamp: int, order_id: str) -> None:
    asked = ask(ann, order_id, lamp, key="r")
    assert (asked.status, asked.data["status"], asked.data["refund"]) == (201, "REQUESTED", None)
    assert ask(ann, order_id, lamp, key="r").data == asked.data
    order = ann.get(f"/v1/orders/{order_id}").data
    assert (order["status"], order["payment_status"], order["refunded_amount"]) == ("SHIPPED", "PAID", "0.00")
    assert order["returns"] == [asked.data]
    assert order["items"][0]["returned_quantity"] == 0
    assert on_hand(boss, lamp) == 97
    assert "return_requested" in mails(boss, order_id)
    assert orders.stuck(seconds=0) == (), "it waits for staff, and is not stuck"
    assert look().findings == ()


def test_received_it_restocks_and_refunds(boss: Person, ann: Person, lamp: int, order_id: str) -> None:
    return_id = ask(ann, order_id, lamp).data["return_id"]
    path = f"/v1/orders/{order_id}/returns/{return_id}/receive"
    assert ann.post(path, {}).status == 403
    stock = staff("S")
    answer = stock.post(path, {}, key="got it")
    assert (answer.status, answer.data["status"], answer.data["refund"]) == (200, "RECEIVED", "210.00")
    assert answer.data["received"] == [{"product_id": lamp, "quantity": 2, "disposition": "resell"}]
    assert (answer.data["actor"], answer.data["answered_by"]) == (f"customer:{ann.customer_id}", "staff:s@shop.example")
    again = stock.post(path, {}, key="got it")
    assert (again.status, again.data, again.headers["Idempotent-Replayed"]) == (200, answer.data, "true")
    twice = stock.post(path, {})
    assert (twice.status, twice.code) == (409, "invalid_transition")
    assert on_hand(boss, lamp) == 99
    assert ann.get(f"/v1/orders/{order_id}").data["refunded_amount"] == "210.00"
    told = mails(boss, order_id)
    assert (told.count("return_received"), told.count("refund")) == (1, 1)
    assert look().findings == ()


def test_what_really_came_back_counts(boss: Person, ann: Person, lamp: int, order_id: str) -> None:
    return_id = ask(ann, order_id, lamp, 3).data["return_id"]
    came = [
        {"product_id": lamp, "quantity": 1},
        {"product_id": lamp, "quantity": 1, "disposition": "damaged"},
    ]
    path = f"/v1/orders/{order_id}/returns/{return_id}/receive"
    too_many = boss.post(path, {"items": [{"product_id": lamp, "quantity": 4}]})
    assert (too_many.status, too_many.code) == (409, "return_exceeds_shipped")
    assert too_many.details["items"] == [{"product_id": lamp, "requested": 4, "returnable": 3}]
    answer = boss.post(path, {"items": came})
    assert (answer.status, answer.data["refund"]) == (200, "210.00")
    assert on_hand(boss, lamp) == 98, "the damaged one is written off"
    assert ann.get(f"/v1/orders/{order_id}").data["items"][0]["returned_quantity"] == 2
    assert ask(ann, order_id, lamp, 1).status == 201, "what did not come may be asked for again"
    assert look().findings == ()


def test_refused_it_says_why_and_its_units_may_be_asked_for_again(
    boss: Person, ann: Person, lamp: int, order_id: str
) -> None:
    return_id = ask(ann, order_id, lamp, 3).data["return_id"]
    taken = ask(ann, order_id, lamp, 1)
    assert (taken.status, taken.code) == (409, "return_exceeds_shipped")
    assert taken.details["items"] == [{"product_id": lamp, "requested": 1, "returnable": 0}]
    assert ask(boss, order_id, lamp, 1).status == 409, "nor may staff take back what is asked for"
    path = f"/v1/orders/{order_id}/returns/{return_id}"
    assert boss.post(f"{path}/refuse", {}).status == 400
    answer = boss.post(f"{path}/refuse", {"reason": "worn"})
    assert (answer.status, answer.data["status"], answer.data["refusal"]) == (200, "REFUSED", "worn")
    assert (boss.post(f"{path}/receive", {}).status, boss.post(f"{path}/refuse", {"reason": "x"}).status) == (409, 409)
    assert "return_refused" in mails(boss, order_id)
    assert OrderLine.objects.get().requested_quantity == 0
    assert ask(ann, order_id, lamp, 3).status == 201


def test_a_customer_has_so_many_days(ann: Person, boss: Person, lamp: int, order_id: str) -> None:
    TimelineEntry.objects.filter(event="shipped").update(at=Now() - timedelta(days=31))
    late = ask(ann, order_id, lamp)
    assert (late.status, late.code, late.details) == (409, "return_too_late", {"days": 30})
    assert ask(boss, order_id, lamp).status == 201, "staff may"


def test_others_do_not_reach_it(ann: Person, boss: Person, lamp: int, order_id: str) -> None:
    return_id = ask(ann, order_id, lamp).data["return_id"]
    assert ask(customer("bob@example.com"), order_id, lamp).status == 404
    other = ann.post("/v1/orders", {"items": [{"product_id": lamp, "quantity": 1}]}).data["order_id"]
    assert boss.post(f"/v1/orders/{other}/returns/{return_id}/receive", {}).status == 404
    assert staff("K").post(f"/v1/orders/{order_id}/returns/{return_id}/refuse", {"reason": "x"}).status == 403


def test_all_back_in_two_requests_ends_returned_with_all_of_the_tax(
    ann: Person, boss: Person, lamp: int, order_id: str
) -> None:
    first, second = ask(ann, order_id, lamp, 1).data, ask(ann, order_id, lamp, 2).data
    for asked in (second, first):
        assert boss.post(f"/v1/orders/{order_id}/returns/{asked['return_id']}/receive", {}).status == 200
    order = ann.get(f"/v1/orders/{order_id}").data
    assert (order["status"], order["refunded_amount"]) == ("RETURNED", "315.00")


def test_shipping_is_never_paid_back_by_a_return(ann: Person, boss: Person, lamp: int, order_id: str) -> None:
    payment = boss.get(f"/v1/orders/{order_id}").data["payments"][0]["payment_id"]
    boss.post(f"/v1/payments/{payment}/refund", {"amount": "200.00", "reason": "gesture"})
    settle()
    parts = [ask(boss, order_id, lamp, 1).data["refund"] for _ in range(3)]
    assert parts == ["105.00", "10.00", "0.00"]
    order = ann.get(f"/v1/orders/{order_id}").data
    assert (order["status"], order["refunded_amount"], order["order_total"]) == ("RETURNED", "315.00", "325.00")
