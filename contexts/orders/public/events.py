"""What orders announces: ids and amounts only. A consumer that needs an address asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class OrderEvent(Event):
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str


@dataclass(frozen=True, kw_only=True)
class OrderConfirmed(OrderEvent):
    """The order passed the pivot: it is paid and will be shipped. ``order_total`` is a decimal string."""

    NAME: ClassVar[str] = "orders.order_confirmed.v1"

    order_total: str
    currency: str


@dataclass(frozen=True, kw_only=True)
class OrderCancelled(OrderEvent):
    """Cancelled by request, or because its stock was gone; not for a declined payment. ``reason`` is one word for it,
    never what somebody wrote."""

    NAME: ClassVar[str] = "orders.order_cancelled.v1"

    reason: str


@dataclass(frozen=True, kw_only=True)
class OrderExpired(OrderEvent):
    NAME: ClassVar[str] = "orders.order_expired.v1"


@dataclass(frozen=True, kw_only=True)
class PaymentFailed(OrderEvent):
    NAME: ClassVar[str] = "orders.payment_failed.v1"

    reason: str


@dataclass(frozen=True, kw_only=True)
class ReturnEvent(OrderEvent):
    return_id: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ReturnRequested(ReturnEvent):
    """A customer asks to return goods. Why they do is in the return."""

    NAME: ClassVar[str] = "orders.return_requested.v1"


@dataclass(frozen=True, kw_only=True)
class ReturnReceived(ReturnEvent):
    """The goods of a request are back; stock and money follow."""

    NAME: ClassVar[str] = "orders.return_received.v1"


@dataclass(frozen=True, kw_only=True)
class ReturnRefused(ReturnEvent):
    """``reason``: what staff tells the customer."""

    NAME: ClassVar[str] = "orders.return_refused.v1"
