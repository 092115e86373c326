"""A day of each of the desks, from the login on, in a real browser, with no more clicks than it should take.

``docs/desk.md`` is the manual of what is done here.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import CATALOG, Enter, Shop

pytestmark = [pytest.mark.e2e, pytest.mark.no_database, pytest.mark.first(7)]


def test_the_day_of_a_catalog_editor(shop: Shop, enter: Enter) -> None:
    cat = enter(CATALOG.upper())  # an address has no case

    with cat.task(0):  # nothing but the catalog is offered, and nothing else opens
        assert cat.menu.get_by_role("listitem").count() == 1
        cat.sees("Today")
    cat.refusals_expected = True
    for forbidden in ("/admin/orders/order/", "/admin/inventory/stock/", "/staff/pack", "/admin/auth/user/"):
        answer = cat.page.goto(forbidden)
        assert answer is not None and answer.status == 403, forbidden
    cat.refusals_expected = False

    with cat.task(2):  # words of a name, in any order
        cat.open("Products")
        cat.tab_to(cat.page.locator("#searchbar"), most=3)
        cat.type("knife chef")
        cat.enter()
        expect(cat.row("KNIFE-CHEF", "Chef's Knife")).to_be_visible()

    with cat.task(4, keys_only=True):  # a price, by keys alone
        cat.go("knife-chef")
        cat.tab_to(cat.field("Price:"))
        cat.press("Control+a")
        cat.type("61.50")
        cat.enter()
        cat.sees("was changed successfully")
        expect(cat.row("KNIFE-CHEF")).to_contain_text("61.50")

    with cat.task(8):
        cat.open("Products")
        for sku in ("BOOK-SQL", "BOOK-COOK", "BOOK-TREES", "TENT-2P", "YOGA-MAT"):
            cat.tick(cat.row(sku).get_by_role("checkbox"))
        cat.choose("Action:", "deactivate")
        cat.click(cat.button("Go"))
        for sku in ("BOOK-SQL", "YOGA-MAT"):
            expect(cat.row(sku).get_by_alt_text("False")).to_be_visible()

    with cat.task(3):
        cat.open("Products")
        cat.click(cat.link("Add product"))
        cat.write("SKU:", "SPOON-01")
        cat.write("Name:", "Soup Spoon")
        cat.write("Price:", "4.20")
        cat.enter()
        cat.sees("“SPOON-01", "was added successfully")

    with cat.task(4):  # who changed what
        cat.open("Prices")
        expect(cat.row("KNIFE-CHEF")).to_contain_text("59.00 USD")
        expect(cat.row("KNIFE-CHEF")).to_contain_text("61.50 USD")
        expect(cat.row("KNIFE-CHEF")).to_contain_text("cat@shop.example")
