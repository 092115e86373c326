"""Other contexts' events, and orders' own about sales. Each handler changes this context's rows only; after the commit
the order is carried on."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from django.db.models import Q

from contexts.customers.public.events import CustomerErased
from contexts.inventory.public.events import AllocationEvent, HoldNeedsAttention
from contexts.orders import services
from contexts.orders.models import Step, Undo
from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus
from contexts.orders.public.events import OrderCancelled, OrderConfirmed
from contexts.orders.workflows import recovery
from contexts.payments.public.events import PaymentCaptured, PaymentReviewed, RefundCompleted
from contexts.shipping.public.events import ShipmentDelivered, ShipmentDispatched
from eci import money
from eci.db import after_commit
from eci.ids import is_our_order


def _wake(order_id: str, when: Q, changes: dict[str, Any] | None = None) -> None:
    if is_our_order(order_id) and services.wake(order_id=order_id, when=when, changes=changes):
        after_commit("orders", partial(recovery.advance, order_id=order_id))


def on_payment_captured(event: PaymentCaptured) -> None:
    """A charge for an order that waited for it. An order paid at once needs no event: its runner has the answer."""
    _wake(
        event.order_id,
        Q(step=Step.AWAIT_PAYMENT, undo=Undo.NONE),
        {"step": Step.CONFIRM, "payment_status": OrderPaymentStatus.PAID},
    )


def on_payment_reviewed(event: PaymentReviewed) -> None:
    """An order that is being placed waits for this. One that is paid later waits for its charge, or its deadline."""
    _wake(event.order_id, Q(step=Step.PLACE, undo=Undo.NONE))


def on_sales_changed(event: OrderConfirmed | OrderCancelled) -> None:
    """Orders' own, of an earlier day: one was sold, or is so no longer. Told twice, or in another order, it is the
    same."""
    services.note_stale_day(order_id=event.order_id)


def on_refund_completed(event: RefundCompleted) -> None:
    if not is_our_order(event.order_id):
        return
    services.note_stale_day(order_id=event.order_id)
    whole = services.record_refund(
        order_id=event.order_id,
        refunded_minor=money.to_minor(Decimal(event.refunded), event.currency),
        captured_minor=money.to_minor(Decimal(event.captured), event.currency),
        detail=f"{event.amount} {event.currency}",
        actor=event.actor,
    )
    if whole:
        _wake(event.order_id, Q(step=Step.FULFIL, status=OrderStatus.CONFIRMED))


def on_shipment_dispatched(event: ShipmentDispatched) -> None:
    _wake(event.order_id, Q(step=Step.FULFIL, status=OrderStatus.CONFIRMED))


def on_shipment_delivered(event: ShipmentDelivered) -> None:
    _wake(event.order_id, Q(step=Step.FULFIL, status__in=(OrderStatus.CONFIRMED, OrderStatus.SHIPPED)))


def on_customer_erased(event: CustomerErased) -> None:
    services.erase_customer(customer_id=event.customer_id, email_digest=event.email_digest)


def on_allocation_changed(event: AllocationEvent) -> None:
    """Units of the order are missing, or are back. An order that waits for its buyer is owed nothing."""
    _wake(event.order_id, Q(step__in=(Step.PLACE, Step.CONFIRM, Step.FULFIL)))


def on_hold_needs_attention(event: HoldNeedsAttention) -> None:
    services.record_needs_attention(order_id=event.order_id, reason=event.reason)
