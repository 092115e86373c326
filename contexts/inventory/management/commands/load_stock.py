"""Receive stock; called by other commands, with Python values."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from contexts.inventory import services
from contexts.inventory.models import Stock, Warehouse


class Command(BaseCommand):
    help = "Create the given warehouses and receive stock where there is none."
    stealth_options = ("warehouses", "stock")

    def handle(self, *args: Any, **options: Any) -> None:
        """``warehouses``: dicts of code, name, priority. ``stock``: product id -> warehouse code -> units."""
        for warehouse in options["warehouses"]:
            if not Warehouse.objects.filter(pk=warehouse["code"]).exists():
                services.create_warehouse(**warehouse, address="", is_active=True)
        stocked = set(Stock.objects.values_list("product_id", "warehouse_id"))
        for product_id, places in options["stock"].items():
            for code, quantity in places.items():
                if quantity and (product_id, code) not in stocked:
                    services.receive(
                        product_id=product_id,
                        warehouse=code,
                        quantity=quantity,
                        reorder_point=None,
                        actor="demo",
                        create_warehouse=False,
                    )
