"""Puts products into the catalog. Other commands call it with Python values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand

from contexts.catalog import selectors, services


class Command(BaseCommand):
    help = "Create the given products whose SKU is new."
    stealth_options = ("products", "ids")

    def handle(self, *args: Any, **options: Any) -> None:
        """``products``: dicts of sku, name, category, price, description. Fills ``ids``: the ids by SKU."""
        ids: dict[str, int] = options["ids"]
        ids.update(selectors.product_ids_by_sku(skus=[product["sku"] for product in options["products"]]))
        for product in options["products"]:
            if product["sku"] not in ids:
                fields = {name: value for name, value in product.items() if name != "stock"}
                row = services.create_product(actor="demo", **fields | {"price": Decimal(product["price"])})
                ids[product["sku"]] = row["id"]
