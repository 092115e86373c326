"""An order's number, its reference and its metadata: what people and other systems call it."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connections

from contexts.customers import services as customers
from contexts.orders.models import Order, Trail
from contexts.orders.services import give_missing_numbers
from contexts.orders.tasks import prune
from tests.support import people
from tests.support.pages import Browser
from tests.support.shop import Shop


def found(shop: Shop, query: str) -> list[str]:
    return [order["order_id"] for order in shop.api.get(f"/v1/orders?{query}").data]


class TestNumbers:
    def test_they_rise_and_find_their_order(self, shop: Shop) -> None:
        first, refused, second = shop.order(1).data, shop.order(1_000), shop.order(1).data
        assert refused.status == 409
        assert first["number"] < second["number"]
        assert shop.read(first["order_id"])["number"] == first["number"]
        assert found(shop, f"number={second['number']}") == [second["order_id"]]
        assert found(shop, "number=999999999") == []
        assert shop.api.get("/v1/orders?number=x").status == 400

    def test_the_migration_numbers_what_is_there_in_the_order_of_placing(self, shop: Shop) -> None:
        placed = [shop.order(1).data["order_id"] for _ in range(4)]
        Order.objects.exclude(pk=placed[2]).update(number=None)
        migration = import_module("contexts.orders.migrations.0010_numbers_of_orders")
        before = Order.objects.get(pk=placed[2]).number
        migration.give_numbers(apps, SimpleNamespace(connection=connections["orders"]))
        numbers = dict(Order.objects.values_list("pk", "number"))
        assert numbers[placed[2]] == before
        assert before < numbers[placed[0]] < numbers[placed[1]] < numbers[placed[3]]
        assert shop.order(1).data["number"] > numbers[placed[3]]

    def test_an_order_of_an_earlier_release_is_numbered_later(self, shop: Shop) -> None:
        order_id = shop.order(1).data["order_id"]
        Order.objects.update(number=None)
        assert shop.read(order_id)["number"] is None
        prune()
        number = shop.read(order_id)["number"]
        assert number
        give_missing_numbers()
        assert shop.read(order_id)["number"] == number


class TestReferences:
    def test_it_finds_the_order_and_is_kept_as_text(self, shop: Shop) -> None:
        order = shop.order(1, reference=" 112-9988 ").data
        assert order["reference"] == "112-9988"
        assert found(shop, "reference=112-9988") == [order["order_id"]]
        assert shop.order(1, reference=7).data["reference"] == "7"
        assert shop.order(1).data["reference"] is None

    def test_a_second_order_with_it_is_a_conflict_and_changes_nothing(self, shop: Shop) -> None:
        first = shop.order(1, reference="A-1", key="one").data
        stock = shop.stock()
        second = shop.order(1, reference="A-1", key="two")
        assert (second.status, second.code) == (409, "duplicate_reference")
        assert second.details == {"reference": "A-1", "order_id": first["order_id"]}
        assert shop.stock() == stock
        again = shop.order(1, reference="A-1", key="two")
        assert (again.status, again.headers["Idempotent-Replayed"]) == (409, "true")
        assert shop.order(1, reference="A-1", key="one").data["order_id"] == first["order_id"]
        assert shop.order(1, reference="a-1").status == 201, "compared exactly"

    def test_an_order_that_never_was_gives_it_back(self, shop: Shop) -> None:
        assert shop.order(1_000, reference="A-1").status == 409
        assert shop.order(1, reference="A-1").status == 201

    @pytest.mark.parametrize("wrong", ["", "x" * 65, "a\nb", True, None, 1.5])
    def test_anything_else_is_refused(self, shop: Shop, wrong: Any) -> None:
        answer = shop.order(1, reference=wrong)
        assert (answer.status, list(answer.details)) == (400, ["reference"])

    def test_customers_give_neither(self, shop: Shop) -> None:
        bob = people.customer("bob@example.com")
        for more in ({"reference": "A-1"}, {"metadata": {"a": "b"}}):
            answer = bob.post("/v1/orders", {"items": [{"product_id": shop.product_id, "quantity": 1}]} | more)
            assert (answer.status, list(answer.details)) == (400, list(more))


class TestMetadata:
    def test_it_is_given_when_placing_and_merged_later(self, shop: Shop) -> None:
        order = shop.order(1, metadata={"erp": "7"}).data
        assert order["metadata"] == {"erp": "7"}
        path = f"/v1/orders/{order['order_id']}"
        changed = shop.api.patch(path, {"metadata": {"erp": None, "pos": "till 4"}})
        assert (changed.status, changed.data["metadata"]) == (200, {"pos": "till 4"})
        assert shop.read(order["order_id"])["metadata"] == {"pos": "till 4"}
        assert Trail.objects.latest("pk").after == {"names": ["erp", "pos"]}
        assert shop.api.patch(path, {"metadata": {"n": 1}}).status == 400
        assert shop.api.patch("/v1/orders/ORD-none", {"metadata": {}}).status == 404
        card = shop.api.patch(path, {"metadata": {"note": "4111 1111 1111 1111"}})
        assert (card.status, list(card.details)) == (400, ["metadata"])

    def test_an_erased_person_s_goes_and_so_does_the_reference(self, shop: Shop) -> None:
        order = shop.order(1, reference="A-1", metadata={"name": "Ann"}).data
        customers.erase_customer(customer_id=shop.customer_id, actor="test")
        shop.api.settle()
        row = Order.objects.get(pk=order["order_id"])
        assert (row.metadata, row.reference) == (None, None)


def test_staff_find_an_order_by_number_and_by_reference(shop: Shop) -> None:
    browser = Browser()
    browser.force_login(get_user_model().objects.create_superuser("root", "root@example.com", "secret-123"))
    order, _ = shop.order(1, reference="AMZ-77").data, shop.order(1)
    Order.objects.filter(pk=order["order_id"]).update(number=987_654_321)
    for term in ("987654321", "AMZ-77"):
        assert browser.get(f"/admin/orders/order/?q={term}").context["cl"].result_count == 1
