"""Catalog's rows as JSON."""

from __future__ import annotations

from typing import Any

from contexts.catalog.selectors import Facets, Row
from eci import metadata, money
from eci.clock import iso


def product(row: Row) -> dict[str, Any]:
    return {
        "product_id": row["id"],
        "sku": row["sku"],
        "name": row["name"],
        "description": row["description"],
        "category": row["category"],
        "barcode": row["barcode"],
        "price": money.text_of(row["price_minor"], row["currency"]),
        "lowest_price_30_days": money.text_of(row["lowest_minor"], row["currency"]),
        "currency": row["currency"],
        "is_active": row["is_active"],
        "metadata": metadata.shown(row["metadata"]),
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def price(row: Row, *, by_name: bool) -> dict[str, Any]:
    """Prices are staff's, commands' and imports': the public need not know which of them."""
    old = row["old_price_minor"]
    return {
        "price": money.text_of(row["price_minor"], row["currency"]),
        "currency": row["currency"],
        "old_price": None if old is None else money.text_of(old, row["old_currency"]),
        "old_currency": row["old_currency"] or None,
        "actor": row["actor"] if by_name else "staff",
        "at": iso(row["at"]),
    }


def facets(counted: Facets) -> dict[str, Any]:
    return {
        "counted": counted.counted,
        "complete": counted.complete,
        "categories": [{"category": label, "product_count": units} for label, units in counted.categories],
        "prices": [
            {
                "currency": currency,
                "from": money.text_of(lower, currency),
                "until": money.text_of(upper, currency),
                "product_count": units,
            }
            for (currency, lower, upper), units in counted.prices
        ],
    }


def category(row: Row) -> dict[str, Any]:
    return {"category": row["label"], "product_count": row["product_count"]}
