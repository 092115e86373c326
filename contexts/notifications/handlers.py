"""Each notice is queued here, and addressed and sent later: whom it is for is asked when it is sent."""

from __future__ import annotations

from contexts.notifications.domain import Kind
from contexts.notifications.services import queue_notice
from contexts.orders.public.events import OrderCancelled, OrderConfirmed, OrderExpired, PaymentFailed
from contexts.payments.public.events import RefundCompleted
from contexts.shipping.public.events import ShipmentDispatched
from eci.ids import is_our_order


def on_order_confirmed(event: OrderConfirmed) -> None:
    facts = {"order_total": event.order_total, "currency": event.currency}
    queue_notice(kind=Kind.ORDER_CONFIRMATION, order_id=event.order_id, reference=event.order_id, facts=facts)


def on_order_cancelled(event: OrderCancelled) -> None:
    queue_notice(kind=Kind.ORDER_CANCELLATION, order_id=event.order_id, reference=event.order_id, facts={})


def on_order_expired(event: OrderExpired) -> None:
    queue_notice(kind=Kind.ORDER_EXPIRED, order_id=event.order_id, reference=event.order_id, facts={})


def on_payment_failed(event: PaymentFailed) -> None:
    queue_notice(kind=Kind.PAYMENT_FAILURE, order_id=event.order_id, reference=event.order_id, facts={})


def on_refund_completed(event: RefundCompleted) -> None:
    if is_our_order(event.order_id):
        facts = {"amount": event.amount, "currency": event.currency}
        queue_notice(kind=Kind.REFUND, order_id=event.order_id, reference=str(event.refund_id), facts=facts)


def on_shipment_dispatched(event: ShipmentDispatched) -> None:
    if is_our_order(event.order_id):
        facts = {"carrier": event.carrier, "tracking_no": event.tracking_no}
        reference = str(event.shipment_id)
        queue_notice(kind=Kind.SHIPPING_CONFIRMATION, order_id=event.order_id, reference=reference, facts=facts)
