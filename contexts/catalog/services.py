"""Catalog's writes, each one transaction on its database."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models import F

from contexts.catalog import search, selectors, words
from contexts.catalog.domain import category_key, name_key, price_thousandths, search_text
from contexts.catalog.models import PriceChange, Product
from contexts.catalog.public.contracts import DuplicateBarcode, DuplicateSku
from contexts.catalog.selectors import Row, row_of
from eci import metadata as labels
from eci import money, trail
from eci.clock import utcnow
from eci.db import locked, writes
from eci.errors import InvalidRequest, PreconditionFailed

_IN_TRAIL = ("sku", "name", "description", "category", "price_minor", "currency", "is_active", "barcode", "metadata")
_INDEXED = 500  # products in one transaction
NEEDS_PRICE = "Another currency needs its own price."


@writes("catalog")
def create_product(
    *,
    actor: str,
    sku: str,
    name: str,
    price: Decimal,
    currency: str | None = None,
    category: str = "",
    description: str = "",
    is_active: bool = True,
    barcode: str = "",
    metadata: Mapping[str, str | None] | None = None,
) -> Row:
    """The new product's row. Without ``currency`` it is the shop's.

    DuplicateSku, DuplicateBarcode; InvalidRequest for a bad price or too much metadata.
    """
    currency = currency or settings.ECI_CURRENCY
    now = utcnow()
    product = Product(
        sku=sku,
        name=name,
        category=category,
        description=description,
        price_minor=_minor(price, currency),
        currency=currency,
        is_active=is_active,
        barcode=barcode or None,
        metadata=labels.merged(None, metadata or {}),
        created_at=now,
        updated_at=now,
    )
    _store(product)
    _learn(product)
    _record_price(product, actor=actor)
    row = row_of(product=product)
    _keep_trail("created", product.pk, actor=actor, after=row)
    return selectors.with_lowest_prices(rows=[row])[0]


@writes("catalog")
def update_product(
    *,
    product_id: int,
    actor: str,
    version: int | None = None,
    sku: str | None = None,
    name: str | None = None,
    price: Decimal | None = None,
    currency: str | None = None,
    category: str | None = None,
    description: str | None = None,
    is_active: bool | None = None,
    barcode: str | None = None,
    metadata: Mapping[str, str | None] | None = None,
    replace_metadata: bool = False,
) -> Row:
    """The product's row after the change. None leaves a field as it is; "" takes a barcode away.

    Metadata is merged into what is kept, unless it is to replace it.

    ProductNotFound, DuplicateSku, DuplicateBarcode; PreconditionFailed when the product has another ``version``;
    InvalidRequest for a price that the currency cannot express, for another currency without a price, and for too much
    metadata.
    """
    # Locked, because the old price goes into the history: nobody may change it between this read and the write.
    product = locked(Product.objects.filter(pk=product_id)).first()
    if product is None:
        raise selectors.not_found(product_id=product_id)
    if version not in (None, product.version):
        raise PreconditionFailed("This product has changed meanwhile.", version=product.version)
    before = row_of(product=product)
    changes: dict[str, Any] = {
        "sku": sku,
        "name": name,
        "currency": currency,
        "category": category,
        "description": description,
        "is_active": is_active,
    }
    for field, value in changes.items():
        if value is not None:
            setattr(product, field, value)
    if barcode is not None:
        product.barcode = barcode or None
    if metadata is not None:
        product.metadata = labels.merged(None if replace_metadata else product.metadata, metadata)
    if price is not None:
        product.price_minor = _minor(price, product.currency)
    elif product.currency != before["currency"]:
        raise InvalidRequest(f"price: {NEEDS_PRICE}", price=[NEEDS_PRICE])
    if row_of(product=product) == before:
        return selectors.with_lowest_prices(rows=[before])[0]
    product.updated_at = utcnow()
    product.version += 1
    _store(product)
    if (product.name, product.category) != (before["name"], before["category"]):
        _learn(product)
    if (product.price_minor, product.currency) != (before["price_minor"], before["currency"]):
        _record_price(product, actor=actor, old_price_minor=before["price_minor"], old_currency=before["currency"])
    after = row_of(product=product)
    _keep_trail("changed", product_id, actor=actor, before=before, after=after)
    return selectors.with_lowest_prices(rows=[after])[0]


@writes("catalog")
def deactivate_products(*, product_ids: Collection[int], actor: str) -> None:
    """Take products off sale; those already off it stay as they are.

    ProductNotFound, with no effect, when one is unknown.
    """
    known = selectors.products_by_id(product_ids=product_ids, fields=("id", "is_active"))
    Product.objects.filter(pk__in=known, is_active=True).update(
        is_active=False, updated_at=utcnow(), version=F("version") + 1
    )
    for product_id, row in sorted(known.items()):
        _keep_trail("changed", product_id, actor=actor, before=row, after=row | {"is_active": False})


@writes("catalog")
def index_missing() -> None:
    """Make products findable that a process of an earlier release has added."""
    for product in Product.objects.filter(plain_name="").order_by("pk")[:_INDEXED]:
        product.plain_name, product.terms = words.plain(product.name), terms_of(product=product)
        product.save(update_fields=["plain_name", "terms"])
        _learn(product)


def _keep_trail(action: str, product_id: int, *, actor: str, after: Row, before: Row | None = None) -> None:
    before, after = ({field: row[field] for field in _IN_TRAIL if field in row} for row in (before or {}, after))
    trail.record("catalog", actor=actor, action=action, thing=f"product:{product_id}", before=before, after=after)


def _minor(price: Decimal, currency: str) -> int:
    if price < 0:
        raise InvalidRequest("price: A price must not be negative.", price=["A price must not be negative."])
    try:
        return money.to_minor(price, currency)
    except ValueError as error:
        raise InvalidRequest(f"price: {error}", price=[str(error)]) from None


def _store(product: Product) -> None:
    """Derive the columns that are compared, and save. DuplicateSku, DuplicateBarcode."""
    product.name_key = name_key(product.name)
    product.category_key = category_key(product.category)
    product.search_text = search_text(product.sku, product.barcode or "", product.name, product.description)
    product.plain_name = words.plain(product.name)
    product.terms = terms_of(product=product)
    product.price_thousandths = price_thousandths(product.price_minor, product.currency)
    try:
        product.save()
    except IntegrityError as error:
        if re.search(r"catalog_product[._]barcode", str(error)):  # SQLite names the column, servers the constraint
            sentence = f"There already is a product with the barcode {product.barcode}."
            raise DuplicateBarcode(sentence, barcode=product.barcode) from None
        raise DuplicateSku(f"There already is a product with the SKU {product.sku}.", sku=product.sku) from None


def _learn(product: Product) -> None:
    search.learn(words.vocabulary(name=product.name, category=product.category))


def terms_of(*, product: Product) -> str:
    return words.terms(
        sku=product.sku,
        barcode=product.barcode or "",
        name=product.name,
        category=product.category,
        description=product.description,
    )


def _record_price(product: Product, *, actor: str, old_price_minor: int | None = None, old_currency: str = "") -> None:
    PriceChange.objects.create(
        product=product,
        old_price_minor=old_price_minor,
        old_currency=old_currency,
        price_minor=product.price_minor,
        currency=product.currency,
        actor=actor,
        at=product.updated_at,
    )
