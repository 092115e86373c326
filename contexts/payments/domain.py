"""Pure rules of taking and giving back money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from contexts.payments.public.contracts import PaymentStatus

CAPTURED = (PaymentStatus.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED)

_LONGEST_PAUSE = 10  # seconds: an unknown outcome is settled within 30 s of the provider answering again


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The provider's word on one operation: done, or refused for ``reason``. ``reference`` names the payment there."""

    done: bool
    reference: str
    reason: str = ""


# Keys at the provider come from our rows' ids alone: whoever repeats an operation after a crash repeats its key.


def payment_key(payment_id: int) -> str:
    return f"payment-{payment_id}"


def capture_key(payment_id: int) -> str:
    return f"payment-{payment_id}-capture"


def void_key(payment_id: int) -> str:
    return f"payment-{payment_id}-void"


def refund_key(refund_id: int) -> str:
    return f"refund-{refund_id}"


def pause_after(attempts: int) -> timedelta:
    """How long to wait before asking the provider again."""
    return timedelta(seconds=min(2 ** min(attempts, 10), _LONGEST_PAUSE))


def status_after_refunds(*, captured_minor: int, returned_minor: int) -> PaymentStatus:
    """A captured payment's status once ``returned_minor`` of it has really gone back."""
    if returned_minor == 0:
        return PaymentStatus.COMPLETED
    return PaymentStatus.REFUNDED if returned_minor >= captured_minor else PaymentStatus.PARTIALLY_REFUNDED
