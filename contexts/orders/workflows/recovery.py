"""Carrying on what is due: paused orders, those an event has woken, those whose runner died, and returns."""

from __future__ import annotations

from contexts.orders import selectors, services
from contexts.orders.composed import OrderView
from contexts.orders.public.contracts import OrderStatus
from contexts.orders.workflows import returning, runner

BATCH = 50


def advance(*, order_id: str) -> bool:
    """Carry an order on if it is free and due; False otherwise."""
    order = services.claim(order_id=order_id)
    if order is None:
        return False
    runner.run_for_nobody(OrderView(order=order, lines=selectors.lines_of(order_ids=[order_id])[order_id]))
    return True


def recover() -> int:
    """Carry on a batch of whatever is due; returns how many."""
    due = selectors.due_orders(limit=BATCH)
    for order_id in due:
        advance(order_id=order_id)
    returns = selectors.due_returns(limit=BATCH)
    for return_id in returns:
        returning.run_due_return(return_id=return_id)
    return len(due) + len(returns)


def retry(*, order_id: str, actor: str) -> OrderStatus:
    """See ``Orders.retry``."""
    services.make_due(order_id=order_id, actor=actor)
    if selectors.is_due(order_id=order_id):
        advance(order_id=order_id)
    for return_id in selectors.due_returns_of(order_id=order_id):
        returning.run_due_return(return_id=return_id)
    return OrderStatus(selectors.order(order_id=order_id).status)
