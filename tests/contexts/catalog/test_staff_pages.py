"""Staff's pages of products and prices: changes go through the same rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from contexts.catalog import services
from contexts.catalog.models import PriceChange, Product


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
    return client


@pytest.fixture
def product_id() -> int:
    return int(services.create_product(actor="test", sku="A", name="Lamp", price=Decimal("5"))["id"])


FORM: dict[str, Any] = {"sku": "A", "name": "Lamp", "category": "Home", "price": "6.50", "currency": "USD"}


def test_a_product_is_added_with_its_first_price(admin: Client) -> None:
    response = admin.post("/admin/catalog/product/add/", FORM | {"is_active": "on"})
    assert response.status_code == 302
    assert Product.objects.get().category_key == "home"
    assert PriceChange.objects.values_list("price_minor", "actor").get() == (650, "staff:ann")


def test_a_price_change_is_recorded_with_who_made_it(admin: Client, product_id: int) -> None:
    assert admin.get(f"/admin/catalog/product/{product_id}/change/").status_code == 200
    assert admin.post(f"/admin/catalog/product/{product_id}/change/", FORM).status_code == 302
    change = PriceChange.objects.latest("pk")
    assert (change.old_price_minor, change.price_minor, change.actor) == (500, 650, "staff:ann")
    assert not Product.objects.get().is_active


@pytest.mark.parametrize("wrong", [{"price": "1.999"}, {"price": "-1"}, {"currency": "XXX"}, {"sku": "B"}])
def test_mistakes_are_shown_and_change_nothing(admin: Client, product_id: int, wrong: dict[str, str]) -> None:
    services.create_product(actor="test", sku="B", name="B", price=Decimal("1"))
    response = admin.post(f"/admin/catalog/product/{product_id}/change/", FORM | wrong)
    assert response.status_code == 200
    assert Product.objects.get(pk=product_id).price_minor == 500


def test_products_are_deactivated_not_deleted(admin: Client, product_id: int) -> None:
    assert admin.get(f"/admin/catalog/product/{product_id}/delete/").status_code == 403
    admin.post("/admin/catalog/product/", {"action": "deactivate", "_selected_action": [product_id]})
    assert not Product.objects.get().is_active


def test_lists_are_searchable_and_prices_read_only(admin: Client, product_id: int) -> None:
    assert b"Lamp" in admin.get("/admin/catalog/product/?q=lamp").content
    history = admin.get("/admin/catalog/pricechange/?q=A")
    assert b"5.00 USD" in history.content
    assert admin.get("/admin/catalog/pricechange/add/").status_code == 403
    change = PriceChange.objects.get()
    assert admin.post(f"/admin/catalog/pricechange/{change.pk}/change/", {"price_minor": 1}).status_code == 403
