"""Stock together with what catalog says of its products."""

from __future__ import annotations

from collections.abc import Iterable

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product, ProductNotFound
from contexts.inventory import selectors
from eci import money
from eci.calls import rpc
from eci.errors import ContextUnavailable

MAX_FOUND = 500  # products that a search of stock looks at


def products_of(*, product_ids: Iterable[int]) -> dict[int, Product] | None:
    """Those of the products that the catalog knows, by id; None while it cannot be reached."""
    ids = set(product_ids)
    if not ids:
        return {}
    try:
        with rpc.briefly():
            return _products(ids)
    except ContextUnavailable:
        return None


def _products(ids: set[int]) -> dict[int, Product]:
    try:
        return catalog.products(product_ids=ids)
    except ProductNotFound:  # rarely: stock of what the catalog does not know
        return catalog.products(product_ids=catalog.known_products(product_ids=ids))


def worth() -> dict[str, tuple[int, int]] | None:
    """By currency: the units on hand, and what they cost in minor units, by the catalog's prices. None while the
    catalog cannot be asked. It takes a while: all products are asked for, some at a time."""
    found: dict[str, tuple[int, int]] = {}
    after = 0
    while rows := selectors.on_hand_after(product_id=after, limit=MAX_FOUND):
        products = products_of(product_ids=[product_id for product_id, _ in rows])
        if products is None:
            return None
        for product_id, units in rows:
            if product := products.get(product_id):
                all_units, value = found.get(product.currency, (0, 0))
                price = money.to_minor(product.price, product.currency)
                found[product.currency] = (all_units + units, value + units * price)
        after = rows[-1][0]
    return found


def products_like(*, text: str) -> tuple[int, ...]:
    """The id of the product that has this SKU or barcode, else of those in whose SKU or name these words are; none
    while the catalog cannot be reached."""
    if not text.strip():
        return ()
    try:
        with rpc.briefly():
            coded = catalog.product_ids_by_code(codes={text.strip(), text.strip().upper()})
            return tuple(coded.values()) or catalog.search(text=text, limit=MAX_FOUND)
    except ContextUnavailable:
        return ()
