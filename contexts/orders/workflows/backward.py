"""Undoing an order: every compensation, in the reverse order of the steps, and how the order ends.

Each compensation is harmless when there is nothing to undo, so an order is undone alike wherever it stood.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from contexts.inventory.public.api import inventory
from contexts.orders import services
from contexts.orders.composed import OrderView
from contexts.orders.models import Order, Step, Undo
from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus
from contexts.orders.public.events import OrderCancelled, OrderExpired, PaymentFailed
from contexts.orders.workflows import progress
from contexts.orders.workflows.progress import Run
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentStatus, PaymentUnknown
from contexts.shipping.public.api import shipping
from eci import money
from eci.errors import InvalidTransition
from eci.events import Event


def undo(run: Run) -> None:
    """Undo what the order's steps did.

    1. Cancel its shipments. One that has left can't be cancelled, and the order, which is paid, goes on after all.
    2. Void the authorisation, or refund what was captured. Where the provider does not answer, the order waits for it.
    3. Release its reservation.
    4. Record the end: CANCELLED or EXPIRED.
    """
    order = run.order
    actor = order.undo_actor or services.SYSTEM
    try:
        run.view.shipments = shipping.cancel(order_id=order.pk, actor=actor)
    except InvalidTransition:
        if order.confirmed_at is None and not any(paid.captured for paid in payments.payments_of(order_ids=[order.pk])):
            raise  # a shipment left before it was paid for: a person must decide
        changes = {"undo": Undo.NONE, "undo_reason": "", "undo_actor": ""}
        progress.record(run, changes=changes, event="cancellation_refused")
        if order.confirmed_at is None:  # it left as soon as it was paid, and the runner died before it recorded that
            progress.confirm(run)
        return
    if order.buyer_erased:
        shipping.erase(order_ids=[order.pk])
    try:
        run.view.payments = payments.cancel(order_id=order.pk, reason=_close_reason(order), actor=actor)
    except PaymentUnknown:
        progress.wait_for_provider(run)
        return
    run.view.reservation = inventory.release(key=order.pk, order_id=order.pk, actor=actor)
    _end(run)


def _end(run: Run) -> None:
    order = run.order
    refunded = sum((payment.refunded for payment in run.view.payments), Decimal(0))
    expired = order.undo == Undo.EXPIRED
    changes: dict[str, Any] = {
        "status": OrderStatus.EXPIRED if expired else OrderStatus.CANCELLED,
        "payment_status": _payment_status(run.view),
        "refunded_minor": money.to_minor(refunded, order.currency),
        "step": Step.DONE,
        "expires_at": None,
        "short": False,
    }
    event, fact = _news(order)
    actor = order.undo_actor or services.SYSTEM
    progress.rest(run, changes=changes, events=[event], detail=order.undo_reason, actor=actor, facts=[fact])


def _news(order: Order) -> tuple[str, Event]:
    """The timeline's word for the end, and the event that announces it."""
    version = order.version + 1
    if order.undo == Undo.DECLINED:
        return "payment_declined", PaymentFailed(order_id=order.pk, reason=order.undo_reason, version=version)
    if order.undo == Undo.EXPIRED:
        return "expired", OrderExpired(order_id=order.pk, version=version)
    return "cancelled", OrderCancelled(order_id=order.pk, reason=order.undo, version=version)


def _close_reason(order: Order) -> str:
    return "expired" if order.undo == Undo.EXPIRED else "cancelled"


def _payment_status(view: OrderView) -> OrderPaymentStatus:
    if view.order.undo == Undo.DECLINED:
        return OrderPaymentStatus.FAILED
    for status in (PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.VOIDED):
        if any(payment.status == status for payment in view.payments):
            return OrderPaymentStatus(status.value)
    return OrderPaymentStatus.UNPAID
