"""Returns: units come back into stock or are written off, and their money is refunded."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.db import Error as AnyDatabaseError

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Demand
from contexts.orders import selectors, services
from contexts.orders.domain import Came, Outcome
from contexts.orders.models import Order, Return
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import RefundExceedsCaptured
from eci import money
from eci.errors import IdempotencyInProgress
from eci.watch.requests import continued, lines_about, logger

log = logger(__name__)


def run_return_for_caller(opened: Return) -> Return:
    """Run a return now, and return it as it is then. It is recorded, so recovery finishes it where that fails now."""
    try:
        run_return(opened)
        return selectors.return_of(return_id=opened.pk)
    except Exception as error:
        _postpone(opened, error)
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
    with lines_about(opened.order_id, opened.order.trace):
        try:
            run_return(opened)
        except Exception as error:
            _postpone(opened, error)


def _postpone(opened: Return, error: Exception) -> None:
    log.warning("return_postponed", return_id=opened.pk, exc_info=True)
    try:
        services.postpone_return(opened=opened, error=type(error).__name__)
    except AnyDatabaseError:
        log.warning("postpone_failed", return_id=opened.pk)  # its lease runs out by itself


def run_return(opened: Return) -> None:
    """Carry a recorded return out.

    1. Restock its units, or write them off.
    2. Refund its worth.
    3. Record both.
    """
    order = selectors.order(order_id=opened.order_id)
    reference = f"return-{opened.pk}"
    with continued(order.trace or {}, "return", {"eci.context": "orders"}, order_id=order.pk):
        _restock(opened, reference)
        refunded = _refund(order, opened, reference)
        paid = payments.payments_of(order_ids=[order.pk]) if refunded else ()
        services.finish_return(
            opened=opened,
            refund_minor=refunded,
            order_refunded_minor=sum(money.to_minor(payment.refunded, order.currency) for payment in paid),
            order_captured_minor=sum(money.to_minor(payment.captured, order.currency) for payment in paid),
        )


def _restock(opened: Return, reference: str) -> None:
    received = opened.received or [item | {"disposition": opened.disposition} for item in opened.items]
    batches = in_batches(came=[Came(**item) for item in received])
    for (disposition, warehouse), batch in batches.items():
        inventory.restock(
            order_id=opened.order_id,
            reference=reference if len(batches) == 1 else "-".join(filter(None, (reference, disposition, warehouse))),
            items=tuple(Demand(product_id=one.product_id, quantity=one.quantity) for one in batch),
            disposition=disposition,
            actor=_actor(opened),
            warehouse=warehouse,
        )


def in_batches(*, came: Iterable[Came]) -> dict[tuple[str, str], list[Came]]:
    """What is restocked by one call, by disposition and warehouse, in the order of the calls."""
    batches: dict[tuple[str, str], list[Came]] = {}
    for one in sorted(came, key=lambda one: (one.disposition, one.warehouse, one.product_id)):
        batches.setdefault((one.disposition, one.warehouse), []).append(one)
    return batches


def _refund(order: Order, opened: Return, reference: str) -> int:
    """Refund what the return is worth, or as much as is left, in minor units. The shipping fee is never refunded by a
    return, whatever staff has refunded by hand.

    The amount is recorded before the provider is asked, because a repeated command must ask for the same.
    """
    amount = opened.refund_minor
    if amount and not opened.refund_fixed:
        amount = services.fix_refund(opened=opened, left_minor=left_minor(order))
    while amount:
        try:
            refund = payments.refund(
                order_id=order.pk,
                amount=money.from_minor(amount, order.currency),
                reason=opened.reason,
                key=reference,
                actor=_actor(opened),
            )
        except RefundExceedsCaptured:  # staff has refunded some of it meanwhile
            amount = services.fix_refund(opened=opened, left_minor=left_minor(order))
            continue
        return 0 if refund is None else money.to_minor(refund.amount, order.currency)
    return 0


def record_refunded(*, order_id: str, reason: str, actor: str) -> None:
    """Record the totals of the order's payments as they are now; the event that tells of them is late, then."""
    order = selectors.order(order_id=order_id)
    paid = payments.payments_of(order_ids=[order_id])
    services.record_refund(
        order_id=order_id,
        refunded_minor=sum(money.to_minor(payment.refunded, order.currency) for payment in paid),
        captured_minor=sum(money.to_minor(payment.captured, order.currency) for payment in paid),
        detail=reason,
        actor=actor,
    )


def left_minor(order: Order) -> int:
    """What is left of the money that was captured for the order, in minor units."""
    paid = payments.payments_of(order_ids=[order.pk])
    return money.to_minor(sum((payment.left for payment in paid), Decimal(0)), order.currency)


def _actor(opened: Return) -> str:
    return opened.answered_by or opened.actor or services.SYSTEM


def outcome(opened: Return) -> Outcome:
    return Outcome.PENDING if opened.done_at is None else Outcome.DONE
