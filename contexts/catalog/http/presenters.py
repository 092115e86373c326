"""Catalog's rows as JSON."""

from __future__ import annotations

from typing import Any

from contexts.catalog.selectors import Row
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
        "price": money.text(money.from_minor(row["price_minor"], row["currency"]), row["currency"]),
        "currency": row["currency"],
        "is_active": row["is_active"],
        "metadata": metadata.shown(row["metadata"]),
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def category(row: Row) -> dict[str, Any]:
    return {"category": row["label"], "product_count": row["product_count"]}
