"""The sheet of a product, and the filters that another context answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from config.desk.charts import chart
from contexts.catalog.models import PriceChange
from contexts.inventory.models import Warehouse
from contexts.inventory.public.api import inventory
from eci.remembered import forget_everything
from tests.config.desk.test_desk import CATALOG, STOCK, SUPPORT, away
from tests.support.pages import forms_in
from tests.support.shop import Shop, expire
from tests.support.statements import Counted


def sheet(client: Client, product_id: int) -> Any:
    return client.get(f"/staff/products/{product_id}")


class TestTheSheet:
    def test_shows_stock_prices_and_last_orders(self, shop: Shop, admin_client: Client) -> None:
        order = shop.order(2, product_id=shop.other_id, fulfilment="warehouse").data
        shop.api.patch(f"/v1/products/{shop.other_id}", {"price": "12.00"})
        Warehouse.objects.filter(code="WH002").update(is_active=False)
        page = sheet(admin_client, shop.other_id)
        text, found = page.content.decode(), page.context["sheet"]
        levels = [(one.warehouse, one.is_open, one.on_hand, one.reserved, one.available) for one, _ in found.stock]
        assert levels == [("WH001", True, 5, 2, 3), ("WH002", False, 5, 0, 0)]
        assert "closed, nothing is sold from it" in text and "3 available in all." in text
        assert [price for _, price in found.prices] == ["12.00 USD", "10.00 USD"]
        assert "<polyline" in text and "at least 10.00 USD, at most 12.00 USD" in text
        [sold] = found.orders
        assert (sold.order.order_id, sold.units) == (order["order_id"], 2)
        assert f'href="/staff/orders/{order["order_id"]}"' in text

    def test_shows_everybody_what_they_may_see(self, shop: Shop, member: Callable[[str], Client]) -> None:
        shop.order(1)
        catalog = sheet(member(CATALOG), shop.product_id)
        assert (catalog.context["sheet"].stock, catalog.context["sheet"].orders) == (None, None)
        assert "All its fields" in catalog.content.decode() and "Receive units" not in catalog.content.decode()
        stock = sheet(member(STOCK), shop.product_id)
        assert len(stock.context["sheet"].stock) == 1 and stock.context["sheet"].orders is None
        assert sheet(member(SUPPORT), shop.product_id).status_code == 403
        assert sheet(Client(), shop.product_id).headers["Location"].startswith("/admin/login/")

    def test_its_page_of_fields_has_the_price_for_who_may_only_look(
        self, shop: Shop, member: Callable[[str], Client]
    ) -> None:
        page = member(STOCK).get(f"/admin/catalog/product/{shop.product_id}/change/").content.decode()
        assert "99.99" in page and 'name="price"' not in page

    def test_stands_while_a_context_is_away(self, shop: Shop, admin_client: Client) -> None:
        with away("inventory"):
            page = sheet(admin_client, shop.product_id)
        assert page.context["sheet"].unavailable == ("inventory",)
        assert "could not be asked just now" in page.content.decode()

    @pytest.mark.parametrize(("product_id", "status"), [(0, 302), (999, 302), (10**30, 404)])
    def test_knows_no_product_that_is_not_there(self, admin_client: Client, product_id: int, status: int) -> None:
        assert sheet(admin_client, product_id).status_code == status
        assert admin_client.get(f"/staff/notifications/{product_id}/again").status_code == status

    def test_leads_to_a_receipt_that_is_filled_in(self, shop: Shop, admin_client: Client) -> None:
        url = sheet(admin_client, shop.product_id).context["sheet"].receive_url
        [form] = [one for one in forms_in(admin_client.get(url).content.decode()) if "sku" in one.kinds]
        assert form.fields["sku"] == "LAMP"
        [form] = [
            one
            for one in forms_in(admin_client.get(f"{url}&warehouse=WH002&units=%00").content.decode())
            if "sku" in one.kinds
        ]
        assert (form.fields["warehouse"], form.fields["units"]) == ("WH002", "")

    def test_is_linked_from_the_product(self, shop: Shop, admin_client: Client) -> None:
        page = admin_client.get(f"/admin/catalog/product/{shop.product_id}/change/").content.decode()
        assert f'href="/staff/products/{shop.product_id}"' in page

    def test_costs_the_same_however_much_happened(
        self, shop: Shop, admin_client: Client, statements: Callable[..., Any]
    ) -> None:
        def cost() -> int:
            with statements() as counted:
                sheet(admin_client, shop.product_id)
            found: Counted = counted
            return found.total

        shop.order(1)
        cost()
        one = cost()
        for price in ("5", "6", "7"):
            shop.order(1)
            shop.api.patch(f"/v1/products/{shop.product_id}", {"price": price})
        assert cost() == one


class TestTheStockFilter:
    def found(self, client: Client, query: str = "?stock=none") -> set[str]:
        forget_everything()
        return {product.sku for product in client.get(f"/admin/catalog/product/{query}").context["cl"].result_list}

    def test_finds_what_no_open_warehouse_has(self, shop: Shop, admin_client: Client) -> None:
        shop.api.post("/v1/products", {"sku": "NEVER", "name": "Never received", "price": "1"})
        assert self.found(admin_client) == {"NEVER"}
        order = shop.order(10, product_id=shop.other_id, pay_later=True).data
        assert self.found(admin_client) == {"NEVER", "RUG"}
        expire(order["order_id"])
        assert self.found(admin_client) == {"NEVER"}, "a reservation past its time holds nothing"
        Warehouse.objects.filter(code="WH001").update(is_active=False)
        assert self.found(admin_client) == {"NEVER", "LAMP"}
        assert "none available (2)" in admin_client.get("/admin/catalog/product/").content.decode()
        assert self.found(admin_client, "?stock=x") == {"NEVER", "LAMP", "RUG"}

    def test_what_is_owed_is_not_available(self, shop: Shop) -> None:
        shop.order(5, product_id=shop.other_id, fulfilment="warehouse")
        [row, _] = inventory.stock_of(product_id=shop.other_id)
        body = {"onhand": 0, "reason": "count", "force": True}
        assert shop.api.patch(f"/v1/inventory/{row.inventory_id}", body).status == 200
        sure = sum(level.available for level in inventory.stock_of(product_id=shop.other_id)) > 0
        assert (shop.other_id in inventory.in_stock()) == sure

    def test_says_so_while_inventory_is_away(self, shop: Shop, admin_client: Client) -> None:
        with away("inventory"):
            assert self.found(admin_client) == {"LAMP", "RUG"}
            page = admin_client.get("/admin/catalog/product/?stock=none")
            assert "Stock cannot be asked for just now" in page.content.decode()

    def test_costs_no_list_anything_that_does_not_ask_for_it(self, shop: Shop, admin_client: Client) -> None:
        forget_everything()
        with away("inventory"):
            page = admin_client.get("/admin/catalog/product/").content.decode()
        assert "none available" in page and "cannot be asked" not in page


class TestTheLine:
    def test_of_a_price_is_a_line_until_now(self, shop: Shop, admin_client: Client) -> None:
        PriceChange.objects.update(at=F("at") - timedelta(days=10))
        line = sheet(admin_client, shop.product_id).context["sheet"].line
        assert line.points == "4.0,60.0 596.0,60.0 596.0,60.0"

    @pytest.mark.no_database
    def test_needs_two_points(self) -> None:
        assert chart("Price", []) is None
