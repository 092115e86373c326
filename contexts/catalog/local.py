"""Catalog's contract, answered in this process. Rows become contracts here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from contexts.catalog import selectors
from contexts.catalog.public.contracts import Catalog, Priced, Product, ProductCounts
from contexts.catalog.selectors import Row
from eci import money
from eci.paging import Paging
from eci.trail import TellsTrail

_FIELDS = ("id", "sku", "name", "price_minor", "currency", "is_active")


def product(row: Row) -> Product:
    return Product(
        product_id=row["id"],
        sku=row["sku"],
        name=row["name"],
        price=money.from_minor(row["price_minor"], row["currency"]),
        currency=row["currency"],
        is_active=row["is_active"],
    )


def priced(row: Row) -> Priced:
    price = money.from_minor(row["price_minor"], row["currency"])
    return Priced(at=row["at"], price=price, currency=row["currency"], actor=row["actor"])


class LocalCatalog(TellsTrail, Catalog):
    context = "catalog"

    def products(self, *, product_ids: Iterable[int]) -> dict[int, Product]:
        rows = selectors.products_by_id(product_ids=list(product_ids), fields=_FIELDS)
        return {product_id: product(row) for product_id, row in rows.items()}

    def known_products(self, *, product_ids: Iterable[int]) -> set[int]:
        return selectors.known_products(product_ids=list(product_ids))

    def product_ids(self, *, skus: Iterable[str]) -> dict[str, int]:
        return selectors.product_ids_by_sku(skus=list(skus))

    def product_ids_by_code(self, *, codes: Iterable[str]) -> dict[str, int]:
        return selectors.product_ids_by_code(codes=list(codes))

    def barcodes(self, *, product_ids: Iterable[int]) -> dict[int, str]:
        return selectors.barcodes(product_ids=list(product_ids))

    def search(self, *, text: str, limit: int) -> tuple[int, ...]:
        paging = Paging(limit=limit - 1, order="-rank")  # its slice has one row more
        return tuple(row["id"] for row in selectors.products(paging=paging, include_inactive=True, q=text))

    def prices_of(self, *, product_id: int, limit: int) -> tuple[Priced, ...]:
        return tuple(map(priced, selectors.newest_prices(product_id=product_id, limit=limit)[::-1]))

    def counts(self, *, changed_since: datetime) -> ProductCounts:
        found = selectors.census(changed_since=changed_since)
        return ProductCounts(on_sale=found.on_sale, off_sale=found.off_sale, changed=found.changed)
