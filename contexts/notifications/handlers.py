"""Other contexts' events become queued notifications. The sender asks for the recipient later, when it sends."""

from __future__ import annotations

from django.conf import settings

from contexts.customers.public.events import (
    CustomerErased,
    EmailChangeRequested,
    EmailVerificationRequested,
    PasswordChanged,
    PasswordResetRequested,
    RefreshTokenReused,
)
from contexts.inventory.public.events import StockLow
from contexts.notifications.domain import Kind
from contexts.notifications.services import erase_customer, note_low_stock, queue_shop_notification
from contexts.orders.public.events import (
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    PaymentFailed,
    ReturnEvent,
    ReturnReceived,
    ReturnRefused,
    ReturnRequested,
)
from contexts.payments.public.events import RefundCompleted
from contexts.shipping.public.events import ShipmentChanged, ShipmentDispatched
from eci.ids import is_our_order


def on_stock_low(event: StockLow) -> None:
    if settings.ECI_LOW_STOCK_MAIL:
        note_low_stock(inventory_id=event.inventory_id)


def on_order_confirmed(event: OrderConfirmed) -> None:
    facts = {"order_total": event.order_total, "currency": event.currency}
    queue_shop_notification(
        kind=Kind.ORDER_CONFIRMATION, order_id=event.order_id, reference=event.order_id, facts=facts
    )


def on_order_cancelled(event: OrderCancelled) -> None:
    queue_shop_notification(kind=Kind.ORDER_CANCELLATION, order_id=event.order_id, reference=event.order_id, facts={})


def on_order_expired(event: OrderExpired) -> None:
    queue_shop_notification(kind=Kind.ORDER_EXPIRED, order_id=event.order_id, reference=event.order_id, facts={})


def on_payment_failed(event: PaymentFailed) -> None:
    queue_shop_notification(kind=Kind.PAYMENT_FAILURE, order_id=event.order_id, reference=event.order_id, facts={})


def on_refund_completed(event: RefundCompleted) -> None:
    if is_our_order(event.order_id):
        facts = {"amount": event.amount, "currency": event.currency}
        queue_shop_notification(kind=Kind.REFUND, order_id=event.order_id, reference=str(event.refund_id), facts=facts)


def on_shipment_dispatched(event: ShipmentDispatched) -> None:
    if is_our_order(event.order_id):
        facts = {"carrier": event.carrier, "tracking_no": event.tracking_no}
        reference = str(event.shipment_id)
        queue_shop_notification(
            kind=Kind.SHIPPING_CONFIRMATION, order_id=event.order_id, reference=reference, facts=facts
        )


def on_shipment_changed(event: ShipmentChanged) -> None:
    """Before dispatch its buyer has been told nothing, and the shipping confirmation will have what it is then."""
    if is_our_order(event.order_id) and event.dispatched:
        facts = {"carrier": event.carrier, "tracking_no": event.tracking_no}
        reference = f"{event.shipment_id}:{event.version}"
        queue_shop_notification(kind=Kind.SHIPMENT_CHANGED, order_id=event.order_id, reference=reference, facts=facts)


def on_return_requested(event: ReturnRequested) -> None:
    _queue_return(Kind.RETURN_REQUESTED, event)


def on_return_received(event: ReturnReceived) -> None:
    _queue_return(Kind.RETURN_RECEIVED, event)


def on_return_refused(event: ReturnRefused) -> None:
    _queue_return(Kind.RETURN_REFUSED, event, reason=event.reason)


def _queue_return(kind: Kind, event: ReturnEvent, **facts: str) -> None:
    facts["return_id"] = str(event.return_id)
    queue_shop_notification(kind=kind, order_id=event.order_id, reference=facts["return_id"], facts=facts)


def on_password_reset_requested(event: PasswordResetRequested) -> None:
    _queue_secret(Kind.PASSWORD_RESET, event.request_id)


def on_email_verification_requested(event: EmailVerificationRequested) -> None:
    _queue_secret(Kind.EMAIL_VERIFICATION, event.request_id)


def on_email_change_requested(event: EmailChangeRequested) -> None:
    _queue_secret(Kind.EMAIL_CHANGE, event.request_id)
    _queue_secret(Kind.EMAIL_CHANGE_ASKED, event.request_id)


def _queue_secret(kind: Kind, request_id: int) -> None:
    queue_shop_notification(kind=kind, order_id="", reference=str(request_id), facts={"request_id": str(request_id)})


def on_password_changed(event: PasswordChanged) -> None:
    reference = f"{event.account}:{event.version}"
    queue_shop_notification(
        kind=Kind.PASSWORD_CHANGED, order_id="", reference=reference, facts={"account": event.account}
    )


def on_refresh_token_reused(event: RefreshTokenReused) -> None:
    facts = {"account": event.account}
    queue_shop_notification(kind=Kind.LOGIN_ENDED, order_id="", reference=str(event.family_id), facts=facts)


def on_customer_erased(event: CustomerErased) -> None:
    erase_customer(customer_id=event.customer_id, email_digest=event.email_digest)
