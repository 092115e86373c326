"""Create warehouses and receive stock. Other commands call this one, with Python values."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from contexts.catalog.public.api import catalog
from contexts.inventory.models import Stock, Warehouse
from contexts.inventory.services import stock
from eci import text
from eci.checks import OWN
from eci.errors import ContextUnavailable

PATIENCE = 60  # seconds for the catalog to come up with the products, where it runs elsewhere
PAUSE = 0.5


class Command(BaseCommand):
    help = "Create the given warehouses, and receive stock where a warehouse has none of a product."
    requires_system_checks = OWN
    stealth_options = ("warehouses", "stock")

    def handle(self, *args: Any, **options: Any) -> None:
        """``warehouses``: dicts of code, name, priority. ``stock``: SKU -> warehouse code -> units.

        ValueError for text that no door takes; CommandError if the catalog does not have the products.
        """
        for warehouse in map(_taken_in, options["warehouses"]):
            if not Warehouse.objects.filter(pk=warehouse["code"]).exists():
                stock.create_warehouse(**warehouse, address="", is_active=True, actor="demo")
        stocked = set(Stock.objects.values_list("product_id", "warehouse_id"))
        ids = _product_ids(list(options["stock"]))
        for sku, units in options["stock"].items():
            product_id = ids[sku]
            for code, quantity in units.items():
                if quantity and (product_id, code) not in stocked:
                    stock.receive(
                        product_id=product_id,
                        warehouse=code,
                        quantity=quantity,
                        reorder_point=None,
                        actor="demo",
                        create_warehouse=False,
                    )


def _product_ids(skus: list[str]) -> dict[str, int]:
    """The products' ids by SKU, once the catalog has them all. CommandError."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            found = catalog.product_ids(skus=skus)
            why = f"The catalog has {len(found)} of {len(skus)} products."
        except ContextUnavailable as error:
            found, why = {}, str(error)
        if len(found) == len(skus):
            return found
        if time.monotonic() > end:
            raise CommandError(f"No stock is loaded. {why}")
        time.sleep(PAUSE)


def _taken_in(warehouse: dict[str, Any]) -> dict[str, Any]:
    """The warehouse in the form that every door brings it to."""
    return warehouse | {
        "code": text.warehouse_code(warehouse["code"]),
        "name": text.clean(warehouse["name"], limit=text.WAREHOUSE_NAME, blank=False),
    }
