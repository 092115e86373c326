"""Which events queue which notifications."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from contexts.notifications import services
from contexts.notifications.models import Notification
from contexts.notifications.public.api import notifications
from contexts.orders.public.events import (
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    PaymentFailed,
    ReturnReceived,
    ReturnRefused,
    ReturnRequested,
)
from contexts.payments.public.events import RefundCompleted
from contexts.shipping.public.events import ShipmentChanged, ShipmentDispatched
from eci.events import Event
from eci.outbox import Delivery, receive

OURS = "ORD-1"


def confirmed(order_id: str = OURS) -> OrderConfirmed:
    return OrderConfirmed(version=1, order_id=order_id, order_total="19.99", currency="USD")


def dispatched(shipment_id: int, order_id: str = OURS) -> ShipmentDispatched:
    return ShipmentDispatched(
        version=2,
        order_id=order_id,
        shipment_id=shipment_id,
        warehouse="WH1",
        carrier="standard",
        tracking_no=f"ECI{shipment_id}",
    )


def changed(version: int, order_id: str = OURS, *, dispatched: bool = True) -> ShipmentChanged:
    return ShipmentChanged(
        version=version, order_id=order_id, shipment_id=1, carrier="DHL", tracking_no="T-1", dispatched=dispatched
    )


def refunded(refund_id: int, order_id: str = OURS) -> RefundCompleted:
    return RefundCompleted(
        version=1,
        order_id=order_id,
        payment_id=1,
        refund_id=refund_id,
        amount="5.00",
        refunded="5.00",
        captured="19.99",
        currency="USD",
    )


def happen(event: Event) -> None:
    told = Delivery(event_id=uuid.uuid4(), name=event.NAME, payload=event.payload(), trace={})
    receive("notifications", [told])


def queued() -> list[tuple[Any, ...]]:
    return list(Notification.objects.order_by("pk").values_list("kind", "order_id", "channel", "recipient", "status"))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (confirmed(), "order_confirmation"),
        (dispatched(1), "shipping_confirmation"),
        (refunded(1), "refund"),
        (OrderCancelled(version=1, order_id=OURS, reason="changed my mind"), "order_cancellation"),
        (PaymentFailed(version=1, order_id=OURS, reason="declined"), "payment_failure"),
        (OrderExpired(version=1, order_id=OURS), "order_expired"),
        (changed(3), "shipment_changed"),
        (ReturnRequested(version=1, order_id=OURS, return_id=5), "return_requested"),
        (ReturnReceived(version=1, order_id=OURS, return_id=5), "return_received"),
        (ReturnRefused(version=1, order_id=OURS, return_id=5, reason="worn"), "return_refused"),
    ],
)
def test_an_event_queues_one_notification_however_often_it_arrives(event: Event, kind: str) -> None:
    happen(event)
    happen(event)

    assert queued() == [(kind, OURS, "email", "", "QUEUED")]
    assert notifications.waiting() == 1


def test_each_shipment_and_each_refund_has_its_own_notification() -> None:
    for event in (dispatched(1), dispatched(2), refunded(1), refunded(2), dispatched(2)):
        happen(event)

    assert [kind for kind, *_ in queued()] == ["shipping_confirmation"] * 2 + ["refund"] * 2


def test_each_change_of_a_tracking_number_is_told_once_it_has_left() -> None:
    """K7"""
    for event in (changed(2, dispatched=False), changed(4), changed(5), changed(5)):
        happen(event)

    assert [kind for kind, *_ in queued()] == ["shipment_changed"] * 2


def test_each_step_of_each_return_is_told() -> None:
    for number in (5, 6):
        happen(ReturnRequested(version=1, order_id=OURS, return_id=number))
        happen(ReturnRefused(version=2, order_id=OURS, return_id=number, reason="worn"))

    assert [kind for kind, *_ in queued()] == ["return_requested", "return_refused"] * 2


def test_why_a_return_was_refused_is_erased_with_the_customer() -> None:
    happen(ReturnRefused(version=1, order_id=OURS, return_id=5, reason="Annabel wore it"))
    Notification.objects.update(customer_id=7, recipient="annabel@example.com", message="Annabel wore it")

    services.erase_customer(customer_id=7, email_digest="")

    (row,) = Notification.objects.values("recipient", "message", "facts", "status")
    assert row == {"recipient": "", "message": "", "facts": {}, "status": "SUPPRESSED"}


@pytest.mark.parametrize("event", [dispatched(1, "EXT-1"), refunded(1, "EXT-1"), changed(2, "EXT-1")])
def test_another_systems_order_makes_no_notification(event: Event) -> None:
    happen(event)

    assert queued() == []
