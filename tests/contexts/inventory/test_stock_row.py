"""A stock row's page says why it is as it is, and the lists of inventory name products, not their numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from contexts.inventory.models import Reservation, Stock, Warehouse
from contexts.inventory.services import holds
from eci.clock import utcnow
from tests.support import people
from tests.support.api import Api
from tests.support.pages import form_in
from tests.support.shop import Shop

LIST = "/admin/inventory/stock/"
HOLDS = "/admin/inventory/reservation/"


@pytest.fixture
def clerk() -> Client:
    return people.member("stock staff")


def row_of(product_id: int, warehouse: str = "WH001") -> Stock:
    return Stock.objects.get(product_id=product_id, warehouse=warehouse)


def hold(key: str, product_id: int, units: int, **more: Any) -> Reservation:
    given = {"order_id": "", "seconds": 840, "warehouse": "WH001"} | more
    return holds.reserve(key=key, demand={product_id: units}, **given).reservation


def page(client: Client, path: str, **query: str) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200, path
    return answer.content.decode()


@pytest.mark.parametrize("path", [HOLDS, "/admin/inventory/movement/", "/staff/pack"])
def test_an_order_is_a_link_for_those_who_may_open_it(
    shop: Shop, clerk: Client, admin_client: Client, path: str
) -> None:
    waits = {"fulfilment": "warehouse"} if path == "/staff/pack" else {}
    order_id = shop.order(1, **waits).data["order_id"]
    assert f'<a href="/staff/orders/{order_id}">{order_id}</a>' in page(admin_client, path)
    shown = page(clerk, path)
    assert order_id in shown and "/staff/orders/" not in shown


def test_a_row_tells_who_holds_what_until_when_and_how_it_ends(shop: Shop, clerk: Client, admin_client: Client) -> None:
    order_id = shop.order(3, pay_later=True).data["order_id"]
    walk_in = hold("walk-in-1", shop.product_id, 2)
    other = hold("other-1", shop.product_id, 1, order_id="WEB-7", seconds=60)
    holds.confirm(key=other.key)
    path = f"{LIST}{row_of(shop.product_id).pk}/change/"
    shown = page(clerk, path)
    assert f'<a href="/staff/orders/{order_id}">{order_id}</a>' in page(admin_client, path)
    assert f'<a href="/staff/orders/{order_id}">Cancel the order instead</a>' in page(admin_client, path)
    assert order_id in shown and "Cancel the order instead" in shown
    assert "/staff/orders/" not in shown, "a clerk may not open the sheet"
    assert f"{HOLDS}{walk_in.pk}/release/" in shown
    assert "WEB-7" in shown
    assert "<h1>LAMP, Lamp, in WH001</h1>" in shown
    assert shown.count('<time class="countdown"') == 2, "what is firm does not run out"
    assert "in 13" in shown, "without JavaScript it says the minutes"
    assert "100 on hand - 6 reserved - 0 owed = 94 available" in shown
    assert "+100" in shown and "receipt" in shown


def test_a_hold_is_released_once_and_only_as_it_was_seen(shop: Shop, clerk: Client) -> None:
    held = hold("walk-in-1", shop.product_id, 2)
    path = f"{HOLDS}{held.pk}/release/"
    forms = [form_in(page(clerk, path), having="_form_key") for _ in range(2)]
    sent = {**forms[0].fields, "apply": "1"}
    assert [clerk.post(path, sent).status_code for _ in range(2)] == [302, 302]
    assert shop.stock() == (100, 0, 100)
    held.refresh_from_db()
    assert (held.status, held.actor) == ("RELEASED", "staff:stock.staff@example.com")
    second = clerk.post(path, {**forms[1].fields, "apply": "1"})
    assert "Status: now RELEASED, and RESERVED when the page was opened." in second.content.decode()
    shown = page(clerk, f"{HOLDS}{held.pk}/change/")
    assert "/release/" not in shown


def test_the_hold_of_an_order_ends_with_it(shop: Shop, clerk: Client) -> None:
    order_id = shop.order(3, pay_later=True).data["order_id"]
    held = Reservation.objects.get(key=order_id)
    path = f"{HOLDS}{held.pk}/release/"
    assert clerk.get(path).status_code == 302
    answer = clerk.post(path, {"apply": "1", f"_version-{held.pk}": held.version})
    assert "cancel the order instead" in answer.content.decode()
    assert shop.stock() == (100, 3, 97)


def test_whoever_may_only_look_releases_nothing(shop: Shop, admin_user: Any) -> None:
    from django.contrib.auth.models import Permission, User

    looker = User.objects.create_user("looker@example.com", password="secret-123", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__in=["view_stock", "view_reservation"]))
    client = Client()
    client.force_login(looker)
    held = hold("walk-in-1", shop.product_id, 2)
    assert "/release/" not in page(client, f"{LIST}{row_of(shop.product_id).pk}/change/")
    assert client.get(f"{HOLDS}{held.pk}/release/").status_code == 403


def test_only_what_can_run_out_says_when(shop: Shop, clerk: Client, run_out: Callable[[str], None]) -> None:
    for key in ("firm", "paid-now", "over", "alive"):
        hold(key, shop.product_id, 1, paying=key == "paid-now")
    holds.confirm(key="firm")
    run_out("over")
    rows = {row.key: row for row in clerk.get(HOLDS).context["cl"].result_list}
    admin = clerk.get(HOLDS).context["cl"].model_admin
    assert [key for key, row in rows.items() if admin.runs_out(row)] == ["alive", "over"]
    assert admin.runs_out(rows["alive"]) > utcnow() + timedelta(minutes=13)


def test_holds_are_named_and_found_by_product(shop: Shop, clerk: Client, statements: Any) -> None:
    hold("k1", shop.product_id, 2)
    with statements() as one:
        page(clerk, HOLDS)
    for number in range(8):
        hold(f"more-{number}", shop.other_id if number % 2 else shop.product_id, 1)
    with statements() as many:
        shown = page(clerk, HOLDS)
    assert many.total == one.total
    assert "2 × LAMP in WH001" in shown and "1 × RUG in WH001" in shown
    for text, found in (("LAMP", 5), ("rug", 4), ("k1", 1), ("nothing", 0)):
        assert clerk.get(HOLDS, {"q": text}).context["cl"].result_count == found, text


def test_a_row_costs_no_more_however_many_hold_it(shop: Shop, clerk: Client, statements: Any) -> None:
    path = f"{LIST}{row_of(shop.product_id).pk}/change/"
    hold("k", shop.product_id, 1)
    page(clerk, path)
    with statements() as one:
        page(clerk, path)
    for number in range(12):
        hold(f"more-{number}", shop.product_id, 1, order_id=f"WEB-{number}")
    with statements() as many:
        page(clerk, path)
    assert many.total == one.total


def test_what_is_low_says_how_many_to_order(shop: Shop, clerk: Client, api: Api) -> None:
    assert api.patch("/v1/warehouses/WH002", {"is_active": False}).status == 200
    low = clerk.get(LIST, {"low": "1"})
    assert [(row.product_id, row.warehouse_id) for row in low.context["cl"].result_list] == [(shop.other_id, "WH001")]
    assert '<td class="field-to_order">5</td>' in low.content.decode()
    shown = page(clerk, LIST, q="RUG")
    assert "WH002: closed, nothing is sold from it" in shown
    assert shown.count('<td class="field-to_order">0</td>') == 1
    assert clerk.get(LIST, {"o": "9"}).status_code == 200
    page(clerk, "/admin/inventory/movement/", kind__exact="receipt")
    names = page(clerk, "/admin/inventory/movement/")
    assert "LAMP" in names and "Rug" in names


def test_closing_a_warehouse_says_what_is_in_it(shop: Shop, admin_client: Client) -> None:
    staff = people.member("stock staff")
    hold("k", shop.product_id, 2)
    path = "/admin/inventory/warehouse/WH001/change/"
    shown = page(staff, path)
    said = "In WH001 now: 105 units, 2 products, 1 reservations."
    assert said in shown
    form = form_in(shown, having="name")
    closing = {name: value for name, value in form.fields.items() if name != "is_active"}
    asked = staff.post(path, closing)
    assert asked.status_code == 200
    again = form_in(asked.content.decode(), having="name")
    assert said in asked.content.decode() and again.kinds["close_anyway"] == "checkbox"
    assert Warehouse.objects.get(pk="WH001").is_active
    assert staff.post(path, {**again.fields, "close_anyway": "on"}).status_code == 302
    assert not Warehouse.objects.get(pk="WH001").is_active
    assert "no: closed, nothing is sold from it" in page(staff, "/admin/inventory/warehouse/")
    empty = Warehouse.objects.create(code="E", name="Empty")
    path = f"/admin/inventory/warehouse/{empty.pk}/change/"
    form = form_in(page(staff, path), having="name")
    assert staff.post(path, {name: v for name, v in form.fields.items() if name != "is_active"}).status_code == 302
