"""What is stuck or at odds anywhere, and the safe action for it, where there is one.

Safe: it does nothing to what is under way, repeating it is harmless, and it decides nothing that a person should. An
item counts only when it stands there at two looks. Composed from the contexts' public APIs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError

from config.books import audit
from config.books.models import Repair
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import AllocationState
from contexts.notifications.public.api import notifications
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import Stuck
from contexts.payments.public.api import payments
from contexts.shipping.public.api import shipping
from eci import outbox
from eci.clock import iso
from eci.errors import EciError
from eci.watch.requests import logger

log = logger(__name__)

OVERDUE = 60  # seconds: recovery, settling and the relay look every second or two
IN_VAIN = 5  # attempts at delivering an event


@dataclass(frozen=True, kw_only=True)
class Item:
    """``name`` is its kind and its subject, by which it is picked. ``action``: what is safe to do, empty when nothing
    is. ``advice``: what a person may do."""

    kind: str
    subject: str
    problem: str
    action: str = ""
    advice: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """``orders`` were looked at; ``in_flight`` of them are under way and not judged."""

    orders: int
    in_flight: int
    items: tuple[Item, ...]


def find() -> Result:
    """Look; if anything is there, look again a little later, and keep what still is."""
    first = _look()
    if not first.items:
        return first
    time.sleep(audit.PAUSE)
    again = _look()
    names = {item.name for item in first.items}
    lasting = tuple(item for item in again.items if item.name in names)
    return Result(orders=again.orders, in_flight=again.in_flight, items=lasting)


def _look() -> Result:
    verdict = audit.look()
    at_odds = {finding.subject for finding in verdict.findings}
    items = [
        *map(_of_finding, verdict.findings),
        *_of_orders(at_odds),
        *_of_payments(),
        *_of_outboxes(),
        *_of_notices(),
    ]
    return Result(orders=verdict.orders, in_flight=verdict.in_flight, items=tuple(items))


# -- what there is ----------------------------------------------------------------------------------------------------


def _of_finding(finding: audit.Finding) -> Item:
    action = advice = ""
    match finding.kind:
        case audit.Kind.STOCK:
            advice = "Count the shelf and record the count (PATCH /v1/inventory/{inventory_id}, with a reason)."
        case audit.Kind.PAID_WITHOUT_ORDER if _has_left(finding.subject):
            advice = "Goods have left for it: find the order in an older backup before any money goes back."
        case audit.Kind.PAID_WITHOUT_ORDER:
            action = "give the money back: void what is authorised, refund what was captured"
        case audit.Kind.HOLD_WITHOUT_ORDER | audit.Kind.HOLD_LEFT:
            action = "release the hold"
        case audit.Kind.REFUND_OWED:
            action = "give the money back: void what is authorised, refund what was captured"
        case audit.Kind.SHIPMENT_LEFT:
            action = "cancel the shipments that have not left"
        case audit.Kind.ORDER:
            advice = "Compare its timeline, payments and shipments in the admin; `manage.py settle DAY` has the money."
    return Item(kind=finding.kind.value, subject=finding.subject, problem=finding.problem, action=action, advice=advice)


def _has_left(order_id: str) -> bool:
    hold = inventory.reservations(keys=[order_id]).get(order_id)
    gone = hold is not None and any(part.state == AllocationState.SHIPPED for part in hold.allocations)
    return gone or any(parcel.dispatched for parcel in shipping.shipments_of(order_ids=[order_id]))


def _of_orders(at_odds: set[str]) -> Iterator[Item]:
    stuck = orders.stuck(seconds=OVERDUE)
    holds = inventory.reservations(keys=[row.order_id for row in stuck if row.attention])
    for row in stuck:
        hold = holds.get(row.order_id)
        short = hold is not None and any(part.state == AllocationState.SHORT for part in hold.allocations)
        if row.return_id is not None:
            problem = f"return {row.return_id} waits for its stock or its refund since {_when(row.since)}"
            yield Item(kind="return-stuck", subject=row.order_id, problem=problem, action="try again now")
        elif row.attention:
            yield _of_attention(row, short=short, sound=row.order_id not in at_odds)
        else:
            problem = f"is {row.status}; a runner should have looked at it since {_when(row.since)}"
            advice = "If there are many, worker or beat are away: see that they run."
            yield Item(kind="overdue", subject=row.order_id, problem=problem, action="carry it on now", advice=advice)


def _of_attention(row: Stuck, *, short: bool, sound: bool) -> Item:
    problem = f"is {row.status} and needs attention: {row.detail or 'see its timeline'}"
    action = advice = ""
    if short:
        advice = "Units for it are missing: receive some (POST /v1/inventory) and it takes them, or cancel the order."
    elif not row.settled:
        action = "try its step again now"
        advice = "If it comes back, the log names the error (order_step_failed)."
    elif sound:
        action = "take the flag away: it has come to its end, and its books agree"
    else:
        advice = "See what else is listed for it first."
    return Item(kind="needs-attention", subject=row.order_id, problem=problem, action=action, advice=advice)


def _of_payments() -> Iterator[Item]:
    for row in payments.unanswered(seconds=OVERDUE):
        problem = (
            f"{row.amount} {row.currency} for {row.order_id}: the provider has not said what became of it since"
            f" {_when(row.since)}; asked {row.attempts} times"
        )
        yield Item(
            kind="unknown-payment",
            subject=f"{row.kind}-{row.row_id}",
            problem=problem,
            action="ask the provider now",
            advice="If the provider is up, ask its support for the key; never charge or refund by hand meanwhile.",
        )


def _of_outboxes() -> Iterator[Item]:
    for context in settings.ECI_CONTEXTS:
        for row in outbox.undelivered(context, attempts=IN_VAIN):
            yield Item(
                kind="event-undelivered",
                subject=f"{context}-{row.pk}",
                problem=f"{row.name} of {row.aggregate_id} was handed to {row.consumer} {row.attempts} times in vain",
                action="deliver it now",
                advice=f"If it comes back, the log says why (event_not_handled); {row.consumer} lacks this news.",
            )


def _of_notices() -> Iterator[Item]:
    for row in notifications.failed():
        about = f" of {row.order_id}" if row.order_id else ""
        yield Item(
            kind="notice-failed",
            subject=str(row.notification_id),
            problem=f"the {row.kind}{about} was given up on {_when(row.at)}: {row.answer}",
            action="queue it again",
            advice="If the address is wrong, correct it first.",
        )


def _when(moment: datetime) -> str:
    return (iso(moment) or "")[:19].replace("T", " ")


def lags() -> dict[str, float]:
    """How late work is, in seconds: ``orders``, and ``outbox.<context>``."""
    return {"orders": orders.lag()} | {f"outbox.{context}": outbox.lag(context) for context in settings.ECI_CONTEXTS}


# -- what is done about it --------------------------------------------------------------------------------------------


def apply(item: Item, *, actor: str) -> str:
    """Do the item's safe action, now, and record who had it done; the outcome in words."""
    if not item.action:
        return "nothing done: " + item.advice
    repair = Repair.objects.create(actor=actor, item=item.name, problem=item.problem[:500], action=item.action)
    try:
        outcome = _ACTIONS[item.kind](item.subject, actor)
    except (EciError, DatabaseError) as error:
        outcome = f"not done: {error}"
    except Exception as error:  # one item must not keep the others from being done
        log.exception("repair_failed", item=item.name)
        outcome = f"not done: {type(error).__name__}: {error}"
    repair.outcome = outcome[:500]
    repair.save(update_fields=["outcome"])
    log.info("repair", item=item.name, actor=actor, outcome=outcome)
    return outcome


def _give_back(order_id: str, actor: str) -> str:
    paid = payments.cancel(order_id=order_id, reason=f"reconciled by {actor}")
    return ", ".join(f"payment {payment.payment_id} is {payment.status}" for payment in paid) or "no payment is left"


def _release(order_id: str, actor: str) -> str:
    return f"the hold is {inventory.release(key=order_id, order_id=order_id).status}"


def _cancel_shipments(order_id: str, actor: str) -> str:
    parcels = shipping.cancel(order_id=order_id)
    return ", ".join(f"shipment {parcel.shipment_id} is {parcel.status}" for parcel in parcels)


def _retry_order(order_id: str, actor: str) -> str:
    return f"the order is {orders.retry(order_id=order_id, actor=actor)}"


def _attend(order_id: str, actor: str) -> str:
    """What still has work to do is tried again; what has none has been seen to."""
    status = orders.retry(order_id=order_id, actor=actor)
    settled = next((row.settled for row in orders.stuck(seconds=OVERDUE) if row.order_id == order_id), False)
    if not settled:
        return f"the order is {status}"
    orders.attended(order_id=order_id, actor=actor)
    return f"the order is {status}; it no longer needs attention"


def _ask_provider(subject: str, actor: str) -> str:
    kind, _, row_id = subject.partition("-")
    return f"the {kind} is {payments.ask_provider(kind=kind, row_id=int(row_id))}"


def _deliver(subject: str, actor: str) -> str:
    context, _, row_id = subject.partition("-")
    return "delivered" if outbox.redeliver(context, int(row_id)) else "not delivered; it is tried again by itself"


def _queue_notice(subject: str, actor: str) -> str:
    return f"the notice is {notifications.retry(notification_id=int(subject))}"


_ACTIONS: dict[str, Callable[[str, str], str]] = {
    audit.Kind.PAID_WITHOUT_ORDER.value: _give_back,
    audit.Kind.REFUND_OWED.value: _give_back,
    audit.Kind.HOLD_WITHOUT_ORDER.value: _release,
    audit.Kind.HOLD_LEFT.value: _release,
    audit.Kind.SHIPMENT_LEFT.value: _cancel_shipments,
    "return-stuck": _retry_order,
    "overdue": _retry_order,
    "needs-attention": _attend,
    "unknown-payment": _ask_provider,
    "event-undelivered": _deliver,
    "notice-failed": _queue_notice,
}
KINDS = frozenset({kind.value for kind in audit.Kind} | set(_ACTIONS))
