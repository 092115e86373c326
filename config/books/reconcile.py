"""Finds what is stuck or at odds in any context, and does the safe action for it, where there is one.

A safe action does not touch work that is under way, may be repeated, and decides nothing that a person should decide.
An item counts only if it is there at two looks. Composed from the contexts' public APIs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from config.books import audit
from config.books.models import Repair
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import AllocationState, Reservation
from contexts.notifications.public.api import notifications
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import Stuck
from contexts.payments.public.api import payments
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Withheld
from eci import intake, outbox, trail
from eci.clock import iso, utcnow
from eci.db import unit_of_work
from eci.errors import ContractError
from eci.ids import is_our_order
from eci.watch.requests import lines_about, logger

log = logger(__name__)

OVERDUE = 60  # seconds; recovery, settling and the relay run every ten seconds or more often
UNREVIEWED = timedelta(hours=1)
IN_VAIN = 5  # failed attempts at delivering an event


@dataclass(frozen=True, kw_only=True)
class Lack:
    product_id: int
    warehouse: str
    units: int


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something stuck or at odds. ``name``, its kind and subject, picks it. ``action``: the safe action, or empty.
    ``advice``: what a person may do. ``lacks``: the units that it needs to go on."""

    kind: str
    subject: str
    problem: str
    action: str = ""
    advice: str = ""
    lacks: tuple[Lack, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """``orders`` were looked at; ``in_flight`` of them are under way and are not judged."""

    orders: int
    in_flight: int
    items: tuple[Item, ...]


def find() -> Result:
    """Look once. If there are items, look again a little later and keep those that are still there."""
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
        *_of_reviews(),
        *_of_outboxes(),
        *_of_notifications(),
        *_of_texts(),
    ]
    return Result(orders=verdict.orders, in_flight=verdict.in_flight, items=tuple(items))


# -- items ------------------------------------------------------------------------------------------------------------


def _of_finding(finding: audit.Finding) -> Item:
    action = advice = ""
    match finding.kind:
        case audit.Kind.STOCK:
            advice = "Count the units and record the count."
        case audit.Kind.LEDGER:
            advice = "Somebody wrote to the database past the product: docs/runbooks/LedgerChanged.md."
        case audit.Kind.PAID_WITHOUT_ORDER if _has_left(finding.subject):
            advice = "Goods have left for it: find the order in an older backup before any money is refunded."
        case audit.Kind.PAID_WITHOUT_ORDER:
            action = "void what is authorised, refund what was captured"
        case audit.Kind.HOLD_WITHOUT_ORDER | audit.Kind.HOLD_LEFT:
            action = "release the reservation"
        case audit.Kind.REFUND_OWED:
            action = "void what is authorised, refund what was captured"
        case audit.Kind.SHIPMENT_LEFT:
            action = "cancel the shipments that have not left"
        case audit.Kind.OWED:
            action = "withhold the shipments whose units are owed, and no others"
        case audit.Kind.ORDER:
            advice = (
                "Compare its timeline, payments and shipments in the admin; `manage.py settle DAY` compares the money."
            )
    return Item(kind=finding.kind.value, subject=finding.subject, problem=finding.problem, action=action, advice=advice)


def _has_left(order_id: str) -> bool:
    reservation = inventory.reservations(keys=[order_id]).get(order_id)
    gone = reservation is not None and any(one.state == AllocationState.SHIPPED for one in reservation.allocations)
    return gone or any(shipment.dispatched for shipment in shipping.shipments_of(order_ids=[order_id]))


def _of_orders(at_odds: set[str]) -> Iterator[Item]:
    stuck = orders.stuck(seconds=OVERDUE)
    reservations = inventory.reservations(keys=[row.order_id for row in stuck if row.attention or row.refunded])
    for row in stuck:
        units = _units_by_state(reservations.get(row.order_id))
        if row.return_id is not None:
            problem = f"return {row.return_id} has waited for its stock or its refund since {_when(row.since)}"
            yield Item(kind="return-stuck", subject=row.order_id, problem=problem, action="try again now")
        elif row.attention:
            lacks = _lacks(reservations.get(row.order_id))
            yield replace(_of_attention(row, units, sound=row.order_id not in at_odds), lacks=lacks)
        elif row.refunded and row.settled:
            yield _of_refunded(row, units)
        else:
            problem = f"is {row.status}; due since {_when(row.since)}, but no runner took it up"
            advice = "If there are many, worker or beat may be down: check that they run."
            yield Item(kind="overdue", subject=row.order_id, problem=problem, action="carry it on now", advice=advice)


def _lacks(reservation: Reservation | None) -> tuple[Lack, ...]:
    short = [one for one in reservation.allocations if one.state == AllocationState.SHORT] if reservation else []
    return tuple(Lack(product_id=one.product_id, warehouse=one.warehouse, units=one.quantity) for one in short)


def _units_by_state(reservation: Reservation | None) -> Counter[AllocationState]:
    units: Counter[AllocationState] = Counter()
    for one in reservation.allocations if reservation else ():
        units[one.state] += one.quantity
    return units


def _of_refunded(row: Stuck, units: Counter[AllocationState]) -> Item:
    problem = f"was refunded in full and still holds {units[AllocationState.OPEN]} units"
    advice = "Dispatch what waits, though it is refunded"
    if units[AllocationState.SHIPPED]:
        advice += ". A parcel has left, so it cannot be cancelled."
    else:
        advice += ", or cancel the order."
    return Item(kind="refunded-holding", subject=row.order_id, problem=problem, advice=advice)


def _of_attention(row: Stuck, units: Counter[AllocationState], *, sound: bool) -> Item:
    problem = f"is {row.status} and needs attention: {row.detail or 'see its timeline'}"
    action = advice = ""
    if units[AllocationState.SHORT]:
        advice = "Units for it are missing. Receive some and it gets them, "
        if units[AllocationState.SHIPPED]:
            advice += "or refund it in full: a parcel has left, so it cannot be cancelled, but what never comes is"
            advice += " given up then, and what came can be sent back."
        else:
            advice += "or cancel the order."
    elif not row.settled:
        action = "try its step again now"
        advice = "If it needs attention again, the log names the error (order_step_failed)."
    elif sound:
        action = "clear the flag: the order is complete and its books agree"
    else:
        advice = "First look at what else is listed for it."
    return Item(kind="needs-attention", subject=row.order_id, problem=problem, action=action, advice=advice)


def _of_payments() -> Iterator[Item]:
    for row in payments.unanswered(seconds=OVERDUE):
        problem = (
            f"{row.amount} {row.currency} for {row.order_id}: outcome unknown since {_when(row.since)}; asked the"
            f" provider {row.attempts} times"
        )
        yield Item(
            kind="unknown-payment",
            subject=f"{row.kind}-{row.row_id}",
            problem=problem,
            action="ask the provider now",
            advice="If the provider is up, ask its support about the key. Never charge or refund by hand meanwhile.",
        )


def _of_reviews() -> Iterator[Item]:
    for row in payments.reviews_waiting():
        if row.since <= utcnow() - UNREVIEWED:
            yield Item(
                kind="payment-review",
                subject=f"payment-{row.payment_id}",
                problem=(
                    f"{row.amount} {row.currency} for {row.order_id}: waits for review ({row.suspicion}) since"
                    f" {_when(row.since)}"
                ),
                advice="Release or refuse it in the admin (Payments, review: Waiting). Its order may hold no stock.",
            )


def _of_outboxes() -> Iterator[Item]:
    for context in settings.ECI_CONTEXTS:
        for row in outbox.undelivered(context, attempts=IN_VAIN):
            yield Item(
                kind="event-undelivered",
                subject=f"{context}-{row.pk}",
                problem=f"{row.name} of {row.aggregate_id} did not reach {row.consumer} in {row.attempts} attempts",
                action="deliver it now",
                advice=f"If that fails, the log says why (event_not_handled). Until then {row.consumer} lacks it.",
            )


def _of_notifications() -> Iterator[Item]:
    for row in notifications.failed():
        about = f" of {row.order_id}" if row.order_id else ""
        yield Item(
            kind="notice-failed",
            subject=str(row.notification_id),
            problem=f"the {row.kind}{about} was given up at {_when(row.at)}: {row.answer}",
            action="queue it again",
            advice="If the address is wrong, correct it first.",
        )


def _of_texts() -> Iterator[Item]:
    for context in settings.ECI_CONTEXTS:
        for row in intake.left(context):
            yield Item(
                kind="text-left",
                subject=f"{context}-{row.thing}-{row.field}",
                problem=f"{row.field} of {row.thing} in {context} is as it came in long ago: {row.why}",
                advice="Change it in the admin or over the API. Until then it is found only as it stands.",
            )


def _when(moment: datetime) -> str:
    return (iso(moment) or "")[:19].replace("T", " ")


def lags() -> dict[str, float]:
    """How late work is, in seconds: ``orders``, and ``outbox.<context>``."""
    return {"orders": orders.lag()} | {f"outbox.{context}": outbox.lag(context) for context in settings.ECI_CONTEXTS}


# -- safe actions -----------------------------------------------------------------------------------------------------


def apply(item: Item, *, actor: str) -> str:
    """Do the item's safe action now, and record who asked for it. Returns the outcome in words."""
    if not item.action:
        return "nothing done: " + item.advice
    repair = Repair.objects.create(actor=actor, item=item.name, problem=item.problem[:500], action=item.action)
    with lines_about(item.subject if is_our_order(item.subject) else ""):
        try:
            outcome = _ACTIONS[item.kind](item.subject, actor)
        except (ContractError, DatabaseError) as error:
            outcome = f"not done: {error}"
        except Exception as error:  # one item must not keep the others from being handled
            log.exception("repair_failed", item=item.name)
            outcome = f"not done: {type(error).__name__}: {error}"
        repair.outcome = outcome[:500]
        with unit_of_work(DEFAULT_DB_ALIAS):
            repair.save(update_fields=["outcome"])
            trail.record("staff", actor=actor, action=f"repair: {item.action}"[:100], thing=item.name[:200])
        log.info("repair", item=item.name, actor=actor, outcome=outcome)
    return outcome


def _return_money(order_id: str, actor: str) -> str:
    paid = payments.cancel(order_id=order_id, reason=f"reconciled by {actor}", actor=actor)
    return ", ".join(f"payment {payment.payment_id} is {payment.status}" for payment in paid) or "no payment is left"


def _release(order_id: str, actor: str) -> str:
    return f"the reservation is {inventory.release(key=order_id, order_id=order_id, actor=actor).status}"


def _cancel_shipments(order_id: str, actor: str) -> str:
    shipments = shipping.cancel(order_id=order_id, actor=actor)
    return ", ".join(f"shipment {shipment.shipment_id} is {shipment.status}" for shipment in shipments)


def _withhold(order_id: str, actor: str) -> str:
    """Withhold what lacks units, and let go of what lacks none."""
    reservation = inventory.reservations(keys=[order_id])[order_id]
    short = {one.warehouse for one in reservation.allocations if one.state == AllocationState.SHORT}
    for shipment in shipping.shipments_of(order_ids=[order_id]):
        change = shipping.withhold if shipment.warehouse in short else shipping.allow
        change(order_id=order_id, warehouse=shipment.warehouse, reason=Withheld.SHORT)
    return f"withheld where units are owed: {', '.join(sorted(short)) or 'nowhere'}"


def _retry_order(order_id: str, actor: str) -> str:
    return f"the order is {orders.retry(order_id=order_id, actor=actor)}"


def _attend(order_id: str, actor: str) -> str:
    """Try the order's step again. If it has no work left, clear the flag."""
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
    return "delivered" if outbox.redeliver(context, int(row_id)) else "not delivered; the relay tries again"


def _queue_notification(subject: str, actor: str) -> str:
    return f"the notification is {notifications.retry(notification_id=int(subject), actor=actor)}"


_ACTIONS: dict[str, Callable[[str, str], str]] = {
    audit.Kind.PAID_WITHOUT_ORDER.value: _return_money,
    audit.Kind.REFUND_OWED.value: _return_money,
    audit.Kind.HOLD_WITHOUT_ORDER.value: _release,
    audit.Kind.HOLD_LEFT.value: _release,
    audit.Kind.SHIPMENT_LEFT.value: _cancel_shipments,
    audit.Kind.OWED.value: _withhold,
    "return-stuck": _retry_order,
    "overdue": _retry_order,
    "needs-attention": _attend,
    "unknown-payment": _ask_provider,
    "event-undelivered": _deliver,
    "notice-failed": _queue_notification,
}
KINDS = frozenset(
    {kind.value for kind in audit.Kind} | set(_ACTIONS) | {"payment-review", "refunded-holding", "text-left"}
)
