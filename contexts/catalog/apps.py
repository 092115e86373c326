from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "contexts.catalog"
    label = "catalog"

    def ready(self) -> None:
        from contexts.catalog.local import LocalCatalog
        from eci.calls import rpc

        rpc.serve("catalog", LocalCatalog())
