"""Lists as files: customers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contexts.customers import selectors
from contexts.customers.selectors import Row
from eci.clock import iso
from eci.http.exports import Export, code_cell, flag_cell, text_cell


def customer_cells(row: Row) -> list[Any]:
    """A row of the export, in its columns."""
    return [
        row["id"],
        text_cell(row["email"]),
        text_cell(row["full_name"]),
        code_cell(row["phone"]),
        flag_cell(row["email_verified_at"] is not None),
        flag_cell(row["blocked_at"] is not None),
        iso(row["created_at"]),
    ]


def _rows(pks: list[Any]) -> Iterator[list[Any]]:
    found = {row["id"]: row for row in selectors.customers_of(customer_ids=pks)}
    return (customer_cells(found[pk]) for pk in pks if pk in found)


CUSTOMERS = Export(
    name="customers",
    columns=("customer_id", "email", "full_name", "phone", "email_verified", "is_blocked", "created_at"),
    rows=_rows,
)
