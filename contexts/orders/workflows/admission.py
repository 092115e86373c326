"""Whether an order may be placed at all. Everything here only reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.conf import settings

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Demand, InsufficientStock
from contexts.orders import selectors
from contexts.orders.domain import LineAsked, OrderAsked, Quote
from contexts.orders.models import Order, OrderLine, Switch
from contexts.orders.public.contracts import OrdersStopped, TooManyUnpaid
from contexts.orders.workflows import quoting
from eci import money
from eci.calls import rpc
from eci.remembered import Remembered

SWITCH_KEPT = 1.0  # seconds
SOLD_OUT_KEPT = 10.0  # seconds


def admit(*, asked: OrderAsked) -> Quote:
    """The quote of an order that nothing known speaks against; nothing is written or held.

    OrdersStopped; ContextUnavailable when a participant is known to be away; what ``quoting.quote`` raises;
    InsufficientStock.
    """
    _require_taking_orders()
    for context in ("inventory", "payments", "shipping"):
        rpc.require_reachable(context)
    priced = quoting.quote(asked=asked)
    if _sold_out_lately(asked.lines):
        inventory.require_available(items=demand(lines=asked.lines))
    return priced


def require_few_unpaid(order: Order) -> None:
    """TooManyUnpaid when the order's customer has reached a cap: of other orders, or of their value.

    An order that is paid later counts towards the value itself. That is counted in the shop's currency only.
    """
    if not order.by_customer:
        return
    unpaid = selectors.unpaid_beside(order=order)
    value = unpaid.minor + (order.total_minor if order.pay_later else 0)
    limit = settings.ECI_UNPAID_VALUE
    too_dear = (
        limit is not None
        and order.currency == settings.ECI_CURRENCY
        and value > limit.scaleb(money.places(order.currency))
    )
    if too_dear or unpaid.orders >= settings.ECI_UNPAID_ORDERS:
        raise TooManyUnpaid("Too many of your orders wait to be paid. Please pay or cancel some of them first.")


def demand(*, lines: Iterable[LineAsked | OrderLine | selectors.Line]) -> tuple[Demand, ...]:
    return tuple(Demand(product_id=line.product_id, quantity=line.quantity) for line in lines)


last_switch: Remembered[str, Switch | None] = Remembered(SWITCH_KEPT)


def _require_taking_orders() -> None:
    """The switch is read once a second, not for every order."""
    switch = last_switch.get_or_load("switch", selectors.switch)
    if switch is not None and not switch.taking:
        raise OrdersStopped(f"No new orders are taken just now: {switch.reason}")


_sold_out: Remembered[int, None] = Remembered(SOLD_OUT_KEPT)


def _sold_out_lately(lines: Sequence[LineAsked]) -> bool:
    """Requests for a product that has just sold out are rejected after one read, without taking a lock."""
    return any(line.product_id in _sold_out for line in lines)


def remember_sold_out(refusal: InsufficientStock) -> None:
    for item in refusal.details["items"]:
        _sold_out.put(item["product_id"], None)
