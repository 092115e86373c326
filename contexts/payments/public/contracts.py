"""Payments: what is due for an order, and what was done about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from eci.errors import Conflict, EciError, NotFound, Unfinished


class PaymentStatus(StrEnum):
    PENDING = "PENDING"
    AUTHORISED = "AUTHORISED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    VOIDED = "VOIDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class RefundStatus(StrEnum):
    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class RequestState(StrEnum):
    """Of what is due for an order: OPEN may be charged, PAYING has a charge under way, then PAID or CLOSED."""

    OPEN = "OPEN"
    PAYING = "PAYING"
    PAID = "PAID"
    CLOSED = "CLOSED"


@dataclass(frozen=True, kw_only=True)
class Refund:
    refund_id: int
    payment_id: int
    order_id: str
    amount: Decimal
    currency: str
    reason: str
    status: RefundStatus
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Payment:
    """``captured`` and ``refunded`` are totals; ``reference`` is the provider's name for it."""

    payment_id: int
    order_id: str
    customer_id: int | None
    amount: Decimal
    currency: str
    method: str
    status: PaymentStatus
    captured: Decimal
    refunded: Decimal
    reference: str
    decline_reason: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class PaymentRecord:
    payment: Payment
    refunds: tuple[Refund, ...]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Payments ever completed (refunded since or not), and ever failed. ``unknown``: payments and refunds that wait for
    the provider's word; ``in_review``: payments that wait for staff's. ``revenue``: taken less given back.
    """

    completed: int
    failed: int
    unknown: int
    in_review: int
    revenue: dict[str, Decimal]


class DifferenceKind(StrEnum):
    """Between our books and the provider's. STATE_DIFFERS: it did what our row does not say was done."""

    MISSING_HERE = "missing here"
    MISSING_THERE = "missing at the provider"
    AMOUNTS_DIFFER = "amounts differ"
    STATE_DIFFERS = "states differ"
    TAKEN_TWICE = "taken twice"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``key`` and ``reference`` name the operation at the provider, ``subject`` our row (empty: we have none)."""

    kind: DifferenceKind
    key: str
    reference: str
    subject: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Total:
    """What was ``taken``, or ``given back``, in one currency."""

    name: str
    currency: str
    our_count: int
    ours: Decimal
    their_count: int
    theirs: Decimal


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """A day (UTC) of ours held against the provider's own list."""

    day: date
    totals: tuple[Total, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """A payment or refund (``kind``) whose outcome the provider has not told; ``attempts``: how often it was asked."""

    kind: str
    row_id: int
    order_id: str
    amount: Decimal
    currency: str
    attempts: int
    since: datetime


class PaymentDeclined(EciError):
    """``details.order_id`` and ``details.payment_id``."""

    status = 402
    code = "payment_declined"


class PaymentUnknown(Unfinished):
    """The provider has not said yet what became of it: ask again. ``details.order_id``."""


class PaymentNotFound(NotFound):
    pass


class AmountMismatch(Conflict):
    """``details.due``."""

    code = "amount_mismatch"


class AlreadyPaid(Conflict):
    code = "already_paid"


class PaymentInProgress(Conflict):
    code = "payment_in_progress"


class PaymentRequestClosed(Conflict):
    """The order no longer waits for money: its time ran out."""

    code = "reservation_expired"


class RefundExceedsCaptured(Conflict):
    """``details.refundable``."""

    code = "refund_exceeds_captured"


class RefundRefused(Conflict):
    """The provider will not give this money back. ``details.refund_id``."""

    code = "refund_refused"


class Payments(ABC):
    """For our own orders. Every command may be repeated: the provider is asked with keys that stand in our rows."""

    @abstractmethod
    def open_request(
        self, *, order_id: str, amount: Decimal, currency: str, customer_id: int | None, seconds: int
    ) -> datetime:
        """Record that ``amount`` is due within ``seconds``; gives the deadline. A repeat gives the first one's."""

    @abstractmethod
    def authorise(
        self,
        *,
        order_id: str,
        amount: Decimal,
        currency: str,
        customer_id: int | None,
        method: str,
        token: str,
        screened: bool = False,
    ) -> Payment:
        """Have the provider set the amount aside, opening the order's request in the same stroke. If it is ``screened``
        and suspicious, a person looks at it first, and it is unknown until then.

        PaymentDeclined; PaymentUnknown (call again to ask what became of it); InvalidTransition (closed or undone).
        """

    @abstractmethod
    def capture(self, *, order_id: str) -> Payment:
        """Take the authorised money: the pivot.

        PaymentUnknown (call again); PaymentNotFound; InvalidTransition (voided).
        """

    @abstractmethod
    def close(self, *, order_id: str, reason: str) -> RequestState:
        """Let no further charge of the order begin. ``reason``: ``expired`` or ``cancelled``.

        CLOSED: none will happen. PAID: a charge won. PAYING: one is under way, call again later. An order without a
        request gets a closed one, so that a late ``authorise`` or ``open_request`` is refused.
        """

    @abstractmethod
    def cancel(self, *, order_id: str, reason: str) -> tuple[Payment, ...]:
        """Undo whatever was paid: closes the request, voids an authorisation, refunds what is left of a capture.

        PaymentUnknown while the provider hasn't spoken (call again); RefundRefused.
        """

    @abstractmethod
    def refund(self, *, order_id: str, amount: Decimal | None, reason: str, key: str) -> Refund | None:
        """Refund ``amount`` of the order's payment, or all that is left; None when nothing is left. Once per ``key``.

        RefundRefused: the provider is asked once more ten minutes later. RefundExceedsCaptured; PaymentNotFound;
        InvalidTransition (nothing was captured); PaymentUnknown (call again).
        """

    @abstractmethod
    def payments_of(self, *, order_ids: Iterable[str]) -> tuple[Payment, ...]:
        """All payments of these orders, oldest first."""

    @abstractmethod
    def payments_by(self, *, customer_id: int, after: int, limit: int) -> tuple[PaymentRecord, ...]:
        """A customer's payments by id, beginning after the id ``after``."""

    @abstractmethod
    def orders_with_money(self) -> tuple[str, ...]:
        """Our orders of which we hold money: authorised, or captured and not wholly refunded."""

    @abstractmethod
    def unanswered(self, *, seconds: int) -> tuple[Unanswered, ...]:
        """Payments and refunds that have waited longer than ``seconds`` for the provider's word, oldest first."""

    @abstractmethod
    def ask_provider(self, *, kind: str, row_id: int) -> str:
        """Ask now what became of an ``Unanswered`` one, and record it; its status afterwards. PaymentNotFound."""

    @abstractmethod
    def settlement(self, *, day: date) -> Settlement:
        """Our payments and refunds of a day (UTC) against the provider's own list.

        ContextUnavailable when the provider cannot be asked.
        """

    @abstractmethod
    def statistics(self) -> Statistics:
        """Counts for the metrics."""
