"""Pages for everybody, and of what is forbidden or missing: no word on the console, and no barrier, light and dark."""

from __future__ import annotations

import pytest

from tests.browser.conftest import CATALOG, Enter, Shop
from tests.support.browser import Person

pytestmark = [pytest.mark.e2e, pytest.mark.no_database, pytest.mark.first(8)]


def barriers(person: Person) -> list[str]:
    light = person.barriers()
    person.page.emulate_media(color_scheme="dark")
    dark = person.barriers(["color-contrast"])
    person.page.emulate_media(color_scheme="light")
    wide = [f"{person.page.url} is wider than the screen"] if person.overflow() > 0 else []
    return [*light, *(f"dark: {one}" for one in dark), *wide]


def test_pages_for_everybody_and_of_what_is_forbidden_or_missing(shop: Shop, enter: Enter) -> None:
    nobody, found = enter(""), []
    for path in ("/", "/admin/login/", "/v1/"):
        nobody.page.goto(path)
        found += barriers(nobody)
    nobody.page.goto("/docs")
    nobody.page.get_by_text("/v1/products", exact=True).first.wait_for()
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
        found += barriers(cat)
    assert not found, "\n".join(found)
