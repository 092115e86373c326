"""The contract, answered in this process: the one place where payments' rows become contracts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from contexts.payments import models, selectors, services, workflows
from contexts.payments.domain import ChargeAsked
from contexts.payments.public.contracts import (
    Outcomes,
    Payment,
    PaymentRecord,
    Payments,
    PaymentStatus,
    Refund,
    RefundStatus,
    RequestState,
    Settlement,
    Statistics,
    Unanswered,
    WaitingReview,
)
from eci.money import from_minor, to_minor
from eci.trail import TellsTrail

_STATUSES = {status.value: status for status in PaymentStatus}  # quicker than the enumeration itself


def payment(row: models.Payment) -> Payment:
    return Payment(
        payment_id=row.id,
        order_id=row.order_id,
        customer_id=row.customer_id,
        amount=from_minor(row.amount_minor, row.currency),
        currency=row.currency,
        method=row.method,
        status=_STATUSES[row.status],
        captured=from_minor(row.captured_minor, row.currency),
        refunded=from_minor(row.refunded_minor, row.currency),
        reference=row.reference,
        decline_reason=row.decline_reason,
        under_review=row.is_under_review,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def refund(row: models.Refund) -> Refund:
    """Reads the refund's payment too: it must be at hand."""
    return Refund(
        refund_id=row.pk,
        payment_id=row.payment_id,
        order_id=row.payment.order_id,
        amount=from_minor(row.amount_minor, row.payment.currency),
        currency=row.payment.currency,
        reason=row.reason,
        status=RefundStatus(row.status),
        actor=row.actor,
        created_at=row.created_at,
    )


def payment_record(row: models.Payment) -> PaymentRecord:
    """Reads the payment's refunds too: they must be at hand."""
    return PaymentRecord(payment=payment(row), refunds=tuple(refund(one) for one in row.refunds.all()))


def unanswered(row: models.Payment | models.Refund) -> Unanswered:
    """Reads a refund's payment too: it must be at hand."""
    paid = row if isinstance(row, models.Payment) else row.payment
    return Unanswered(
        kind=type(row).__name__.lower(),
        row_id=row.pk,
        order_id=paid.order_id,
        amount=from_minor(row.amount_minor, paid.currency),
        currency=paid.currency,
        attempts=row.attempts,
        since=row.created_at,
    )


def waiting_review(row: models.Payment) -> WaitingReview:
    return WaitingReview(
        payment_id=row.pk,
        order_id=row.order_id,
        amount=from_minor(row.amount_minor, row.currency),
        currency=row.currency,
        suspicion=row.suspicion,
        since=row.created_at,
    )


def charge_asked(
    order_id: str,
    amount: Decimal,
    currency: str,
    customer_id: int | None,
    method: str,
    token: str,
    actor: str,
    screened: bool,
) -> ChargeAsked:
    return ChargeAsked(
        order_id=order_id,
        amount_minor=to_minor(amount, currency),
        currency=currency,
        customer_id=customer_id,
        method=method,
        token=token,
        actor=actor,
        screened=screened,
    )


class LocalPayments(TellsTrail, Payments):
    context = "payments"

    def open_request(
        self, *, order_id: str, amount: Decimal, currency: str, customer_id: int | None, seconds: int
    ) -> datetime:
        return services.open_request(
            order_id=order_id,
            amount_minor=to_minor(amount, currency),
            currency=currency,
            customer_id=customer_id,
            seconds=seconds,
        )

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
        asked = charge_asked(order_id, amount, currency, customer_id, method, token, actor, screened)
        return payment(workflows.authorise(asked=asked))

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
        asked = charge_asked(order_id, amount, currency, customer_id, method, token, actor, screened)
        return payment(workflows.charge(asked=asked))

    def capture(self, *, order_id: str) -> Payment:
        return payment(workflows.capture(order_id=order_id))

    def close(self, *, order_id: str, reason: str) -> RequestState:
        return services.close_request(order_id=order_id, reason=reason)

    def cancel(self, *, order_id: str, reason: str, actor: str = "system") -> tuple[Payment, ...]:
        return tuple(payment(row) for row in workflows.cancel(order_id=order_id, reason=reason, actor=actor))

    def refund(
        self, *, order_id: str, amount: Decimal | None, reason: str, key: str, actor: str = "system"
    ) -> Refund | None:
        row = workflows.refund(order_id=order_id, amount=amount, reason=reason, key=key, actor=actor)
        return None if row is None else refund(row)

    def payments_of(self, *, order_ids: Iterable[str]) -> tuple[Payment, ...]:
        return tuple(map(payment, selectors.payments_of(order_ids=list(order_ids))))

    def records_of(self, *, order_id: str) -> tuple[PaymentRecord, ...]:
        return tuple(payment_record(row) for row in selectors.payments_with_refunds_of(order_id=order_id))

    def payments_by(self, *, customer_id: int, after: int, limit: int) -> tuple[PaymentRecord, ...]:
        rows = selectors.payments_by(customer_id=customer_id, after=after, limit=limit)
        return tuple(payment_record(row) for row in rows)

    def who_paid(self, *, customer_ids: Iterable[int]) -> tuple[int, ...]:
        return tuple(selectors.who_paid(customer_ids=customer_ids))

    def orders_with_money(self) -> tuple[str, ...]:
        return tuple(selectors.orders_with_money())

    def unanswered(self, *, seconds: int) -> tuple[Unanswered, ...]:
        return tuple(unanswered(row) for row in selectors.unanswered(seconds=seconds))

    def reviews_waiting(self) -> tuple[WaitingReview, ...]:
        return tuple(waiting_review(row) for row in selectors.reviews_waiting())

    def ask_provider(self, *, kind: str, row_id: int) -> str:
        return workflows.ask_provider(kind=kind, row_id=row_id)

    def settlement(self, *, day: date) -> Settlement:
        return workflows.settlement(day=day)

    def outcomes(self, *, since: datetime) -> Outcomes:
        return selectors.outcomes(since=since)

    def statistics(self) -> Statistics:
        return selectors.statistics()
