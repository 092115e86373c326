from __future__ import annotations

from collections.abc import Iterable

from contexts.catalog import selectors
from contexts.catalog.public.contracts import Catalog, Product
from eci import money


class LocalCatalog(Catalog):
    def products(self, *, product_ids: Iterable[int]) -> dict[int, Product]:
        ids = list(product_ids)
        fields = ("id", "sku", "name", "price_minor", "currency", "is_active")
        found = {
            row["id"]: Product(
                product_id=row["id"],
                sku=row["sku"],
                name=row["name"],
                price=money.from_minor(row["price_minor"], row["currency"]),
                currency=row["currency"],
                is_active=row["is_active"],
            )
            for row in selectors.products_by_id(ids, *fields)
        }
        for product_id in ids:
            if product_id not in found:
                raise selectors.not_found(product_id)
        return found

    def known_products(self, *, product_ids: Iterable[int]) -> set[int]:
        return {row["id"] for row in selectors.products_by_id(list(product_ids), "id")}
