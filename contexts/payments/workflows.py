"""Record, call the provider, record: what happens between the transactions.

Every operation may be killed between any two statements. Its intent is in the database before the provider is called,
with a key made of the row's id and nonce, so whoever comes next (the caller again, or the settling task) asks with the
same key.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from django.db import IntegrityError

from contexts.payments import domain, selectors, services
from contexts.payments.adapters import configured_gateway
from contexts.payments.adapters.gateway import Gateway, GatewayUnavailable
from contexts.payments.domain import Outcome
from contexts.payments.models import Payment, Refund
from contexts.payments.public import contracts
from contexts.payments.public.contracts import (
    PaymentDeclined,
    PaymentNotFound,
    PaymentStatus,
    PaymentUnknown,
    RefundExceedsCaptured,
    RefundRefused,
    RefundStatus,
)
from eci import outbox
from eci.errors import ContextUnavailable, IdempotencyInProgress, InvalidTransition
from eci.idempotency import Key
from eci.ids import is_our_order
from eci.money import to_minor
from eci.watch.requests import logger

log = logger(__name__)
gateway: Gateway = configured_gateway()

_ROUND = 100  # rows of each kind in one round of settling


def declined(payment: contracts.Payment) -> PaymentDeclined:
    return PaymentDeclined(
        f"The payment was declined: {payment.decline_reason}.",
        order_id=payment.order_id,
        payment_id=payment.payment_id,
    )


def refused(refund: contracts.Refund) -> RefundRefused:
    return RefundRefused("The payment provider refused the refund.", refund_id=refund.refund_id)


# -- for orders -------------------------------------------------------------------------------------------------------


def authorise(
    *,
    order_id: str,
    amount_minor: int,
    currency: str,
    customer_id: int | None,
    method: str,
    token: str,
    screened: bool = False,
) -> contracts.Payment:
    """See ``Payments.authorise``."""
    try:
        begun = services.begin_authorise(
            order_id=order_id,
            amount_minor=amount_minor,
            currency=currency,
            customer_id=customer_id,
            method=method,
            token=token,
            screened=screened,
        )
    except IntegrityError:
        before = selectors.last_payment(order_id)
        if before is None:
            raise InvalidTransition(f"Order {order_id} cannot be paid like this.", order_id=order_id) from None
        row = _settled(before)
    else:
        row = _pay(begun)
    payment = selectors.as_payment(row)
    if payment.status == PaymentStatus.PENDING:
        raise _unknown(order_id)
    if payment.status == PaymentStatus.FAILED:
        raise declined(payment)
    if payment.status in (PaymentStatus.VOIDED, PaymentStatus.REFUNDED):
        raise InvalidTransition(f"The payment of order {order_id} is {payment.status}.", order_id=order_id)
    return payment


def capture(*, order_id: str) -> contracts.Payment:
    """See ``Payments.capture``."""
    row = selectors.last_payment(order_id)
    if row is None:
        raise PaymentNotFound(f"Order {order_id} has no payment.", order_id=order_id)
    row = _settled(row)
    if row.status == PaymentStatus.PENDING:
        raise _unknown(order_id)
    if row.status == PaymentStatus.AUTHORISED:
        row = _capture(row)
    if row.status not in domain.CAPTURED:
        raise InvalidTransition(f"The payment of order {order_id} is {row.status}.", order_id=order_id)
    return selectors.as_payment(row)


def cancel(*, order_id: str, reason: str) -> tuple[contracts.Payment, ...]:
    """See ``Payments.cancel``."""
    services.close(order_id=order_id, reason=services.CANCELLED)
    for row in selectors.live_payments(order_id):
        if row.review == Payment.Review.WAITING:
            row = services.record_declined(row, reason=reason, reference="")  # the provider has never been asked
        row = _settled(row)
        if row.status == PaymentStatus.PENDING:
            raise _unknown(order_id)
        if row.status == PaymentStatus.AUTHORISED:
            row = _void(row)
        if row.status in domain.CAPTURED:
            for pending in selectors.pending_refunds(row.pk):  # one that is refused leaves its amount to be given back
                if _settled_refund(pending).status == RefundStatus.PENDING:
                    raise _unknown(order_id)
            refund(order_id=order_id, amount=None, reason=reason, key="cancel")
            if selectors.pending_refunds(row.pk):  # begun by somebody else meanwhile
                raise _unknown(order_id)
    return selectors.payments_of([order_id])


def refund(*, order_id: str, amount: Decimal | None, reason: str, key: str) -> contracts.Refund | None:
    """See ``Payments.refund``."""
    payment = selectors.last_payment(order_id)
    if payment is None:
        raise PaymentNotFound(f"Order {order_id} has no payment.", order_id=order_id)
    named = Key(scope=f"order:{order_id}", key=key, fingerprint="")
    begun = selectors.begun_refund(named)
    if begun is None or services.may_ask_again(begun.row_id):
        try:
            new = services.begin_order_refund(
                payment_id=payment.pk,
                amount_minor=None if amount is None else to_minor(amount, payment.currency),
                reason=reason,
                key=named,
            )
        except (RefundExceedsCaptured, IntegrityError) as refusal:
            begun = selectors.begun_refund(named)  # the same command may have come first in this moment
            if begun is None:
                if amount is None and isinstance(refusal, RefundExceedsCaptured):
                    return None
                raise
        else:
            return _completed(_give_back(new))
    return _completed(_settled_refund(selectors.refund_row(begun.row_id)))


def _unknown(order_id: str) -> PaymentUnknown:
    return PaymentUnknown("The payment provider has not answered yet.", order_id=order_id)


def _completed(row: Refund) -> contracts.Refund:
    done = selectors.as_refund(row)
    if done.status == RefundStatus.PENDING:
        raise _unknown(done.order_id)
    if done.status == RefundStatus.FAILED:
        raise refused(done)
    return done


# -- for the API: each command in two parts, so that its key is answered for in between -------------------------------


def begin_charge(
    *,
    order_id: str,
    amount_minor: int,
    currency: str,
    customer_id: int | None,
    method: str,
    token: str,
    key: Key | None,
    screened: bool = False,
) -> int:
    """Record that the charge was asked for; gives the payment's id. Refusals as ``services.begin_charge``."""
    try:
        payment = services.begin_charge(
            order_id=order_id,
            amount_minor=amount_minor,
            currency=currency,
            customer_id=customer_id,
            method=method,
            token=token,
            key=key,
            screened=screened,
        )
    except IntegrityError:
        if key is None:
            raise
        raise _key_taken() from None
    return payment.pk


def charge(payment_id: int) -> contracts.Payment:
    """Call the provider for the first time and record what it says; PENDING when it says nothing."""
    return _told(_pay(selectors.payment_row(payment_id)))


def resume_charge(payment_id: int) -> contracts.Payment:
    """The payment as it is now; the provider is asked when that is unknown."""
    return _told(_settled(selectors.payment_row(payment_id)))


def begin_refund(*, payment_id: int, amount_minor: int | None, reason: str, key: Key | None) -> int:
    """Record that the refund was asked for; gives its id. Refusals as ``services.begin_refund``."""
    try:
        row = services.begin_refund(payment_id=payment_id, amount_minor=amount_minor, reason=reason, key=key)
    except IntegrityError:
        if key is None:
            raise
        raise _key_taken() from None
    return row.pk


def give_back(refund_id: int) -> contracts.Refund:
    """As ``charge``."""
    return _refund_told(_give_back(selectors.refund_row(refund_id)))


def resume_refund(refund_id: int) -> contracts.Refund:
    """As ``resume_charge``."""
    return _refund_told(_settled_refund(selectors.refund_row(refund_id)))


def _key_taken() -> IdempotencyInProgress:
    return IdempotencyInProgress("A request with this idempotency key is still running.")


def _told(row: Payment) -> contracts.Payment:
    _tell_orders(row.order_id)
    return selectors.as_payment(row)


def _refund_told(row: Refund) -> contracts.Refund:
    _tell_orders(row.payment.order_id)
    return selectors.as_refund(row)


def _tell_orders(order_id: str) -> None:
    if is_our_order(order_id):
        outbox.deliver_after_commit("payments", order_id)


# -- one operation at the provider ------------------------------------------------------------------------------------


def _pay(row: Payment) -> Payment:
    """Call the provider; the row stays PENDING when it does not answer, and while it is under review."""
    if row.review == Payment.Review.WAITING:
        log.warning("payment_under_review", payment_id=row.pk, suspicion=row.suspicion)
        return row
    try:
        outcome = _call_for(row)
    except GatewayUnavailable:
        services.postpone(row)
        return row
    return _record(row, outcome)


def _call_for(row: Payment) -> Outcome:
    call = gateway.authorise if row.mode == Payment.Mode.AUTHORISE else gateway.charge
    key = domain.payment_key(row.pk, row.nonce)
    return call(key=key, amount_minor=row.amount_minor, currency=row.currency, token=row.token)


def _record(row: Payment, outcome: Outcome) -> Payment:
    if not outcome.done:
        return services.record_declined(row, reason=outcome.reason, reference=outcome.reference)
    if row.mode == Payment.Mode.AUTHORISE:
        return services.record_authorised(row, reference=outcome.reference)
    return services.record_captured(row, reference=outcome.reference)


def _settle(row: Payment) -> Payment:
    """Ask what became of a PENDING payment, and record it. A key the provider never saw means that the call never
    reached it, so it is made now. GatewayUnavailable when there is no way of asking."""
    outcome = gateway.lookup(key=domain.payment_key(row.pk, row.nonce))
    return _pay(row) if outcome is None else _record(row, outcome)


def _settled(row: Payment) -> Payment:
    """The row as it is; if it is PENDING, after asking the provider."""
    if row.status != PaymentStatus.PENDING or row.review == Payment.Review.WAITING:
        return row
    try:
        return _settle(row)
    except GatewayUnavailable:
        return row


def _capture(row: Payment) -> Payment:
    try:
        outcome = gateway.capture(
            key=domain.capture_key(row.pk, row.nonce),
            reference=row.reference,
            amount_minor=row.amount_minor,
            currency=row.currency,
        )
    except GatewayUnavailable:
        raise _unknown(row.order_id) from None
    if outcome.done:
        return services.record_captured(row, reference=row.reference)
    return services.record_voided(row, reason=outcome.reason)


def _void(row: Payment) -> Payment:
    """Void an authorisation; if it turns out captured (we died before recording that), record it so."""
    try:
        outcome = gateway.void(key=domain.void_key(row.pk, row.nonce), reference=row.reference)
        if outcome.done:
            return services.record_voided(row)
        captured = gateway.lookup(key=domain.capture_key(row.pk, row.nonce))
    except GatewayUnavailable:
        raise _unknown(row.order_id) from None
    if captured is not None and captured.done:
        return services.record_captured(row, reference=row.reference)
    return services.record_voided(row, reason=outcome.reason)


def _give_back(row: Refund) -> Refund:
    """Call the provider; the row stays PENDING when it does not answer."""
    try:
        outcome = gateway.refund(
            key=domain.refund_key(row.pk, row.nonce),
            reference=row.payment.reference,
            amount_minor=row.amount_minor,
            currency=row.payment.currency,
        )
    except GatewayUnavailable:
        services.postpone(row)
        return row
    return _record_refund(row, outcome)


def _record_refund(row: Refund, outcome: Outcome) -> Refund:
    return services.record_refunded(row) if outcome.done else services.record_refund_refused(row)


def _settle_refund(row: Refund) -> Refund:
    outcome = gateway.lookup(key=domain.refund_key(row.pk, row.nonce))
    return _give_back(row) if outcome is None else _record_refund(row, outcome)


def _settled_refund(row: Refund) -> Refund:
    if row.status != RefundStatus.PENDING:
        return row
    try:
        return _settle_refund(row)
    except GatewayUnavailable:
        return row


def settle_unknown() -> int:
    """One round over the payments and refunds whose outcome is unknown and due; gives how many were settled."""
    settled = 0
    due: list[Payment | Refund] = [*selectors.due_payments(_ROUND), *selectors.due_refunds(_ROUND)]
    for row in due:
        if not services.claim_due(row):
            continue
        try:
            after = _settle(row) if isinstance(row, Payment) else _settle_refund(row)
        except GatewayUnavailable:
            log.warning("gateway_unavailable")
            break  # the others are asked for in the next round, longest waiting first
        except Exception:  # one row must not keep the others waiting
            log.exception("not_settled", kind=type(row).__name__, id=row.pk)
            continue
        settled += after.status != PaymentStatus.PENDING
    return settled


def ask_provider(*, kind: str, row_id: int) -> str:
    """See ``Payments.ask_provider``."""
    row = selectors.payment_row(row_id) if kind == "payment" else selectors.refund_row(row_id)
    if services.claim_now(row):
        row = _settled(row) if isinstance(row, Payment) else _settled_refund(row)
    return str(row.status)


def hear(*, message_id: str, key: str) -> None:
    """The provider says that the operation of ``key`` is decided: a hint to ask it, and nothing more.

    What is recorded is the provider's answer, so that a forged, old or reordered message does no harm. A message heard
    before, or about nothing of ours that waits, changes nothing. ContextUnavailable when the provider can't be asked.
    """
    if services.heard(message_id):
        return
    row = selectors.pending_of_key(key)
    if row is not None:
        try:
            outcome = gateway.lookup(key=key)
        except GatewayUnavailable:
            raise ContextUnavailable("The payment provider cannot be asked just now.") from None
        if outcome is not None and isinstance(row, Payment):
            _told(_record(row, outcome))
        elif outcome is not None and isinstance(row, Refund):
            _refund_told(_record_refund(row, outcome))
    services.record_heard(message_id)


# -- the provider's own books -----------------------------------------------------------------------------------------


def settlement(*, day: date) -> contracts.Settlement:
    """See ``Payments.settlement``. The neighbouring days tell what only midnight has put apart."""
    try:
        before, said, after = (list(gateway.operations(day=day + timedelta(days=offset))) for offset in (-1, 0, 1))
    except GatewayUnavailable:
        raise ContextUnavailable("The payment provider cannot be asked for its list just now.") from None
    booked = selectors.moves_of(day)
    named = selectors.moves_named([operation.key for operation in said])
    return domain.settlement(day=day, said=said, said_around=[*before, *after], booked=booked, named=named)
