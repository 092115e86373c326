"""Inventory's Django app: its label, the answers it gives other contexts, and its kinds of imports."""

from django.apps import AppConfig


class InventoryConfig(AppConfig):
    name = "contexts.inventory"
    label = "inventory"

    def ready(self) -> None:
        from contexts.inventory.imports import Receipts, StockCounts
        from contexts.inventory.local import LocalInventory
        from eci.calls import rpc
        from eci.imports import kinds

        rpc.serve("inventory", LocalInventory())
        kinds.serve(StockCounts(), Receipts())
