"""An order together with what inventory, payments and shipping say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Reservation
from contexts.orders import selectors
from contexts.orders.models import Order, OrderLine, Return, TimelineEntry
from contexts.orders.selectors import Entry, Line
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import Payment
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment
from eci.calls import rpc
from eci.errors import ContextUnavailable
from eci.idempotency import Answer
from eci.paging import Paging
from eci.watch.requests import logger

log = logger(__name__)
A = TypeVar("A")
T = TypeVar("T", Payment, Shipment)


@dataclass(kw_only=True)
class OrderView:
    """An order with everything that belongs to it. A workflow fills it as it goes, a read in one go.

    ``unavailable``: the contexts that were away when it was read, whose part is missing. ``answer``: what was
    remembered of it for its caller's key.
    """

    order: Order
    lines: Sequence[OrderLine | Line]
    timeline: Sequence[TimelineEntry | Entry] = ()
    returns: Sequence[Return] = ()
    reservation: Reservation | None = None
    payments: tuple[Payment, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    unavailable: tuple[str, ...] = ()
    answer: Answer | None = None


def order_view(*, order_id: str, owner: int | None = None) -> OrderView:
    """OrderNotFound, as ``selectors.order``."""
    order, parts = selectors.order_with_parts(order_id=order_id, owner=owner)
    return _views([order], parts)[0]


def order_views(*, paging: Paging, **filters: Any) -> list[OrderView]:
    """One page, and one more that is an order alone when more follow; filters as those of ``selectors.orders``."""
    orders = selectors.orders(paging=paging, **filters)
    beyond = [OrderView(order=order, lines=()) for order in orders[paging.limit :]]
    return views_of(orders=orders[: paging.limit]) + beyond


def views_of(*, orders: Sequence[Order]) -> list[OrderView]:
    """Everything that belongs to these orders, in a constant number of statements; without what is away."""
    return _views(orders, selectors.parts_of(order_ids=[order.order_id for order in orders])) if orders else []


def _views(orders: Sequence[Order], parts: selectors.Parts) -> list[OrderView]:
    ids = [order.order_id for order in orders]
    away: list[str] = []
    reservations = _unless_away("inventory", away, lambda: inventory.reservations(keys=ids)) or {}
    paid = _by_order(_unless_away("payments", away, lambda: payments.payments_of(order_ids=ids)) or ())
    shipped = _by_order(_unless_away("shipping", away, lambda: shipping.shipments_of(order_ids=ids)) or ())
    return [
        OrderView(
            order=order,
            lines=parts.lines[order.order_id],
            timeline=parts.timelines[order.order_id],
            returns=parts.returns[order.order_id],
            reservation=reservations.get(order.order_id),
            payments=tuple(paid[order.order_id]),
            shipments=tuple(shipped[order.order_id]),
            unavailable=tuple(away),
        )
        for order in orders
    ]


def _unless_away(context: str, away: list[str], ask: Callable[[], A]) -> A | None:
    try:
        with rpc.briefly():
            return ask()
    except (ContextUnavailable, OperationalError, InterfaceError):
        log.warning("order_read_in_part", context=context)
        away.append(context)
        return None


def _by_order(items: Iterable[T]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[item.order_id].append(item)
    return groups
