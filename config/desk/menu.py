"""The menu on every page of staff: what its reader may use, desk by desk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from config.books import checkup
from config.books.pages import LOOKS
from config.desk.activity import TRAILS
from config.desk.asking import User, may
from eci.remembered import Remembered
from eci.staff import page


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A page of the desk. ``needed``: who has one of these permissions sees it."""

    name: str
    view: str
    needed: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Link:
    """``badge``: how many there are to see to; 0: none, or nobody counts them."""

    name: str
    url: str
    badge: int


DESKS: dict[str, tuple[Entry, ...]] = {
    "Catalog": (
        Entry(name="Products", view="admin:catalog_product_changelist", needed=("catalog.view_product",)),
        Entry(name="Prices", view="admin:catalog_pricechange_changelist", needed=("catalog.view_pricechange",)),
        Entry(name="Imports", view="admin:catalog_import_changelist", needed=("catalog.view_import",)),
    ),
    "Stock": (
        Entry(name="Stock", view="admin:inventory_stock_changelist", needed=("inventory.view_stock",)),
        Entry(name="Receive, count, move", view="admin:inventory_stock_document", needed=("inventory.change_stock",)),
        Entry(name="To pack", view="desk-pack", needed=("shipping.view_shipment",)),
        Entry(name="Shipments", view="admin:shipping_shipment_changelist", needed=("shipping.view_shipment",)),
        Entry(name="Stock imports", view="admin:inventory_import_changelist", needed=("inventory.view_import",)),
    ),
    "Support": (
        Entry(name="Orders", view="admin:orders_order_changelist", needed=("orders.view_order",)),
        Entry(name="Payments", view="admin:payments_payment_changelist", needed=("payments.view_payment",)),
        Entry(
            name="Notifications",
            view="admin:notifications_notification_changelist",
            needed=("notifications.view_notification",),
        ),
        Entry(name="Customers", view="admin:customers_customer_changelist", needed=("customers.view_customer",)),
        Entry(name="Customer imports", view="admin:customers_import_changelist", needed=("customers.view_import",)),
    ),
    "Shop": (
        Entry(name="Problems", view="staff-reconcile", needed=LOOKS),
        Entry(name="Activity", view="desk-activity", needed=tuple(f"{label}.view_trail" for label in TRAILS)),
        Entry(name="Staff", view="admin:auth_user_changelist", needed=("auth.view_user",)),
    ),
}

_problems: Remembered[str, int] = Remembered(5.0)


def menu(user: User) -> dict[str, list[Link]]:
    """The links of each desk that the reader may use something of. Pages that run elsewhere are left out."""
    desks = {name: list(_links(entries, user)) for name, entries in DESKS.items()}
    return {name: links for name, links in desks.items() if links}


def _links(entries: tuple[Entry, ...], user: User) -> Iterator[Link]:
    for entry in entries:
        url = page(entry.view, **dict(entry.query)) if any(may(user, code) for code in entry.needed) else ""
        if url:
            badge = _problems.get_or_load("found", _count) if entry.view == "staff-reconcile" else 0
            yield Link(name=entry.name, url=url, badge=badge)


def _count() -> int:
    last = checkup.last()
    return len(last.items) if last else 0
