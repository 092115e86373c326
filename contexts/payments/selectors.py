from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q
from django.db.models.functions import Now

from contexts.payments.models import Payment, Refund
from contexts.payments.public import contracts
from contexts.payments.public.contracts import PaymentNotFound, PaymentStatus, RefundStatus
from eci.errors import IdempotencyKeyReused
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
        raise PaymentNotFound(f"There is no payment {payment_id}.")
    return row


def refund_row(refund_id: int) -> Refund:
    return Refund.objects.select_related("payment").get(pk=refund_id)


def last_payment(order_id: str) -> Payment | None:
    return Payment.objects.filter(order_id=order_id).order_by("-pk").first()


def live_payments(order_id: str) -> list[Payment]:
    """The order's payments that hold money, or may."""
    over = (PaymentStatus.FAILED, PaymentStatus.VOIDED, PaymentStatus.REFUNDED)
    return list(Payment.objects.filter(order_id=order_id).exclude(status__in=over).order_by("pk"))


def pending_refunds(payment_id: int) -> list[Refund]:
    rows = Refund.objects.filter(payment_id=payment_id, status=RefundStatus.PENDING)
    return list(rows.select_related("payment").order_by("pk"))


def payment(payment_id: int) -> contracts.Payment:
    """PaymentNotFound."""
    return as_payment(payment_row(payment_id))


def payments_of(order_ids: Iterable[str]) -> tuple[contracts.Payment, ...]:
    """All payments of these orders, oldest first."""
    return tuple(as_payment(row) for row in Payment.objects.filter(order_id__in=list(order_ids)).order_by("pk"))


def payments_page(paging: Paging, *, order_id: str | None) -> list[contracts.Payment]:
    rows = Payment.objects.all() if order_id is None else Payment.objects.filter(order_id=order_id)
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


def statistics() -> contracts.Statistics:
    completed = (PaymentStatus.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED)
    counts = Payment.objects.aggregate(
        completed=Count("pk", filter=Q(status__in=completed)),
        failed=Count("pk", filter=Q(status=PaymentStatus.FAILED)),
        pending=Count("pk", filter=Q(status=PaymentStatus.PENDING)),
    )
    return contracts.Statistics(
        completed=counts["completed"],
        failed=counts["failed"],
        unknown=counts["pending"] + Refund.objects.filter(status=RefundStatus.PENDING).count(),
    )


def due_payments(limit: int) -> list[Payment]:
    """Payments whose outcome is unknown and due to be asked for, longest waiting first."""
    return list(Payment.objects.filter(status=PaymentStatus.PENDING, next_at__lte=Now()).order_by("next_at")[:limit])


def due_refunds(limit: int) -> list[Refund]:
    rows = Refund.objects.filter(status=RefundStatus.PENDING, next_at__lte=Now())
    return list(rows.select_related("payment").order_by("next_at")[:limit])
