"""Puts products into the catalog. Other commands call it with Python values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand

from contexts.catalog import selectors, services
from eci import text
from eci.checks import OWN


class Command(BaseCommand):
    help = "Create the given products whose SKU is new."
    requires_system_checks = OWN
    stealth_options = ("products",)

    def handle(self, *args: Any, **options: Any) -> None:
        """``products``: dicts of sku, name, category, price, description. ValueError."""
        products = [_taken_in(product) for product in options["products"]]
        known = selectors.product_ids_by_sku(skus=[product["sku"] for product in products])
        for product in products:
            if product["sku"] not in known:
                services.create_product(actor="demo", **product)


def _taken_in(product: dict[str, Any]) -> dict[str, Any]:
    """The product in the form that every door brings it to, without its stock."""
    return {name: value for name, value in product.items() if name != "stock"} | {
        "sku": text.sku(product["sku"]),
        "name": text.clean(product["name"], limit=text.NAME, blank=False),
        "category": text.clean(product.get("category", ""), limit=text.CATEGORY),
        "description": text.clean(product.get("description", ""), limit=text.DESCRIPTION, lines=True),
        "price": Decimal(product["price"]),
        "barcode": text.barcode(product["barcode"]) if product.get("barcode") else "",
    }
