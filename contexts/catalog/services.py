"""Catalog's writes, each one transaction on its database."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models import F, QuerySet

from contexts.catalog import search, selectors, words
from contexts.catalog.domain import category_key, name_key, price_thousandths, search_text
from contexts.catalog.models import BulkChange, PriceChange, Product
from contexts.catalog.public.contracts import DuplicateBarcode, DuplicateSku
from contexts.catalog.selectors import Row, row_of
from eci import metadata as labels
from eci import money, pruning, trail
from eci.clock import utcnow
from eci.db import Stale, locked, writes
from eci.errors import InvalidRequest, InvalidTransition, PreconditionFailed
from eci.imports.values import exact_minor
from eci.statements import Inserts, reads

_IN_TRAIL = ("sku", "name", "description", "category", "price_minor", "currency", "is_active", "barcode", "metadata")
_SEARCHED = ("sku", "barcode", "name", "category", "description")  # what other columns are derived of
_INDEXED = 500  # products in one transaction
_WRITTEN = (
    *("name", "description", "category", "price_minor", "currency", "is_active", "barcode"),
    *("name_key", "category_key", "search_text", "price_thousandths", "plain_name", "terms"),
)
_add_products = Inserts(Product)
_change_products = Inserts(Product, replaces=(*_WRITTEN, "updated_at", "version"))
_add_prices = Inserts(PriceChange)
_NO_PRODUCT = "sku: There is no product with this SKU."
NEEDS_PRICE = "Another currency needs its own price."


@reads
def _products(*, skus: Collection[str]) -> QuerySet[Product]:
    return Product.objects.filter(sku__in=skus)


@reads
def _locked_products(*, skus: Collection[str]) -> QuerySet[Product]:
    return locked(_products.definition(skus=skus).order_by("pk"))


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
        _record_price(product, actor=actor, before=before)
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
    before, after = _in_trail(before or {}), _in_trail(after)
    trail.record("catalog", actor=actor, action=action, thing=f"product:{product_id}", before=before, after=after)


def _in_trail(row: Mapping[str, Any]) -> Row:
    return {name: row[name] for name in _IN_TRAIL if name in row}


def _minor(price: Decimal, currency: str) -> int:
    if price < 0:
        raise InvalidRequest("price: A price must not be negative.", price=["A price must not be negative."])
    try:
        return money.to_minor(price, currency)
    except ValueError as error:
        raise InvalidRequest(f"price: {error}", price=[str(error)]) from None


def _derive(product: Product) -> None:
    """Derive the columns that are compared."""
    _derive_texts(product)
    _derive_price(product)


def _derive_texts(product: Product) -> None:
    product.name_key = name_key(product.name)
    product.category_key = category_key(product.category)
    product.search_text = search_text(product.sku, product.barcode or "", product.name, product.description)
    product.plain_name = words.plain(product.name)
    product.terms = terms_of(product=product)


def _derive_price(product: Product) -> None:
    product.price_thousandths = price_thousandths(product.price_minor, product.currency)


def _store(product: Product) -> None:
    """DuplicateSku, DuplicateBarcode."""
    _derive(product)
    try:
        product.save()
    except IntegrityError as error:
        if re.search(r"catalog_product[._]barcode", str(error)):  # SQLite names the column, servers the constraint
            sentence = f"There already is a product with the barcode {product.barcode}."
            raise DuplicateBarcode(sentence, barcode=product.barcode) from None
        raise DuplicateSku(f"There already is a product with the SKU {product.sku}.", sku=product.sku) from None


def _learn(product: Product) -> None:
    search.learn(_words_of(product))


def _words_of(product: Product) -> Iterable[str]:
    return words.vocabulary(name=product.name, category=product.category)


def terms_of(*, product: Product) -> str:
    return words.terms(
        sku=product.sku,
        barcode=product.barcode or "",
        name=product.name,
        category=product.category,
        description=product.description,
    )


def _record_price(product: Product, *, actor: str, before: Row | None = None) -> None:
    _price_change(product, actor=actor, before=before).save()


def _price_change(product: Product, *, actor: str, before: Row | None) -> PriceChange:
    return PriceChange(
        product_id=product.pk,
        old_price_minor=before["price_minor"] if before else None,
        old_currency=before["currency"] if before else "",
        price_minor=product.price_minor,
        currency=product.currency,
        actor=actor,
        at=product.updated_at,
    )


# -- many at once -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What one row does to a product. ``changes``: field -> old and new value as they are shown; nothing old for a new
    product. ``refusal`` says why it does nothing. ``stays_off_sale``: it is, and the row does not speak of it."""

    is_new: bool
    changes: Mapping[str, tuple[Any, Any]]
    refusal: str = ""
    stays_off_sale: bool = False


def plan_products(*, rows: Sequence[Row], create: bool = True) -> list[Planned]:
    """What ``write_products`` would do. It writes and locks nothing."""
    plans = _Plans(rows, _products(skus={row["sku"] for row in rows}), create=create)
    return [plans.plan(row)[0] for row in rows]


Fresh = dict[str, tuple[Planned, Product]]  # by SKU


def fresh_products(*, rows: Iterable[Row]) -> Fresh:
    """What ``write_products`` makes of these rows where there is no such product. That is most of its work, and it asks
    no database. Rows that are refused are left out."""
    found: Fresh = {}
    for row in rows:
        with suppress(ValueError):
            plan, product = _planned_new(row)
            _derive(product)
            found[row["sku"]] = plan, product
    return found


@writes("catalog")
def write_products(
    *, rows: Sequence[Row], actor: str, create: bool = True, free: bool = False, fresh: Fresh | None = None
) -> list[Planned]:
    """Change the product of each row, which has its ``sku`` and any of name, description, category, price, currency,
    barcode, is_active; no SKU comes twice. One that is missing is created, if it may be. Rows that are refused have no
    effect.

    A price without currency is in the product's own, and in the shop's for a new one. One that becomes 0 is refused
    unless ``free``. ``fresh``: of these rows; each is used once.
    """
    skus = {row["sku"] for row in rows}
    plans = _Plans(rows, _locked_products(skus=skus), create=create, free=free, fresh=fresh)
    now = utcnow()
    made, written = [], []
    for row in rows:
        plan, before, product = plans.plan(row)
        made.append(plan)
        if product is None or not plan.changes:
            continue
        product.updated_at = now
        if before is None:
            product.created_at = now
            if not product.terms:
                _derive(product)
        else:
            product.version += 1
            if any(before[name] != getattr(product, name) for name in _SEARCHED):
                _derive_texts(product)
            _derive_price(product)
        written.append((before, product))
    _write(written, actor=actor)
    return made


class _Plans:
    """Rows one after the other, against the products that there are, as the rows before them leave these."""

    def __init__(
        self,
        rows: Sequence[Row],
        found: Iterable[Product],
        *,
        create: bool,
        free: bool = False,
        fresh: Fresh | None = None,
    ) -> None:
        self._products = {product.sku: product for product in found}
        barcodes = {row["barcode"] for row in rows if row.get("barcode")}
        owners = Product.objects.filter(barcode__in=barcodes).values_list("barcode", "sku") if barcodes else ()
        self._owners = {str(barcode): sku for barcode, sku in owners}
        self._create = create
        self._free = free
        self._fresh = fresh if fresh is not None else {}

    def plan(self, row: Row) -> tuple[Planned, Row | None, Product | None]:
        """The plan; the product's row before, and the product as it then is, which is not saved."""
        product = self._products.get(row["sku"])
        if product is None and not self._create:
            return Planned(is_new=True, changes={}, refusal=_NO_PRODUCT), None, None
        before = row_of(product=product) if product else None
        try:
            if product is not None:
                return self._planned(product, row), before, product
            plan, made = self._new(row)
            return plan, None, made
        except ValueError as error:
            return Planned(is_new=before is None, changes={}, refusal=str(error)), before, None

    def _new(self, row: Row) -> tuple[Planned, Product]:
        if ready := self._fresh.pop(row["sku"], None):
            self._take(row)
            return ready
        return _planned_new(row, free=self._free, take=self._take)

    def _planned(self, product: Product, row: Row) -> Planned:
        was, was_on_sale = shown(product=product), product.is_active
        self._take(row)
        _set(product, row, free=self._free or not product.price_minor)
        changes = {name: (was[name], new) for name, new in shown(product=product).items() if was[name] != new}
        return Planned(is_new=False, changes=changes, stays_off_sale=not was_on_sale and "is_active" not in row)

    def _take(self, row: Row) -> None:
        """The row's barcode, of which each product has its own. ValueError."""
        if barcode := row.get("barcode"):
            owner = self._owners.setdefault(barcode, row["sku"])
            if owner != row["sku"]:
                raise ValueError(f"barcode: The product {owner} has this barcode.")


def _planned_new(row: Row, *, free: bool = False, take: Callable[[Row], None] | None = None) -> tuple[Planned, Product]:
    """The row as a new product. ``take``: its barcode. ValueError."""
    if row.get("is_active") is False and not {"name", "price"} & row.keys():
        raise ValueError(_NO_PRODUCT)
    for name in ("name", "price"):
        if row.get(name) is None:
            raise ValueError(f"{name}: There is no product with this SKU, and a new one needs a {name}.")
    if take:
        take(row)
    product = Product(sku=row["sku"], name="", currency=row.get("currency") or settings.ECI_CURRENCY)
    _set(product, row, free=free)
    return Planned(is_new=True, changes={name: (None, new) for name, new in shown(product=product).items()}), product


def _set(product: Product, row: Row, *, free: bool) -> None:
    """What the row says. ValueError."""
    currency = row.get("currency") or product.currency
    if row.get("price") is not None:
        price_minor = _exact_minor(row["price"], currency)
        if not price_minor and not free:
            raise ValueError("price: It would be sold for nothing. If it is meant so, set the price 0 by hand.")
        product.price_minor, product.currency = price_minor, currency
    elif currency != product.currency:
        raise ValueError(f"price: {NEEDS_PRICE}")
    for name in ("name", "description", "category", "is_active"):
        if row.get(name) is not None:
            setattr(product, name, row[name])
    if row.get("barcode") is not None:
        product.barcode = row["barcode"] or None


def _exact_minor(price: Decimal, currency: str) -> int:
    try:
        return exact_minor(price, currency)
    except ValueError as error:
        raise ValueError(f"price: {error}") from None


def shown(*, product: Product) -> Row:
    """The fields that rows have, as they are shown."""
    return {
        "name": product.name,
        "description": product.description,
        "category": product.category,
        "price": money.text_of(product.price_minor, product.currency),
        "currency": product.currency,
        "barcode": product.barcode or "",
        "is_active": product.is_active,
    }


def _write(written: list[tuple[Row | None, Product]], *, actor: str) -> None:
    new = [product for before, product in written if before is None]
    changed = [product for before, product in written if before is not None]
    try:
        _add_products(new)
    except IntegrityError:  # somebody has created one of them meanwhile
        raise Stale from None
    _change_products(changed)
    search.learn({word for product in new + changed for word in _words_of(product)})
    _add_prices(
        [
            _price_change(product, actor=actor, before=before)
            for before, product in written
            if before is None or (before["price_minor"], before["currency"]) != (product.price_minor, product.currency)
        ]
    )
    for action, is_new in (("created", True), ("changed", False)):
        lines = [
            (f"product:{product.pk}", _in_trail(before or {}), _in_trail(vars(product)))
            for before, product in written
            if (before is None) == is_new
        ]
        trail.record_all("catalog", actor=actor, action=action, lines=lines)


@writes("catalog")
def restore_products(*, done: Sequence[tuple[str, Mapping[str, tuple[Any, Any]]]], actor: str) -> list[list[str]]:
    """Take back changes, each a SKU and what ``Planned.changes`` said; a new product is taken off sale.

    Returns for each the fields that stay as they are, because somebody has changed them since.
    """
    skus = [sku for sku, _ in done]
    found = {one.sku: one for one in _locked_products(skus=skus)}
    rows: dict[int, Row] = {}
    kept = []
    for number, (sku, changes) in enumerate(done):
        product = found.get(sku)
        if product is None:
            kept.append(["sku"])  # it has another one now
            continue
        now = shown(product=product)
        kept.append([name for name, (_, new) in changes.items() if now[name] != new])
        if all(old is None for old, _ in changes.values()):
            if not kept[-1]:
                rows[number] = {"sku": sku, "is_active": False}
            continue
        if not {"price", "currency"}.isdisjoint(kept[-1]):  # an amount means nothing without its currency
            kept[-1] = [name for name in changes if name in kept[-1] or name in ("price", "currency")]
        back = {name: old for name, (old, _) in changes.items() if name not in kept[-1]}
        if "price" in back or "currency" in back:
            back["price"] = Decimal(changes.get("price", (now["price"],))[0])
        rows[number] = {"sku": sku} | back
    for number, plan in zip(rows, write_products(rows=list(rows.values()), actor=actor, free=True), strict=True):
        if plan.refusal:  # its old barcode is another's by now
            kept[number] = list(done[number][1])
    return kept


# -- several by staff, to be taken back -------------------------------------------------------------------------------

UNDONE_WITHIN = timedelta(hours=1)
_CHANGES_KEPT = timedelta(days=90)


@writes("catalog")
def change_together(*, rows: Sequence[Row], seen: Mapping[str, int], what: str, actor: str) -> BulkChange | None:
    """Change products as ``write_products`` does, if each still has the version that was ``seen``, by SKU. None if that
    changes nothing.

    PreconditionFailed.
    """
    products = locked(Product.objects.filter(sku__in=list(seen)).order_by("pk"))
    if {product.sku: product.version for product in products} != dict(seen):
        raise PreconditionFailed("One of these products has changed meanwhile.")
    plans = write_products(rows=rows, actor=actor, create=False)
    lines = [
        (row["sku"], plan.changes) for row, plan in zip(rows, plans, strict=True) if plan.changes and not plan.refusal
    ]
    return BulkChange.objects.create(what=what, actor=actor, lines=lines) if lines else None


@writes("catalog")
def undo_together(*, change_id: int, version: int, actor: str) -> BulkChange:
    """Take back what it changed, as a new change, where that is still what it wrote. ``kept`` names the others.

    PreconditionFailed for another version; InvalidTransition if it was undone, or more than an hour ago.
    """
    change: BulkChange = locked(BulkChange.objects.filter(pk=change_id)).get()
    if change.version != version:
        raise PreconditionFailed("This has changed meanwhile.", version=change.version)
    if not can_be_undone(change=change):
        raise InvalidTransition("It was undone before." if change.undone_at else "It can be undone for an hour.")
    kept = restore_products(done=[(sku, changes) for sku, changes in change.lines], actor=actor)
    change.kept = [sku for (sku, _), fields in zip(change.lines, kept, strict=True) if fields]
    change.undone_at, change.undone_by, change.version = utcnow(), actor, version + 1
    change.save()
    return change


def prune_changes() -> None:
    """What was changed stands in the trail for ever; a page to undo it is kept for a while."""
    pruning.delete(BulkChange.objects.filter(at__lt=utcnow() - _CHANGES_KEPT), by="at")


def can_be_undone(*, change: BulkChange) -> bool:
    return change.undone_at is None and change.at > utcnow() - UNDONE_WITHIN
