"""Lists as files: orders, with a row for each line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from contexts.orders import selectors
from eci import money
from eci.clock import iso
from eci.http.exports import Export, code_cell, text_cell


def order_cells(order: Any, lines: Sequence[Any]) -> Iterator[list[Any]]:
    """The order's rows of the export, one for each line, in its columns. Each has all of the order."""
    whole = [
        code_cell(order.order_id),
        order.number,
        code_cell(order.reference),
        iso(order.created_at),
        str(order.status),
        str(order.payment_status),
        order.customer_id,
        text_cell(order.email),
        order.currency,
        *(
            money.from_minor(minor, order.currency)
            for minor in (
                *(order.subtotal_minor, order.tax_minor, order.shipping_minor),
                *(order.total_minor, order.refunded_minor),
            )
        ),
    ]
    for number, line in enumerate(lines, 1):
        yield [
            *whole,
            number,
            line.product_id,
            code_cell(line.sku),
            text_cell(line.name),
            line.quantity,
            money.from_minor(line.unit_price_minor, order.currency),
            money.from_minor(line.unit_price_minor * line.quantity, order.currency),
            line.returned_quantity,
        ]


def _rows(pks: list[Any]) -> Iterator[list[Any]]:
    orders, lines = selectors.orders_by_id(order_ids=pks), selectors.lines_of(order_ids=pks)
    for pk in pks:
        if pk in orders:
            yield from order_cells(orders[pk], lines.get(pk, []))


ORDERS = Export(
    name="orders",
    columns=(
        *("order_id", "number", "reference", "created_at", "status", "payment_status", "customer_id", "email"),
        *("currency", "subtotal", "tax_amount", "shipping_amount", "order_total", "refunded_amount"),
        *("line", "product_id", "sku", "name", "quantity", "unit_price", "line_total", "returned_quantity"),
    ),
    rows=_rows,
)
