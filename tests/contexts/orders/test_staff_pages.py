"""Orders in the admin: found, shown whole, not to be edited."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from eci import staff as desk
from tests.support.api import Api
from tests.support.pages import Browser
from tests.support.shop import Shop


@pytest.fixture
def staff() -> Client:
    client = Browser()
    client.force_login(get_user_model().objects.create_superuser("boss", "boss@example.com", "secret-enough"))
    return client


def test_an_order_is_found_and_shown_with_its_lines(shop: Shop, staff: Client) -> None:
    order_id = shop.order(2).data["order_id"]
    shop.order(1, product_id=shop.other_id)

    found = staff.get("/admin/orders/order/", {"q": "LAMP"}).content.decode()
    assert order_id in found
    assert "219.98 USD" in found
    assert found.count("ORD-") == found.count(order_id)

    page = staff.get(f"/admin/orders/order/{order_id}/change/").content.decode()
    for text in ("LAMP", "99.99 USD", "shipped", "SHIPPED"):
        assert text in page


def test_an_order_cannot_be_changed_added_or_deleted_by_hand(shop: Shop, staff: Client) -> None:
    order_id = shop.order(2).data["order_id"]
    assert staff.post(f"/admin/orders/order/{order_id}/change/", {"total_minor": "1"}).status_code == 403
    assert staff.get("/admin/orders/order/add/").status_code == 403
    assert staff.post(f"/admin/orders/order/{order_id}/delete/", {"post": "yes"}).status_code == 403
    assert shop.read(order_id)["order_total"] == "219.98"


def test_an_old_order_is_found_by_whatever_names_it(
    api: Api, shop: Shop, staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "SEARCHED", 1)
    old = api.post(
        "/v1/orders",
        {"email": "Eve@example.com", "reference": "PO-4711", "items": [{"product_id": shop.product_id, "quantity": 1}]},
    ).data
    newer = [shop.order(1, product_id=shop.other_id).data["order_id"] for _ in range(2)]

    def found(term: str) -> set[str]:
        rows = staff.get("/admin/orders/order/", {"q": term}).context["cl"].result_list
        return {row.order_id for row in rows}

    order_id = old["order_id"]
    for term in (order_id, order_id.lower(), order_id[-6:].lower(), "PO-4711", "eve@EXAMPLE.com", "lamp", "Lamp"):
        assert found(term) == {order_id}, term
    assert found(newer[1][4:20]) >= {newer[1]}, "a part of one of the newest"
    assert found("PO-47") == found("no such") == set()
    assert found("RUG") == set(newer), "all that have it"
    api.post("/v1/products", {"sku": "RUG-LAMP", "name": "Lamp and rug", "price": "5"})
    assert found("RUG-LAMP") == set(), "nobody ordered this one"
    other = api.post("/v1/products", {"sku": "LAMP-2", "name": "LAMP", "price": "5"}).data["product_id"]
    api.post("/v1/inventory", {"product_id": other, "warehouse": "A", "onhand": 5})
    shop.order(1, product_id=other)
    assert found("lamp") == {order_id}, "a SKU names one product, though others are called so"
