"""Staff's page to receive, count, adjust and move: many lines by scanner or keyboard, booked at once and once only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages

from contexts.inventory.models import Movement, Stock
from contexts.inventory.services import holds, stock
from tests.support import away, people
from tests.support.api import Api
from tests.support.pages import Browser, form_in
from tests.support.shop import Shop

PATH = "/admin/inventory/stock/document/"


class Desk:
    """The page as a person at it sees it: what they send begins with what the page shows."""

    def __init__(self, browser: Browser, **query: str) -> None:
        self.browser = browser
        self.show(browser.get(PATH, query))

    def show(self, answer: Any) -> None:
        self.answer = answer
        if answer.status_code == 200:
            self.text = answer.content.decode()
            self.form = form_in(self.text, having="scan")

    def do(self, command: str, **typed: Any) -> Desk:
        self.show(self.browser.post(PATH, (self.form | typed | {"do": command}).fields))
        return self

    def scan(self, *codes: str, **typed: Any) -> Desk:
        for code in codes:
            self.do("add", scan=code, **typed)
        return self

    @property
    def lines(self) -> list[tuple[str, int]]:
        return [(line.sku, line.line.units) for line in self.answer.context["lines"]]

    @property
    def bad(self) -> str:
        return str(self.answer.context["bad"])

    def messages(self) -> list[str]:
        return [str(message) for message in get_messages(self.answer.wsgi_request)]


@pytest.fixture
def clerk() -> Browser:
    return people.member("stock staff")


def on_hand(product_id: int, warehouse: str = "WH001") -> int:
    return Stock.objects.get(product_id=product_id, warehouse=warehouse).on_hand


def test_a_delivery_is_scanned_and_booked_as_one(shop: Shop, clerk: Browser, api: Api) -> None:
    api.patch(f"/v1/products/{shop.other_id}", {"barcode": "4006381333931"})
    desk = Desk(clerk)
    assert desk.form.fields["warehouse"] == "WH001", "the first warehouse is chosen already"
    desk.scan("LAMP", "LAMP", "5*4006381333931").scan("lamp", quantity="10").scan("2 * LAMP")
    assert desk.lines == [("LAMP", 14), ("RUG", 5)], "scans add up, the last one stands on top"
    assert (on_hand(shop.product_id), on_hand(shop.other_id)) == (100, 5)
    desk.do("book", reference="DN-77")
    assert desk.answer.status_code == 302
    [said] = desk.messages()
    assert "Received 19 units of 2 products in WH001" in said and "?q=DN-77" in said
    assert (on_hand(shop.product_id), on_hand(shop.other_id)) == (114, 10)
    booked = Movement.objects.filter(reference="DN-77")
    found = clerk.get("/admin/inventory/movement/", {"q": "dn-77"}).context["cl"].result_list
    assert {one.pk for one in found} == {one.pk for one in booked}
    assert set(booked.values_list("delta", "kind", "actor")) == {
        (14, "receipt", "staff:stock.staff@example.com"),
        (5, "receipt", "staff:stock.staff@example.com"),
    }
    assert clerk.get("/admin/inventory/movement/", {"q": "DN-77"}).context["cl"].result_count == 2


def test_sent_twice_it_is_booked_once_and_whoever_goes_back_is_told(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk).scan("LAMP")
    before = desk.form
    assert [desk.do("book").answer.status_code for _ in range(2)] == [302, 302]
    assert "once" in desk.messages()[-1]
    assert on_hand(shop.product_id) == 101
    assert f"booked={before.fields['_form_key']}" in desk.answer["Location"], "the tab may forget its lines"
    desk.form = before
    desk.scan("RUG")
    assert "booked already" in desk.bad and desk.lines == []
    assert desk.form.fields["scan"] == "RUG", "nothing that was typed is lost"
    desk.scan("RUG").do("book")
    assert (desk.answer.status_code, on_hand(shop.product_id), on_hand(shop.other_id)) == (302, 101, 6)


@pytest.mark.any_engine
def test_the_last_entry_is_taken_back_and_a_line_removed(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk).scan("LAMP", "3*LAMP", "RUG").do("undo")
    assert desk.lines == [("LAMP", 4)]
    assert desk.do("undo").lines == [("LAMP", 1)]
    assert desk.scan("7*RUG").do(f"remove-{shop.other_id}").lines == [("LAMP", 1)]
    assert desk.do("undo").lines == []
    assert "undo" not in desk.form.buttons["do"]
    assert desk.do("undo").do("book").bad == "There is no line yet."


def test_an_unknown_code_is_told_and_nothing_is_lost(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk).scan("LAMP", "4099999999999", "RUG")
    assert desk.lines == [("RUG", 1), ("LAMP", 1)]
    assert "<code>4099999999999</code>" in desk.text and 'class="bad"' in desk.text
    for code, told in (
        ("0*LAMP", "Give 1 unit or more."),
        ("-2*LAMP", "Give 1 unit or more."),
        ("9999999999*LAMP", "9999999999 units are too many"),
        ("99999999999999*LAMP", "units are too many"),
        ("1.5*LAMP", "Units are whole, and 1.5 is not."),
        ("1,5xLAMP", "Units are whole"),
        ("", "Scan a product"),
    ):
        assert told in desk.scan(code).bad, code
        assert desk.form.fields["scan"] == code
    assert "is no number of units" in desk.scan("LAMP", quantity="1e3").bad
    assert desk.form.fields["quantity"] == "1e3"
    assert len(desk.lines) == 2
    desk.do("book", quantity="", scan="")
    assert "4099999999999" in desk.messages()[1], "what was not taken is named again when the rest is booked"


@pytest.mark.any_engine
def test_x_is_times_where_nothing_is_called_so(shop: Shop, clerk: Browser, api: Api) -> None:
    beam = api.post("/v1/products", {"sku": "2x4", "name": "Beam", "price": 1}).data["product_id"]
    desk = Desk(clerk).scan("5xLAMP", "3 \u00d7 rug", "2x4", "2X4", "3Xlamp", "2x2x4")
    assert desk.lines == [("2x4", 4), ("LAMP", 8), ("RUG", 3)]
    assert desk.scan("4xbeam").do(f"pick-{beam}").lines[0] == ("2x4", 8)


def test_words_of_a_name_ask_which_product_is_meant(shop: Shop, clerk: Browser, api: Api) -> None:
    """A code that is only like a product is never taken for it."""
    api.post("/v1/products", {"sku": "MUG-1", "name": "Blue mug", "price": 1})
    green = api.post("/v1/products", {"sku": "MUG-2", "name": "Green mug", "price": 1}).data["product_id"]
    api.post("/v1/products", {"sku": "L" * 64, "name": "Long", "price": 1})
    assert Desk(clerk).scan("5*" + "L" * 64).lines == [("L" * 64, 5)]
    desk = Desk(clerk).scan("4*mug")
    assert desk.lines == []
    assert {f"pick-{green}"} <= set(desk.form.buttons["do"])
    assert desk.do(f"pick-{green}").lines == [("MUG-2", 4)]
    assert desk.scan("MUG-3").lines == [("MUG-2", 4)]
    for about in ("pick-999999999", "pick-x", "pick-", "nothing", "remove-x", "remove-5"):
        assert desk.do(about, scan="").answer.status_code == 200, about
    assert desk.lines == [("MUG-2", 4)]


def test_a_count_shows_its_differences_and_adds_what_was_sold_since(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk, what="count").scan("98*LAMP", "0*RUG", "5*RUG")
    shop.order(3)
    assert on_hand(shop.product_id) == 97
    desk.do("book")
    assert (desk.answer.status_code, on_hand(shop.product_id)) == (200, 97), "first it shows what it would change"
    lamp = {line.sku: line for line in desk.answer.context["lines"]}["LAMP"]
    assert (lamp.line.seen, lamp.moved, lamp.on_hand, lamp.after, lamp.change) == (100, -3, 97, 95, -2)
    assert "1 of 2 lines differ" in desk.text
    desk.do("book", reference="shelf 4")
    assert desk.answer.status_code == 302
    assert (on_hand(shop.product_id), on_hand(shop.other_id)) == (95, 5)
    [line] = Movement.objects.filter(reference="shelf 4")
    assert (line.delta, line.kind, line.reason) == (-2, "count", "stock count")


def test_lines_that_came_after_the_differences_are_shown_first(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk, what="count").scan("98*LAMP").do("check")
    seen = desk.form.fields["checked"]
    desk.scan("4*RUG")
    desk.do("book", checked=seen)
    assert (desk.answer.status_code, on_hand(shop.product_id), on_hand(shop.other_id)) == (200, 100, 5)
    assert desk.do("book").answer.status_code == 302
    assert (on_hand(shop.product_id), on_hand(shop.other_id)) == (98, 4)


def test_two_people_count_one_shelf_and_agree(shop: Shop, clerk: Browser) -> None:
    desks = [Desk(clerk, what="count").scan("90*LAMP").do("check") for _ in range(2)]
    shop.order(2)
    assert [desk.do("check").do("book").answer.status_code for desk in desks] == [302, 302]
    assert on_hand(shop.product_id) == 88


def test_an_adjustment_wants_a_reason_and_leaves_what_is_held(shop: Shop, clerk: Browser) -> None:
    holds.reserve(key="h", order_id="X", demand={shop.other_id: 4}, seconds=60, warehouse="WH001")
    desk = Desk(clerk, what="adjust").scan("-2*RUG", "-1*LAMP")
    assert "Give the reason" in desk.do("book").bad
    desk.do("book", reason="broken")
    assert desk.bad == "Nothing was booked. See the lines in red."
    assert "4 units are reserved; on hand cannot become 3." in desk.text
    assert [line.refusal != "" for line in desk.answer.context["lines"]] == [False, True]
    assert (on_hand(shop.product_id), on_hand(shop.other_id)) == (100, 5), "all lines or none"
    desk.do(f"remove-{shop.other_id}").do("book")
    assert (desk.answer.status_code, on_hand(shop.product_id)) == (302, 99)
    assert Movement.objects.get(reason="broken").kind == "adjustment"


def test_an_adjustment_takes_units_of_holds_that_have_run_out(
    shop: Shop, clerk: Browser, run_out: Callable[[str], None]
) -> None:
    holds.reserve(key="h", order_id="X", demand={shop.other_id: 5}, seconds=60, warehouse="WH001")
    run_out("h")
    assert Desk(clerk, what="adjust").scan("-2*RUG").do("book", reason="lost").answer.status_code == 302
    assert on_hand(shop.other_id) == 3


def test_a_move_takes_only_what_nobody_holds(shop: Shop, clerk: Browser) -> None:
    holds.reserve(key="h", order_id="X", demand={shop.other_id: 2}, seconds=60, warehouse="WH001")
    desk = Desk(clerk, what="move").scan("20*LAMP", "4*RUG")
    assert "Choose another warehouse" in desk.do("book").bad
    assert "Choose another warehouse" in desk.do("book", to_warehouse="WH001").bad
    desk.do("book", to_warehouse="WH002")
    assert {line.sku: line.refusal for line in desk.answer.context["lines"]} == {
        "LAMP": "",
        "RUG": "3 are available.",
    }
    desk.do("undo").scan("3*RUG").do("book", reference="van 2")
    assert desk.answer.status_code == 302
    assert [on_hand(shop.product_id, code) for code in ("WH001", "WH002")] == [80, 20]
    assert [on_hand(shop.other_id, code) for code in ("WH001", "WH002")] == [2, 8]
    assert set(Movement.objects.filter(reference="van 2").values_list("delta", "reason", "kind")) == {
        (-20, "transfer to WH002", "transfer"),
        (20, "transfer from WH001", "transfer"),
        (-3, "transfer to WH002", "transfer"),
        (3, "transfer from WH001", "transfer"),
    }


def test_what_moves_covers_what_is_owed_there(shop: Shop, clerk: Browser) -> None:
    holds.reserve(key="h", order_id="X", demand={shop.other_id: 5}, seconds=60, paying=True, warehouse="WH002")
    holds.confirm(key="h")
    row = Stock.objects.get(product_id=shop.other_id, warehouse="WH002")
    holds.reserve(key="rest", order_id="Y", demand={shop.other_id: 3}, seconds=60, warehouse="WH001")
    stock.count(inventory_id=row.pk, on_hand=3, reorder_point=None, reason="r", force=True, actor="t")
    row.refresh_from_db()
    assert row.owed == 5
    desk = Desk(clerk, what="move", to_warehouse="WH002").scan("2*RUG").do("book")
    assert desk.answer.status_code == 302
    row.refresh_from_db()
    assert (row.on_hand, row.reserved, row.owed) == (5, 5, 0)


@pytest.mark.any_engine
def test_another_warehouse_is_looked_at_anew(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk, what="count").scan("5*RUG", "3*LAMP")
    desk.do("look", warehouse="WH002")
    assert {line.sku: (line.line.seen, line.line.units) for line in desk.answer.context["lines"]} == {
        "RUG": (5, 5),
        "LAMP": (0, 3),
    }
    assert "These lines were entered for WH001 and are for WH002 now" in desk.text
    assert "were entered for" not in desk.do("look").text
    desk.do("book").do("book")
    assert (desk.answer.status_code, on_hand(shop.product_id, "WH002"), on_hand(shop.product_id)) == (302, 3, 100)


@pytest.mark.any_engine
def test_nobody_else_books(shop: Shop) -> None:
    for group in ("support staff", "catalog staff"):
        assert people.member(group).get(PATH).status_code == 403
    assert Browser().get(PATH).status_code == 302


def test_a_page_costs_the_same_however_many_lines(shop: Shop, clerk: Browser, api: Api, statements: Any) -> None:
    desk = Desk(clerk, what="count").scan("LAMP")
    with statements() as one:
        desk.scan("LAMP")
    for number in range(15):
        api.post("/v1/products", {"sku": f"P-{number}", "name": "P", "price": 1})
        desk.scan(f"P-{number}")
    with statements() as many:
        desk.scan("LAMP")
    assert many.total == one.total
    with statements() as checked:
        desk.do("check")
    assert checked.total <= one.total + 1
    with statements() as booked:
        desk.do("book", warehouse="WH001")
    assert desk.answer.status_code == 302
    assert booked.total < 40


def test_it_copes_with_anything(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk).scan("LAMP")
    for typed in (
        {"line": "x"},
        {"line": "1 2 3"},
        {"line": "9 " * 40},
        {"line": f"{shop.product_id} {10**40} 0 0"},
        {"entry": "1"},
        {"what": "steal"},
        {"warehouse": "\x00"},
        {"warehouse": "NONE"},
        {"reference": "x" * 999},
        {"reason": "a\nb"},
        {"scan": "\x00"},
        {"scan": "x" * 5000},
        {"quantity": "9" * 5000},
        {"_form_key": "stale"},
        {"unknown": "<script>"},
    ):
        answer = clerk.post(PATH, (desk.form | {"scan": "LAMP", **typed, "do": "add"}).fields)
        assert answer.status_code in (200, 302), typed
        assert b"<script>" + b"<" not in answer.content
    for query in ({"what": "x"}, {"warehouse": "x"}, {"scan": "\x00\x00"}, {"to_warehouse": "\x00"}):
        assert clerk.get(PATH, query).status_code == 200, query
    assert on_hand(shop.product_id) == 100


@pytest.mark.any_engine
def test_without_the_catalog_nothing_is_taken_and_nothing_lost(shop: Shop, clerk: Browser) -> None:
    desk = Desk(clerk).scan("LAMP")
    with away.unreachable("catalog"):
        desk.scan("RUG")
    assert "cannot be asked just now" in desk.bad
    assert (desk.form.fields["scan"], len(desk.lines)) == ("RUG", 1)
