"""The events of payments, about orders of ours and of other systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class PaymentCaptured(Event):
    """Money was captured. ``amount`` is a decimal string in ``currency``."""

    NAME: ClassVar[str] = "payments.payment_captured.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    payment_id: int
    amount: str
    currency: str


@dataclass(frozen=True, kw_only=True)
class RefundCompleted(Event):
    """Money was refunded. ``refunded`` and ``captured`` are the payment's totals after it, as decimal strings."""

    NAME: ClassVar[str] = "payments.refund_completed.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    payment_id: int
    refund_id: int
    amount: str
    refunded: str
    captured: str
    currency: str
    actor: str = "system"


@dataclass(frozen=True, kw_only=True)
class PaymentReviewed(Event):
    """Staff has decided the review of a suspicious payment: it is ``released``, or declined."""

    NAME: ClassVar[str] = "payments.payment_reviewed.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    payment_id: int
    released: bool
