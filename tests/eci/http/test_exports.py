"""Lists as files: what is in them, in bounded statements, and that they come back unchanged."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from openpyxl import load_workbook

from contexts.catalog.models import Product
from contexts.customers.models import Trail
from contexts.inventory.models import Movement
from eci.http import exports
from eci.imports.values import bare
from tests.support.imports import Importing
from tests.support.people import customer, staff
from tests.support.shop import Shop

ODD = (
    "=1+1",
    "+49 pens",
    "-5",
    "@home",
    "'quoted",
    "'=1",
    '="00123"',
    'a, "b"\n',
    "Größe_x0041_",
    "0017",
    "#N/A",
    "'#REF!",
)


def fetch(api: Any, path: str) -> bytes:
    answer = api.client.get(path)
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)  # at its end the client closes it, but not the test's connections


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.fixture
def odd(api: Any) -> list[str]:
    """Products whose names and SKUs spreadsheets take for something else."""
    for number, text in enumerate(ODD):
        body = {"sku": text.strip().replace("\n", ""), "name": text.replace("\n", " "), "price": f"{number}.50"}
        made = api.post(
            "/v1/products", body | {"description": text, "category": text.strip(), "is_active": number % 2 == 0}
        )
        assert made.status == 201, made.json
    return [one.strip() for one in ODD]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/products/export", "products"), ("/v1/products/prices/export", "prices")]
)
def test_products_come_back_unchanged(api: Any, odd: list[str], form: str, path: str, kind: str) -> None:
    before = list(Product.objects.order_by("pk").values())
    content = fetch(api, f"{path}?format={form}")
    importing = Importing(api, kind=kind)
    read = importing.read(content, name=f"x.{form}")
    assert (read["detected"]["preset"], read["counts"]["same"]) == (f"ECI {kind}", len(odd)), importing.rows(
        read["import_id"]
    )
    importing.apply(read["import_id"])
    assert list(Product.objects.order_by("pk").values()) == before


def test_a_text_that_has_no_room_in_a_cell_stays_whole(api: Any) -> None:
    api.post("/v1/products", {"sku": "LONG", "name": "L", "price": "1", "description": "x" * 40_000})
    importing = Importing(api)
    read = importing.read(fetch(api, "/v1/products/export?format=xlsx"), name="x.xlsx")
    (row,) = importing.rows(read["import_id"], "&outcome=warned")
    assert (row["outcome"], row["messages"]) == (
        "same",
        ["description: A cell has room for 32,767 characters. The end is missing, so it is left as it is."],
    )


@pytest.mark.any_engine
def test_no_cell_is_a_formula(api: Any, odd: list[str]) -> None:
    rows = list(csv.reader(io.StringIO(fetch(api, "/v1/products/export").decode(), newline="")))
    assert len(rows) == 1 + len(odd)
    for row in rows:
        assert [cell for cell in row if cell[:1] in set("=+-@\t\r")] == []
    book = load_workbook(io.BytesIO(fetch(api, "/v1/products/export?format=xlsx")))
    assert {cell.data_type for row in book.active.iter_rows() for cell in row} <= {"s", "inlineStr", "n"}


@pytest.mark.any_engine
def test_the_list_s_own_filters_count(api: Any, odd: list[str]) -> None:
    assert len(table(fetch(api, "/v1/products/export?is_active=true"))) == len(odd) / 2
    assert [row["sku"] for row in table(fetch(api, "/v1/products/export?skus=0017"))] == ["0017"]
    cheap = [row["price"] for row in table(fetch(api, "/v1/products/export?ordering=price"))]
    assert cheap == sorted(cheap, key=float)
    for query in ("limit=5", "cursor=x", "format=json", "colour=red"):
        assert api.get(f"/v1/products/export?{query}").status == 400, query


def test_rows_are_read_page_by_page(api: Any, odd: list[str], monkeypatch: Any, statements: Any) -> None:
    monkeypatch.setattr(exports, "PAGE", 3)
    with statements() as counted:
        rows = table(fetch(api, "/v1/products/export"))
    assert {bare(row["sku"], is_code=True) for row in rows} == set(Product.objects.values_list("sku", flat=True))
    assert counted.total <= 3 * (len(odd) // 3 + 1), counted.report()


def test_stock_comes_back_unchanged(shop: Shop) -> None:
    shop.order(3)
    content = fetch(shop.api, "/v1/inventory/export")
    rows = table(content)
    assert {(row["sku"], row["warehouse"]): row["onhand"] for row in rows} == {
        ("LAMP", "WH001"): "97",
        ("RUG", "WH001"): "5",
        ("RUG", "WH002"): "5",
    }
    movements = Movement.objects.count()
    for form in ("csv", "xlsx"):
        importing = Importing(shop.api, kind="stock_counts")
        read = importing.read(fetch(shop.api, f"/v1/inventory/export?format={form}"), name=f"x.{form}")
        assert (read["detected"]["preset"], read["counts"]["same"]) == ("ECI stock", 3), read
        importing.apply(read["import_id"])
    assert Movement.objects.count() == movements
    assert len(table(fetch(shop.api, "/v1/inventory/export?warehouse=WH002"))) == 1


def test_the_ledger_as_a_file(shop: Shop) -> None:
    order = shop.order(3).data["order_id"]
    rows = table(fetch(shop.api, "/v1/inventory/movements/export"))
    assert [row["delta"] for row in rows] == ["-3", "5", "5", "100"]
    assert {(row["sku"], row["name"]) for row in rows} == {("LAMP", "Lamp"), ("RUG", "Rug")}, rows
    refused = Importing(shop.api, kind="stock_counts").read(fetch(shop.api, "/v1/inventory/movements/export"))
    assert refused["error"].startswith("This is a file of movements")
    assert [row["order_id"] for row in table(fetch(shop.api, f"/v1/inventory/movements/export?order_id={order}"))] == [
        order
    ]


def test_orders_have_a_row_for_each_line(shop: Shop, monkeypatch: Any) -> None:
    items = [{"product_id": shop.product_id, "quantity": 2}, {"product_id": shop.other_id, "quantity": 1}]
    body = {"customer_id": shop.customer_id, "items": items, "reference": "=R-1"}
    order = shop.api.post("/v1/orders", body).data
    shop.order(1)
    monkeypatch.setattr(exports, "PAGE", 1)
    rows = [row for row in table(fetch(shop.api, "/v1/orders/export")) if row["order_id"] == order["order_id"]]
    assert [(row["line"], row["sku"], row["quantity"], row["line_total"]) for row in rows] == [
        ("1", "LAMP", "2", "199.98"),
        ("2", "RUG", "1", "10.00"),
    ]
    assert {(row["order_total"], row["reference"]) for row in rows} == {(order["order_total"], "'=R-1")}
    assert len(table(fetch(shop.api, "/v1/orders/export"))) == 3
    assert table(fetch(shop.api, "/v1/orders/export?status=CANCELLED")) == []


def test_customers_are_for_admins_and_it_is_kept_who_took_them(shop: Shop, closed: None) -> None:
    for role, status in (("P", 403), ("K", 403), ("admin", 200)):
        person = staff(role)
        headers = {"Authorization": f"Bearer {person.login['access']}"}
        answer = person.client.get("/v1/customers/export", headers=headers)
        assert answer.status_code == status, role
    rows = table(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    assert [(row["email"], row["full_name"]) for row in rows] == [("ann@example.com", "Ann")]
    [line] = Trail.objects.filter(action="exported")
    assert line.actor.startswith("staff:")
    assert customer("c@example.com").client.get("/v1/customers/export").status_code == 401
