"""Reads of payments' database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, F, Prefetch, Q, QuerySet, Sum, Value
from django.db.models.functions import Now

from contexts.payments import domain
from contexts.payments.domain import CAPTURED, Move, Recent, capture_key, payment_key, refund_key
from contexts.payments.models import InboxEvent, Payment, PaymentRequest, Refund
from contexts.payments.public.contracts import Outcomes, PaymentNotFound, PaymentStatus, RefundStatus, Statistics
from eci import totals
from eci.errors import IdempotencyKeyReused, NotFound
from eci.idempotency import Key
from eci.ids import ORDER_PREFIX
from eci.money import from_minor
from eci.paging import Paging
from eci.statements import reads

_LISTED = 100


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What an idempotency key has begun: the row, and whether its first call may still be under way."""

    row_id: int
    under_way: bool


# -- payments and refunds ---------------------------------------------------------------------------------------------


def payment(*, payment_id: int, owner: int | None = None) -> Payment:
    """PaymentNotFound, also when ``owner`` is given and it is another customer's."""
    row = Payment.objects.filter(pk=payment_id).first()
    if row is None or (owner is not None and row.customer_id != owner):
        raise not_found(payment_id=payment_id)
    return row


def not_found(*, payment_id: int) -> PaymentNotFound:
    return PaymentNotFound(f"There is no payment {payment_id}.")


def payments(*, paging: Paging, order_id: str | None = None, owner: int | None = None) -> list[Payment]:
    """One page of payments, and one row more when there are more. ``owner``: that customer's only."""
    rows = Payment.objects.all() if order_id is None else Payment.objects.filter(order_id=order_id)
    if owner is not None:
        rows = rows.filter(customer_id=owner)
    return paging.slice(rows)


@reads
def payments_of(*, order_ids: Collection[str]) -> QuerySet[Payment]:
    """All payments of these orders, oldest first."""
    return Payment.objects.filter(order_id__in=order_ids).order_by("pk")


def payments_by(*, customer_id: int, after: int, limit: int) -> list[Payment]:
    """A customer's payments by id, those above ``after``, each with its ``refunds`` at hand."""
    return list(_with_refunds(Payment.objects.filter(customer_id=customer_id, pk__gt=after))[:limit])


def who_paid(*, customer_ids: Iterable[int]) -> list[int]:
    """Those of these customers who have a payment, whatever became of it."""
    payments = Payment.objects.filter(customer_id__in=list(customer_ids)).order_by()
    return [customer_id for customer_id in payments.values_list("customer_id", flat=True).distinct() if customer_id]


def payments_with_refunds_of(*, order_id: str) -> list[Payment]:
    """The order's payments, oldest first, each with its ``refunds`` at hand."""
    return list(_with_refunds(Payment.objects.filter(order_id=order_id)))


def _with_refunds(rows: QuerySet[Payment]) -> QuerySet[Payment]:
    return rows.prefetch_related(Prefetch("refunds", Refund.objects.order_by("pk"))).order_by("pk")


def last_payment(*, order_id: str) -> Payment | None:
    return Payment.objects.filter(order_id=order_id).order_by("-pk").first()


def live_payments(*, order_id: str) -> list[Payment]:
    """The order's payments that hold money, or may."""
    over = (PaymentStatus.FAILED, PaymentStatus.VOIDED, PaymentStatus.REFUNDED)
    return list(Payment.objects.filter(order_id=order_id).exclude(status__in=over).order_by("pk"))


def refund(*, refund_id: int) -> Refund:
    """The refund with its payment at hand."""
    return Refund.objects.select_related("payment").get(pk=refund_id)


def pending_refunds(*, payment_id: int) -> list[Refund]:
    rows = Refund.objects.filter(payment_id=payment_id, status=RefundStatus.PENDING)
    return list(rows.select_related("payment").order_by("pk"))


def require_payer(*, order_id: str, payer: int, claimed: int | None) -> None:
    """Customers pay for orders of their own, in their own name: NotFound otherwise."""
    own = PaymentRequest.objects.filter(pk=order_id, customer_id=payer).exists()
    if not own or claimed not in (None, payer):
        raise NotFound(f"There is no payment due for order {order_id}.", order_id=order_id)


def recent(*, customer_id: int | None) -> Recent:
    """What the customer paid, or tried to, within the last hour."""
    found = Payment.objects.filter(customer_id=customer_id, created_at__gte=Now() - timedelta(hours=1))
    counts = found.aggregate(payments=Count("pk"), declined=Count("pk", filter=Q(status=PaymentStatus.FAILED)))
    return Recent(**counts)


# -- idempotency keys -------------------------------------------------------------------------------------------------


def begun_payment(*, key: Key) -> Begun | None:
    """The payment that this key began, also after the key's answer was pruned. IdempotencyKeyReused when the key began
    it for another request."""
    return _begun(Payment, key)


def begun_refund(*, key: Key) -> Begun | None:
    """As ``begun_payment``."""
    return _begun(Refund, key)


def _begun(model: type[Payment] | type[Refund], key: Key) -> Begun | None:
    calling = Q(status=PaymentStatus.PENDING, attempts=0, next_at__gt=Now())
    row = (
        model.objects.filter(idempotency_scope=key.scope, idempotency_key=key.key)
        .annotate(under_way=ExpressionWrapper(calling, output_field=BooleanField()))
        .values("pk", "idempotency_fingerprint", "under_way")
        .first()
    )
    if row is None:
        return None
    if row["idempotency_fingerprint"] != key.fingerprint:
        raise IdempotencyKeyReused("This idempotency key was used for a different request.")
    return Begun(row_id=row["pk"], under_way=row["under_way"])


# -- what waits for the provider's answer -----------------------------------------------------------------------------


def _due_payments() -> QuerySet[Payment]:
    due = Payment.objects.filter(status=PaymentStatus.PENDING, next_at__lte=Now())
    return due.exclude(Payment.held_back()).order_by("next_at")


def _due_refunds() -> QuerySet[Refund]:
    return Refund.objects.filter(status=RefundStatus.PENDING, next_at__lte=Now()).order_by("next_at")


@reads
def _first_due_payment() -> QuerySet[Payment, int]:
    return _due_payments().values_list("pk", flat=True)[:1]


@reads
def _first_due_refund() -> QuerySet[Refund, int]:
    return _due_refunds().values_list("pk", flat=True)[:1]


def any_due() -> bool:
    """Whether the provider is to be asked for the outcome of a payment or refund."""
    return bool(_first_due_payment() or _first_due_refund())


def due_payments(*, limit: int) -> list[Payment]:
    """Payments whose outcome is unknown and that are due to be asked for, longest waiting first."""
    return list(_due_payments()[:limit])


def due_refunds(*, limit: int) -> list[Refund]:
    """As ``due_payments``, with their payments at hand."""
    return list(_due_refunds().select_related("payment")[:limit])


def unanswered(*, seconds: int) -> list[Payment | Refund]:
    """Payments and refunds that have waited longer than ``seconds`` for the provider's answer, oldest first."""
    limit = Now() - timedelta(seconds=seconds)
    pending = Payment.objects.filter(status=PaymentStatus.PENDING, created_at__lte=limit)
    payments = pending.exclude(Payment.held_back())
    refunds = Refund.objects.filter(status=RefundStatus.PENDING, created_at__lte=limit).select_related("payment")
    return sorted([*payments, *refunds], key=lambda row: row.created_at)


def reviews_waiting() -> list[Payment]:
    """See ``Payments.reviews_waiting``."""
    waiting = Payment.objects.filter(status=PaymentStatus.PENDING, review=Payment.Review.WAITING)
    return list(waiting.order_by("created_at")[:_LISTED])


def pending_of_key(*, key: str) -> Payment | Refund | None:
    """The payment or refund that waits for the provider's answer on the operation of this key."""
    kind, _, rest = key.partition("-")
    row_id = rest.partition("-")[0]
    if not (row_id.isascii() and row_id.isdecimal() and len(row_id) < 19):
        return None
    if kind == "payment":
        payment = Payment.objects.filter(pk=int(row_id), status=PaymentStatus.PENDING).first()
        return payment if payment and payment_key(payment.pk, payment.nonce) == key else None
    if kind == "refund":
        either = Q(pk=int(row_id)) | Q(payment_id=int(row_id))
        pending = Refund.objects.filter(either, status=RefundStatus.PENDING).select_related("payment")
        return next((row for row in pending if _refund_key(row) == key), None)
    return None


def is_webhook_known(*, message_id: str) -> bool:
    """Has this message of the provider been handled before?"""
    return InboxEvent.objects.filter(pk=domain.webhook_id(message_id)).exists()


# -- the books --------------------------------------------------------------------------------------------------------


def orders_with_money() -> list[str]:
    """Our orders that have money here: authorised, or captured and not wholly refunded."""
    held = Q(status=PaymentStatus.AUTHORISED) | Q(captured_minor__gt=F("refunded_minor"))
    return list(
        Payment.objects.filter(held, order_id__startswith=ORDER_PREFIX).values_list("order_id", flat=True).distinct()
    )


def count() -> tuple[int, dict[str, Any]]:
    """Of all payments: how many were completed, how many failed, and the money taken, by currency in minor units."""
    rows = list(
        Payment.objects.values("currency").annotate(
            number=Count("pk"),
            completed=Count("pk", filter=Q(status__in=CAPTURED)),
            failed=Count("pk", filter=Q(status=PaymentStatus.FAILED)),
            revenue=Sum(F("captured_minor") - F("refunded_minor")),
        )
    )
    return sum(row["number"] for row in rows), {
        "completed": sum(row["completed"] for row in rows),
        "failed": sum(row["failed"] for row in rows),
        "revenue": {row["currency"]: int(row["revenue"]) for row in rows},
    }


@reads
def _pending() -> QuerySet[Payment, tuple[int, int]]:
    """How many payments wait for the provider's answer, and how many for review by staff."""
    waiting = Payment.objects.filter(status=PaymentStatus.PENDING).annotate(one=Value(1)).values("one")
    counted = waiting.annotate(
        unknown=Count("pk", filter=~Payment.held_back()),
        in_review=Count("pk", filter=Q(review=Payment.Review.WAITING)),
    )
    return counted.values_list("unknown", "in_review")


def statistics() -> Statistics:
    counted = totals.of("payments", count)
    unknown, in_review = _pending.first() or (0, 0)
    revenue = counted.figures["revenue"]
    return Statistics(
        counted_at=counted.at,
        completed=counted.figures["completed"],
        failed=counted.figures["failed"],
        unknown=unknown + Refund.objects.filter(status=RefundStatus.PENDING).count(),
        in_review=in_review,
        revenue={currency: from_minor(minor, currency) for currency, minor in revenue.items()},
    )


def outcomes(*, since: datetime) -> Outcomes:
    # not by GROUP BY: SQLite would follow the index of statuses, through all payments there are
    found = Payment.objects.filter(created_at__gte=since).aggregate(
        all=Count("pk"),
        failed=Count("pk", filter=Q(status=PaymentStatus.FAILED)),
        waiting=Count("pk", filter=Q(status=PaymentStatus.PENDING)),
    )
    succeeded = found["all"] - found["failed"] - found["waiting"]
    return Outcomes(succeeded=succeeded, failed=found["failed"], waiting=found["waiting"])


def moves_of(*, day: date) -> list[Move]:
    """Money taken and refunded on the day (UTC)."""
    begin = datetime.combine(day, time.min, UTC)
    end = begin + timedelta(days=1)
    captured = Q(captured_at__gte=begin, captured_at__lt=end)
    captured |= Q(captured_at=None, created_at__gte=begin, created_at__lt=end, status__in=CAPTURED)
    refunds = Refund.objects.filter(status=RefundStatus.COMPLETED, updated_at__gte=begin, updated_at__lt=end)
    return [_taken(row) for row in Payment.objects.filter(captured).order_by("pk")] + [
        _refunded(row) for row in refunds.select_related("payment").order_by("pk")
    ]


def moves_named(*, keys: Iterable[str]) -> list[Move]:
    """The payments and refunds that these keys of the provider name, of any day."""
    ids: dict[str, set[int]] = {"payment": set(), "refund": set()}
    for key in keys:
        kind, _, rest = key.partition("-")
        row_id = rest.partition("-")[0]
        if kind in ids and row_id.isdecimal():
            ids[kind].add(int(row_id))
    either = Q(pk__in=ids["refund"]) | Q(payment_id__in=ids["refund"])
    refunds = Refund.objects.filter(either).select_related("payment")
    return [_taken(row) for row in Payment.objects.filter(pk__in=ids["payment"])] + [_refunded(row) for row in refunds]


def _refund_key(row: Refund) -> str:
    return refund_key(row.pk, row.nonce, payment_id=row.payment_id)


def _taken(row: Payment) -> Move:
    at_once = row.mode != Payment.Mode.AUTHORISE
    return Move(
        key=(payment_key if at_once else capture_key)(row.pk, row.nonce),
        kind="charge" if at_once else "capture",
        subject=str(row),
        amount_minor=row.captured_minor if row.status in CAPTURED else row.amount_minor,
        currency=row.currency,
        status=row.status,
        done=row.status in CAPTURED,
    )


def _refunded(row: Refund) -> Move:
    return Move(
        key=_refund_key(row),
        kind="refund",
        subject=f"{row} for {row.payment.order_id}",
        amount_minor=row.amount_minor,
        currency=row.payment.currency,
        status=row.status,
        done=row.status == RefundStatus.COMPLETED,
    )
