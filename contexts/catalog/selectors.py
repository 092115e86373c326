"""Catalog's reads."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Collate

from contexts.catalog import category_counts, search
from contexts.catalog.domain import LOWEST_PRICE, category_key, price_band, price_thousandths
from contexts.catalog.models import PriceChange, Product
from contexts.catalog.public.contracts import ProductNotFound
from eci.clock import utcnow
from eci.paging import Paging
from eci.statements import Reads, reads
from eci.statements.texts import databases

Row = dict[str, Any]
_ZEROS = 8  # that a spreadsheet may have taken from a SKU

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
_SELECTIVE = {"name", "currency", "min_price", "max_price", "is_active"}  # filters that may leave few products
_CHUNK = 900  # ids in one statement
_CLOCKS = timedelta(hours=1)  # by which those of two processes may differ


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


@reads
def _price_changes(*, product_ids: Collection[int], since: datetime) -> QuerySet[PriceChange, Any]:
    lately = PriceChange.objects.filter(product__in=product_ids, at__gt=since)
    return lately.values("product_id", "old_price_minor", "old_currency", "price_minor", "currency")


def with_lowest_prices(*, rows: list[Row]) -> list[Row]:
    """Each row gets its ``lowest_minor``: the lowest price in force at any moment of the last 30 days, in the currency
    of now. What was in force when they began is known by the first change since: it has the price before.

    A product whose row has not changed since it was made, or not since they began, has had one price."""
    since = utcnow() - LOWEST_PRICE
    doubtful = [row["id"] for row in rows if row["version"] > 1 and row["updated_at"] > since - _CLOCKS]
    seen: dict[tuple[int, str], list[int]] = defaultdict(list)
    for change in _price_changes(product_ids=doubtful, since=since) if doubtful else ():
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


def newest_prices(*, product_id: int, limit: int) -> list[Row]:
    found = PriceChange.objects.filter(product_id=product_id).order_by("-at", "-pk")
    return list(found.values(*PRICE_FIELDS)[:limit])


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


def skus_with_zeros(*, skus: Collection[str]) -> dict[str, str]:
    """Of these numbers those that are SKUs of products with zeros before them, and these SKUs."""
    if not skus or not Product.objects.filter(sku__gte="0", sku__lt="1").exists():
        return {}
    padded = {f"{'0' * zeros}{sku}": sku for sku in skus for zeros in range(1, _ZEROS + 1)}
    found = Product.objects.filter(sku__in=padded).values_list("sku", flat=True)
    return {padded[sku]: sku for sku in found if sku in padded}


def product_ids_by_sku(*, skus: Collection[str]) -> dict[str, int]:
    """The ids of the products that have these SKUs."""
    return dict(Product.objects.filter(sku__in=skus).values_list("sku", "pk"))


def product_ids_by_code(*, codes: Collection[str]) -> dict[str, int]:
    """The ids of the products that have one of these as SKU or barcode, by code. A SKU goes first."""
    by_barcode = Product.objects.filter(barcode__in=codes).values_list("barcode", "pk")
    return {code: pk for code, pk in by_barcode if code} | product_ids_by_sku(skus=codes)


def barcodes(*, product_ids: Collection[int]) -> dict[int, str]:
    """The barcodes of those of the products that have one."""
    return {row["id"]: row["barcode"] for row in _rows(product_ids, ("id", "barcode")) if row["barcode"]}


@reads
def _all_products(*, paging: Paging, include_inactive: bool) -> QuerySet[Product, Row]:
    rows: QuerySet[Product, Row] = _found(include_inactive=include_inactive).values(*FIELDS)
    return paging.of(rows)


def products(*, paging: Paging, include_inactive: bool, q: str = "", **filters: Any) -> list[Row]:
    """One page of products, and one more row when more follow. ``filters`` as in ``_found``.

    ``q``: words, as ``search`` finds them. Ordered by ``-rank`` the best match comes first, and each row has its rank.
    """
    if not (q or filters):
        return with_lowest_prices(rows=_all_products(paging=paging, include_inactive=include_inactive))

    def find(many: bool = False) -> QuerySet[Product]:
        return _found(include_inactive=include_inactive, many=many, **filters)

    if q and paging.order == "-rank":
        places = search.page(found=find(), query=q, paging=paging, category=filters.get("category", ""))
        rows = {row["id"]: row for row in _rows([pk for _, pk in places], FIELDS)}
        return with_lowest_prices(rows=[rows[pk] | {"rank": rank} for rank, pk in places])
    if q or _SELECTIVE & set(filters):
        ids = search.ordered(find=find, query=q, paging=paging)
        rows = {row["id"]: row for row in _rows(ids, FIELDS)}
        return with_lowest_prices(rows=[rows[pk] for pk in ids])
    return with_lowest_prices(rows=paging.slice(find().values(*FIELDS)))


def facets(*, include_inactive: bool, q: str = "", **filters: Any) -> Facets:
    """How many of the products that ``products`` finds are of each category and price band. Of many the newest are
    counted."""
    found = _found(include_inactive=include_inactive, **filters)
    columns = ("id", "category_key", "category", "price_minor", "currency")
    rows = search.some(found=found, query=q, columns=columns)
    counted = rows[: search.COUNTED]
    labels = {key: label for _, key, label, _, _ in sorted(counted, key=lambda row: row[2], reverse=True)}
    return Facets(
        counted=len(counted),
        complete=len(rows) <= search.COUNTED,
        categories=sorted(
            ((labels[key], units) for key, units in Counter(row[1] for row in counted).items()),
            key=lambda category: (-category[1], category[0]),
        ),
        prices=sorted(Counter(price_band(minor, currency) for *_, minor, currency in counted).items()),
    )


@dataclass(frozen=True, kw_only=True)
class Facets:
    """``counted``: products, and whether that is all of them. ``categories``: "" of those without one. ``prices``:
    (currency, from, until) and how many; both bounds are of the band."""

    counted: int
    complete: bool
    categories: list[tuple[str, int]]
    prices: list[tuple[tuple[str, int, int], int]]


def _found(
    *,
    include_inactive: bool,
    is_active: bool | None = None,
    product_ids: Collection[int] = (),
    skus: Collection[str] = (),
    category: str = "",
    has_category: bool | None = None,
    barcode: str = "",
    name: str = "",
    currency: str = "",
    min_price: int | None = None,
    max_price: int | None = None,
    many: bool = False,
) -> QuerySet[Product]:
    """``category`` matches whole, ``name`` any part, both in any case. ``min_price`` and ``max_price`` are inclusive,
    in minor units of ``currency``, which they need."""
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
    if has_category is not None:
        found = found.exclude(category_key="") if has_category else found.filter(category_key="")
    if barcode:
        found = found.filter(barcode=barcode)
    if name:
        found = search.named(found=found, name=name, many=many)
    if currency:
        found = found.filter(currency=currency)
    if min_price is not None:
        found = found.filter(price_thousandths__gte=price_thousandths(min_price, currency))
    if max_price is not None:
        found = found.filter(price_thousandths__lte=price_thousandths(max_price, currency))
    return found


def categories(*, paging: Paging, include_inactive: bool) -> list[Row]:
    """One page of ``{category_key, label, product_count}``, and one more row when more follow.

    Spellings that differ only in case are one category.
    """
    return category_counts.page(paging=paging, include_inactive=include_inactive)


def _label() -> Min:
    """Of several spellings of a category the same one on any engine, whatever its language."""
    by_code = "C" if connections[databases.db_for_read(Product)].vendor == "postgresql" else "BINARY"
    return Min(Collate("category", by_code))


@dataclass(frozen=True, kw_only=True)
class Census:
    """``categories``: of all products, the label of each and how many have it, those with the most first."""

    categories: list[tuple[str, int]]
    on_sale: int
    off_sale: int
    changed: int


def census(*, changed_since: datetime) -> Census:
    """How many products there are of each kind, counted in one statement."""
    rows: QuerySet[Product, Any] = Product.objects.order_by().values("category_key", "is_active")
    counted = rows.annotate(
        label=_label(), count=Count("pk"), changed=Count("pk", filter=Q(updated_at__gte=changed_since))
    )
    categories: Counter[str] = Counter()
    labels: dict[str, str] = {}
    sale: Counter[bool] = Counter()
    changed = 0
    for row in counted:
        categories[row["category_key"]] += row["count"]
        labels.setdefault(row["category_key"], row["label"])
        sale[row["is_active"]] += row["count"]
        changed += row["changed"]
    return Census(
        categories=[(labels[key], count) for key, count in categories.most_common() if key],
        on_sale=sale[True],
        off_sale=sale[False],
        changed=changed,
    )
