"""One page of each kind that staff has, found by the links that lead there: no word on the console, no barrier, light
and dark, and none wider than a phone. The URL map says which kinds there are, so that none is forgotten.
"""

from __future__ import annotations

import pytest

from config.desk.dialogs import DIALOGS
from tests.browser.conftest import BOSS, Enter, Shop
from tests.support.browser import PASSWORD, Person
from tests.support.walk import kind, places, walk

pytestmark = [pytest.mark.e2e, pytest.mark.no_database, pytest.mark.first(6)]

FILES = {
    *(
        f"admin/{one}/export/<slug:name>.<slug:form>"
        for one in ("catalog/product", "customers/customer", "inventory/movement", "inventory/stock", "orders/order")
    ),
    "staff/pack/papers/<str:paper>",
}
ONLY_SENT_TO = {
    "admin/logout/",
    "admin/second-factor/recovery-codes/",
    "admin/second-factor/remove/",
    "staff/reconcile/look",
    "staff/reconcile/orders",
    "staff/reconcile/repair",
}
FOR_SCRIPTS = {"admin/autocomplete/", "admin/jsi18n/"}
FOR_SOME = {
    "admin/login/": "who is not signed in: tests/browser/test_pages.py",
    "admin/login/code/": "who has given the password",
    "admin/login/provider/": "shops whose staff sign in elsewhere",
    "admin/login/provider/callback/": "these",
    "admin/second-factor/replace/": "who has a second factor",
    "admin/r/<path:content_type_id>/<path:object_id>/": "models with a page in a storefront",
    "admin/(?P<url>.*)$": "whoever is lost: tests/browser/test_pages.py",
}
NO_LINK = FILES | ONLY_SENT_TO | FOR_SCRIPTS | set(FOR_SOME)


def test_every_page_of_staff(shop: Shop, enter: Enter) -> None:
    boss = enter(BOSS)
    asked, to_cancel = _ask_for_a_return(shop), shop.orders["to cancel"]
    _refund(shop)
    _import_prices(boss)
    seen, flaws = walk(
        boss,
        "/admin/",
        "/staff/go?q=mug",
        "/admin/password_change/done/",
        "/admin/staff/trail/",  # of others there are none yet
        "/admin/catalog/trail/",
        "/admin/catalog/import/",
        *(f"/staff/orders/{asked}{page}" for page in ("", "/receive", "/refuse")),
        f"/staff/orders/{to_cancel}/cancel",
        within=("/admin/", "/staff/"),
        past=NO_LINK,
    )
    assert not flaws, "\n".join(flaws)
    route = "staff/orders/<str:order_id>/<str:command>"
    kinds = {kind(one) for one in places() if one.route.startswith(("admin/", "staff/"))} - {route}
    kinds |= {route.replace("<str:command>", command) for command in DIALOGS}
    assert seen == kinds - NO_LINK
    assert not NO_LINK - kinds


def _ask_for_a_return(shop: Shop) -> str:
    """The order of a customer who wants to send it back."""
    eve = {"email": "eve@example.com", "password": PASSWORD, "full_name": "Eve"}
    assert shop.api.post("/v1/users/register", eve).status == 201
    as_eve = {"Authorization": f"Bearer {shop.api.post('/v1/users/login', eve).data['access']}"}
    items = [{"product_id": 1, "quantity": 1}]
    order = str(shop.api.post("/v1/orders", {"items": items}, **as_eve).data["order_id"])
    asked = shop.api.post(f"/v1/orders/{order}/returns", {"items": items, "reason": "too big"}, **as_eve)
    assert asked.status == 201, asked.json
    return order


def _refund(shop: Shop) -> None:
    as_boss = {"Authorization": f"Bearer {shop.token}"}
    [payment] = shop.api.get(f"/v1/payments?order_id={shop.orders['other']}", **as_boss).data
    refund = {"amount": 1, "reason": "goodwill"}
    assert shop.api.post(f"/v1/payments/{payment['payment_id']}/refund", refund, key="once", **as_boss).status == 200


def _import_prices(boss: Person) -> None:
    boss.page.goto("/admin/catalog/import/add/")
    file = {"name": "prices.csv", "mimeType": "text/csv", "buffer": b"sku,price\nMUG-BLUE,8\n"}
    boss.page.set_input_files("input[type=file]", [file])  # type: ignore[list-item]
    boss.click(boss.button("Read the file"))
    boss.sees("This writes 0 new, 1 changed")


def _act(boss: Person, path: str, row: str, action: str) -> None:
    """Choose an action for a row of a list."""
    boss.page.goto(path)
    boss.tick(boss.row(row).get_by_role("checkbox").first)
    boss.choose("Action:", action)
    boss.click(boss.button("Go"))


def test_what_forms_answer(shop: Shop, enter: Enter) -> None:
    boss, flaws = enter(BOSS), []

    _act(boss, "/admin/catalog/product/", "MUG-RED", "reprice")
    boss.write("by percent", "5")
    boss.enter()
    boss.sees("Change these prices")
    flaws += boss.flaws()

    _act(boss, "/admin/inventory/stock/", "MUG-RED", "count")
    boss.sees("Record a stock count")
    flaws += boss.flaws()

    _act(boss, "/admin/customers/customer/", "demo@example.com", "delete_selected")
    boss.sees("Their orders stay")
    flaws += boss.flaws()

    boss.page.goto("/admin/catalog/product/add/")
    boss.write("Name:", "A lamp")
    boss.page.locator("form").evaluate_all("forms => forms.forEach((one) => one.noValidate = true)")
    boss.enter()
    boss.sees("This field is required")
    flaws += boss.flaws()

    boss.page.goto(f"/staff/orders/{shop.orders['other']}/refund")
    boss.write("Another amount", "1.00")
    boss.choose("Reason", "goodwill")
    boss.enter()
    boss.sees("Refunds 1.00 USD")
    flaws += boss.flaws()

    boss.page.goto("/admin/inventory/stock/document/")
    boss.scan("3*BOTTLE-750")
    boss.sees("+3")
    boss.scan("NO-SUCH")
    boss.sees("There is no product NO-SUCH")
    flaws += boss.flaws()
    assert not flaws, "\n".join(flaws)
