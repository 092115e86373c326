"""Inventory's Django app: its label, and the answers it gives other contexts."""

from django.apps import AppConfig


class InventoryConfig(AppConfig):
    name = "contexts.inventory"
    label = "inventory"

    def ready(self) -> None:
        from contexts.inventory.local import LocalInventory
        from eci.calls import rpc

        rpc.serve("inventory", LocalInventory())
