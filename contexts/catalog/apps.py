"""Catalog as a Django app: at start-up it offers its contract to the other contexts."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "contexts.catalog"
    label = "catalog"

    def ready(self) -> None:
        from contexts.catalog.local import LocalCatalog
        from eci.calls import rpc

        rpc.serve("catalog", LocalCatalog())
