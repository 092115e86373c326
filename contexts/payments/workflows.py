"""Record, call the provider, record: what takes several transactions.

The process may die between any two statements. The intent is in the database before the provider is called, under a key
made of the row's id and nonce; so the caller that repeats a command, and the settling task, ask with the same key.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from django.db import IntegrityError

from contexts.payments import domain, selectors, services
from contexts.payments.adapters import configured_gateway
from contexts.payments.adapters.gateway import Gateway, GatewayUnavailable
from contexts.payments.domain import ChargeAsked, Outcome
from contexts.payments.models import Payment, Refund
from contexts.payments.public.contracts import (
    PaymentDeclined,
    PaymentNotFound,
    PaymentStatus,
    PaymentUnknown,
    RefundExceedsCaptured,
    RefundRefused,
    RefundStatus,
    Settlement,
)
from eci import outbox
from eci.errors import ContextUnavailable, IdempotencyInProgress, InvalidTransition
from eci.idempotency import Key
from eci.ids import is_our_order
from eci.money import to_minor
from eci.watch.requests import about_order, lines_about, logger

log = logger(__name__)
gateway: Gateway = configured_gateway()

CANCEL = "cancel"  # the key of the refund of an order's cancellation
_ROUND = 100  # rows of each kind in one round of settling


# -- for orders -------------------------------------------------------------------------------------------------------


def authorise(*, asked: ChargeAsked) -> Payment:
    """See ``Payments.authorise``.

    1. Record the intent.
    2. Call the provider, unless the payment is under review.
    3. Record the answer.

    Where the order has a payment already, ask the provider what became of it instead.
    """
    return _pay(asked, Payment.Mode.AUTHORISE)


def charge(*, asked: ChargeAsked) -> Payment:
    """See ``Payments.charge``: as ``authorise``, but the provider takes the money at once.

    What an earlier version has authorised for the order is captured.
    """
    payment = _pay(asked, Payment.Mode.AT_ONCE)
    return capture(order_id=asked.order_id) if payment.status == PaymentStatus.AUTHORISED else payment


def _pay(asked: ChargeAsked, mode: Payment.Mode) -> Payment:
    order_id = asked.order_id
    try:
        begun = services.begin_for_order(asked=asked, mode=mode)
    except IntegrityError:
        before = selectors.last_payment(order_id=order_id)
        if before is None:
            raise InvalidTransition(f"Order {order_id} cannot be paid like this.", order_id=order_id) from None
        if before.awaits_order:
            before = services.begin_released(payment=before)
        payment = _settle_payment_if_possible(before)
    else:
        payment = _request_payment(begun)
    if payment.status == PaymentStatus.PENDING:
        raise _unknown(order_id)
    if payment.status == PaymentStatus.FAILED:
        raise declined(payment=payment)
    if payment.status in (PaymentStatus.VOIDED, PaymentStatus.REFUNDED):
        raise InvalidTransition(f"The payment of order {order_id} is {payment.status}.", order_id=order_id)
    return payment


def capture(*, order_id: str) -> Payment:
    """See ``Payments.capture``.

    1. If the authorisation is PENDING, ask the provider what became of it.
    2. Capture it at the provider, and record that; a capture that is refused voids it.
    """
    payment = selectors.last_payment(order_id=order_id)
    if payment is None:
        raise PaymentNotFound(f"Order {order_id} has no payment.", order_id=order_id)
    payment = _settle_payment_if_possible(payment)
    if payment.status == PaymentStatus.PENDING:
        raise _unknown(order_id)
    if payment.status == PaymentStatus.AUTHORISED:
        payment = _capture(payment)
    if payment.status not in domain.CAPTURED:
        raise InvalidTransition(f"The payment of order {order_id} is {payment.status}.", order_id=order_id)
    return payment


def cancel(*, order_id: str, reason: str, actor: str) -> list[Payment]:
    """See ``Payments.cancel``.

    1. Close the order's request.
    2. Undo each payment that holds money, or may.
    3. Return all payments of the order.
    """
    services.close_request(order_id=order_id, reason=services.CANCELLED)
    for payment in selectors.live_payments(order_id=order_id):
        _undo(payment, reason, actor)
    return selectors.payments_of(order_ids=[order_id])


def _undo(payment: Payment, reason: str, actor: str) -> None:
    """Undo one payment.

    1. Decline it if it is held back: the provider has never been asked.
    2. If it is PENDING, ask the provider what became of it.
    3. Void it if it is authorised. It may turn out captured.
    4. If it is captured, settle the refunds that are PENDING: a refused one leaves its amount to be refunded.
    5. Refund what is left.
    """
    order_id = payment.order_id
    if payment.is_held_back:
        payment = services.record_declined(payment=payment, reason=reason, reference="")
    payment = _settle_payment_if_possible(payment)
    if payment.status == PaymentStatus.PENDING:
        raise _unknown(order_id)
    if payment.status == PaymentStatus.AUTHORISED:
        payment = _void(payment)
    if payment.status in domain.CAPTURED:
        for pending in selectors.pending_refunds(payment_id=payment.pk):
            if _settle_refund_if_possible(pending).status == RefundStatus.PENDING:
                raise _unknown(order_id)
        refund(order_id=order_id, amount=None, reason=reason, key=CANCEL, actor=actor)
        if selectors.pending_refunds(payment_id=payment.pk):  # somebody else began one meanwhile
            raise _unknown(order_id)


def refund(*, order_id: str, amount: Decimal | None, reason: str, key: str, actor: str) -> Refund | None:
    """See ``Payments.refund``.

    1. Look up what the key has begun. The key of a refund that was refused a while ago begins another one.
    2. If it has begun nothing, record the intent, call the provider and record the answer.
    3. If it has begun a refund, return that one, after asking the provider if it is PENDING.
    """
    payment = selectors.last_payment(order_id=order_id)
    if payment is None:
        raise PaymentNotFound(f"Order {order_id} has no payment.", order_id=order_id)
    named = Key(scope=f"order:{order_id}", key=key, fingerprint="")
    begun = selectors.begun_refund(key=named)
    if begun is None or services.free_refused_key(refund_id=begun.row_id):
        try:
            new = services.begin_order_refund(
                payment_id=payment.pk,
                amount_minor=None if amount is None else to_minor(amount, payment.currency),
                reason=reason,
                actor=actor,
                key=named,
                cancels=key == CANCEL,
            )
        except (RefundExceedsCaptured, IntegrityError) as refusal:
            begun = selectors.begun_refund(key=named)  # the same command may have come first in this moment
            if begun is None:
                if amount is None and isinstance(refusal, RefundExceedsCaptured):
                    return None
                raise
        else:
            return _completed(_request_refund(new))
    return _completed(_settle_refund_if_possible(selectors.refund(refund_id=begun.row_id)))


def _completed(refund: Refund) -> Refund:
    if refund.status == RefundStatus.PENDING:
        raise _unknown(refund.payment.order_id)
    if refund.status == RefundStatus.FAILED:
        raise refused(refund=refund)
    return refund


def _unknown(order_id: str) -> PaymentUnknown:
    return PaymentUnknown("The payment provider has not answered yet.", order_id=order_id)


def declined(*, payment: Payment) -> PaymentDeclined:
    return PaymentDeclined(
        f"The payment was declined: {payment.decline_reason}.", order_id=payment.order_id, payment_id=payment.pk
    )


def refused(*, refund: Refund) -> RefundRefused:
    return RefundRefused("The payment provider refused the refund.", refund_id=refund.pk)


# -- for the API: each command in parts, between which its key is looked up -------------------------------------------


def begin_charge(*, asked: ChargeAsked, key: Key | None) -> int:
    """Record that the charge was asked for; returns the payment's id. Errors as in ``services.begin_charge``."""
    try:
        payment = services.begin_charge(asked=asked, key=key)
    except IntegrityError:
        if key is None:
            raise
        raise _still_running() from None
    return payment.pk


def carry_out_charge(*, payment_id: int) -> Payment:
    """Call the provider for the first time, and record its answer; the payment stays PENDING when there is none."""
    payment = _request_payment(selectors.payment(payment_id=payment_id))
    _deliver_events(payment.order_id)
    return payment


def resume_charge(*, key: Key) -> Payment | None:
    """The payment that this key began, after asking the provider if it is PENDING; None when it began nothing.

    IdempotencyInProgress while the first call may still be under way.
    """
    begun = selectors.begun_payment(key=key)
    if begun is None:
        return None
    if begun.under_way:
        raise _still_running()
    payment = _settle_payment_if_possible(selectors.payment(payment_id=begun.row_id))
    _deliver_events(payment.order_id)
    return payment


def begin_refund(
    *,
    payment_id: int,
    amount_minor: int | None,
    reason: str,
    actor: str,
    key: Key | None,
    version: int | None = None,
) -> int:
    """Record that the refund was asked for; returns its id. Errors as in ``services.begin_refund``."""
    try:
        refund = services.begin_refund(
            payment_id=payment_id, amount_minor=amount_minor, reason=reason, actor=actor, key=key, version=version
        )
    except IntegrityError:
        if key is None:
            raise
        raise _still_running() from None
    return refund.pk


def carry_out_refund(*, refund_id: int) -> Refund:
    """As ``carry_out_charge``."""
    refund = selectors.refund(refund_id=refund_id)
    about_order(refund.payment.order_id)
    refund = _request_refund(refund)
    _deliver_events(refund.payment.order_id)
    return refund


def resume_refund(*, key: Key) -> Refund | None:
    """As ``resume_charge``."""
    begun = selectors.begun_refund(key=key)
    if begun is None:
        return None
    if begun.under_way:
        raise _still_running()
    refund = selectors.refund(refund_id=begun.row_id)
    about_order(refund.payment.order_id)
    refund = _settle_refund_if_possible(refund)
    _deliver_events(refund.payment.order_id)
    return refund


def _order_of(row: Payment | Refund) -> str:
    return row.order_id if isinstance(row, Payment) else row.payment.order_id


def _still_running() -> IdempotencyInProgress:
    return IdempotencyInProgress("A request with this idempotency key is still running.")


def _deliver_events(order_id: str) -> None:
    """Let an order of ours hear at once what happened to its money."""
    if is_our_order(order_id):
        outbox.deliver_after_commit("payments", order_id)


# -- one operation at the provider ------------------------------------------------------------------------------------


def _request_payment(payment: Payment) -> Payment:
    """Have the provider charge or authorise, and record its answer. The payment stays PENDING when there is none, and
    while it is held back."""
    if payment.is_under_review:
        log.warning("payment_under_review", payment_id=payment.pk, suspicion=payment.suspicion)
        return payment
    call = gateway.authorise if payment.mode == Payment.Mode.AUTHORISE else gateway.charge
    try:
        outcome = call(
            key=domain.payment_key(payment.pk, payment.nonce),
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            token=payment.token,
        )
    except GatewayUnavailable:
        services.postpone(row=payment)
        return payment
    return _record_payment(payment, outcome)


def _record_payment(payment: Payment, outcome: Outcome) -> Payment:
    if not outcome.done:
        return services.record_declined(payment=payment, reason=outcome.reason, reference=outcome.reference)
    if payment.mode == Payment.Mode.AUTHORISE:
        return services.record_authorised(payment=payment, reference=outcome.reference)
    return services.record_captured(payment=payment, reference=outcome.reference)


def _settle_payment(payment: Payment) -> Payment:
    """Ask the provider what became of a PENDING payment, and record it. If it has never seen the key, the call never
    reached it and is made now. GatewayUnavailable."""
    outcome = gateway.lookup(key=domain.payment_key(payment.pk, payment.nonce))
    return _request_payment(payment) if outcome is None else _record_payment(payment, outcome)


def _settle_payment_if_possible(payment: Payment) -> Payment:
    """The payment as it is unless it is PENDING; then after asking the provider, if it answers."""
    if payment.status != PaymentStatus.PENDING or payment.is_held_back:
        return payment
    try:
        return _settle_payment(payment)
    except GatewayUnavailable:
        return payment


def _capture(payment: Payment) -> Payment:
    try:
        outcome = gateway.capture(
            key=domain.capture_key(payment.pk, payment.nonce),
            reference=payment.reference,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
        )
    except GatewayUnavailable:
        raise _unknown(payment.order_id) from None
    if outcome.done:
        return services.record_captured(payment=payment, reference=payment.reference)
    return services.record_voided(payment=payment, reason=outcome.reason)


def _void(payment: Payment) -> Payment:
    """Void an authorisation. If it turns out captured, because we died before recording that, record the capture."""
    try:
        outcome = gateway.void(key=domain.void_key(payment.pk, payment.nonce), reference=payment.reference)
        if outcome.done:
            return services.record_voided(payment=payment)
        captured = gateway.lookup(key=domain.capture_key(payment.pk, payment.nonce))
    except GatewayUnavailable:
        raise _unknown(payment.order_id) from None
    if captured is not None and captured.done:
        return services.record_captured(payment=payment, reference=payment.reference)
    return services.record_voided(payment=payment, reason=outcome.reason)


def _request_refund(refund: Refund) -> Refund:
    """Have the provider refund, and record its answer; the refund stays PENDING when there is none."""
    try:
        outcome = gateway.refund(
            key=domain.refund_key(refund.pk, refund.nonce, payment_id=refund.payment_id),
            reference=refund.payment.reference,
            amount_minor=refund.amount_minor,
            currency=refund.payment.currency,
        )
    except GatewayUnavailable:
        services.postpone(row=refund)
        return refund
    return _record_refund(refund, outcome)


def _record_refund(refund: Refund, outcome: Outcome) -> Refund:
    if outcome.done:
        return services.record_refunded(refund=refund)
    return services.record_refund_refused(refund=refund)


def _settle_refund(refund: Refund) -> Refund:
    """As ``_settle_payment``."""
    outcome = gateway.lookup(key=domain.refund_key(refund.pk, refund.nonce, payment_id=refund.payment_id))
    return _request_refund(refund) if outcome is None else _record_refund(refund, outcome)


def _settle_refund_if_possible(refund: Refund) -> Refund:
    """As ``_settle_payment_if_possible``."""
    if refund.status != RefundStatus.PENDING:
        return refund
    try:
        return _settle_refund(refund)
    except GatewayUnavailable:
        return refund


# -- what waits for the provider's answer -----------------------------------------------------------------------------


def settle_unknown() -> int:
    """One round over the payments and refunds whose outcome is unknown; returns how many were settled.

    1. Read those that are due, longest waiting first.
    2. Claim each, ask the provider what became of it, and record that.
    3. Stop when the provider is away: the next round goes on.
    """
    settled = 0
    due: list[Payment | Refund] = [*selectors.due_payments(limit=_ROUND), *selectors.due_refunds(limit=_ROUND)]
    for row in due:
        if not services.claim_due(row=row):
            continue
        with lines_about(_order_of(row)):
            try:
                after = _settle_payment(row) if isinstance(row, Payment) else _settle_refund(row)
            except GatewayUnavailable:
                log.warning("gateway_unavailable")
                break
            except Exception:  # one row must not keep the others waiting
                log.exception("not_settled", kind=type(row).__name__, id=row.pk)
                continue
        settled += after.status != PaymentStatus.PENDING
    return settled


def ask_provider(*, kind: str, row_id: int) -> str:
    """See ``Payments.ask_provider``."""
    if kind == "payment":
        payment = selectors.payment(payment_id=row_id)
        with lines_about(payment.order_id):
            if not payment.is_held_back and services.claim_now(row=payment):
                payment = _settle_payment_if_possible(payment)
        return str(payment.status)
    refund = selectors.refund(refund_id=row_id)
    with lines_about(refund.payment.order_id):
        if services.claim_now(row=refund):
            refund = _settle_refund_if_possible(refund)
    return str(refund.status)


def take_webhook(*, message_id: str, key: str) -> None:
    """The provider reports that the operation of ``key`` is decided. This is a hint to ask it, and nothing more.

    1. Stop if the message was handled before.
    2. If a row of ours waits for this operation, ask the provider what became of it, and record that. So a forged, old
       or reordered message does no harm.
    3. Record the message as handled.

    ContextUnavailable when the provider cannot be asked.
    """
    if selectors.is_webhook_known(message_id=message_id):
        return
    row = selectors.pending_of_key(key=key)
    if row is not None:
        about_order(_order_of(row))
        try:
            outcome = gateway.lookup(key=key)
        except GatewayUnavailable:
            raise ContextUnavailable("The payment provider cannot be asked just now.") from None
        if outcome is not None and isinstance(row, Payment):
            _record_payment(row, outcome)
            _deliver_events(row.order_id)
        elif outcome is not None and isinstance(row, Refund):
            _record_refund(row, outcome)
            _deliver_events(row.payment.order_id)
    services.record_webhook(message_id=message_id)


# -- the provider's own books -----------------------------------------------------------------------------------------


def settlement(*, day: date) -> Settlement:
    """See ``Payments.settlement``. The provider may have booked an operation on the other side of midnight, so its
    lists of the neighbouring days are read too."""
    try:
        before, said, after = (list(gateway.operations(day=day + timedelta(days=offset))) for offset in (-1, 0, 1))
    except GatewayUnavailable:
        raise ContextUnavailable("The payment provider cannot be asked for its list just now.") from None
    booked = selectors.moves_of(day=day)
    named = selectors.moves_named(keys=[operation.key for operation in said])
    return domain.settlement(day=day, said=said, said_around=[*before, *after], booked=booked, named=named)
