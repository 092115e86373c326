from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import Case, Count, F, Min, Q, QuerySet, Value, When

from contexts.catalog.domain import fold, words
from contexts.catalog.models import Product
from contexts.catalog.public.contracts import ProductNotFound
from eci.paging import Paging

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
    "created_at",
    "updated_at",
    "name_key",
    "price_thousandths",
)
_CHUNK = 900  # ids in one statement


def row_of(product: Product) -> Row:
    return {field: getattr(product, field) for field in FIELDS}


def not_found(product_id: int) -> ProductNotFound:
    return ProductNotFound(f"There is no product {product_id}.", product_id=product_id)


def product(*, product_id: int) -> Row:
    """ProductNotFound."""
    row: Row | None = Product.objects.filter(pk=product_id).values(*FIELDS).first()
    if row is None:
        raise not_found(product_id)
    return row


def product_by_sku(*, sku: str) -> Row:
    """ProductNotFound."""
    row: Row | None = Product.objects.filter(sku=sku).values(*FIELDS).first()
    if row is None:
        raise ProductNotFound(f"There is no product with the SKU {sku}.", sku=sku)
    return row


def products_by_id(product_ids: Collection[int], *fields: str) -> Iterator[Row]:
    """The rows that exist of these ids: one select for each 900 of them."""
    ids = sorted(set(product_ids))
    for start in range(0, len(ids), _CHUNK):
        yield from Product.objects.filter(pk__in=ids[start : start + _CHUNK]).values(*fields)


def products(
    *,
    paging: Paging,
    include_inactive: bool,
    is_active: bool | None = None,
    category: str = "",
    name: str = "",
    min_price: int | None = None,
    max_price: int | None = None,
    q: str = "",
) -> list[Row]:
    """One page of products, and one row more when there are more. Prices are bounds in thousandths, inclusive.

    With ``q`` each row has a ``rank``: matches of the SKU count most, then those of the name, then the description's.
    """
    found = Product.objects.all()
    if not include_inactive:
        found = found.filter(is_active=True)
    if is_active is not None:
        found = found.filter(is_active=is_active)
    if category:
        found = found.filter(category_key=fold(category))
    if name:
        found = found.filter(name_key__contains=fold(name))
    if min_price is not None:
        found = found.filter(price_thousandths__gte=min_price)
    if max_price is not None:
        found = found.filter(price_thousandths__lte=max_price)
    if not (searched := words(q)):
        return paging.slice(found.values(*FIELDS))
    for word in searched:
        found = found.filter(search_text__contains=word)
    rank = functools.reduce(operator.add, map(_weight, searched))
    return paging.slice(found.annotate(rank=rank).values(*FIELDS, "rank"))


def _weight(word: str) -> Any:
    return Case(
        When(sku__iexact=word, then=Value(16)),
        When(sku__istartswith=word, then=Value(8)),
        When(Q(name_key__startswith=word) | Q(name_key__contains=f" {word}"), then=Value(4)),
        When(name_key__contains=word, then=Value(2)),
        default=Value(1),
    )


def categories(*, paging: Paging, include_inactive: bool) -> list[Row]:
    """One page of ``{category_key, label, product_count}``; spellings that differ only in case are one category."""
    found: QuerySet[Product] = Product.objects.exclude(category_key="")
    if not include_inactive:
        found = found.filter(is_active=True)
    grouped = found.values("category_key").annotate(label=Min(F("category")), product_count=Count("pk"))
    return paging.slice(grouped, pk="category_key")
