"""Put products into the catalog; called by other commands, with Python values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand

from contexts.catalog import services
from contexts.catalog.models import Product


class Command(BaseCommand):
    help = "Create those of the given products whose SKU is new."
    stealth_options = ("products", "ids")

    def handle(self, *args: Any, **options: Any) -> None:
        """``products``: dicts of sku, name, category, price, description. ``ids`` is filled with id by SKU."""
        ids: dict[str, int] = options["ids"]
        ids.update(Product.objects.filter(sku__in=[p["sku"] for p in options["products"]]).values_list("sku", "pk"))
        for product in options["products"]:
            if product["sku"] not in ids:
                fields = {name: value for name, value in product.items() if name != "stock"}
                row = services.create_product(actor="demo", **fields | {"price": Decimal(product["price"])})
                ids[product["sku"]] = row["id"]
