"""Catalog as a Django app: at start-up it offers its contract to the other contexts, and its kinds of imports."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CatalogConfig(AppConfig):
    name = "contexts.catalog"
    label = "catalog"

    def ready(self) -> None:
        from contexts.catalog import category_counts, search_indexes
        from contexts.catalog.imports.products import Prices, Products
        from contexts.catalog.local import LocalCatalog
        from eci.calls import rpc
        from eci.imports import kinds

        rpc.serve("catalog", LocalCatalog())
        post_migrate.connect(search_indexes.install, sender=self)
        post_migrate.connect(category_counts.install, sender=self)
        kinds.serve(Products(), Prices())
