"""Cancelling an order before its first dispatch, as the API asks for it."""

from __future__ import annotations

from typing import NamedTuple

from contexts.orders import composed, selectors, services
from contexts.orders.composed import OrderView
from contexts.orders.public.contracts import OrderStatus
from contexts.orders.workflows import progress, recovery
from contexts.orders.workflows.placing import Outcome
from eci.errors import InvalidTransition
from eci.idempotency import Key


class Cancellation(NamedTuple):
    """``may_run``: the order is to be undone, and by its caller."""

    order_id: str
    may_run: bool


def begin(*, order_id: str, reason: str, key: Key | None) -> Cancellation:
    """Ask for the order to be undone, where its state allows that. OrderNotFound, IdempotencyInProgress."""
    order = selectors.order(order_id=order_id)
    asked = services.request_cancel(order_id=order_id, reason=reason, key=key)
    return Cancellation(order_id, may_run=asked and order.status not in progress.BEING_PLACED)


def carry_on(cancellation: Cancellation) -> OrderView:
    """Undo the order now. One that waits for the provider is left to recovery, so that its caller need not wait."""
    if cancellation.may_run:
        recovery.advance(order_id=cancellation.order_id)
    return composed.order_view(order_id=cancellation.order_id)


def outcome(view: OrderView) -> Outcome:
    """DONE once it is cancelled, PENDING while it will be. InvalidTransition when it has left, or ended otherwise."""
    order = view.order
    if order.status == OrderStatus.CANCELLED:
        return Outcome.DONE
    if order.undo and order.status in services.UNFINISHED:
        return Outcome.PENDING
    raise InvalidTransition(f"An order that is {order.status} cannot be cancelled.", status=str(order.status))
