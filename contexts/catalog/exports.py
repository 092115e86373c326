"""Lists as files: products and their prices, as imports take them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from contexts.catalog import selectors
from contexts.catalog.selectors import FIELDS, Row
from eci import money
from eci.http.exports import Export, code_cell, flag_cell, text_cell


def product_cells(row: Row) -> list[Any]:
    """A row of the export, in its columns."""
    return [
        code_cell(row["sku"]),
        text_cell(row["name"]),
        text_cell(row["description"]),
        text_cell(row["category"]),
        code_cell(row["barcode"]),
        money.from_minor(row["price_minor"], row["currency"]),
        row["currency"],
        flag_cell(row["is_active"]),
    ]


def price_cells(row: Row) -> list[Any]:
    return [code_cell(row["sku"]), money.from_minor(row["price_minor"], row["currency"]), row["currency"]]


def _of_products(cells: Callable[[Row], list[Any]], pks: list[Any]) -> Iterator[list[Any]]:
    rows = selectors.products_by_id(product_ids=pks, fields=FIELDS)
    return (cells(rows[pk]) for pk in pks)


PRODUCTS = Export(
    name="products",
    columns=("sku", "name", "description", "category", "barcode", "price", "currency", "is_active"),
    rows=lambda pks: _of_products(product_cells, pks),
)
PRICES = Export(name="prices", columns=("sku", "price", "currency"), rows=lambda pks: _of_products(price_cells, pks))
