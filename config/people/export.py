"""Everything that is known about a customer, collected from each context that knows something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contexts.customers.public.api import customers
from contexts.notifications.public.api import notifications
from contexts.orders.public.api import orders
from contexts.payments.public.api import payments
from contexts.shipping.public.api import shipping
from eci.http.present import as_json, without_staff_names

PAGE = 200


def everything(customer_id: int) -> dict[str, Any]:
    """The customer's data as JSON values. CustomerNotFound."""
    return {
        "customer": as_json(customers.record(customer_id=customer_id)),
        "orders": _all(orders.orders_of, customer_id, first="", place=lambda row: row.order_id),
        "payments": _all(payments.payments_by, customer_id, first=0, place=lambda row: row.payment.payment_id),
        "shipments": _all(shipping.shipments_to, customer_id, first=0, place=lambda row: row.shipment.shipment_id),
        "notices": _all(notifications.notices_to, customer_id, first=0, place=lambda row: row.notification_id),
    }


def _all(
    ask: Callable[..., tuple[Any, ...]], customer_id: int, *, first: Any, place: Callable[[Any], Any]
) -> list[dict[str, Any]]:
    """All pages. ``place`` gives the position of a row, after which the next page begins."""
    found: list[dict[str, Any]] = []
    after = first
    while rows := ask(customer_id=customer_id, after=after, limit=PAGE):
        found += (without_staff_names(as_json(row)) for row in rows)
        after = place(rows[-1])
        if len(rows) < PAGE:
            break
    return found
