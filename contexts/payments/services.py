"""Writes: each a transaction on payments' database."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Case, CharField, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Cast, Now

from contexts.payments import domain, selectors
from contexts.payments.domain import ChargeAsked
from contexts.payments.models import Erasure, InboxEvent, Payment, PaymentRequest, Refund
from contexts.payments.public.contracts import (
    AlreadyPaid,
    AmountMismatch,
    PaymentInProgress,
    PaymentRequestClosed,
    PaymentStatus,
    RefundExceedsCaptured,
    RefundStatus,
    RequestState,
)
from contexts.payments.public.events import PaymentCaptured, PaymentReviewed, RefundCompleted
from eci import erasure, idempotency, outbox, trail
from eci.clock import utcnow
from eci.db import locked, writes
from eci.erasure import blank
from eci.errors import EciError, InvalidTransition, NotFound, PreconditionFailed
from eci.idempotency import Key
from eci.ids import is_our_order
from eci.money import from_minor, text, to_minor
from eci.statements import Change, Columns, Inserts, change, changes

EXPIRED, CANCELLED = "expired", "cancelled"


# -- statements of every payment --------------------------------------------------------------------------------------


def _first_call() -> dict[str, Any]:
    """A new row's first call comes before the settling task, which leaves the row alone for as long as it may take."""
    return {"next_at": Now() + timedelta(seconds=settings.ECI_GATEWAY_TIMEOUT + 3)}


_add_request = Inserts(PaymentRequest)
_add_payment = Inserts(Payment, **_first_call())


@changes
def _change(*, payment_id: int, status: str, version: int, columns: Columns) -> Change:
    """The payment changes, if it is as it was read."""
    return change(Payment.objects.filter(pk=payment_id, status=status, version=version), **columns)


@changes
def _change_request(*, order_id: str, columns: Columns) -> Change:
    return change(PaymentRequest.objects.filter(pk=order_id), **columns, version=F("version") + 1)


def _keyed(key: Key | None) -> dict[str, str]:
    if key is None:
        return {}
    return {
        "idempotency_scope": key.scope,
        "idempotency_key": key.key,
        "idempotency_fingerprint": key.fingerprint,
    }


# -- what is due ------------------------------------------------------------------------------------------------------


@writes("payments")
def open_request(*, order_id: str, amount_minor: int, currency: str, customer_id: int | None, seconds: int) -> datetime:
    """See ``Payments.open_request``."""
    request = PaymentRequest(
        order_id=order_id,
        amount_minor=amount_minor,
        currency=currency,
        customer_id=customer_id,
        deadline=Now() + timedelta(seconds=seconds),
        state=RequestState.OPEN,
    )
    PaymentRequest.objects.bulk_create([request], ignore_conflicts=True)
    kept = PaymentRequest.objects.get(pk=order_id)
    if kept.state == RequestState.CLOSED or kept.deadline is None:
        raise InvalidTransition(f"Order {order_id} does not wait for a payment.", order_id=order_id)
    deadline: datetime = kept.deadline
    return deadline


@writes("payments")
def close_request(*, order_id: str, reason: str) -> RequestState:
    """See ``Payments.close``.

    1. Close the request if it is OPEN.
    2. Otherwise insert a closed one, a tombstone, unless the order has a request.
    3. Note a cancellation on a request that is PAYING: it closes if its charge is declined.
    4. Return the state; begin again if the request is OPEN after all, because a charge was declined in between.
    """
    request = PaymentRequest.objects.filter(pk=order_id)
    change = {"closed_reason": reason, "version": F("version") + 1, "updated_at": utcnow()}
    while True:
        if request.filter(state=RequestState.OPEN).update(state=RequestState.CLOSED, **change):
            return RequestState.CLOSED
        tombstone = PaymentRequest(
            order_id=order_id, amount_minor=0, currency="", state=RequestState.CLOSED, closed_reason=reason
        )
        PaymentRequest.objects.bulk_create([tombstone], ignore_conflicts=True)
        if reason == CANCELLED:
            request.filter(state=RequestState.PAYING, closed_reason="").update(**change)
        state = RequestState(request.values_list("state", flat=True).get())
        if state != RequestState.OPEN:
            return state


# -- payments ---------------------------------------------------------------------------------------------------------


@writes("payments")
def begin_for_order(*, asked: ChargeAsked, mode: Payment.Mode) -> Payment:
    """Record the intent. The order's request begins as PAYING, so no other charge can begin.

    IntegrityError when the order has a request.
    """
    request = PaymentRequest(
        order_id=asked.order_id,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        customer_id=asked.customer_id,
        state=RequestState.PAYING,
    )
    _add_request.along([request])
    return _create_payment(asked, mode)


@writes("payments")
def begin_charge(*, asked: ChargeAsked, key: Key | None) -> Payment:
    """Record the intent.

    1. Take the payment request of an order of ours, so it is charged once; the payment gets the request's customer.
    2. Insert the payment, under review if it is suspicious.
    3. Claim ``key`` for it.

    NotFound, AlreadyPaid, PaymentInProgress, PaymentRequestClosed, AmountMismatch, InvalidTransition;
    IntegrityError or IdempotencyInProgress when ``key`` was taken in the same moment.
    """
    if is_our_order(asked.order_id):
        asked = replace(asked, customer_id=_take_request(asked))
    payment = _create_payment(asked, Payment.Mode.CHARGE, key)
    charge = {
        "order_id": payment.order_id,
        "amount": _text(payment, payment.amount_minor),
        "currency": payment.currency,
    }
    trail.record("payments", actor=asked.actor, action="charge", thing=f"payment:{payment.pk}", after=charge)
    if key is not None:
        idempotency.claim("payments", key, resource=str(payment.pk))
    return payment


def _screening(asked: ChargeAsked) -> dict[str, str]:
    """Put a suspicious payment to review, if it is to be screened."""
    if not asked.screened:
        return {}
    amounts = {**settings.ECI_REVIEW_AMOUNTS, settings.ECI_CURRENCY: settings.ECI_REVIEW_AMOUNT}
    amount = amounts.get(asked.currency)  # a limit in one currency says nothing about another
    limits = domain.RiskLimits(
        amount_minor=None if amount is None else to_minor(Decimal(amount), asked.currency),
        payments=settings.ECI_REVIEW_PAYMENTS,
        declined=settings.ECI_REVIEW_DECLINES,
    )
    recent = selectors.recent(customer_id=asked.customer_id)
    suspicion = domain.suspicion(amount_minor=asked.amount_minor, recent=recent, limits=limits)
    return {"review": Payment.Review.WAITING, "suspicion": suspicion} if suspicion else {}


@writes("payments")
def release_payment(*, payment_id: int, actor: str) -> bool:
    """Release a payment from review; False when it is no longer under review.

    The provider is asked for a charge by the settling task; for an authorisation by the order, when it has its stock.
    """
    return _review(payment_id, Payment.Review.RELEASED, actor)


@writes("payments")
def refuse_payment(*, payment_id: int, actor: str) -> bool:
    """Decline a payment under review without asking the provider; False when it is no longer under review."""
    if not _review(payment_id, Payment.Review.REFUSED, actor):
        return False
    record_declined(payment=Payment.objects.get(pk=payment_id), reason=domain.SUSPECTED_FRAUD, reference="")
    return True


def _review(payment_id: int, decision: Payment.Review, actor: str) -> bool:
    """Record the decision once, and tell the order at once."""
    waiting = Payment.objects.filter(pk=payment_id, status=PaymentStatus.PENDING, review=Payment.Review.WAITING)
    change = {"review": decision, "reviewed_by": actor, "attempts": 0, "next_at": Now()}
    if not waiting.update(version=F("version") + 1, updated_at=utcnow(), **change):
        return False
    payment = Payment.objects.get(pk=payment_id)
    released = decision == Payment.Review.RELEASED
    trail.record(
        "payments",
        actor=actor,
        action="release" if released else "refuse",
        thing=f"payment:{payment_id}",
        before={"review": Payment.Review.WAITING.value},
        after={"review": decision.value},
    )
    outbox.emit(
        "payments",
        PaymentReviewed(version=payment.version, order_id=payment.order_id, payment_id=payment.pk, released=released),
    )
    outbox.deliver_after_commit("payments", payment.order_id)
    return True


@writes("payments")
def begin_released(*, payment: Payment) -> Payment:
    """Claim a released payment for the provider's first call: from now on its outcome is unknown, and whoever wants to
    decline it unasked, because its order is undone, comes too late. Returns the row as it is after that."""
    unchanged = Payment.objects.filter(pk=payment.pk, version=payment.version)
    unchanged.update(attempts=1, version=F("version") + 1, updated_at=utcnow(), **_first_call())
    return _reread(payment)


def _create_payment(asked: ChargeAsked, mode: Payment.Mode, key: Key | None = None) -> Payment:
    now = utcnow()
    payment = Payment(
        order_id=asked.order_id,
        customer_id=asked.customer_id,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        method=asked.method,
        token=asked.token,
        actor=asked.actor,
        mode=mode,
        status=PaymentStatus.PENDING,
        nonce=domain.new_nonce(),
        created_at=now,
        updated_at=now,
        **_screening(asked),
        **_keyed(key),
    )
    _add_payment([payment])
    return payment


def _take_request(asked: ChargeAsked) -> int | None:
    """Move the order's request from OPEN to PAYING; returns its customer."""
    order_id = asked.order_id
    open_requests = PaymentRequest.objects.filter(pk=order_id, state=RequestState.OPEN)
    due = open_requests.filter(amount_minor=asked.amount_minor, currency=asked.currency)
    change = {"state": RequestState.PAYING, "version": F("version") + 1, "updated_at": utcnow()}
    taken = due.exclude(deadline__lte=Now()).update(**change)
    request = PaymentRequest.objects.filter(pk=order_id).first()
    if request is None:
        raise NotFound(f"There is no payment due for order {order_id}.", order_id=order_id)
    if not taken:
        raise _why_not_taken(request, asked, late=open_requests.filter(deadline__lte=Now()).exists())
    customer_id: int | None = request.customer_id
    return customer_id


def _why_not_taken(request: PaymentRequest, asked: ChargeAsked, *, late: bool) -> EciError:
    order_id = request.order_id
    if request.state == RequestState.PAID:
        return AlreadyPaid(f"Order {order_id} is already paid.", order_id=order_id)
    if late or (request.state == RequestState.CLOSED and request.closed_reason == EXPIRED):
        return PaymentRequestClosed(f"The time to pay for order {order_id} has run out.", order_id=order_id)
    if request.state == RequestState.CLOSED:
        return InvalidTransition(f"Order {order_id} was cancelled.", order_id=order_id)
    is_due = (request.amount_minor, request.currency) == (asked.amount_minor, asked.currency)
    if request.state == RequestState.OPEN and not is_due:
        due = text(from_minor(request.amount_minor, request.currency), request.currency)
        return AmountMismatch(
            f"{due} {request.currency} is due for order {order_id}.", due=due, currency=request.currency
        )
    return PaymentInProgress(f"A payment for order {order_id} is under way.", order_id=order_id)


@writes("payments")
def record_authorised(*, payment: Payment, reference: str) -> Payment:
    return _advance(payment, PaymentStatus.AUTHORISED, reference=reference, token="") or _reread(payment)


@writes("payments")
def record_captured(*, payment: Payment, reference: str) -> Payment:
    """An order that asked for it has the answer, or asks again: it is not told."""
    moved = _advance(
        payment,
        PaymentStatus.COMPLETED,
        captured_minor=payment.amount_minor,
        captured_at=Now(),
        reference=reference,
        token="",
    )
    if moved is None:
        return _reread(payment)
    _move_request(payment, RequestState.PAID, closed_reason="")
    outbox.emit(
        "payments",
        PaymentCaptured(
            version=moved.version,
            order_id=moved.order_id,
            payment_id=moved.pk,
            amount=_text(moved, moved.amount_minor),
            currency=moved.currency,
        ),
        known_to="orders" if payment.is_orders else "",
    )
    return moved


@writes("payments")
def record_declined(*, payment: Payment, reason: str, reference: str) -> Payment:
    """After a declined charge the order may be charged again, unless it was cancelled meanwhile; not where the order
    itself asked."""
    moved = _advance(payment, PaymentStatus.FAILED, decline_reason=reason[:200], reference=reference, token="")
    if moved is None:
        return _reread(payment)
    if payment.is_orders:
        _move_request(payment, RequestState.CLOSED, closed_reason=CANCELLED)
    else:
        again = Case(When(closed_reason="", then=Value(RequestState.OPEN)), default=Value(RequestState.CLOSED))
        _move_request(payment, again)
    return moved


@writes("payments")
def record_voided(*, payment: Payment, reason: str = "") -> Payment:
    moved = _advance(payment, PaymentStatus.VOIDED, decline_reason=reason[:200])
    if moved is None:
        return _reread(payment)
    _move_request(payment, RequestState.CLOSED, closed_reason=CANCELLED)
    return moved


def _advance(payment: Payment, status: PaymentStatus, **values: Any) -> Payment | None:
    """Move the payment on from the status it was read in; None when somebody else moved it first."""
    values |= {"status": status, "version": payment.version + 1, "updated_at": utcnow()}
    if not _change(payment_id=payment.pk, status=payment.status, version=payment.version, columns=Columns(values)):
        return None
    moved = copy.copy(payment)  # the caller's stays as it was read, because this transaction may run again
    for name, value in values.items():
        setattr(moved, name, value)
    return moved


def _reread(payment: Payment) -> Payment:
    return Payment.objects.get(pk=payment.pk)


def _move_request(payment: Payment, state: Any, **values: Any) -> None:
    if is_our_order(payment.order_id):
        columns = Columns({"state": state, "updated_at": utcnow(), **values})
        _change_request.along(order_id=payment.order_id, columns=columns)


def _text(payment: Payment, minor: int) -> str:
    return text(from_minor(minor, payment.currency), payment.currency)


# -- refunds ----------------------------------------------------------------------------------------------------------


@writes("payments")
def begin_refund(
    *,
    payment_id: int,
    amount_minor: int | None,
    reason: str,
    actor: str,
    key: Key | None,
    version: int | None = None,
) -> Refund:
    """Record the intent.

    1. Set the amount (None: all that is left) aside, so that nothing is refunded twice.
    2. Insert the refund.
    3. Claim ``key`` for it.

    PaymentNotFound, InvalidTransition (nothing was captured), RefundExceedsCaptured; IntegrityError or
    IdempotencyInProgress when ``key`` was taken in the same moment; PreconditionFailed if the payment has another
    ``version``.
    """
    if version is not None and locked(Payment.objects.filter(pk=payment_id, version=version)).first() is None:
        raise PreconditionFailed("This payment has changed since you read it.")
    refund = _create_refund(payment_id, amount_minor, reason, actor, key)
    if key is not None:
        idempotency.claim("payments", key, resource=str(refund.pk))
    return refund


@writes("payments")
def begin_order_refund(
    *, payment_id: int, amount_minor: int | None, reason: str, actor: str, key: Key, cancels: bool
) -> Refund:
    """As ``begin_refund``, but no answer is remembered: a caller that asks again gets the row. ``cancels``: this is the
    refund of the order's cancellation."""
    return _create_refund(payment_id, amount_minor, reason, actor, key, cancels=cancels)


def _create_refund(
    payment_id: int, amount_minor: int | None, reason: str, actor: str, key: Key | None, *, cancels: bool = False
) -> Refund:
    payment = locked(Payment.objects.filter(pk=payment_id)).first()
    if payment is None:
        raise selectors.not_found(payment_id=payment_id)
    if payment.status not in domain.CAPTURED:
        raise InvalidTransition(f"Payment {payment_id} is {payment.status}: nothing was captured.")
    left = payment.captured_minor - payment.refunded_minor
    amount = left if amount_minor is None else amount_minor
    claimed = amount > 0 and Payment.objects.filter(
        pk=payment_id, captured_minor__gte=F("refunded_minor") + amount
    ).update(refunded_minor=F("refunded_minor") + amount, version=F("version") + 1, updated_at=utcnow())
    if not claimed:
        refundable = _text(payment, left)
        raise RefundExceedsCaptured(f"{refundable} {payment.currency} can be refunded.", refundable=refundable)
    nonce = domain.new_nonce()
    if cancels:
        refused = Refund.objects.filter(payment=payment, status=RefundStatus.FAILED).count()
        nonce = domain.cancel_nonce(payment_nonce=payment.nonce, amount_minor=amount, refused=refused)
    now = utcnow()
    refund = Refund.objects.create(
        payment=payment,
        nonce=nonce,
        amount_minor=amount,
        reason=reason,
        actor=actor,
        status=RefundStatus.PENDING,
        created_at=now,
        updated_at=now,
        **_first_call(),
        **_keyed(key),
    )
    trail.record(
        "payments",
        actor=actor,
        action="refund",
        thing=f"payment:{payment_id}",
        before={"refunded": _text(payment, payment.refunded_minor)},
        after={"refunded": _text(payment, payment.refunded_minor + amount), "refund": refund.pk},
    )
    return refund


def free_refused_key(*, refund_id: int) -> bool:
    """If this refund was refused a while ago, free its key for another refund, with a new nonce; False otherwise."""
    refused = Refund.objects.filter(
        pk=refund_id, status=RefundStatus.FAILED, updated_at__lte=Now() - domain.ASK_AGAIN_AFTER
    )
    return refused.exists() and _free_key(refused)


@writes("payments")
def _free_key(refunds: QuerySet[Refund]) -> bool:
    return bool(refunds.update(idempotency_scope=None, idempotency_key=None))


@writes("payments")
def record_refunded(*, refund: Refund) -> Refund:
    payment = locked(Payment.objects.filter(pk=refund.payment_id)).get()  # refunds of one payment complete one by one
    if _end_refund(refund, RefundStatus.COMPLETED):
        completed = Refund.objects.filter(payment_id=payment.pk, status=RefundStatus.COMPLETED)
        refunded: int = completed.aggregate(total=Sum("amount_minor"))["total"]
        status = domain.status_after_refunds(captured_minor=payment.captured_minor, refunded_minor=refunded)
        version = payment.version + 1
        Payment.objects.filter(pk=payment.pk).update(status=status, version=version, updated_at=utcnow())
        outbox.emit(
            "payments",
            RefundCompleted(
                version=version,
                order_id=payment.order_id,
                payment_id=payment.pk,
                refund_id=refund.pk,
                amount=_text(payment, refund.amount_minor),
                refunded=_text(payment, payment.refunded_minor),
                captured=_text(payment, payment.captured_minor),
                currency=payment.currency,
                actor=refund.actor or "system",
            ),
        )
    return Refund.objects.select_related("payment").get(pk=refund.pk)


@writes("payments")
def record_refund_refused(*, refund: Refund) -> Refund:
    """Record the refusal; the amount can be refunded again."""
    locked(Payment.objects.filter(pk=refund.payment_id)).get()
    if _end_refund(refund, RefundStatus.FAILED):
        Payment.objects.filter(pk=refund.payment_id).update(
            refunded_minor=F("refunded_minor") - refund.amount_minor, version=F("version") + 1, updated_at=utcnow()
        )
    return Refund.objects.select_related("payment").get(pk=refund.pk)


def _end_refund(refund: Refund, status: RefundStatus) -> bool:
    """False when somebody else recorded its end first."""
    pending = Refund.objects.filter(pk=refund.pk, status=RefundStatus.PENDING)
    return bool(pending.update(status=status, updated_at=utcnow()))


# -- what waits for the provider's answer -----------------------------------------------------------------------------


@writes("payments")
def claim_due(*, row: Payment | Refund) -> bool:
    """Claim a due row for asking the provider; False when another worker has it, or it is settled."""
    due = type(row).objects.filter(pk=row.pk, status=PaymentStatus.PENDING, next_at__lte=Now())
    return bool(due.update(next_at=Now() + domain.pause_after(row.attempts), attempts=F("attempts") + 1))


@writes("payments")
def claim_now(*, row: Payment | Refund) -> bool:
    """As ``claim_due``, but before the row is due; False while the first call may still be under way."""
    asked_before = type(row).objects.filter(pk=row.pk, status=PaymentStatus.PENDING)
    free = asked_before.filter(Q(attempts__gt=0) | Q(next_at__lte=Now()))
    return bool(free.update(next_at=Now() + domain.pause_after(row.attempts), attempts=F("attempts") + 1))


@writes("payments")
def postpone(*, row: Payment | Refund) -> None:
    """The provider did not answer: ask it again later."""
    pending = type(row).objects.filter(pk=row.pk, status=PaymentStatus.PENDING)
    pending.update(next_at=Now() + domain.pause_after(row.attempts), attempts=F("attempts") + 1)


# -- what the provider sends by itself --------------------------------------------------------------------------------


@writes("payments")
def record_webhook(*, message_id: str) -> None:
    handled = InboxEvent(event_id=domain.webhook_id(message_id), name=domain.WEBHOOK)
    InboxEvent.objects.bulk_create([handled], ignore_conflicts=True)


# -- erasing people ---------------------------------------------------------------------------------------------------


@writes("payments")
def erase_customer(*, customer_id: int) -> None:
    """Keep the books, and blank what people wrote about the customer's payments."""
    erasure.record("payments", customer_id)
    _erase([customer_id])


@writes("payments")
def erase_late() -> None:
    """Erase what was written after its customer was erased."""
    if Erasure.objects.exists():
        _erase(erasure.erased("payments"))


def _erase(customers: Collection[int] | QuerySet[Any, int]) -> None:
    payments = Payment.objects.filter(customer_id__in=customers)
    if not payments.exists():
        return
    refunds = Refund.objects.filter(payment__in=payments.values("pk"))
    names = refunds.values_list(Cast("pk", CharField()))
    idempotency.erase("payments", endpoint="payments.refund", resources=names)
    blank(refunds.exclude(reason=""), reason="")
    blank(payments.exclude(status=PaymentStatus.PENDING).exclude(token=""), token="")
    own_keys = payments.filter(idempotency_scope__startswith="customer:")
    blank(own_keys, idempotency_scope=None, idempotency_key=None, idempotency_fingerprint="")
