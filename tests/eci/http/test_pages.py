"""The API's pages lead on: to what one may call, to what an answer names, to the next filter, to who one is."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from contexts.catalog import services as catalog
from contexts.inventory.models import Stock, Warehouse
from tests.support.api import Api
from tests.support.pages import Form, forms_in
from tests.support.shop import Shop

pytestmark = pytest.mark.any_engine

HTML = {"Accept": "text/html"}
LINK = re.compile(r'<a href="([^"]+)">([^<]*)</a>')


def page(client: Client, url: str, status: int = 200) -> str:
    answer = client.get(url, headers=HTML)
    assert answer.status_code == status, answer.content.decode()[-2000:]
    return answer.content.decode()


def links(text: str) -> dict[str, str]:
    """What is shown, by where it leads."""
    return {html.unescape(url): html.unescape(shown) for url, shown in LINK.findall(text)}


def member_of(group: str) -> Client:
    client = Client()
    user = get_user_model().objects.create_user(group.split()[0], f"{group.split()[0]}@example.com", "secret-123")
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get_or_create(name=group)[0])
    client.force_login(user)
    return client


def filters(text: str) -> Form:
    return next(form for form in forms_in(text) if "_filters" in form.fields)


def test_the_root_lists_what_the_reader_may_call(closed: None) -> None:
    stock = page(member_of("stock staff"), "/v1/")
    assert links(stock).keys() >= {"/v1/inventory", "/v1/warehouses", "/v1/products"}
    assert not links(stock).keys() & {"/v1/customers", "/v1/payments"}
    assert "/v1/inventory/{product_id}" not in links(stock)
    stranger = page(Client(), "/v1")
    assert "/v1/products" in links(stranger) and "/v1/inventory" not in links(stranger)
    assert re.search(r"/v1/products&quot;</a>,\s+&quot;methods&quot;: &quot;GET&quot;", stranger)
    for method in ("post", "delete"):
        assert getattr(Client(), method)("/v1/", headers=HTML).status_code == 404


def test_an_order_leads_to_all_it_names(shop: Shop) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    shown = page(Client(), f"/v1/orders/{order['order_id']}")
    expected = {
        f"/v1/products/{shop.product_id}": str(shop.product_id),
        f"/v1/customers/{shop.customer_id}": str(shop.customer_id),
        f"/v1/payments/{order['payments'][0]['payment_id']}": str(order["payments"][0]["payment_id"]),
        f"/v1/shipments/{order['shipments'][0]['shipment_id']}": str(order["shipments"][0]["shipment_id"]),
    }
    assert expected.items() <= links(shown).items()
    assert links(shown).keys() >= {f"/v1/orders/{order['order_id']}/{what}" for what in ("cancel", "returns")}
    assert f'"{order["order_id"]}"' in links(shown).values()


def test_what_the_reader_may_not_open_is_no_link(closed: None) -> None:
    product_id = catalog.create_product(sku="A", name="A", price=Decimal(1), actor="test")["id"]
    below = links(page(member_of("catalog staff"), f"/v1/products/{product_id}")).keys()
    assert f"/v1/products/{product_id}/prices" in below
    Warehouse.objects.create(code="WH001", name="One")
    Stock.objects.create(product_id=product_id, warehouse_id="WH001")
    listed = page(member_of("stock staff"), "/v1/inventory")
    assert f"/v1/products/{product_id}" in links(listed)
    assert "/v1/customers" not in links(listed)


@pytest.mark.parametrize("name", ['<em>("1")</em>', '"><em href="x">', '\\"<em>&amp;', "/v1/<em>"])
def test_what_is_written_in_an_answer_stays_text(api: Api, name: str) -> None:
    product = api.post("/v1/products", {"sku": "A", "name": name, "price": "1", "description": name}).data
    shown = page(Client(), f"/v1/products/{product['product_id']}")
    assert "<em" not in shown
    assert html.escape(name.replace("\\", "\\\\").replace('"', '\\"')) in re.sub(r"</?a[^>]*>", "", shown)


def test_filters_are_a_form_that_keeps_what_was_asked(api: Api) -> None:
    for sku in ("A", "B"):
        api.post("/v1/products", {"sku": sku, "name": f"Lamp {sku}", "price": "1", "category": sku})
    form = filters(page(Client(), "/v1/products"))
    assert {"category", "ordering", "limit"} <= form.fields.keys()
    assert form.choices["is_active"] == ["", "true", "false"]
    asked = urlencode(form.fields | {"category": "B"})
    found = page(Client(), f"{form.action}?{asked}")
    assert "Lamp B" in found and "Lamp A" not in found
    assert filters(found).fields["category"] == "B"
    wrong = page(Client(), f"{form.action}?{urlencode(form.fields | {'limit': 'many'})}", 400)
    assert filters(wrong).fields["limit"] == "many"


def test_a_program_that_sends_empty_filters_is_told(api: Api) -> None:
    assert api.get("/v1/products?_filters=1&category=").status == 400


def test_pages_say_who_one_is_and_let_one_in_and_out(closed: None) -> None:
    refused = page(Client(), "/v1/orders?limit=5", 401)
    assert "/admin/login/?next=%2Fv1%2Forders%3Flimit%3D5" in links(refused)
    support = member_of("support staff")
    assert "staff:support" in page(support, "/v1/orders")
    out = next(form for form in forms_in(page(support, "/v1/orders")) if form.action == "/admin/logout/")
    support.post(out.action, out.fields)
    page(support, "/v1/orders", 401)


def test_open_mode_is_said(api: Api) -> None:
    assert settings.ECI_OPEN and "Open mode" in page(Client(), "/v1/products")


def test_a_list_leads_to_its_next_page(api: Api) -> None:
    for sku in "ABC":
        api.post("/v1/products", {"sku": sku, "name": sku, "price": "1"})
    shown = links(page(Client(), "/v1/products?limit=2"))
    following: Any = next(url for url in shown if "cursor=" in url or "page=" in url)
    assert page(Client(), following)
