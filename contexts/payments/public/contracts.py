"""What other contexts may know of payments: what is due for an order, and what became of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from eci.activity import KeepsTrail
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
    """The state of a payment request: OPEN may be charged, PAYING has a charge under way, then PAID or CLOSED."""

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
    actor: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Payment:
    """``captured`` and ``refunded`` are totals; ``reference`` is the provider's name for it. ``under_review``: it waits
    for staff, and the provider has not been asked."""

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
    under_review: bool
    created_at: datetime
    updated_at: datetime

    @property
    def left(self) -> Decimal:
        """What of it can still be refunded."""
        return self.captured - self.refunded


@dataclass(frozen=True, kw_only=True)
class PaymentRecord:
    """For the customer: of staff it says that it was staff, and not who."""

    payment: Payment
    refunds: tuple[Refund, ...]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """``completed``: payments that were completed, even if refunded since. ``failed``: payments that failed.
    ``unknown``: payments and refunds that wait for the provider's answer. ``in_review``: payments that wait for staff.
    ``revenue``: money captured less money refunded, by currency. ``completed``, ``failed`` and ``revenue`` are as of
    ``counted_at``.
    """

    counted_at: datetime
    completed: int
    failed: int
    unknown: int
    in_review: int
    revenue: dict[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Of payments begun since some moment: those that took the money, even if it was refunded or set free since; those
    that failed; and those without an outcome."""

    succeeded: int
    failed: int
    waiting: int


class DifferenceKind(StrEnum):
    """How our books and the provider's differ. STATE_DIFFERS: the provider moved money, and our row does not say so."""

    MISSING_HERE = "missing here"
    MISSING_THERE = "missing at the provider"
    AMOUNTS_DIFFER = "amounts differ"
    STATE_DIFFERS = "states differ"
    TAKEN_TWICE = "taken twice"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``key`` and ``reference`` name the operation at the provider; ``subject`` is our row, empty if there is none."""

    kind: DifferenceKind
    key: str
    reference: str
    subject: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Total:
    """What was ``taken``, or ``refunded``, in one currency: ``name`` says which."""

    name: str
    currency: str
    our_count: int
    ours: Decimal
    their_count: int
    theirs: Decimal


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """Our books of one day (UTC), compared with the provider's own list."""

    day: date
    totals: tuple[Total, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """A payment or refund (``kind``) whose outcome is unknown. ``attempts``: how often the provider was asked."""

    kind: str
    row_id: int
    order_id: str
    amount: Decimal
    currency: str
    attempts: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class WaitingReview:
    """A payment that waits for staff, because of ``suspicion``."""

    payment_id: int
    order_id: str
    amount: Decimal
    currency: str
    suspicion: str
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
    """The time to pay for the order has run out."""

    code = "reservation_expired"


class RefundExceedsCaptured(Conflict):
    """``details.refundable``."""

    code = "refund_exceeds_captured"


class RefundRefused(Conflict):
    """The provider refused the refund. ``details.refund_id``."""

    code = "refund_refused"


class Payments(KeepsTrail):
    """The money of our own orders. Every command may be repeated, because the provider is asked with keys that stand in
    our rows."""

    @abstractmethod
    def open_request(
        self, *, order_id: str, amount: Decimal, currency: str, customer_id: int | None, seconds: int
    ) -> datetime:
        """Record that ``amount`` is due within ``seconds``; returns the deadline. A repeat returns the first deadline.

        InvalidTransition (closed or undone).
        """

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
        actor: str = "system",
    ) -> Payment:
        """Open the order's payment request, and have the provider set the amount aside.

        A suspicious payment that is ``screened`` is unknown until staff has decided its review. The provider is asked
        by the next call after that, and by nobody else: so reserve again what is no longer reserved before that call.

        PaymentDeclined; PaymentUnknown (call again to ask what became of it); InvalidTransition (closed or undone).
        """

    @abstractmethod
    def charge(
        self,
        *,
        order_id: str,
        amount: Decimal,
        currency: str,
        customer_id: int | None,
        method: str,
        token: str,
        screened: bool = False,
        actor: str = "system",
    ) -> Payment:
        """As ``authorise``, but the provider takes the money at once: the pivot."""

    @abstractmethod
    def capture(self, *, order_id: str) -> Payment:
        """Take the authorised money: the pivot.

        PaymentUnknown (call again); PaymentNotFound; InvalidTransition (voided).
        """

    @abstractmethod
    def close(self, *, order_id: str, reason: str) -> RequestState:
        """Close the order's payment request, so that no charge can begin. ``reason``: ``expired`` or ``cancelled``.

        CLOSED: no charge will happen. PAID: a charge came first. PAYING: a charge is under way, call again later. An
        order without a request gets a closed one, which rejects a late ``authorise`` or ``open_request``.
        """

    @abstractmethod
    def cancel(self, *, order_id: str, reason: str, actor: str = "system") -> tuple[Payment, ...]:
        """Close the request, and undo what was paid: void an authorisation, refund what is left of a capture.

        PaymentUnknown while the provider has not answered (call again); RefundRefused.
        """

    @abstractmethod
    def refund(
        self, *, order_id: str, amount: Decimal | None, reason: str, key: str, actor: str = "system"
    ) -> Refund | None:
        """Refund ``amount`` of the order's payment, or all that is left (None), once per ``key``. Returns None when
        nothing is left.

        RefundRefused: the provider is asked once more ten minutes later. RefundExceedsCaptured; PaymentNotFound;
        InvalidTransition (nothing was captured); PaymentUnknown (call again).
        """

    @abstractmethod
    def payments_of(self, *, order_ids: Iterable[str]) -> tuple[Payment, ...]:
        """All payments of these orders, oldest first."""

    @abstractmethod
    def records_of(self, *, order_id: str) -> tuple[PaymentRecord, ...]:
        """All payments of the order with their refunds, oldest first."""

    @abstractmethod
    def payments_by(self, *, customer_id: int, after: int, limit: int) -> tuple[PaymentRecord, ...]:
        """A customer's payments by id, those above ``after``, at most ``limit``."""

    @abstractmethod
    def who_paid(self, *, customer_ids: Iterable[int]) -> tuple[int, ...]:
        """Those of these customers who have a payment, whatever became of it."""

    @abstractmethod
    def orders_with_money(self) -> tuple[str, ...]:
        """Our orders that have money here: authorised, or captured and not wholly refunded."""

    @abstractmethod
    def unanswered(self, *, seconds: int) -> tuple[Unanswered, ...]:
        """Payments and refunds that have waited longer than ``seconds`` for the provider's answer, oldest first."""

    @abstractmethod
    def reviews_waiting(self) -> tuple[WaitingReview, ...]:
        """The payments that wait for staff's review, oldest first, at most a hundred; ``statistics`` counts all."""

    @abstractmethod
    def ask_provider(self, *, kind: str, row_id: int) -> str:
        """Ask the provider now what became of an ``Unanswered`` one, record it, and return its status.

        PaymentNotFound.
        """

    @abstractmethod
    def settlement(self, *, day: date) -> Settlement:
        """Compare our payments and refunds of a day (UTC) with the provider's own list.

        ContextUnavailable when the provider cannot be asked.
        """

    @abstractmethod
    def outcomes(self, *, since: datetime) -> Outcomes:
        """How the payments ended that were begun since then."""

    @abstractmethod
    def statistics(self) -> Statistics:
        """Counts for the metrics."""
