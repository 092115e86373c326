"""For each kind of trouble, the very forms that mend it, with what they need filled in, for those who may use them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db import InterfaceError, OperationalError

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from eci.errors import ContextUnavailable
from eci.ids import is_our_order
from eci.staff import page

_STOCK_ROW = re.compile(r"product (\d{1,18}) in (.+)")


@dataclass(frozen=True, kw_only=True)
class Mend:
    """A link to a form. ``verb``: who has this permission may use it."""

    title: str
    verb: str
    view: str
    args: tuple[Any, ...] = ()
    query: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        """Empty where the context's pages run elsewhere."""
        return page(self.view, *self.args, **dict(self.query))


def mends_of(items: Iterable[Mapping[str, Any]], user: AbstractBaseUser | AnonymousUser) -> list[list[Mend]]:
    """The links of each item that the user may follow."""
    items = list(items)
    products = _products(items)

    def may(mend: Mend) -> bool:
        return bool(mend.url) and isinstance(user, PermissionsMixin) and user.has_perm(mend.verb)

    return [[mend for mend in _of(item, products) if may(mend)] for item in items]


def _of(item: Mapping[str, Any], products: Mapping[int, Product]) -> Iterator[Mend]:
    kind, subject = item["kind"], item["subject"]
    for lack in item.get("lacks", ()):
        yield _receive(lack, products)
    if is_our_order(subject):
        yield Mend(title="Open the order", verb="orders.view_order", view="desk-order", args=(subject,))
    match kind:
        case "refunded-holding":
            yield Mend(title="Cancel it", verb="orders.cancel", view="desk-dialog", args=(subject, "cancel"))
            yield Mend(title="Pack and dispatch", verb="shipping.change_shipment", view="desk-pack")
        case "needs-attention":
            yield Mend(title="Cancel it", verb="orders.cancel", view="desk-dialog", args=(subject, "cancel"))
        case "stock":
            yield from _count(subject, products)
        case "hold-without-order":
            yield _listed("Its reservation", "inventory", "reservation", q=subject)
        case "paid-without-order":
            yield _listed("Its payments", "payments", "payment", q=subject)
        case "payment-review" | "unknown-payment":
            yield from _payment(kind, subject)
        case "notice-failed":
            verb = "notifications.send_again"
            yield Mend(title="Correct the address and send again", verb=verb, view="desk-again", args=(subject,))
        case "text-left":
            yield from _text(subject)


def _receive(lack: Mapping[str, Any], products: Mapping[int, Product]) -> Mend:
    product = products.get(lack["product_id"])
    named = ("sku", product.sku) if product else ("product_id", str(lack["product_id"]))
    return Mend(
        title=f"Receive {lack['units']} × {product.sku if product else named[1]} in {lack['warehouse']}",
        verb="inventory.change_stock",
        view="admin:inventory_stock_receipt",
        query=(named, ("warehouse", lack["warehouse"]), ("units", str(lack["units"]))),
    )


def _count(subject: str, products: Mapping[int, Product]) -> Iterator[Mend]:
    if found := _STOCK_ROW.fullmatch(subject):
        product = products.get(int(found[1]))
        query = (("what", "count"), ("warehouse", found[2]), ("scan", product.sku if product else ""))
        yield Mend(title="Count it", verb="inventory.change_stock", view="admin:inventory_stock_document", query=query)


def _payment(kind: str, subject: str) -> Iterator[Mend]:
    table, _, pk = subject.partition("-")
    title = "Release or refuse it" if kind == "payment-review" else f"Open the {table}"
    if table in ("payment", "refund"):
        yield Mend(title=title, verb=f"payments.view_{table}", view=f"admin:payments_{table}_change", args=(pk,))


def _text(subject: str) -> Iterator[Mend]:
    """``catalog-product:27-name``."""
    context, _, rest = subject.partition("-")
    model, _, about = rest.partition(":")
    pk, _, _ = about.rpartition("-")
    yield Mend(
        title="Change it", verb=f"{context}.change_{model}", view=f"admin:{context}_{model}_change", args=(pk or "-",)
    )


def _listed(title: str, context: str, model: str, **query: str) -> Mend:
    view = f"admin:{context}_{model}_changelist"
    return Mend(title=title, verb=f"{context}.view_{model}", view=view, query=tuple(query.items()))


def _products(items: Iterable[Mapping[str, Any]]) -> dict[int, Product]:
    """The products that the items are about; those of all, in one question. None while the catalog is away."""
    ids = {lack["product_id"] for item in items for lack in item.get("lacks", ())}
    ids |= {int(found[1]) for item in items if (found := _STOCK_ROW.fullmatch(item["subject"]))}
    if not ids:
        return {}
    try:
        return catalog.products(product_ids=catalog.known_products(product_ids=ids))
    except (ContextUnavailable, OperationalError, InterfaceError):
        return {}
