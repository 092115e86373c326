from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q, Sum
from django.db.models.functions import Now

from contexts.payments.domain import CAPTURED, Move, Recent, capture_key, payment_key, refund_key
from contexts.payments.models import Payment, PaymentRequest, Refund
from contexts.payments.public import contracts
from contexts.payments.public.contracts import PaymentNotFound, PaymentStatus, RefundStatus
from eci.errors import IdempotencyKeyReused, NotFound
from eci.idempotency import Key
from eci.ids import ORDER_PREFIX
from eci.money import from_minor
from eci.paging import Paging


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What an idempotency key has begun: the row, and whether its first call may still be under way."""

    row_id: int
    under_way: bool


def as_payment(row: Payment) -> contracts.Payment:
    return contracts.Payment(
        payment_id=row.pk,
        order_id=row.order_id,
        customer_id=row.customer_id,
        amount=from_minor(row.amount_minor, row.currency),
        currency=row.currency,
        method=row.method,
        status=PaymentStatus(row.status),
        captured=from_minor(row.captured_minor, row.currency),
        refunded=from_minor(row.refunded_minor, row.currency),
        reference=row.reference,
        decline_reason=row.decline_reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def as_refund(row: Refund) -> contracts.Refund:
    """Reads the refund's payment too: select it with the row."""
    return contracts.Refund(
        refund_id=row.pk,
        payment_id=row.payment_id,
        order_id=row.payment.order_id,
        amount=from_minor(row.amount_minor, row.payment.currency),
        currency=row.payment.currency,
        reason=row.reason,
        status=RefundStatus(row.status),
        created_at=row.created_at,
    )


def payment_row(payment_id: int) -> Payment:
    """PaymentNotFound."""
    row = Payment.objects.filter(pk=payment_id).first()
    if row is None:
        raise payment_not_found(payment_id)
    return row


def refund_row(refund_id: int) -> Refund:
    return Refund.objects.select_related("payment").get(pk=refund_id)


def last_payment(order_id: str) -> Payment | None:
    return Payment.objects.filter(order_id=order_id).order_by("-pk").first()


def live_payments(order_id: str) -> list[Payment]:
    """The order's payments that hold money, or may."""
    over = (PaymentStatus.FAILED, PaymentStatus.VOIDED, PaymentStatus.REFUNDED)
    return list(Payment.objects.filter(order_id=order_id).exclude(status__in=over).order_by("pk"))


def pending_of_key(key: str) -> Payment | Refund | None:
    """The payment or refund that waits for the provider's word on the operation of this key."""
    kind, _, rest = key.partition("-")
    row_id = rest.partition("-")[0]
    if not (row_id.isascii() and row_id.isdecimal() and len(row_id) < 19):
        return None
    if kind == "payment":
        payment = Payment.objects.filter(pk=int(row_id), status=PaymentStatus.PENDING).first()
        return payment if payment and payment_key(payment.pk, payment.nonce) == key else None
    if kind == "refund":
        refund = Refund.objects.filter(pk=int(row_id), status=RefundStatus.PENDING).select_related("payment").first()
        return refund if refund and refund_key(refund.pk, refund.nonce) == key else None
    return None


def pending_refunds(payment_id: int) -> list[Refund]:
    rows = Refund.objects.filter(payment_id=payment_id, status=RefundStatus.PENDING)
    return list(rows.select_related("payment").order_by("pk"))


def payment(payment_id: int, *, owner: int | None = None) -> contracts.Payment:
    """PaymentNotFound, also when ``owner`` is given and it is another customer's."""
    row = payment_row(payment_id)
    if owner is not None and row.customer_id != owner:
        raise payment_not_found(payment_id)
    return as_payment(row)


def payment_not_found(payment_id: int) -> PaymentNotFound:
    return PaymentNotFound(f"There is no payment {payment_id}.")


def require_payer(*, order_id: str, payer: int, claimed: int | None) -> None:
    """A customer pays for their own orders of ours, in their own name: NotFound otherwise."""
    own = PaymentRequest.objects.filter(pk=order_id, customer_id=payer).exists()
    if not own or claimed not in (None, payer):
        raise NotFound(f"There is no payment due for order {order_id}.", order_id=order_id)


def payments_of(order_ids: Iterable[str]) -> tuple[contracts.Payment, ...]:
    """All payments of these orders, oldest first."""
    return tuple(as_payment(row) for row in Payment.objects.filter(order_id__in=list(order_ids)).order_by("pk"))


def payments_by(*, customer_id: int, after: int, limit: int) -> tuple[contracts.PaymentRecord, ...]:
    rows = list(Payment.objects.filter(customer_id=customer_id, pk__gt=after).order_by("pk")[:limit])
    refunds: dict[int, list[contracts.Refund]] = defaultdict(list)
    for row in Refund.objects.filter(payment__in=rows).select_related("payment").order_by("pk"):
        refunds[row.payment_id].append(as_refund(row))
    return tuple(contracts.PaymentRecord(payment=as_payment(row), refunds=tuple(refunds[row.pk])) for row in rows)


def payments_page(paging: Paging, *, order_id: str | None, owner: int | None = None) -> list[contracts.Payment]:
    """``owner``: that customer's only."""
    rows = Payment.objects.all() if order_id is None else Payment.objects.filter(order_id=order_id)
    if owner is not None:
        rows = rows.filter(customer_id=owner)
    return [as_payment(row) for row in paging.slice(rows)]


def begun_payment(key: Key) -> Begun | None:
    """The payment this key began, also after the key's answer was pruned. 422 when it was for another request."""
    return _begun(Payment, key)


def begun_refund(key: Key) -> Begun | None:
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


def orders_with_money() -> tuple[str, ...]:
    """Our orders with money set aside, or taken and not wholly given back."""
    held = Q(status=PaymentStatus.AUTHORISED) | Q(captured_minor__gt=F("refunded_minor"))
    return tuple(
        Payment.objects.filter(held, order_id__startswith=ORDER_PREFIX).values_list("order_id", flat=True).distinct()
    )


def unanswered(seconds: int) -> tuple[contracts.Unanswered, ...]:
    limit = Now() - timedelta(seconds=seconds)
    pending = Payment.objects.filter(status=PaymentStatus.PENDING, created_at__lte=limit)
    payments = pending.exclude(review=Payment.Review.WAITING)
    refunds = Refund.objects.filter(status=RefundStatus.PENDING, created_at__lte=limit).select_related("payment")
    found = [_unanswered(row, row) for row in payments] + [_unanswered(row, row.payment) for row in refunds]
    return tuple(sorted(found, key=lambda one: one.since))


def _unanswered(row: Payment | Refund, payment: Payment) -> contracts.Unanswered:
    return contracts.Unanswered(
        kind=type(row).__name__.lower(),
        row_id=row.pk,
        order_id=payment.order_id,
        amount=from_minor(row.amount_minor, payment.currency),
        currency=payment.currency,
        attempts=row.attempts,
        since=row.created_at,
    )


def moves_of(day: date) -> list[Move]:
    """Money taken and given back on the day (UTC)."""
    begin = datetime.combine(day, time.min, UTC)
    span = (begin, begin + timedelta(days=1) - timedelta(microseconds=1))
    captured = Q(captured_at__range=span) | Q(captured_at=None, created_at__range=span, status__in=CAPTURED)
    refunds = Refund.objects.filter(status=RefundStatus.COMPLETED, updated_at__range=span).select_related("payment")
    return [_taken(row) for row in Payment.objects.filter(captured).order_by("pk")] + [
        _given_back(row) for row in refunds.order_by("pk")
    ]


def moves_named(keys: Iterable[str]) -> list[Move]:
    """What our rows say of the payments and refunds that these keys of the provider's are made of."""
    ids: dict[str, set[int]] = {"payment": set(), "refund": set()}
    for key in keys:
        kind, _, rest = key.partition("-")
        row_id = rest.partition("-")[0]
        if kind in ids and row_id.isdecimal():
            ids[kind].add(int(row_id))
    refunds = Refund.objects.filter(pk__in=ids["refund"]).select_related("payment")
    return [_taken(row) for row in Payment.objects.filter(pk__in=ids["payment"])] + [
        _given_back(row) for row in refunds
    ]


def _taken(row: Payment) -> Move:
    at_once = row.mode == Payment.Mode.CHARGE
    return Move(
        key=(payment_key if at_once else capture_key)(row.pk, row.nonce),
        kind="charge" if at_once else "capture",
        subject=str(row),
        amount_minor=row.captured_minor if row.status in CAPTURED else row.amount_minor,
        currency=row.currency,
        status=row.status,
        done=row.status in CAPTURED,
    )


def _given_back(row: Refund) -> Move:
    return Move(
        key=refund_key(row.pk, row.nonce),
        kind="refund",
        subject=f"{row} for {row.payment.order_id}",
        amount_minor=row.amount_minor,
        currency=row.payment.currency,
        status=row.status,
        done=row.status == RefundStatus.COMPLETED,
    )


def statistics() -> contracts.Statistics:
    pending, waiting = Q(status=PaymentStatus.PENDING), Q(review=Payment.Review.WAITING)
    rows = list(
        Payment.objects.values("currency").annotate(
            completed=Count("pk", filter=Q(status__in=CAPTURED)),
            failed=Count("pk", filter=Q(status=PaymentStatus.FAILED)),
            unknown=Count("pk", filter=pending & ~waiting),
            in_review=Count("pk", filter=pending & waiting),
            revenue=Sum(F("captured_minor") - F("refunded_minor")),
        )
    )
    return contracts.Statistics(
        completed=sum(row["completed"] for row in rows),
        failed=sum(row["failed"] for row in rows),
        unknown=sum(row["unknown"] for row in rows) + Refund.objects.filter(status=RefundStatus.PENDING).count(),
        in_review=sum(row["in_review"] for row in rows),
        revenue={row["currency"]: from_minor(int(row["revenue"]), row["currency"]) for row in rows},
    )


def recent(customer_id: int | None) -> Recent:
    """What the customer paid, or tried to, within the last hour."""
    found = Payment.objects.filter(customer_id=customer_id, created_at__gte=Now() - timedelta(hours=1))
    counts = found.aggregate(payments=Count("pk"), declined=Count("pk", filter=Q(status=PaymentStatus.FAILED)))
    return Recent(**counts)


def due_payments(limit: int) -> list[Payment]:
    """Payments whose outcome is unknown and due to be asked for, longest waiting first."""
    due = Payment.objects.filter(status=PaymentStatus.PENDING, next_at__lte=Now())
    return list(due.exclude(review=Payment.Review.WAITING).order_by("next_at")[:limit])


def due_refunds(limit: int) -> list[Refund]:
    rows = Refund.objects.filter(status=RefundStatus.PENDING, next_at__lte=Now())
    return list(rows.select_related("payment").order_by("next_at")[:limit])
