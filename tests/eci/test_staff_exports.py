"""Lists of staff's pages as files: all that the list's filters find, for those who may, at a flat cost."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from openpyxl import load_workbook

from contexts.catalog import services
from contexts.customers.models import Trail
from eci import staff_exports
from tests.config.desk.test_desk import away
from tests.support import people
from tests.support.shop import Shop
from tests.support.statements import Counted

LISTS = {
    "catalog/product": ("products", "catalog staff"),
    "inventory/stock": ("stock", "stock staff"),
    "inventory/movement": ("movements", "stock staff"),
    "orders/order": ("orders", "support staff"),
}


def taken(client: Client, page: str, name: str, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"/admin/{page}/export/{name}.csv{query}")
    assert answer.status_code == 200, answer
    assert answer["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    return list(csv.DictReader(io.StringIO(content(answer).decode("utf-8-sig"))))


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_what_the_filters_find_is_in_the_file(shop: Shop, admin_client: Client) -> None:
    shop.api.patch(f"/v1/products/{shop.other_id}", {"is_active": False})
    products = taken(admin_client, "catalog/product", "products", "?on_sale=1")
    assert [(row["sku"], row["price"]) for row in products] == [("LAMP", "99.99")]
    assert [row["sku"] for row in taken(admin_client, "catalog/product", "prices", "?q=rug")] == ["RUG"]
    stock = taken(admin_client, "inventory/stock", "stock", "?warehouse__code=WH002")
    assert [(row["sku"], row["warehouse"], row["onhand"]) for row in stock] == [("RUG", "WH002", "5")]


def test_an_order_has_a_row_for_each_line(shop: Shop, admin_client: Client) -> None:
    order = shop.order(2).data
    shop.order(1, payment={"token": "tok_declined"})
    rows = taken(admin_client, "orders/order", "orders", "?sold=1")
    assert [(row["order_id"], row["sku"], row["quantity"]) for row in rows] == [(order["order_id"], "LAMP", "2")]
    by_search = taken(admin_client, "orders/order", "orders", "?q=lamp")
    assert len(by_search) == 2, "a search through the lines, in any case, finds each order once"
    by_id = taken(admin_client, "orders/order", "orders", f"?q={order['order_id'].lower()}")
    assert [row["order_id"] for row in by_id] == [order["order_id"]]


def test_movements_are_the_ledger(shop: Shop, admin_client: Client) -> None:
    rows = taken(admin_client, "inventory/movement", "movements")
    assert [row["delta"] for row in rows] == ["5", "5", "100"]


@pytest.mark.parametrize("page", LISTS)
def test_a_list_offers_it_to_its_own_group_with_its_filters(page: str, shop: Shop) -> None:
    shop.order(1)
    name, group = LISTS[page]
    client = people.member(group)
    assert f'href="export/{name}.xlsx?q=lamp"' in client.get(f"/admin/{page}/?q=lamp").content.decode()
    answer = client.get(f"/admin/{page}/export/{name}.xlsx")
    sheet = load_workbook(io.BytesIO(content(answer)), read_only=True).active
    assert sheet is not None and len(list(sheet.rows)) > 1


def test_nobody_else_may(shop: Shop) -> None:
    stock = people.member("stock staff")  # who may look at products
    assert "export/products" not in stock.get("/admin/catalog/product/").content.decode()
    assert stock.get("/admin/catalog/product/export/products.csv").status_code == 403
    support = people.member("support staff")  # who may look at customers
    assert "export/customers" not in support.get("/admin/customers/customer/").content.decode()
    assert support.get("/admin/customers/customer/export/customers.csv").status_code == 403
    assert Client().get("/admin/orders/order/export/orders.csv").headers["Location"].startswith("/admin/login/")


def test_customers_are_taken_by_administrators_and_the_trail_says_by_whom(shop: Shop, admin_client: Client) -> None:
    [row] = taken(admin_client, "customers/customer", "customers", "?q=ann@example.com")
    assert row["email"] == "ann@example.com"
    line = Trail.objects.latest("pk")
    assert (line.actor, line.action, line.after) == ("staff:admin", "exported", {"filtered_by": "q"})


@pytest.mark.parametrize("path", ["products.pdf", "nothing.csv", "orders.csv"])
def test_there_is_no_other_file(path: str, shop: Shop, admin_client: Client) -> None:
    assert admin_client.get(f"/admin/catalog/product/export/{path}").status_code == 404


@pytest.mark.parametrize("query", ["?x=1", "?id__in=x", "?on_sale=%00", "?o=99", "?p=99999"])
def test_a_query_that_means_nothing_is_told_or_finds_all(query: str, shop: Shop, admin_client: Client) -> None:
    answer = admin_client.get(f"/admin/catalog/product/export/products.csv{query}")
    assert (
        answer.status_code == 302
        and answer["Location"].startswith("/admin/catalog/product/")
        or (answer.status_code == 200 and b"LAMP" in content(answer))
    )


def test_it_is_refused_while_skus_are_not_known(shop: Shop, admin_client: Client) -> None:
    with away("catalog"):
        answer = admin_client.get("/admin/inventory/stock/export/stock.csv", follow=True)
    assert "products have no SKU at the moment" in answer.content.decode()


def test_pages_follow_each_other_without_gap_or_repetition(
    shop: Shop, admin_client: Client, monkeypatch: Any, statements: Callable[..., Any]
) -> None:
    for number in range(7):
        services.create_product(actor="test", sku=f"P{number}", name="P", price=Decimal(1))

    def cost(size: int) -> int:
        monkeypatch.setattr(staff_exports, "PAGE", size)
        with statements() as counted:
            rows = taken(admin_client, "catalog/product", "products", "?q=P")
        assert [row["sku"] for row in rows] == [f"P{number}" for number in reversed(range(7))]
        found: Counted = counted
        return found.total

    cost(100)  # what the filters count is kept for some seconds
    assert cost(2) - cost(100) == 2 * 3, "two statements for each page more"
