"""The go box: what staff may mean by a word. An exact name of one thing opens that thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from config.desk.asking import User, may, unless_away
from contexts.catalog.public.api import catalog
from contexts.customers.public.api import customers
from contexts.orders.public.api import orders
from contexts.shipping.public.api import shipping
from eci.staff import page

LIMIT = 20  # products that a search by name shows


@dataclass(frozen=True, kw_only=True)
class Hit:
    """``kind`` says what it is, ``label`` names it."""

    kind: str
    label: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """``unavailable``: the contexts that could not be asked."""

    hits: tuple[Hit, ...]
    unavailable: tuple[str, ...]


Ask = Callable[[str], Iterable[Hit]]


def find(text: str, user: User) -> Found:
    """What has exactly this name: an order, a shipment's order, a product, a customer; else products that are like it.

    Only what the user may see is looked for.
    """
    away: list[str] = []

    def asked(context: str, permission: str, ask: Ask) -> list[Hit]:
        wanted = bool(text) and may(user, permission)
        found = unless_away(context, away, lambda: list(ask(text))) if wanted else []
        return [hit for hit in found or [] if hit.url]

    hits = [
        *asked("orders", "orders.view_order", _order),
        *asked("shipping", "orders.view_order", _tracked),
        *([] if may(user, "orders.view_order") else asked("shipping", "shipping.view_shipment", _parcels)),
        *asked("catalog", "catalog.view_product", _product),
        *asked("customers", "customers.view_customer", _customer),
    ] or asked("catalog", "catalog.view_product", _products_like)
    return Found(hits=tuple(dict.fromkeys(hits)), unavailable=tuple(away))


def _order(text: str) -> Iterable[Hit]:
    found = orders.named(name=text)
    if found and "@" in text:
        yield _orders_of(text)
        return
    for order_id in found:
        yield Hit(kind="order", label=order_id, url=page("desk-order", order_id))


def _orders_of(address: str) -> Hit:
    return Hit(kind="orders", label=f"orders of {address}", url=page("admin:orders_order_changelist", q=address))


def _parcels(text: str) -> Iterable[Hit]:
    """For who packs and may not open orders: the shipments of the order that has this name or tracking number."""
    tracked = shipping.order_of(tracking_no=text)
    order_ids = [tracked] if tracked else [] if "@" in text else list(orders.named(name=text))
    for shipment in shipping.shipments_of(order_ids=order_ids) if order_ids else ():
        label = f"{shipment.shipment_id} of order {shipment.order_id}"
        yield Hit(kind="shipment", label=label, url=page("desk-parcel", shipment.shipment_id))


def _tracked(text: str) -> Iterable[Hit]:
    order_id = shipping.order_of(tracking_no=text)
    if order_id:
        yield from _order(order_id)


def _product(text: str) -> Iterable[Hit]:
    yield from _products(catalog.product_ids_by_code(codes=[text]).values())


def _products_like(text: str) -> Iterable[Hit]:
    yield from _products(catalog.search(text=text, limit=LIMIT))


def _products(product_ids: Iterable[int]) -> Iterable[Hit]:
    ids = list(product_ids)
    known = catalog.products(product_ids=ids) if ids else {}
    for product_id in ids:
        product = known[product_id]
        label = f"{product.sku}, {product.name}"
        yield Hit(kind="product", label=label, url=page("admin:catalog_product_change", product_id))


def _customer(text: str) -> Iterable[Hit]:
    if "@" not in text:
        return
    found = customers.customer_ids_by_email(email=text)
    for customer_id in found:
        yield Hit(
            kind="customer", label=f"customer {customer_id}", url=page("admin:customers_customer_change", customer_id)
        )
    if found:
        yield _orders_of(text)
