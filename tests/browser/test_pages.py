"""Pages for everybody, the API's, and of what is forbidden or missing: no word on the console, no barrier, light and
dark, and none wider than a phone.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import BOSS, CATALOG, Enter, Shop
from tests.support.walk import kind, places, walk

pytestmark = [pytest.mark.e2e, pytest.mark.no_database, pytest.mark.first(7)]

# Of what this shop has none of, or what no answer names. Their pages are made as those above them are.
NO_LINK = {
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
FILES = {
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
    seen, flaws = walk(boss, "/v1/", within=("/v1/",), past=FILES)
    assert not flaws, "\n".join(flaws)
    kinds = {kind(one) for one in places() if one.route.startswith("v1/")}
    assert seen == kinds - NO_LINK - FILES - FOR_MACHINES
    assert not (NO_LINK | FILES | FOR_MACHINES) - kinds


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
