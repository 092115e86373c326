"""One page of each kind that the API and staff have, found by the links that lead there; what forms answer; pages for
everybody, of what is forbidden, or missing: no word on the console, no barrier, light and dark, and none wider than a
phone. The URL map says which kinds there are, so that none is forgotten.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from config.desk.dialogs import DIALOGS
from tests.browser.conftest import BOSS, CATALOG, Enter, Shop
from tests.support.browser import PASSWORD, Person
from tests.support.product import wait_until
from tests.support.walk import kind, places, walk

pytestmark = [pytest.mark.e2e, pytest.mark.no_database, pytest.mark.first(1)]

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
    "admin/login/": "who is not signed in",
    "admin/login/code/": "who has given the password",
    "admin/login/provider/": "shops whose staff sign in elsewhere",
    "admin/login/provider/callback/": "these",
    "admin/second-factor/replace/": "who has a second factor",
    "admin/r/<path:content_type_id>/<path:object_id>/": "models with a page in a storefront",
    "admin/(?P<url>.*)$": "whoever is lost",
}
NO_LINK = FILES | ONLY_SENT_TO | FOR_SCRIPTS | set(FOR_SOME)

# Of what this shop has none of as it begins, or what no answer names. Their pages are made as those above them are.
API_NO_LINK = {
    "v1/customers/<id:customer_id>/addresses/<id:address_id>",
    "v1/imports/<ref:import_id>",
    "v1/imports/<ref:import_id>/apply",
    "v1/imports/<ref:import_id>/undo",
    "v1/inventory/availability/<id:product_id>",
    "v1/orders/<ref:order_id>/returns/<id:return_id>/receive",
    "v1/orders/<ref:order_id>/returns/<id:return_id>/refuse",
    "v1/payments/webhooks/<ref:provider>",
    "v1/users/me/addresses/<id:address_id>",
}
API_FILES = {
    "v1/customers/export",
    "v1/imports/<ref:import_id>/rows",
    "v1/inventory/export",
    "v1/inventory/movements/export",
    "v1/inventory/stock/export",
    "v1/orders/export",
    "v1/products/export",
    "v1/products/prices/export",
    "v1/users/me/export",
}
FOR_MACHINES = {"v1/health"}


def test_every_page_of_the_api(shop: Shop, enter: Enter) -> None:
    boss = enter(BOSS)
    boss.refusals_expected = True  # what is only sent to answers a GET with the form to send
    seen, flaws = walk(boss, "/v1/", within=("/v1/",), past=API_FILES)
    assert not flaws, "\n".join(flaws)
    kinds = {kind(one) for one in places() if one.route.startswith("v1/")}
    assert seen == kinds - API_NO_LINK - API_FILES - FOR_MACHINES
    assert not (API_NO_LINK | API_FILES | FOR_MACHINES) - kinds


def test_every_page_of_staff(shop: Shop, enter: Enter) -> None:
    boss = enter(BOSS)
    asked, to_cancel = _ask_for_a_return(shop), shop.orders["to cancel"]
    _refund(shop)
    _hold(shop)
    _import_prices(boss)
    _let_mails_leave(shop, {asked: 3, shop.orders["other"]: 3})  # only what has left can be sent again
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


def _hold(shop: Shop) -> None:
    """Another may have run out by now."""
    hold = {"product_id": 1, "quantity": 1, "idempotency_key": "walk-in-2"}
    held = shop.api.post("/v1/inventory/reserve", hold, Authorization=f"Bearer {shop.token}")
    assert held.status == 200, held.json


def _let_mails_leave(shop: Shop, mails: dict[str, int]) -> None:
    """``mails``: how many there are of an order by then."""
    as_boss = {"Authorization": f"Bearer {shop.token}"}

    def have_left(order_id: str) -> bool:
        told = shop.api.get(f"/v1/notifications?order_id={order_id}", **as_boss).data
        return [one["status"] for one in told] == ["SENT"] * mails[order_id]

    wait_until(lambda: all(map(have_left, mails)), 60, "all mails have left")


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
    boss.send(boss.button("Go"))


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


def test_pages_for_everybody_and_of_what_is_forbidden_or_missing(shop: Shop, enter: Enter) -> None:
    nobody, found = enter(""), []
    for path in ("/", "/admin/login/", "/v1/"):
        nobody.page.goto(path)
        found += nobody.flaws()
    nobody.page.goto("/docs")
    nobody.page.get_by_text("/v1/products", exact=True).first.wait_for()
    found += nobody.flaws()
    cat = enter(CATALOG)
    cat.refusals_expected = True
    for path, status, said in (
        ("/admin/orders/order/", 403, "You may not do this"),
        ("/staff/pack", 403, "You may not do this"),
        ("/staff/nowhere", 404, "There is nothing at this address"),
        ("/admin/nowhere/", 404, "There is nothing at this address"),
    ):
        answer = cat.page.goto(path)
        assert answer is not None and answer.status == status, path
        cat.sees(said)
        found += cat.flaws()
    for cookie, said in (("csrftoken", "You have signed in or out"), ("sessionid", "You are not signed in any more")):
        cat.page.goto("/admin/catalog/product/17/change/")
        cat.write("Description:", f"typed before {cookie} was lost")
        kept = [one for one in cat.context.cookies() if one.get("name") == cookie]
        cat.context.clear_cookies(name=cookie)
        cat.click(cat.button("Save"))
        cat.sees(said, "nothing was saved")
        found += cat.flaws()
        cat.context.add_cookies(kept)  # type: ignore[arg-type]
        cat.page.go_back()
        expect(cat.field("Description:")).to_have_value(f"typed before {cookie} was lost")
    cat.click(cat.button("Save"))
    cat.sees("was changed successfully")
    assert not found, "\n".join(found)
