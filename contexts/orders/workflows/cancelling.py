"""Cancelling an order before its first dispatch, as the API asks for it."""

from __future__ import annotations

from typing import NamedTuple

from django.db import Error as AnyDatabaseError

from contexts.orders import composed, selectors, services
from contexts.orders.composed import OrderView
from contexts.orders.domain import UNFINISHED, Outcome
from contexts.orders.models import Undo
from contexts.orders.public.contracts import OrderStatus
from contexts.orders.workflows import progress, recovery
from eci.errors import IdempotencyInProgress, InvalidTransition
from eci.idempotency import Key


class Cancellation(NamedTuple):
    """``view``: the order as it was asked for, own rows only. ``asked``: it is to be undone. ``may_run``: that, by its
    caller."""

    view: OrderView
    asked: bool
    may_run: bool


def begin(*, order_id: str, reason: str, actor: str, key: Key | None, version: int | None = None) -> Cancellation:
    """Ask for the order to be undone, where its state allows that. OrderNotFound, IdempotencyInProgress,
    PreconditionFailed."""
    order = selectors.order(order_id=order_id)
    lines = selectors.lines_of(order_ids=[order_id])[order_id]
    timeline = selectors.timeline_of(order_ids=[order_id])[order_id]
    asked = services.request_cancel(order_id=order_id, reason=reason, actor=actor, key=key, version=version)
    may_run = asked and order.status not in progress.BEING_PLACED
    if asked:
        order.undo = Undo.CANCELLED
    return Cancellation(OrderView(order=order, lines=lines, timeline=timeline), asked=asked, may_run=may_run)


def carry_on(cancellation: Cancellation) -> OrderView:
    """Undo the order now. One that waits for the provider is left to recovery, so that its caller need not wait.

    What was asked for is recorded, so a database that is away does not matter: recovery undoes the order.
    """
    order_id = cancellation.view.order.pk
    try:
        if cancellation.may_run:
            recovery.advance(order_id=order_id)
        return composed.order_view(order_id=order_id)
    except AnyDatabaseError:
        if not cancellation.asked:
            raise
        return cancellation.view


def resume(*, order_id: str) -> OrderView:
    """An order whose cancellation was asked for before, as it is now. IdempotencyInProgress if it cannot be read."""
    try:
        return composed.order_view(order_id=order_id)
    except AnyDatabaseError:
        raise IdempotencyInProgress("The order is being cancelled.") from None


def outcome(view: OrderView) -> Outcome:
    """DONE once it is cancelled, PENDING while it will be. InvalidTransition when it has left, or ended otherwise."""
    order = view.order
    if order.status == OrderStatus.CANCELLED:
        return Outcome.DONE
    if order.undo and order.status in UNFINISHED:
        return Outcome.PENDING
    raise InvalidTransition(f"An order that is {order.status} cannot be cancelled.", status=str(order.status))
