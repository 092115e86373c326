"""Returns: units come back into stock or are written off, and their money is refunded."""

from __future__ import annotations

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Demand
from contexts.orders import selectors, services
from contexts.orders.models import Order, Return
from contexts.orders.workflows.placing import Outcome
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentUnknown, RefundExceedsCaptured, RefundRefused
from eci import money
from eci.errors import ContextUnavailable, IdempotencyInProgress
from eci.watch.requests import continued, logger

log = logger(__name__)


def run_return_for_caller(opened: Return) -> Return:
    """Run a return now. It is recorded, so recovery finishes it where that fails for now."""
    try:
        run_return(opened)
    except (PaymentUnknown, RefundRefused, ContextUnavailable) as error:
        services.postpone_return(opened=opened, error=type(error).__name__)
    return opened


def resume_return(*, return_id: int) -> Return:
    """A return whose first answer was never given, or was "pending": run if it is due. IdempotencyInProgress."""
    due = services.claim_return(return_id=return_id)
    if due is not None:
        return run_return_for_caller(due)
    opened = selectors.return_of(return_id=return_id)
    if opened.done_at is None and opened.attempts == 0:
        raise IdempotencyInProgress("The return is still being taken.")
    return opened


def run_due_return(*, return_id: int) -> None:
    """Run a return that is due, unless another runner has it; a failure is tried again later."""
    opened = services.claim_return(return_id=return_id)
    if opened is None:
        return
    try:
        run_return(opened)
    except Exception as error:
        log.warning("return_postponed", return_id=opened.pk, exc_info=True)
        services.postpone_return(opened=opened, error=type(error).__name__)


def run_return(opened: Return) -> None:
    """Carry a recorded return out.

    1. Restock its units, or write them off.
    2. Refund its worth.
    3. Record both.
    """
    order = selectors.order(order_id=opened.order_id)
    reference = f"return-{opened.pk}"
    with continued(order.trace or {}, "return", {"eci.context": "orders"}, order_id=order.pk):
        inventory.restock(
            order_id=order.pk,
            reference=reference,
            items=tuple(Demand(**item) for item in opened.items),
            disposition=opened.disposition,
        )
        refunded = _refund(order, opened, reference)
        paid = payments.payments_of(order_ids=[order.pk]) if refunded else ()
        services.finish_return(
            opened=opened,
            refund_minor=refunded,
            order_refunded_minor=sum(money.to_minor(payment.refunded, order.currency) for payment in paid),
            order_captured_minor=sum(money.to_minor(payment.captured, order.currency) for payment in paid),
        )


def _refund(order: Order, opened: Return, reference: str) -> int:
    """Refund what the return is worth, or what is left if staff has refunded some of it by hand; in minor units."""
    if opened.refund_minor == 0:
        return 0
    amount = money.from_minor(opened.refund_minor, order.currency)
    try:
        refund = payments.refund(order_id=order.pk, amount=amount, reason=opened.reason, key=reference)
    except RefundExceedsCaptured:
        refund = payments.refund(order_id=order.pk, amount=None, reason=opened.reason, key=f"{reference}-rest")
    return 0 if refund is None else money.to_minor(refund.amount, order.currency)


def outcome(opened: Return) -> Outcome:
    return Outcome.PENDING if opened.done_at is None else Outcome.DONE
