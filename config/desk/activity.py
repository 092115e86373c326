"""Who did what: the trails of all contexts and of the platform as one, the newest first.

Without a person it is about one day. So no statement grows with how long the shop has traded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from config.desk.asking import User, may, unless_away
from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.customers.public.api import customers
from contexts.inventory.public.api import inventory
from contexts.notifications.public.api import notifications
from contexts.orders.public.api import orders
from contexts.payments.public.api import payments
from contexts.shipping.public.api import shipping
from eci import trail
from eci.activity import Entry, KeepsTrail
from eci.clock import utcnow
from eci.remembered import Remembered
from eci.staff import page

SHOWN = 50
OWN = 10  # on the front page
PLATFORM = "staff"
_MOST = 2**62  # no entry's number is as high

_CONTEXTS: dict[str, KeepsTrail] = {
    "catalog": catalog,
    "customers": customers,
    "inventory": inventory,
    "notifications": notifications,
    "orders": orders,
    "payments": payments,
    "shipping": shipping,
}


TRAILS = (*_CONTEXTS, PLATFORM)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """``thing``: how the names begin of what it is about."""

    title: str
    context: str
    thing: str


KINDS: dict[str, Kind] = {
    "products": Kind(title="products and prices", context="catalog", thing="product:"),
    "stock": Kind(title="stock", context="inventory", thing="stock:"),
    "warehouses": Kind(title="warehouses", context="inventory", thing="warehouse:"),
    "reservations": Kind(title="reservations", context="inventory", thing="reservation:"),
    "orders": Kind(title="orders and returns", context="orders", thing="order:"),
    "switch": Kind(title="taking of new orders", context="orders", thing="switch"),
    "payments": Kind(title="payments and refunds", context="payments", thing="payment:"),
    "shipments": Kind(title="shipments", context="shipping", thing="shipment:"),
    "notifications": Kind(title="notifications", context="notifications", thing="notification:"),
    "customers": Kind(title="customers", context="customers", thing="customer"),
    "accounts": Kind(title="accounts of staff, and repairs", context=PLATFORM, thing=""),
}

_PAGES = {
    "stock": "admin:inventory_stock_change",
    "warehouse": "admin:inventory_warehouse_change",
    "reservation": "admin:inventory_reservation_change",
    "payment": "admin:payments_payment_change",
    "shipment": "admin:shipping_shipment_change",
    "notification": "admin:notifications_notification_change",
    "customer": "admin:customers_customer_change",
    "account": "admin:auth_user_change",
    "group": "admin:auth_group_change",
}


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """Where in the merged trail an entry stands."""

    at: datetime
    context: str
    number: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.context}~{self.number}"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """``day``: of UTC. ``after``: the entry behind which the page begins. ``unread``: what could not be understood."""

    actor: str = ""
    kind: str = ""
    day: date | None = None
    after: Place | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """An entry as people read it. ``changes``: field, before, after."""

    at: datetime
    actor: str
    action: str
    thing: str
    url: str
    changes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Activity:
    """``following``: the place behind which there is more; empty where there is none."""

    lines: tuple[Line, ...]
    following: str
    unavailable: tuple[str, ...]


def asked_for(query: Mapping[str, str]) -> Asked:
    """What the page's form says. Without a person it is about a day."""
    actor = "".join(filter(str.isprintable, query.get("actor", ""))).strip()[:200]
    if actor and ":" not in actor and actor not in ("open", "system"):
        actor = f"staff:{actor}"
    kind = query.get("kind", "")
    day = None
    with suppress(ValueError):
        day = date.fromisoformat(query.get("day", ""))
    after = place(query.get("after", ""))
    found = {"day": day, "kind": KINDS.get(kind), "after": after}
    return Asked(
        actor=actor,
        kind=kind if kind in KINDS else "",
        day=day if day or actor else utcnow().date(),
        after=after,
        unread=tuple(name for name, value in found.items() if query.get(name) and value is None),
    )


def place(text: str) -> Place | None:
    at, _, rest = text.partition("~")
    context, _, number = rest.partition("~")
    if not (number.isascii() and number.isdigit() and len(number) < 19 and context in TRAILS):
        return None
    try:
        moment = datetime.fromisoformat(at)
        return None if moment.tzinfo is None else Place(at=moment.astimezone(UTC), context=context, number=int(number))
    except (ValueError, OverflowError):
        return None


def may_see(user: User) -> list[str]:
    """The contexts whose trail the user may read."""
    return [context for context in TRAILS if may(user, f"{context}.view_trail")]


def find(asked: Asked, contexts: Iterable[str], *, limit: int = SHOWN) -> Activity:
    away: list[str] = []
    kind = KINDS.get(asked.kind)
    found: list[tuple[Place, Entry]] = []
    for context in contexts:
        if kind is None or kind.context == context:
            entries = unless_away(context, away, lambda context=context: _read(context, asked, limit + 1))  # type: ignore[misc]
            found += [(Place(at=one.at, context=context, number=one.number), one) for one in entries or ()]
    found.sort(key=lambda one: one[0], reverse=True)
    shown = found[:limit]
    products = _products([entry for _, entry in shown])
    return Activity(
        lines=tuple(_line(entry, products) for _, entry in shown),
        following=str(shown[-1][0]) if len(found) > limit else "",
        unavailable=tuple(away),
    )


def _read(context: str, asked: Asked, limit: int) -> tuple[Entry, ...]:
    since = until = None
    if asked.day is not None:
        since = datetime.combine(asked.day, time.min, UTC)
        until = min(since, datetime.max.replace(tzinfo=UTC) - timedelta(days=1)) + timedelta(days=1)
    below = 0
    if asked.after is not None and (until is None or asked.after.at < until):
        until, below = asked.after.at, _below(context, asked.after)
    thing = KINDS[asked.kind].thing if asked.kind else ""
    until = until or utcnow() + timedelta(days=1)
    bounds: dict[str, Any] = {"since": since, "until": until, "below": below, "limit": limit}
    if context == PLATFORM:
        return trail.read(PLATFORM, actor=asked.actor, thing=thing, **bounds)
    return _CONTEXTS[context].activity(actor=asked.actor, thing=thing, **bounds)


def _below(context: str, after: Place) -> int:
    """Of the entries at that very moment, those of this context with a lower number stand behind it."""
    if context == after.context:
        return after.number
    return _MOST if context < after.context else 0


# -- words ------------------------------------------------------------------------------------------------------------


def _products(entries: list[Entry]) -> dict[int, Product]:
    ids = [int(entry.thing[8:]) for entry in entries if entry.thing.startswith("product:")]
    if not ids:
        return {}
    known = unless_away("catalog", [], lambda: catalog.known_products(product_ids=ids))
    return (unless_away("catalog", [], lambda: catalog.products(product_ids=known)) or {}) if known else {}


def _line(entry: Entry, products: Mapping[int, Product]) -> Line:
    name, _, key = entry.thing.partition(":")
    product = products.get(int(key)) if name == "product" else None
    currency = str(entry.after.get("currency") or (product.currency if product else ""))
    fields = [field for field in (*entry.before, *entry.after) if field != "erased"]
    return Line(
        at=entry.at,
        actor=entry.actor,
        action=trail.said(entry.action),
        thing=f"{product.sku}, {product.name}" if product else entry.thing.replace(":", " "),
        url=_url(name, key),
        changes=tuple(
            (
                trail.name_of(field),
                trail.in_words(field, entry.before.get(field), str(entry.before.get("currency") or currency)),
                trail.in_words(field, entry.after.get(field), currency),
            )
            for field in dict.fromkeys(fields)
        ),
    )


def _url(name: str, key: str) -> str:
    if name == "product":
        return page("desk-product", key)
    if name == "order":
        return page("desk-order", key)
    if name == "import":
        context, _, number = key.rpartition("-")
        return page(f"admin:{context}_import_change", number)
    return page(_PAGES[name], key) if name in _PAGES and key else ""


# -- one's own --------------------------------------------------------------------------------------------------------

_own: Remembered[str, Activity] = Remembered(5.0)


def own(actor: str) -> Activity:
    """The last actions of a member of staff, whatever they may see by now."""
    return _own.get_or_load(actor, lambda: find(Asked(actor=actor), TRAILS, limit=OWN))
