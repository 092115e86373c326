"""A day of each of the desks, from the login on, in a real browser, with no more clicks than it should take.

``docs/desk.md`` is the manual of what is done here.
"""

from __future__ import annotations

import csv
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import BOSS, CATALOG, STOCK, SUPPORT, Enter, Shop
from tests.support.browser import PHONE

# After the walk through all pages: days change what there is.
pytestmark = [pytest.mark.e2e, pytest.mark.no_database, pytest.mark.first(2)]


def test_the_day_of_a_catalog_editor(shop: Shop, enter: Enter) -> None:
    cat = enter("")
    cat.email = CATALOG.upper()  # an address has no case
    with cat.task(1, keys_only=True):
        cat.log_in()

    with cat.task(30):  # nothing but the catalog is offered, and nothing else opens
        cat.sees("Today")
        expect(cat.menu.get_by_role("link", name="Products")).to_be_visible()
        for name in ("Stock", "Orders", "Payments", "To pack", "Staff"):
            expect(cat.menu.get_by_role("link", name=name, exact=True)).to_have_count(0)
    cat.refusals_expected = True
    for forbidden in ("/admin/orders/order/", "/admin/inventory/stock/", "/staff/pack", "/admin/auth/user/"):
        answer = cat.page.goto(forbidden)
        assert answer is not None and answer.status == 403, forbidden
    cat.refusals_expected = False

    with cat.task(5, keys_only=True):  # words of a name, in any order
        cat.tab_to(cat.menu.get_by_role("link", name="Products"))
        cat.enter()
        cat.type("knife chef")
        cat.enter()
        expect(cat.row("KNIFE-CHEF", "Chef's Knife")).to_be_visible()

    with cat.task(6, keys_only=True):
        cat.tab_to(cat.menu.get_by_role("link", name="Products"))
        cat.enter()
        cat.type("knife chef")
        cat.enter()
        cat.tab_to(cat.field("Price of KNIFE-CHEF"))
        cat.overtype("61.50")
        cat.enter()
        expect(cat.field("Price of KNIFE-CHEF")).to_have_value("61.50")
        cat.sees_no("Nothing was saved")

    with cat.task(7):
        cat.open("Products")
        for sku in ("BOOK-SQL", "BOOK-COOK", "BOOK-TREES", "TENT-2P", "YOGA-MAT"):
            cat.tick(cat.row(sku).get_by_role("checkbox").first)
        cat.choose("Action:", "deactivate")
        cat.click(cat.button("Go"))
        cat.sees("5 products")
        for sku in ("BOOK-SQL", "YOGA-MAT"):
            expect(cat.field(f"{sku} is on sale")).not_to_be_checked()

    with cat.task(8):
        cat.open("Products")
        cat.click(cat.link("Add product"))
        cat.write("SKU:", "SPOON-01")
        cat.write("Name:", "Soup Spoon")
        cat.write("Price:", "4.20")
        cat.enter()
        cat.sees("“SPOON-01", "was added successfully")

    with cat.task(28):  # all of a list's products, and no others, as what they are
        cat.open("Products")
        cat.type("knife chef")
        cat.enter()
        with cat.page.expect_download() as taken:
            cat.click(cat.link("Products as CSV"))
        head, *lines = csv.DictReader(taken.value.path().read_text("utf-8-sig").splitlines(), restval="")
        assert (head["sku"], head["name"], head["price"], lines) == ("KNIFE-CHEF", "Chef's Knife", "61.50", [])

    with cat.task(29):  # who changed a price, from what to what
        cat.open("Prices")
        expect(cat.row("KNIFE-CHEF")).to_contain_text("59.00 USD")
        expect(cat.row("KNIFE-CHEF")).to_contain_text("61.50 USD")
        expect(cat.row("KNIFE-CHEF")).to_contain_text("cat@shop.example")

    with cat.task(29):  # and whatever else somebody has done
        cat.open("Activity")
        cat.write("Person", CATALOG)
        cat.enter()
        expect(cat.row("KNIFE-CHEF", "price")).to_contain_text("59.00")
        expect(cat.row("KNIFE-CHEF", "price")).to_contain_text("61.50")
        expect(cat.row("SPOON-01")).to_contain_text("Soup Spoon")
        expect(cat.row("YOGA-MAT")).to_contain_text("is active: yes → no")
        cat.sees_no(BOSS)


def test_the_day_of_a_stock_clerk(shop: Shop, enter: Enter) -> None:
    stu = enter(STOCK)

    with stu.task(4):  # what is low, and how much is to be ordered
        stu.click(stu.link(re.compile("^Low stock")))
        expect(stu.row("CAM-4K", "WH001")).to_be_visible()
        stu.sees("To order")
        stu.sees_no("MUG-BLUE")

    with stu.task(9):  # stock of a product by its name
        stu.open("Stock")
        stu.type("blue mug")
        stu.enter()
        expect(stu.row("MUG-BLUE", "Blue Mug", "WH001")).to_contain_text("WH001")
        expect(stu.row("MUG-BLUE", "Blue Mug", "WH002")).to_contain_text("400")

    with stu.task(10, keys_only=True):  # receive 50 units, with a scanner and no mouse
        stu.tab_to(stu.menu.get_by_role("link", name="Receive, count, move"))
        stu.enter()
        stu.sees("Receive, count, adjust, move")
        stu.tab_to(stu.field("Reference"))
        stu.type("DN-4711")
        stu.press("Enter")  # back to the scan
        stu.scan("50*MUG-BLUE")
        stu.sees("+50: 50 of MUG-BLUE, Blue Mug")
        stu.tab_to(stu.button("Receive: book all lines"))
        stu.enter()
        stu.sees("Received 50 units of one product in WH001: DN-4711")

    with stu.task(11):  # count a shelf: nothing is booked before the differences are seen
        stu.open("Receive, count, move")
        stu.choose("What", "count")
        stu.scan("25*TOWEL-SET")
        stu.click(stu.button("Show differences"))
        expect(stu.row("TOWEL-SET")).to_contain_text("-105")
        stu.click(stu.button("Count: book all lines"))
        stu.sees("Counted 25 units of one product in WH001")

    with stu.task(12):  # move 10 units to the other warehouse
        stu.open("Receive, count, move")
        stu.choose("What", "move")
        stu.choose("To", "WH002")
        stu.scan("10*TEAPOT-GL")
        stu.click(stu.button("Move: book all lines"))
        stu.sees("Moved 10 units of one product from WH001 to WH002")

    with stu.task(13):  # one is broken
        stu.open("Receive, count, move")
        stu.choose("What", "adjust")
        stu.scan("-1*TEAPOT-GL")
        stu.write("Reason", "broken")
        stu.click(stu.button("Adjust: book all lines"))
        stu.sees("Adjusted -1 units of one product in WH001")

    with stu.task(14):  # why 4 on hand are not available, and who holds them
        stu.open("Stock")
        stu.type("webcam")
        stu.enter()
        stu.click(stu.row("CAM-4K", "WH001").get_by_role("link").first)
        stu.sees("Who holds what")
        expect(stu.row(shop.orders["unpaid"])).to_contain_text(re.compile(r"\d\d:\d\d:\d\d left"))
        expect(stu.row("walk-in-1")).to_be_visible()

    with stu.task(15):  # and one of them is given up
        stu.open("Stock")
        stu.type("webcam")
        stu.enter()
        stu.click(stu.row("CAM-4K", "WH001").get_by_role("link").first)
        stu.click(stu.row("walk-in-1").get_by_role("link", name="Release"))
        stu.click(stu.button("Release this hold"))
        stu.sees("The hold is released: 1 units.")

    with stu.task(23, keys_only=True):  # pack and dispatch with keys and scanner alone
        stu.tab_to(stu.menu.get_by_role("link", name="To pack"))
        stu.enter()
        stu.sees("To pack in WH001")
        stu.press("j")
        expect(stu.main.get_by_role("row").nth(1).locator("a.open")).to_be_focused()
        for key, row in (("j", stu.main.locator("a.open").last), ("k", stu.main.locator("a.open").first)):
            for _ in range(6):  # held
                stu.page.keyboard.down(key)
            stu.page.keyboard.up(key)
            expect(row).to_be_focused()
        stu.press("j", "x", "x", "k")  # as quickly as a scanner types
        stu.enter()
        stu.sees("What goes into it")
        stu.scan("2*mug-blue")  # in any case
        stu.sees("All of it is there.")
        stu.enter()
        stu.sees("is packed")
        expect(stu.row("MUG-BLUE").locator(".got")).to_have_text("2")  # what was scanned stays
        stu.overtype("JJD000123")
        stu.press("Escape")
        stu.press("d")
        stu.sees("is dispatched", "PEN-GEL")


def test_the_day_of_a_support_agent(shop: Shop, enter: Enter) -> None:
    sue = enter(SUPPORT)
    shipped, other, unpaid = shop.orders["shipped"], shop.orders["other"], shop.orders["unpaid"]

    with sue.task(3):
        sue.sees(
            "Orders of today that are paid", " USD, since midnight UTC", "Units sold today", "on average an order is"
        )

    with sue.task(2):
        sue.click(sue.link(re.compile("^Orders of today")))
        expect(sue.row(shipped)).to_be_visible()

    with sue.task(16, keys_only=True):  # an order by the last letters of its id, small ones
        sue.tab_to(sue.menu.get_by_role("link", name="Orders"))
        sue.enter()
        sue.type(shipped[-8:].lower())
        sue.enter()
        expect(sue.row(shipped)).to_be_visible()
        expect(sue.row(other)).to_have_count(0)

    with sue.task(17):  # by the address of a registered customer
        sue.open("Orders")
        sue.type("DEMO@example.com")
        sue.enter()
        expect(sue.row(shipped)).to_be_visible()
        expect(sue.row(unpaid)).to_have_count(0)

    with sue.task(18):  # by a SKU
        sue.open("Orders")
        sue.type("cam-4k")
        sue.enter()
        expect(sue.row(unpaid)).to_be_visible()
        expect(sue.row(shipped)).to_have_count(0)

    with sue.task(19, keys_only=True):  # its whole story on one page, by keys alone
        sue.go(shipped)
        sue.sees("PAN-28", "Demo User", "demo@example.com", "WH001", "order confirmation", "Captured", "What happened")

    with sue.task(20, keys_only=True):  # cancel: what it does is shown first
        sue.go(shop.orders["to cancel"])
        sue.tab_to(sue.link("Cancel"))
        sue.enter()
        sue.type("customer")  # the reason begins so
        sue.tab_to(sue.button("See what it does"))
        sue.enter()
        sue.sees("This is what it does", "Frees 1 × PAN-28")
        sue.enter()
        sue.sees("Cancel: done.", "CANCELLED", "staff:sue@shop.example")

    with sue.task(21):  # refund a part
        sue.go(other)
        sue.click(sue.link("Refund money"))
        sue.write("Another amount", "2.50")
        sue.choose("Reason", "goodwill")
        sue.enter()
        sue.sees("Refunds 2.50 USD")
        sue.click(sue.button("Refund money"))
        sue.sees("Refund money: done.", "staff:sue@shop.example")

    with sue.task(22):  # a return: one as new, one damaged
        sue.go(shipped)
        sue.click(sue.link("Register a return"))
        sue.write("PAN-28, Frying Pan 28 cm", "1")
        sue.write("MUG-BLUE, Blue Mug", "1")
        sue.choose("MUG-BLUE, Blue Mug are", "damaged")
        sue.choose("Reason", "does not fit")
        sue.enter()
        sue.sees("Puts 1 × PAN-28 back on sale in WH001.", "Writes 1 × MUG-BLUE off as damaged in WH001.")
        sue.click(sue.button("Register a return"))
        sue.sees("Register a return: done.")

    with sue.task(26):  # a notification that failed, and why
        sue.open("Notifications")
        sue.click(sue.link("FAILED"))
        sue.click(sue.row("nobody@refused.example").get_by_role("link").first)
        sue.sees("550 no such user here")

    with sue.task(25):  # it goes to another address
        sue.go(shop.orders["refused"])
        sue.click(sue.link("Correct the address and send again"))
        sue.type("somebody@example.com")
        sue.enter()
        sue.sees("is queued and will be sent in a moment")

    with sue.task(25):  # what was sent is sent again
        sue.go(other)
        sue.click(sue.link("Send again"))
        sue.choose("Reason", "it never arrived")
        sue.click(sue.button("Send it again"))
        sue.sees("is queued and will be sent in a moment")

    with sue.task(27):  # what is stuck, and what to do
        sue.open("Problems")
        sue.send(sue.button("Check again now"))
        sue.sees("Last check-up")


def test_two_people_on_one_row_and_forms_sent_twice(shop: Shop, enter: Enter) -> None:
    ann, bob = enter(CATALOG), enter(BOSS)
    for person in (ann, bob):
        person.page.goto("/admin/catalog/product/17/change/")
    ann.write("Price:", "11.25")
    ann.click(ann.button("Save"))
    ann.sees("was changed successfully")
    bob.write("Description:", "Red, and it stays so.")
    bob.click(bob.button("Save"))
    bob.sees("Somebody else has changed this meanwhile", "11.25")
    bob.button("Save").dblclick()
    expect(bob.field("Price of MUG-RED")).to_have_value("11.25")
    ann.page.go_back()  # and what was sent is sent again
    ann.click(ann.button("Save"))
    ann.sees(re.compile("was changed successfully|had been sent before"))
    ann.page.goto("/admin/catalog/pricechange/?q=MUG-RED")
    ann.sees("2 price changes")  # the first price, and this one

    stu, before = enter(STOCK), _on_hand(shop, "PEN-GEL")
    stu.page.goto("/admin/inventory/stock/document/")
    stu.scan("7*PEN-GEL")
    stu.sees("+7: 7 of PEN-GEL")
    stu.page.get_by_role("button", name="Receive: book all lines").dblclick()
    stu.sees(re.compile("7 units|had been sent before"))  # a browser may drop the first answer, and its words
    stu.page.go_back()
    stu.send(stu.button("Receive: book all lines"))
    assert _on_hand(shop, "PEN-GEL") == before + 7


def test_what_has_left_arrives(shop: Shop, enter: Enter) -> None:
    sue = enter(SUPPORT)
    with sue.task(24):
        sue.go(shop.orders["refused"])
        sue.click(sue.row("SHIPPED", "WH001").get_by_role("link"))
        sue.click(sue.button("Delivered"))
        sue.sees("is delivered", "DELIVERED")


def _on_hand(shop: Shop, sku: str) -> int:
    found = shop.api.get(f"/v1/inventory/availability?skus={sku}", Authorization=f"Bearer {shop.token}").data
    return int(found[0]["total_on_hand"])


def test_no_page_is_wider_than_a_phone(shop: Shop, enter: Enter) -> None:
    boss = enter(BOSS, size=PHONE)
    order = shop.orders["shipped"]
    for path in (f"/staff/orders/{order}", f"/staff/orders/{order}/refund", "/staff/reconcile", "/staff/activity"):
        boss.page.goto(path)
        assert boss.overflow() <= 0, path


def test_the_first_field_is_near(shop: Shop, enter: Enter) -> None:
    boss = enter(BOSS)
    with boss.task(33, keys_only=True):
        for path, field in (
            ("/admin/inventory/stock/", boss.page.locator("#searchbar")),
            ("/admin/orders/order/", boss.page.locator("#searchbar")),
            ("/admin/inventory/stock/document/", boss.page.locator("#id_scan, #scan").first),
            ("/admin/catalog/product/add/", boss.page.locator("#id_sku")),
            (f"/staff/orders/{shop.orders['other']}/refund", boss.main.locator("input:visible, select").first),
        ):
            boss.page.goto(path)
            boss.tab_to(field, most=3)


def test_the_stock_screen_of_a_phone_and_in_the_dark(shop: Shop, enter: Enter) -> None:
    stu = enter(STOCK, size=PHONE, scheme="dark")
    with stu.task(32):
        for path in ("/admin/", "/admin/inventory/stock/", "/staff/pack", "/admin/inventory/stock/document/"):
            stu.page.goto(path)
            assert stu.overflow() <= 0, path
            shade = stu.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert max(map(int, re.findall(r"\d+", shade)[:3])) < 60, f"{path} is not dark: {shade}"
    with stu.task(31):
        stu.open("Receive, count, move")
        stu.scan("3*BOTTLE-750")
        stu.scan("NO-SUCH")
        stu.sees("There is no product NO-SUCH", "BOTTLE-750")
        stu.page.route("**/document/", lambda request: None)  # the server does not answer
        stu.scan("2*BOTTLE-750")
        stu.page.goto("/admin/")  # and back: no line is lost, nor what was not yet sent
        stu.page.unroute_all(behavior="ignoreErrors")
        stu.page.goto("/admin/inventory/stock/document/?warehouse=WH002&scan=PAN-28")
        stu.sees("for WH001. They are not booked yet. Book or remove them before you go on in WH002", "NO-SUCH")
        expect(stu.field("Product")).to_have_value("")
        expect(stu.row("BOTTLE-750", "245")).to_be_visible()
        stu.click(stu.button("Undo the last"))
        expect(stu.row("BOTTLE-750", "243")).to_be_visible()
        for button in ("Add", "Undo the last", "Receive: book all lines"):
            box = stu.button(button).bounding_box()
            assert box is not None and box["height"] >= 32 and box["x"] + box["width"] <= PHONE["width"], button
        stu.click(stu.button("Receive: book all lines"))
        stu.sees("Received 3 units of one product in WH001")
        stu.page.reload()
        stu.sees("No line yet")
