"""Stock together with what catalog says of its products."""

from __future__ import annotations

from collections.abc import Iterable

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product, ProductNotFound
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


def products_like(*, text: str) -> tuple[int, ...]:
    """The ids of products in whose SKU or name these words are; none while the catalog cannot be reached."""
    if not text.strip():
        return ()
    try:
        with rpc.briefly():
            return catalog.search(text=text, limit=MAX_FOUND)
    except ContextUnavailable:
        return ()
