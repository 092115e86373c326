"""The desk: the go box, the front page and the sheet of an order, each as its reader's group may see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from config.books import checkup
from contexts.inventory import tasks as inventory_tasks
from contexts.inventory.models import Stock, StockDay
from contexts.orders import tasks as orders_tasks
from contexts.orders.models import Order
from contexts.orders.public.api import orders
from eci.calls import rpc
from eci.errors import ContextUnavailable
from tests.support.pages import form_in
from tests.support.shop import Shop
from tests.support.statements import Counted

SUPPORT, STOCK, CATALOG = "support staff", "stock staff", "catalog staff"
LISTS_OF_ORDERS = [
    *("shipping/shipment", "inventory/reservation", "inventory/movement", "notifications/notification"),
    *("payments/payment", "payments/paymentrequest", "payments/refund", "orders/order"),
]


def go(client: Client, text: str) -> Any:
    return client.get("/staff/go", {"q": text})


class TestTheGoBox:
    def test_opens_what_has_exactly_this_name(self, shop: Shop, member: Callable[[str], Client]) -> None:
        order = shop.order(2, reference="R/7 é").data
        support = member(SUPPORT)
        sheet = f"/staff/orders/{order['order_id']}"
        number, tracking_no = order["number"], order["shipments"][0]["tracking_no"]
        for text in (order["order_id"], f"  {order['order_id']} ", tracking_no, f"{number}", f"#{number}", "R/7 é"):
            assert go(support, text).headers["Location"] == sheet
        upper = shop.order(1, reference="SHOP-7B").data["order_id"]
        assert go(support, "shop-7b").headers["Location"] == f"/staff/orders/{upper}"
        catalog = member(CATALOG)
        shop.api.patch(f"/v1/products/{shop.product_id}", {"barcode": "4006381333931"})
        for text in ("LAMP", "lam", "4006381333931"):
            assert go(catalog, text).headers["Location"] == f"/admin/catalog/product/{shop.product_id}/change/"

    def test_shows_several_and_says_what_each_is(self, shop: Shop, member: Callable[[str], Client]) -> None:
        page = go(member(SUPPORT), "ANN@example.com")
        assert [(hit.kind, hit.url) for hit in page.context["found"].hits] == [
            ("customer", f"/admin/customers/customer/{shop.customer_id}/change/"),
            ("orders", "/admin/orders/order/?q=ANN%40example.com"),
        ]

    def test_an_address_in_another_spelling_and_one_that_nobody_has(
        self, shop: Shop, member: Callable[[str], Client]
    ) -> None:
        support, items = member(SUPPORT), [{"product_id": shop.product_id, "quantity": 1}]
        guest = shop.api.post("/v1/orders", {"email": "Guest@Straße.de", "items": items}).data["order_id"]
        shop.api.settle()
        for typed in ("Guest@Straße.de", "guest@STRAßE.de", "guest@xn--strae-oqa.de"):
            orders_of_them = go(support, typed).headers["Location"]
            assert guest in support.get(orders_of_them).content.decode(), typed
            told = support.get("/admin/notifications/notification/", {"q": typed})
            assert told.context["cl"].result_count > 0, typed
        assert go(support, "nobody@example.com").context["found"].hits == ()

    def test_whoever_packs_finds_an_order_s_parcel(self, shop: Shop, member: Callable[[str], Client]) -> None:
        order = shop.order(2, fulfilment="warehouse").data
        [parcel] = order["shipments"]
        stock = member(STOCK)
        for text in (order["order_id"], f"#{order['number']}", order["order_id"][-7:], parcel["tracking_no"].lower()):
            assert go(stock, text).headers["Location"] == f"/staff/pack/{parcel['shipment_id']}", text

    def test_lists_of_what_belongs_to_an_order_find_its_other_names(self, shop: Shop, admin_client: Client) -> None:
        order, other = shop.order(2).data, shop.order(1, product_id=shop.other_id).data
        [payment] = shop.api.get(f"/v1/payments?order_id={order['order_id']}").data
        refund = {"amount": 1, "reason": "late"}
        assert shop.api.post(f"/v1/payments/{payment['payment_id']}/refund", refund).status < 300
        shop.api.settle()
        for path in LISTS_OF_ORDERS:
            for text in (f"#{order['number']}", str(order["number"]), order["order_id"][-20:].lower()):
                found = admin_client.get(f"/admin/{path}/", {"q": text}).context["cl"].result_list
                named = {row.payment.order_id if "refund" in path else row.order_id for row in found}
                assert order["order_id"] in named, (path, text)
                assert other["order_id"] not in named or text.isdecimal(), (path, text)

    @pytest.mark.any_engine
    def test_tells_nobody_of_what_they_may_not_see(self, shop: Shop, member: Callable[[str], Client]) -> None:
        order = shop.order(2).data
        for group, texts in ((CATALOG, (order["order_id"], "ann@example.com")), (SUPPORT, ("LAMP",)), ("", ("LAMP",))):
            client = member(group)
            for text in texts:
                page = go(client, text)
                assert (page.status_code, page.context["found"].hits) == (200, ())
        assert go(Client(), "LAMP").headers["Location"].startswith("/admin/login/")

    @pytest.mark.parametrize(
        "text",
        ["", " ", "\x00", "x" * 5000, "%00%", "'\";--", "ORD-", "@", "\ufffd", "\u0661", "#", "9" * 60, "-1"],
    )
    def test_copes_with_anything(self, text: str, shop: Shop, admin_client: Client) -> None:
        assert go(admin_client, text).status_code in (200, 302)

    def test_says_who_could_not_be_asked(self, shop: Shop, admin_client: Client) -> None:
        with away("shipping"):
            page = go(admin_client, "LAMP")
        assert page.context["found"].unavailable == ("shipping",)
        assert "could not be asked just now: shipping" in page.content.decode()

    @pytest.mark.any_engine
    def test_stands_on_every_page_of_staff(self, admin_client: Client) -> None:
        for path in ("/admin/", "/admin/orders/order/", "/staff/reconcile", "/admin/password_change/"):
            assert 'id="go-q"' in admin_client.get(path).content.decode(), path
        assert 'id="go-q"' not in Client().get("/admin/login/").content.decode()


def _days() -> list[Any]:
    return list(StockDay.objects.all())


def away(context: str) -> AbstractContextManager[None]:
    """This context cannot be reached."""

    class Away:
        def __getattr__(self, name: str) -> Any:
            def refuse(**kwargs: Any) -> Any:
                raise ContextUnavailable(f"The {context} context cannot be reached.")

            return refuse

    return rpc.replaced(context, Away())


class TestTheMenu:
    @pytest.mark.any_engine
    def test_has_what_one_may_use(self, member: Callable[[str], Client]) -> None:
        def desks(client: Client) -> dict[str, list[str]]:
            found = client.get("/admin/").context["desks"]
            return {desk: [link.name for link in links] for desk, links in found.items()}

        assert desks(member(CATALOG)) == {"Catalog": ["Products", "Prices", "Imports"], "Shop": ["Activity"]}
        assert desks(member(STOCK)) == {
            "Catalog": ["Products", "Prices"],
            "Stock": ["Stock", "Receive, count, move", "To pack", "Shipments", "Stock imports"],
            "Shop": ["Problems", "Activity"],
        }
        support = member(SUPPORT)
        assert desks(support)["Support"] == ["Orders", "Payments", "Notifications", "Customers", "Customer imports"]
        for links in support.get("/admin/").context["desks"].values():
            assert {support.get(link.url).status_code for link in links} == {200}
        assert desks(member("")) == {}

    def test_counts_the_problems_and_says_where_one_is(self, shop: Shop, admin_client: Client) -> None:
        shop.order(1, fulfilment="warehouse")
        Order.objects.update(needs_attention=True)
        checkup.check_up()
        page = admin_client.get("/staff/reconcile").content.decode()
        assert 'href="/staff/reconcile" aria-current="page">Problems <span class="badge">1</span>' in page


class TestTheFrontPage:
    def figures(self, client: Client) -> dict[str, str]:
        page = client.get("/admin/")
        assert page.status_code == 200
        return {tile.name: tile.figure for tile in page.context["tiles"]}

    def test_says_what_there_is_to_do(self, shop: Shop, admin_client: Client) -> None:
        shop.order(2)
        shop.order(1, fulfilment="warehouse")
        shop.order(1, payment={"token": "tok_declined"})
        shop.order(1, pay_later=True)
        assert self.figures(admin_client) == {
            "Orders of today": "4",
            "Orders of today that are paid": "2",
            "Units sold today": "3",
            "Products on sale": "2",
            "Products changed this week": "2",
            "Payments of today that succeeded": "67 %",
            "Reservations that wait for their payment": "1",
            "Of these, ending within ten minutes": "0",
            "Low stock": "2",
            "To pack and dispatch": "1",
            "Stuck or at odds": "not known just now",
            "Audit": "not known just now",
        }
        page = admin_client.get("/admin/").content.decode()
        assert "on average an order is 167.49 USD" in page and "2 of 3; 0 without an outcome yet" in page
        assert "WH001: 1" in page and "USD, since midnight UTC" in page

    def test_each_figure_is_a_link_to_what_it_counts(self, shop: Shop, admin_client: Client) -> None:
        shop.order(2)
        shop.order(1, fulfilment="warehouse")
        shop.order(1, pay_later=True)
        checkup.check_up()
        tiles = {tile.name: tile for tile in admin_client.get("/admin/").context["tiles"]}
        for name, tile in tiles.items():
            behind = admin_client.get(tile.url)
            assert behind.status_code == 200, name
            if "cl" in behind.context and name not in ("Units sold today", "Payments of today that succeeded"):
                assert behind.context["cl"].result_count == int(tile.figure), name
        assert (tiles["Stuck or at odds"].figure, tiles["Audit"].figure) == ("0", "the books agree")
        assert re.fullmatch(r"at the check-up of \d{4}-\d\d-\d\d \d\d:\d\d UTC", tiles["Audit"].note)

    def test_says_that_the_books_disagree(self, shop: Shop, admin_client: Client) -> None:
        shop.order(1)
        Stock.objects.filter(product_id=shop.product_id).update(on_hand=F("on_hand") + 1)
        checkup.check_up()
        [audit] = [tile for tile in admin_client.get("/admin/").context["tiles"] if tile.name == "Audit"]
        assert audit.figure == "the books disagree" and audit.urgent and audit.note.startswith("1 findings at")

    def test_draws_the_last_thirty_days(self, shop: Shop, member: Callable[[str], Client]) -> None:
        shop.order(2)
        cancelled = shop.order(1, fulfilment="warehouse").data["order_id"]
        shop.api.settle()
        assert shop.api.post(f"/v1/orders/{cancelled}/cancel", {"reason": "no"}).status == 200
        shop.api.settle()
        orders_tasks.roll_up()
        inventory_tasks.value_stock()
        StockDay.objects.bulk_create(
            [StockDay(day=one.day - timedelta(days=1), currency="USD", units=1, value_minor=100) for one in _days()]
        )
        support = member(SUPPORT).get("/admin/")
        [sales] = support.context["lines"]
        assert [line.title for line in sales.charts] == ["Paid orders a day, in USD", "Revenue a day"]
        assert sales.charts[0].words.endswith("from 0 to 2, at least 0, at most 2.")
        assert "2 orders of 3 units, 334.97 USD; of these 1 cancelled since, and 114.99 USD refunded" in sales.note
        [stock] = member(STOCK).get("/admin/").context["lines"]
        assert stock.charts[0].words.endswith("from 1.00 USD to 9899.02 USD, at least 1.00 USD, at most 9899.02 USD.")
        assert member(CATALOG).get("/admin/").context["lines"] == []

    @pytest.mark.any_engine
    def test_shows_each_group_its_own(self, shop: Shop, member: Callable[[str], Client]) -> None:
        shop.order(1)
        seen = {group: set(self.figures(member(group))) for group in (SUPPORT, STOCK, CATALOG)}
        assert "Low stock" in seen[STOCK] and "Orders of today that are paid" not in seen[STOCK]
        assert "Orders of today that are paid" in seen[SUPPORT] and "Low stock" not in seen[SUPPORT]
        assert "Stuck or at odds" in seen[SUPPORT] & seen[STOCK]
        assert seen[CATALOG] == {"Products on sale", "Products changed this week"}

    def test_stands_while_a_context_is_away(self, shop: Shop, admin_client: Client) -> None:
        with away("inventory"):
            assert self.figures(admin_client)["Low stock"] == "not known just now"

    def test_says_that_orders_are_stopped(self, shop: Shop, admin_client: Client) -> None:
        orders.stop(reason="a count is under way", actor="staff:ann")
        page = admin_client.get("/admin/").content.decode()
        assert "stopped" in page and "by staff:ann: a count is under way" in page

    def test_asks_a_stranger_who_they_are(self) -> None:
        assert Client().get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"


class TestTheSheet:
    def test_tells_everything_once(self, shop: Shop, member: Callable[[str], Client]) -> None:
        address = {"name": "Ann", "lines": ["1 High Street"], "city": "York", "postal_code": "YO1", "country": "GB"}
        order = shop.order(2, shipping_address=address, fulfilment="warehouse").data
        shop.api.settle()
        [payment] = order["payments"]
        body = {"amount": "5.00", "reason": "a scratch"}
        assert shop.api.post(f"/v1/payments/{payment['payment_id']}/refund", body).status == 200
        shop.api.settle()
        page = member(SUPPORT).get(f"/staff/orders/{order['order_id']}")
        sheet, text = page.context["sheet"], page.content.decode()
        assert dict(sheet.amounts) == {
            "Subtotal": "199.98 USD",
            "Tax": "10.00 USD",
            "Shipping": "10.00 USD",
            "Total": "219.98 USD",
            "Captured": "219.98 USD",
            "Refunded": "5.00 USD",
            "Left": "214.98 USD",
        }
        assert sheet.address == "Ann\n1 High Street\nYO1 York\nGB"
        assert "Ann" in text and "ann@example.com" in text and "LAMP" in text
        happened = sheet.timeline
        assert [one.at for one in happened] == sorted(one.at for one in happened)
        assert {one.context for one in happened} == {"orders", "payments", "shipping", "notifications"}
        [back] = [one for one in happened if "refund" in one.what and one.context == "payments"]
        assert back.what.endswith(" of 5.00 USD asked for") and back.detail == "a scratch: it is COMPLETED now"
        assert [notice.kind for notice in sheet.notices] == ["order_confirmation", "refund"]

    @pytest.mark.any_engine
    def test_offers_what_can_be_done_and_says_why_not(self, shop: Shop, member: Callable[[str], Client]) -> None:
        support = member(SUPPORT)

        def offered(order_id: str) -> dict[str, str]:
            commands = support.get(f"/staff/orders/{order_id}").context["commands"]
            return {one.title: one.why_not for one in commands}

        waits = shop.order(1, fulfilment="warehouse").data["order_id"]
        left = shop.order(1).data["order_id"]
        assert offered(waits) == {
            "Cancel": "",
            "Refund money": "",
            "Register a return": "Nothing of it has left.",
            "Receive what was to be returned": "No return is asked for.",
            "Refuse a return": "No return is asked for.",
        }
        assert offered(left)["Cancel"] == "It has left, so it can only come back."
        assert offered(left)["Register a return"] == ""
        shop.api.post(f"/v1/orders/{waits}/cancel", {})
        assert offered(waits)["Cancel"] == "It is being undone already, or has been."
        page = support.get(f"/staff/orders/{left}").content.decode()
        assert f'href="/staff/orders/{left}/return"' in page

    def test_keeps_notes_of_staff_once_each(self, shop: Shop, member: Callable[[str], Client]) -> None:
        order_id = shop.order(1).data["order_id"]
        support, path = member(SUPPORT), f"/staff/orders/{order_id}"
        form = form_in(support.get(path).content.decode(), having="text")
        assert "This field is required" in support.post(path, form.fields).content.decode()
        card = support.post(path, form.fields | {"text": "paid with 4111 1111 1111 1111"}).content.decode()
        assert "Card numbers are never accepted" in card and "paid with 4111" in card, "what was typed stays"
        assert support.post(path, form.fields | {"text": "She calls back <b>today</b>"}).status_code == 302
        again = support.post(path, form.fields | {"text": "She calls back"}, follow=True).content.decode()
        assert "had been sent before" in again and again.count("She calls back") == 1
        assert "&lt;b&gt;today&lt;/b&gt;" in again and "staff:support staff@example.com" in again
        other = member(STOCK)
        assert other.post(path, form.fields | {"text": "x"}).status_code == 403

    def test_names_the_buyer_s_other_orders(self, shop: Shop, admin_client: Client) -> None:
        orders = [shop.order(1).data for _ in range(7)]
        page = admin_client.get(f"/staff/orders/{orders[0]['order_id']}")
        assert [one.order_id for one in page.context["sheet"].others] == [one["order_id"] for one in orders[:1:-1]]
        assert 'href="/admin/orders/order/?q=ann%40example.com"' in page.content.decode()

    def test_an_end_is_shown_while_it_holds(self, shop: Shop, admin_client: Client) -> None:
        order_id = shop.order(1, pay_later=True).data["order_id"]
        assert re.search(r"is RESERVED\s+until", admin_client.get(f"/staff/orders/{order_id}").content.decode())
        shop.api.post(f"/v1/orders/{order_id}/cancel", {})
        page = admin_client.get(f"/staff/orders/{order_id}").content.decode()
        assert re.search(r"is RELEASED[^<]*\.</p>", page)
        assert "RELEASED until" not in page

    def test_shows_the_rest_while_a_context_is_away(self, shop: Shop, admin_client: Client) -> None:
        order_id = shop.order(1).data["order_id"]
        with away("payments"):
            page = admin_client.get(f"/staff/orders/{order_id}")
        assert page.context["sheet"].unavailable == ("payments",)
        assert "their part is missing: payments" in page.content.decode()
        assert page.context["sheet"].shipments

    def test_a_guest_and_somebody_who_was_erased(self, shop: Shop, admin_client: Client) -> None:
        items = [{"product_id": shop.product_id, "quantity": 1}]
        guest = shop.api.post("/v1/orders", {"email": "guest@example.com", "items": items}).data["order_id"]
        assert "guest@example.com" in admin_client.get(f"/staff/orders/{guest}").content.decode()
        order_id = shop.order(1).data["order_id"]
        admin_client.get("/admin/")
        shop.api.delete(f"/v1/customers/{shop.customer_id}")
        assert admin_client.get(f"/staff/orders/{order_id}").status_code == 200

    @pytest.mark.any_engine
    def test_is_for_those_who_may_see_orders(self, shop: Shop, member: Callable[[str], Client]) -> None:
        order_id = shop.order(1).data["order_id"]
        assert member(CATALOG).get(f"/staff/orders/{order_id}").status_code == 403
        assert Client().get(f"/staff/orders/{order_id}").headers["Location"].startswith("/admin/login/")

    def test_an_order_that_is_not_there(self, admin_client: Client) -> None:
        answer = admin_client.get("/staff/orders/ORD-nothing", follow=True)
        assert "There is no order ORD-nothing." in answer.content.decode()

    @pytest.mark.any_engine
    def test_what_people_wrote_is_text(self, shop: Shop, admin_client: Client) -> None:
        order_id = shop.order(1, fulfilment="warehouse").data["order_id"]
        shop.api.post(f"/v1/orders/{order_id}/cancel", {"reason": "<script>alert(1)</script>"})
        page = admin_client.get(f"/staff/orders/{order_id}").content.decode()
        assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page

    def test_no_statement_for_each_line_shipment_or_notice(
        self, shop: Shop, admin_client: Client, statements: Callable[[], AbstractContextManager[Counted]]
    ) -> None:
        few = shop.order(1).data["order_id"]
        lamps = [{"product_id": shop.product_id, "quantity": 1}] * 20
        many = shop.api.post(
            "/v1/orders",
            {"customer_id": shop.customer_id, "items": [*lamps, {"product_id": shop.other_id, "quantity": 8}]},
        ).data
        assert len(many["shipments"]) > 1
        shop.api.settle()
        admin_client.get(f"/staff/orders/{few}")
        with statements() as first:
            admin_client.get(f"/staff/orders/{few}")
        with statements() as second:
            admin_client.get(f"/staff/orders/{many['order_id']}")
        assert second.total == first.total
