"""Create warehouses and receive stock. Other commands call this one, with Python values."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from contexts.inventory.models import Stock, Warehouse
from contexts.inventory.services import stock


class Command(BaseCommand):
    help = "Create the given warehouses, and receive stock where a warehouse has none of a product."
    stealth_options = ("warehouses", "stock")

    def handle(self, *args: Any, **options: Any) -> None:
        """``warehouses``: dicts of code, name, priority. ``stock``: product id -> warehouse code -> units."""
        for warehouse in options["warehouses"]:
            if not Warehouse.objects.filter(pk=warehouse["code"]).exists():
                stock.create_warehouse(**warehouse, address="", is_active=True, actor="demo")
        stocked = set(Stock.objects.values_list("product_id", "warehouse_id"))
        for product_id, units in options["stock"].items():
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
