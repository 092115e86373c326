"""Catalog's reads."""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import Case, Count, F, Min, Q, QuerySet, Value, When

from contexts.catalog.domain import LOWEST_PRICE, category_key, name_key, price_thousandths, words
from contexts.catalog.models import PriceChange, Product
from contexts.catalog.public.contracts import ProductNotFound
from eci.clock import utcnow
from eci.paging import Paging
from eci.statements import Reads, reads

Row = dict[str, Any]

FIELDS = (
    "id",
    "sku",
    "name",
    "description",
    "category",
    "price_minor",
    "currency",
    "is_active",
    "barcode",
    "metadata",
    "created_at",
    "updated_at",
    "version",
    "name_key",
    "price_thousandths",
)
PRICE_FIELDS = ("id", "old_price_minor", "old_currency", "price_minor", "currency", "actor", "at")
_CHUNK = 900  # ids in one statement


def row_of(*, product: Product) -> Row:
    """The row of a product that is in memory already."""
    return {field: getattr(product, field) for field in FIELDS}


def not_found(*, product_id: int) -> ProductNotFound:
    return ProductNotFound(f"There is no product {product_id}.", product_id=product_id)


@functools.cache
def _products(fields: tuple[str, ...]) -> Reads[..., Row]:
    @reads
    def products(*, product_ids: Collection[int]) -> QuerySet[Product, Row]:
        rows: QuerySet[Product, Row] = Product.objects.filter(pk__in=product_ids).values(*fields)
        return rows

    return products


def product(*, product_id: int) -> Row:
    """The row with this id. ProductNotFound."""
    row = _products(FIELDS).first(product_ids=[product_id])
    if row is None:
        raise not_found(product_id=product_id)
    return with_lowest_prices(rows=[row])[0]


def product_by_sku(*, sku: str) -> Row:
    """The row with this SKU, in this very spelling. ProductNotFound."""
    row: Row | None = Product.objects.filter(sku=sku).values(*FIELDS).first()
    if row is None:
        raise ProductNotFound(f"There is no product with the SKU {sku}.", sku=sku)
    return with_lowest_prices(rows=[row])[0]


def with_lowest_prices(*, rows: list[Row]) -> list[Row]:
    """Each row gets its ``lowest_minor``: the lowest price in force at any moment of the last 30 days, in the currency
    of now. What was in force when they began is known by the first change since: it has the price before."""
    since = utcnow() - LOWEST_PRICE
    lately = PriceChange.objects.filter(product__in=[row["id"] for row in rows], at__gt=since)
    seen: dict[tuple[int, str], list[int]] = defaultdict(list)
    for change in lately.values("product_id", "old_price_minor", "old_currency", "price_minor", "currency"):
        seen[change["product_id"], change["currency"]].append(change["price_minor"])
        if change["old_price_minor"] is not None:
            seen[change["product_id"], change["old_currency"]].append(change["old_price_minor"])
    for row in rows:
        row["lowest_minor"] = min([row["price_minor"], *seen[row["id"], row["currency"]]])
    return rows


def prices(*, paging: Paging, product_id: int) -> list[Row]:
    """One page of a product's prices, and one more row when more follow. ProductNotFound."""
    rows = paging.slice(PriceChange.objects.filter(product_id=product_id).values(*PRICE_FIELDS))
    if not rows and not Product.objects.filter(pk=product_id).exists():
        raise not_found(product_id=product_id)
    return rows


def products_by_id(*, product_ids: Collection[int], fields: tuple[str, ...]) -> dict[int, Row]:
    """The rows with these ids, by id. ProductNotFound names the first unknown one."""
    rows = {row["id"]: row for row in _rows(product_ids, fields)}
    for product_id in product_ids:
        if product_id not in rows:
            raise not_found(product_id=product_id)
    return rows


def known_products(*, product_ids: Collection[int]) -> set[int]:
    """The ids, out of these, that exist."""
    return {row["id"] for row in _rows(product_ids, ("id",))}


def _rows(product_ids: Collection[int], fields: tuple[str, ...]) -> Iterator[Row]:
    """The rows that exist, with one select for every 900 ids."""
    ids = sorted(set(product_ids))
    for start in range(0, len(ids), _CHUNK):
        yield from _products(fields)(product_ids=ids[start : start + _CHUNK])


def product_ids_by_sku(*, skus: Collection[str]) -> dict[str, int]:
    """The ids of the products that have these SKUs."""
    return dict(Product.objects.filter(sku__in=skus).values_list("sku", "pk"))


def products(
    *,
    paging: Paging,
    include_inactive: bool,
    is_active: bool | None = None,
    product_ids: Collection[int] = (),
    skus: Collection[str] = (),
    category: str = "",
    barcode: str = "",
    name: str = "",
    currency: str = "",
    min_price: int | None = None,
    max_price: int | None = None,
    q: str = "",
) -> list[Row]:
    """One page of products, and one more row when more follow.

    ``category`` matches whole, ``name`` any part, both in any case. ``min_price`` and ``max_price`` are inclusive, in
    minor units of ``currency``, which they need. ``q`` finds products that contain all its words, and gives each row a
    ``rank``: a match in the SKU counts most, then one in the name, then one in the description.
    """
    found = Product.objects.all()
    if not include_inactive:
        found = found.filter(is_active=True)
    if is_active is not None:
        found = found.filter(is_active=is_active)
    if product_ids:
        found = found.filter(pk__in=product_ids)
    if skus:
        found = found.filter(sku__in=skus)
    if category:
        found = found.filter(category_key=category_key(category))
    if barcode:
        found = found.filter(barcode=barcode)
    if name:
        found = found.filter(name_key__contains=name_key(name))
    if currency:
        found = found.filter(currency=currency)
    if min_price is not None:
        found = found.filter(price_thousandths__gte=price_thousandths(min_price, currency))
    if max_price is not None:
        found = found.filter(price_thousandths__lte=price_thousandths(max_price, currency))
    if not (searched := words(q)):
        return with_lowest_prices(rows=paging.slice(found.values(*FIELDS)))
    for word in searched:
        found = found.filter(search_text__contains=word)
    rank = functools.reduce(operator.add, map(_weight, searched))
    return with_lowest_prices(rows=paging.slice(found.annotate(rank=rank).values(*FIELDS, "rank")))


def _weight(word: str) -> Any:
    return Case(
        When(sku__iexact=word, then=Value(16)),
        When(sku__istartswith=word, then=Value(8)),
        When(Q(name_key__startswith=word) | Q(name_key__contains=f" {word}"), then=Value(4)),
        When(name_key__contains=word, then=Value(2)),
        default=Value(1),
    )


def categories(*, paging: Paging, include_inactive: bool) -> list[Row]:
    """One page of ``{category_key, label, product_count}``, and one more row when more follow.

    Spellings that differ only in case are one category.
    """
    found: QuerySet[Product] = Product.objects.exclude(category_key="")
    if not include_inactive:
        found = found.filter(is_active=True)
    grouped = found.values("category_key").annotate(label=Min(F("category")), product_count=Count("pk"))
    return paging.slice(grouped, pk="category_key")
