"""Lists as files: stock, as imports take it back, and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from contexts.catalog.public.contracts import Product
from contexts.inventory import composed, selectors
from eci.clock import iso
from eci.errors import ContextUnavailable
from eci.http.exports import Export, code_cell, text_cell


def stock_cells(row: Any, product: Product | None) -> list[Any]:
    """A row of the export, in its columns."""
    return [
        row.pk,
        code_cell(product.sku if product else ""),
        text_cell(product.name if product else ""),
        code_cell(row.warehouse_id),
        row.on_hand,
        row.held,
        row.owed,
        row.available,
        row.reorder_point,
    ]


def movement_cells(row: Any, product: Product | None) -> list[Any]:
    """A row of the export, in its columns."""
    return [
        row.pk,
        iso(row.at),
        row.product_id,
        code_cell(product.sku if product else ""),
        text_cell(product.name if product else ""),
        code_cell(row.warehouse_id),
        row.delta,
        row.on_hand,
        row.kind,
        text_cell(row.reason),
        code_cell(row.order_id),
        code_cell(row.reference),
        text_cell(row.actor),
    ]


def stock_lines(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """ContextUnavailable while the catalog is away: without SKUs a file could not come back."""
    rows = list(rows)
    products = composed.products_of(product_ids=[row.product_id for row in rows])
    if products is None:
        raise ContextUnavailable("The catalog cannot be reached, so products have no SKU at the moment.")
    return (stock_cells(row, products.get(row.product_id)) for row in rows)


def movement_lines(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """While the catalog is away, products have their ids alone."""
    rows = list(rows)
    products = composed.products_of(product_ids=[row.product_id for row in rows]) or {}
    return (movement_cells(row, products.get(row.product_id)) for row in rows)


def _stock(pks: list[Any]) -> Iterator[list[Any]]:
    rows = selectors.stock_rows_of(inventory_ids=pks)
    return stock_lines(rows[pk] for pk in pks if pk in rows)


def _movements(pks: list[Any]) -> Iterator[list[Any]]:
    rows = selectors.movements_of(movement_ids=pks)
    return movement_lines(rows[pk] for pk in pks)


STOCK = Export(
    name="stock",
    columns=(
        *("inventory_id", "sku", "name", "warehouse", "onhand"),
        *("reserved", "owed", "available", "reorder_point"),
    ),
    rows=_stock,
)
MOVEMENTS = Export(
    name="movements",
    columns=(
        *("movement_id", "at", "product_id", "sku", "name", "warehouse", "delta"),
        *("on_hand", "kind", "reason", "order_id", "reference", "actor"),
    ),
    rows=_movements,
)
