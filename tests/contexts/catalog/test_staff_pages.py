"""Staff's pages of products and prices: changes go through the same rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from contexts.catalog import services
from contexts.catalog.models import PriceChange, Product, Trail
from eci.staff_forms import FORM_KEY, new_key
from tests.support.pages import Browser, Form, form_in

ADD = "/admin/catalog/product/add/"


@pytest.fixture
def admin() -> Client:
    client = Browser()
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
    return client


@pytest.fixture
def product_id() -> int:
    return int(services.create_product(actor="test", sku="A", name="Lamp", price=Decimal("5"))["id"])


FORM: dict[str, Any] = {"sku": "A", "name": "Lamp", "category": "Home", "price": "6.50", "currency": "USD"}


def test_a_product_is_added_with_its_first_price(admin: Client) -> None:
    response = admin.post(ADD, FORM | {"is_active": "on"})
    assert response.status_code == 302
    assert Product.objects.get().category_key == "home"
    assert PriceChange.objects.values_list("price_minor", "actor").get() == (650, "staff:ann")


def test_a_price_change_is_recorded_with_who_made_it(admin: Client, product_id: int) -> None:
    assert admin.get(f"/admin/catalog/product/{product_id}/change/").status_code == 200
    assert admin.post(f"/admin/catalog/product/{product_id}/change/", FORM).status_code == 302
    change = PriceChange.objects.latest("pk")
    assert (change.old_price_minor, change.price_minor, change.actor) == (500, 650, "staff:ann")
    assert not Product.objects.get().is_active


@pytest.mark.any_engine
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


def opened(client: Client, url: str) -> Form:
    return form_in(client.get(url).content.decode(), having="_form_key")


def page_of(product_id: int) -> str:
    return f"/admin/catalog/product/{product_id}/change/"


def test_a_name_that_is_edited_leaves_a_price_that_changed_meanwhile(admin: Client, product_id: int) -> None:
    url = page_of(product_id)
    shown = opened(admin, url)
    services.update_product(product_id=product_id, actor="test", price=Decimal("7"))
    told = admin.post(url, shown.fields | {"name": "Light"})
    assert (told.status_code, b"Somebody else has changed this meanwhile" in told.content) == (200, True)
    assert Product.objects.values_list("name", "price_minor").get() == ("Lamp", 700)
    again = form_in(told.content.decode(), having="_form_key")
    assert admin.post(url, again.fields).status_code == 302
    assert Product.objects.values_list("name", "price_minor").get() == ("Light", 700)


def test_the_same_form_sent_twice_makes_one_product(admin: Client) -> None:
    url = "/admin/catalog/product/add/"
    form = opened(admin, url).fields | FORM
    assert [admin.post(url, form).status_code for _ in range(2)] == [302, 302]
    assert (Product.objects.count(), PriceChange.objects.count()) == (1, 1)


def test_a_currency_changes_only_together_with_its_price(admin: Client, product_id: int) -> None:
    url = page_of(product_id)
    refused = admin.post(url, opened(admin, url).fields | {"currency": "EUR"})
    assert (refused.status_code, services.NEEDS_PRICE.encode() in refused.content) == (200, True)
    assert admin.post(url, opened(admin, url).fields | {"currency": "EUR", "price": "4.50"}).status_code == 302
    assert Product.objects.values_list("currency", "price_minor").get() == ("EUR", 450)


TEXTS = ["  A-2\u00a0", "A\u030a-1", "\uff21", "a\tb", "a\nb", "\u200b", "x" * 65, "x" * 501, "  ", "\u00c5"]


@pytest.mark.any_engine
@pytest.mark.parametrize("given", TEXTS)
def test_fields_are_the_apis(admin: Client, api: Any, given: str) -> None:
    for field in ("sku", "name", "category", "description"):
        PriceChange.objects.all().delete()
        Product.objects.all().delete()
        fields = {"sku": "S", "name": "N", "price": "1", "category": "", "description": ""} | {field: given}
        answered = api.post("/v1/products", fields)
        by_api = list(Product.objects.values_list("sku", "name", "category", "description", "search_text"))
        PriceChange.objects.all().delete()
        Product.objects.all().delete()
        form = fields | {"currency": "USD", FORM_KEY: new_key(ADD)}
        answer = admin.post(ADD, form)
        by_page = list(Product.objects.values_list("sku", "name", "category", "description", "search_text"))
        assert (answer.status_code == 302, by_page) == (answered.status == 201, by_api), field


def test_a_search_folds_letters(admin: Client) -> None:
    services.create_product(
        actor="test", sku="\u00c4-1", name="M\u00fcller Lampe", category="B\u00e4der", price=Decimal(1)
    )
    for term in ("M\u00dcLLER", "mu\u0308ller", "\u00e4-1", "B\u00c4DER lampe"):
        assert b"ller Lampe" in admin.get("/admin/catalog/product/", {"q": term}).content, term
        assert b"1.00 USD" in admin.get("/admin/catalog/pricechange/", {"q": term.split()[-1]}).content or " " in term
    assert b"ller Lampe" not in admin.get("/admin/catalog/product/", {"q": "Moller-Maier"}).content


def test_who_took_it_off_sale_stands_in_the_trail(admin: Client, api: Any, product_id: int) -> None:
    admin.post("/admin/catalog/product/", {"action": "deactivate", "_selected_action": [product_id]})
    api.patch(f"/v1/products/{product_id}", {"is_active": True, "price": "6"})
    api.delete(f"/v1/products/{product_id}")
    lines = Trail.objects.order_by("pk").values_list("actor", "action", "thing", "before", "after")
    thing = f"product:{product_id}"
    assert list(lines) == [
        ("staff:ann", "changed", thing, {"is_active": True}, {"is_active": False}),
        ("open", "changed", thing, {"is_active": False, "price_minor": 500}, {"is_active": True, "price_minor": 600}),
        ("open", "changed", thing, {"is_active": True}, {"is_active": False}),
    ]
    page = admin.get("/admin/catalog/trail/")
    assert (page.status_code, page.content.count(b"staff:ann")) == (200, 1)
