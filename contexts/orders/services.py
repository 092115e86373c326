"""Writes of orders, each one transaction on this context's database. The workflows decide what to do next."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, CharField, DateTimeField, F, Q, QuerySet, When
from django.db.models.functions import Cast, Now

from contexts.orders import selectors
from contexts.orders.domain import (
    RETURN_REQUESTED,
    RETURNABLE,
    UNFINISHED,
    Came,
    OrderAsked,
    Quote,
    Returnable,
    Sold,
    refund_of_return,
    spread_return,
    worth,
)
from contexts.orders.models import (
    Erasure,
    Note,
    Number,
    Order,
    OrderLine,
    Return,
    SalesDay,
    StaleDay,
    Step,
    Switch,
    TimelineEntry,
    Undo,
)
from contexts.orders.public.contracts import (
    OrderNotFound,
    OrderPaymentStatus,
    OrderStatus,
    ReturnExceedsShipped,
    ReturnNotFound,
    ReturnStatus,
    ReturnTooLate,
)
from contexts.orders.public.events import ReturnReceived, ReturnRefused, ReturnRequested
from eci import erasure, events, idempotency, outbox, trail
from eci import metadata as labels
from eci.clock import utcnow
from eci.db import Stale, after_commit, locked, writes
from eci.erasure import blank
from eci.errors import EciError, InvalidTransition, PreconditionFailed, Unfinished
from eci.idempotency import Answer, Key
from eci.statements import Change, Columns, Inserts, change, changes, per_row

LEASE = timedelta(seconds=15)
ATTENTION_AFTER = 10  # attempts at one step
_BACKOFF_LIMIT = 10  # seconds
_NUMBERED = 500  # orders in one transaction
_LEFT = ("shipped", "delivered")  # the timeline's words for an order that has left


SYSTEM = "system"  # the actor of what no person asked for


class LeaseLost(Exception):
    """Another runner has taken the order over, so this one may know less than the database."""


class ReturnsInLine(Unfinished):
    """Another return of the order is being refunded: one at a time, so that none pays back what another will."""


# -- statements of every order ----------------------------------------------------------------------------------------

_add_number = Inserts(Number)
_add_order = Inserts(Order, next_at=Now(), lease_until=Now() + LEASE)
_add_lines = Inserts(OrderLine)
_add_entries = Inserts(TimelineEntry)
_add_stale_days = Inserts(StaleDay, once=True)


@changes
def _lease(*, order_id: str, owner: str, version: int | None) -> Change:
    """A free order is leased if it is as it was read; without ``version``, if it is due."""
    free = Order.objects.filter(Q(lease_until=None) | Q(lease_until__lte=Now()), pk=order_id)
    free = free.filter(next_at__lte=Now()) if version is None else free.filter(version=version)
    return change(free, lease_owner=owner, lease_until=Now() + LEASE, attempts=F("attempts") + 1)


def _held(order_id: str, owner: str) -> QuerySet[Order]:
    return Order.objects.filter(pk=order_id, lease_owner=owner)


@changes
def _change(*, order_id: str, owner: str, columns: Columns) -> Change:
    """The order changes, while its lease is the owner's."""
    return change(_held(order_id, owner), **columns, version=F("version") + 1, updated_at=Now())


@changes
def _give_back(*, order_id: str, owner: str, version: int, next_at: datetime | None, columns: Columns) -> Change:
    """As ``_change``, and the lease ends. If the version is another, more was asked meanwhile, and the order is due."""
    asked_meanwhile = When(~Q(version=version), then=Now())
    again = Case(asked_meanwhile, default=next_at, output_field=DateTimeField())
    idle = {"lease_owner": "", "lease_until": None, "attempts": 0}
    return change(_held(order_id, owner), **idle, **columns, next_at=again, version=F("version") + 1, updated_at=Now())


# -- orders -----------------------------------------------------------------------------------------------------------


@writes("orders")
def create_order(
    *, order_id: str, owner: str, asked: OrderAsked, quote: Quote, key: Key | None, trace: dict[str, str]
) -> tuple[Order, list[OrderLine], TimelineEntry]:
    """Record the order, leased to ``owner``. IdempotencyInProgress when the key is taken; IntegrityError when an order
    was placed with it, or with the reference, before. CommitUnknown."""
    now = utcnow()
    if key is not None:
        idempotency.claim("orders", key, resource=order_id)
    order = Order(
        order_id=order_id,
        number=_new_number(),
        reference=asked.reference or None,
        metadata=labels.merged(None, asked.metadata),
        customer_id=asked.customer_id,
        email=asked.email,
        status=OrderStatus.PENDING,
        payment_status=OrderPaymentStatus.UNPAID,
        currency=quote.currency,
        subtotal_minor=quote.totals.subtotal,
        tax_minor=quote.totals.tax,
        shipping_minor=quote.totals.shipping,
        total_minor=quote.totals.total,
        shipping_address=asked.shipping_address,
        fulfilment=asked.fulfilment,
        pay_later=asked.pay_later,
        by_customer=asked.by_customer,
        method=asked.method,
        token=asked.token,
        created_at=now,
        updated_at=now,
        lease_owner=owner,
        idempotency_scope=key.scope if key else None,
        idempotency_key=key.key if key else None,
        idempotency_fingerprint=key.fingerprint if key else "",
        trace=trace,
    )
    _add_order([order])
    lines = [
        OrderLine(
            order=order,
            line_no=number,
            product_id=line.product_id,
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price_minor=line.unit_price,
            catalog_price_minor=line.catalog_price,
        )
        for number, line in enumerate(quote.lines, 1)
    ]
    _add_lines.along(lines)
    own_prices = quote.own_prices()
    if own_prices:
        trail.record("orders", actor=asked.actor, action="priced", thing=f"order:{order_id}", after=own_prices)
    told = ", ".join(f"{sku} at {price}" for sku, price in own_prices.items())
    return order, lines, _note(order, "placed", told, actor=asked.actor)


def _new_number() -> int:
    number = Number()
    _add_number([number])
    return number.pk


def entry(*, event: str, detail: str, actor: str, at: datetime) -> TimelineEntry:
    """A timeline entry as it will be recorded."""
    return TimelineEntry(event=event, detail=detail[:300], actor=actor, at=at)


def _note(
    order: Order, event: str, detail: str = "", *, at: datetime | None = None, actor: str = SYSTEM
) -> TimelineEntry:
    noted = entry(event=event, detail=detail, actor=actor, at=at or utcnow())
    noted.order = order
    _add_entries.along([noted])
    return noted


@writes("orders")
def claim(*, order_id: str, version: int | None = None) -> Order | None:
    """Lease the order to the caller. None when another runner has it, its version is another, or there is none; without
    ``version`` also when it is not due: another runner may have carried it on since it was found.
    """
    owner = uuid.uuid4().hex
    if not _lease(order_id=order_id, owner=owner, version=version):
        return None
    return selectors.order(order_id=order_id)


def _write(order: Order, changes: Mapping[str, Any]) -> None:
    """Update the leased row; the object follows. LeaseLost when another runner has it."""
    if not _change(order_id=order.pk, owner=order.lease_owner, columns=Columns(changes)):
        raise LeaseLost(order.pk)
    _follow(order, changes, at=utcnow())


def _follow(order: Order, changes: Mapping[str, Any], *, at: datetime) -> None:
    for name, value in changes.items():
        setattr(order, name, value)
    order.version += 1
    order.updated_at = at


def _rest(order: Order, changes: Mapping[str, Any], *, at: datetime) -> None:
    """Update and give the lease back. LeaseLost."""
    columns = dict(changes)
    next_at = columns.pop("next_at", None)
    given_back = _give_back(
        order_id=order.pk, owner=order.lease_owner, version=order.version, next_at=next_at, columns=Columns(columns)
    )
    if not given_back:
        raise LeaseLost(order.pk)
    _follow(order, {**columns, "next_at": next_at, "lease_owner": "", "lease_until": None, "attempts": 0}, at=at)


@writes("orders")
def record_progress(*, order: Order, changes: Mapping[str, Any], event: str, detail: str = "") -> TimelineEntry:
    """A step is done and the runner goes on: it keeps the lease, for longer."""
    _write(order, {"lease_until": Now() + LEASE, "attempts": 0, **changes})
    return _note(order, event, detail)


@writes("orders")
def record_confirmed(*, order: Order, fact: events.Event) -> TimelineEntry:
    """Record the pivot: from here on a failing step is repeated, and undoes nothing."""
    _write(order, {"lease_until": Now() + LEASE, "attempts": 0, **confirmed(order=order)})
    _tell(order, fact)
    return _note(order, "confirmed")


def _tell(order: Order, *facts: events.Event) -> None:
    """Orders itself is told, because of the day's sales, of no order of a day that is rolled up anyway."""
    goes_on = _day(order.created_at) == _day(utcnow() + _COMMITTED)
    outbox.emit("orders", *facts, known_to="orders" if goes_on else "")


def confirmed(*, order: Order) -> dict[str, Any]:
    """What the pivot changes of an order."""
    return {
        "status": OrderStatus.CONFIRMED,
        "payment_status": order.payment_status if order.refunded_minor else OrderPaymentStatus.PAID,
        "step": Step.FULFIL,
        "expires_at": None,
        "confirmed_at": utcnow(),
    }


@writes("orders")
def record_rest(
    *,
    order: Order,
    changes: Mapping[str, Any],
    entries: Sequence[TimelineEntry],
    at: datetime,
    facts: Sequence[events.Event] = (),
    remembered: tuple[Key, Answer] | None = None,
) -> None:
    """The workflow pauses or ends here: the lease is given back, and the caller's answer, if any, remembered."""
    _rest(order, changes, at=at)
    for entry in entries:
        entry.order = order
    _add_entries.along(entries)
    _tell(order, *facts)
    if remembered is not None:
        idempotency.finish("orders", *remembered)


@writes("orders")
def record_undo(*, order: Order, undo: Undo, reason: str, refusal: EciError | None = None) -> None:
    """Record that the order is to be undone. From now on a runner compensates, until the order has no effect left."""
    _write(
        order,
        {
            "undo": undo,
            "undo_reason": reason[:300],
            "refusal": idempotency.refusal_answer(refusal).body if refusal else None,
            "lease_until": Now() + LEASE,
        },
    )


@writes("orders")
def discard_order(*, order: Order, key: Key | None, refusal: EciError) -> None:
    """Delete an order that holds nothing, and remember the refusal for its key. LeaseLost."""
    for part in (OrderLine, TimelineEntry):
        part.objects.filter(order=order).delete()
    gone, _ = Order.objects.filter(pk=order.pk, lease_owner=order.lease_owner).delete()
    if not gone:
        raise LeaseLost(order.pk)
    if key is not None:
        idempotency.finish("orders", key, idempotency.refusal_answer(refusal))


@writes("orders")
def postpone(*, order: Order, error: str, told: bool = False) -> None:
    """A step failed for now: it is due again after a pause that grows. After many attempts a person is asked for.

    ``told``: a buyer will be told of the order, so it is listed from now on, and ends as one of theirs.
    """
    delay = timedelta(seconds=min(2 ** min(order.attempts, 10) / 2, _BACKOFF_LIMIT))
    attention = order.needs_attention or order.attempts >= ATTENTION_AFTER
    if attention and not order.needs_attention:
        _note(order, "needs_attention", error)
    mine = Order.objects.filter(pk=order.pk, lease_owner=order.lease_owner)
    mine.update(lease_owner="", lease_until=None, next_at=Now() + delay, needs_attention=attention, updated_at=Now())
    if told:
        Order.objects.filter(pk=order.pk, status=OrderStatus.PENDING).update(status=OrderStatus.PAYMENT_PENDING)


@writes("orders")
def update_metadata(*, order_id: str, metadata: Mapping[str, str | None], actor: str) -> None:
    """Merge metadata into what the order keeps. No workflow minds it, so its version stays. OrderNotFound;
    InvalidRequest for too much."""
    order: Order | None = locked(Order.objects.filter(pk=order_id)).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    before, order.metadata = order.metadata, labels.merged(order.metadata, metadata)
    if order.metadata != before:
        order.updated_at = utcnow()
        order.save(update_fields=["metadata", "updated_at"])
        trail.record(
            "orders",
            actor=actor,
            action="metadata changed",
            thing=f"order:{order_id}",
            after={"names": sorted(metadata)},  # no values: they may be about a person, and a trail is not changed
        )


@writes("orders")
def give_missing_numbers() -> None:
    """Number orders that a process of an earlier release placed."""
    for order_id in list(Order.objects.filter(number=None).order_by("pk").values_list("pk", flat=True)[:_NUMBERED]):
        Order.objects.filter(pk=order_id, number=None).update(number=_new_number())


@writes("orders")
def request_cancel(*, order_id: str, reason: str, actor: str, key: Key | None, version: int | None = None) -> bool:
    """Ask for the order to be undone; False when its state no longer allows it. The runner, not this, decides.

    IdempotencyInProgress when the key is taken; PreconditionFailed if the order has another ``version``.
    """
    _require_version(order_id, version)
    if key is not None:
        idempotency.claim("orders", key, resource=order_id)
    open_orders = Order.objects.filter(pk=order_id, undo=Undo.NONE, status__in=UNFINISHED)
    asked = open_orders.update(
        undo=Undo.CANCELLED,
        undo_reason=reason[:300],
        undo_actor=actor,
        next_at=Now(),
        version=F("version") + 1,
        updated_at=Now(),
    )
    if asked:
        trail.record("orders", actor=actor, action="cancelled", thing=f"order:{order_id}")
    return bool(asked)


@writes("orders")
def add_note(*, order_id: str, text: str, actor: str, key: Key) -> None:
    """Keep a note of staff's own. OrderNotFound; IdempotencyInProgress when the key is taken."""
    selectors.order(order_id=order_id)
    idempotency.claim("orders", key, resource=order_id)
    Note.objects.create(order_id=order_id, text=text, actor=actor, at=utcnow())
    trail.record("orders", actor=actor, action="noted", thing=f"order:{order_id}")


def _require_version(order_id: str, version: int | None) -> None:
    if version is not None and locked(Order.objects.filter(pk=order_id, version=version)).first() is None:
        raise PreconditionFailed("This order has changed since you read it.")


@writes("orders")
def wake(*, order_id: str, when: Q, changes: Mapping[str, Any] | None = None) -> bool:
    """Make the order due now, if ``when`` holds for it. For handlers of other contexts' events."""
    return bool(
        Order.objects.filter(when, pk=order_id).update(**(changes or {}), next_at=Now(), version=F("version") + 1)
    )


@writes("orders")
def record_refund(*, order_id: str, refunded_minor: int, captured_minor: int, detail: str, actor: str = SYSTEM) -> bool:
    """Record the payment's totals after a refund. Totals only grow, so an event that comes late changes nothing.

    True when all that was captured is refunded now.
    """
    whole = refunded_minor >= captured_minor
    status = OrderPaymentStatus.REFUNDED if whole else OrderPaymentStatus.PARTIALLY_REFUNDED
    older = Order.objects.filter(pk=order_id, refunded_minor__lt=refunded_minor)
    if older.update(refunded_minor=refunded_minor, payment_status=status, version=F("version") + 1, updated_at=Now()):
        _note(Order(pk=order_id), "refunded", detail, actor=actor)
    return whole


@writes("orders")
def record_needs_attention(*, order_id: str, reason: str) -> None:
    if Order.objects.filter(pk=order_id).update(needs_attention=True, version=F("version") + 1, updated_at=Now()):
        _note(Order(pk=order_id), "needs_attention", reason)


@writes("orders")
def record_attended(*, order_id: str, actor: str) -> None:
    """OrderNotFound."""
    if not Order.objects.filter(pk=order_id).update(needs_attention=False, version=F("version") + 1, updated_at=Now()):
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    _note(Order(pk=order_id), "attended", actor=actor)
    trail.record("orders", actor=actor, action="attended", thing=f"order:{order_id}")


@writes("orders")
def make_due(*, order_id: str, actor: str) -> None:
    """Make the order and its returns due now, but for an order that is done, waits for its buyer or has a runner."""
    unleased = Q(lease_until=None) | Q(lease_until__lte=Now())
    waiting = Order.objects.filter(unleased, pk=order_id).exclude(next_at=None).exclude(step=Step.AWAIT_PAYMENT)
    if waiting.update(next_at=Now(), attempts=0):
        _note(Order(pk=order_id), "retried", actor=actor)
        trail.record("orders", actor=actor, action="retried", thing=f"order:{order_id}")
    Return.objects.filter(order=order_id, done_at=None, attempts__gt=0).update(next_at=Now())


@writes("orders")
def set_switch(*, taking: bool, reason: str, actor: str) -> None:
    action = "orders taken again" if taking else "orders stopped"
    trail.record("orders", actor=actor, action=action, thing="switch", after={"reason": reason} if reason else None)
    Switch.objects.create(taking=taking, reason=reason, actor=actor, at=utcnow())


# -- sales by day -----------------------------------------------------------------------------------------------------

_LATELY = 31  # days that are rolled up by themselves where none ever was
_COMMITTED = timedelta(minutes=5)  # what is said of an order is committed by then, by any clock of ours


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


@writes("orders")
def note_stale_day(*, order_id: str) -> None:
    """The day on which the order was placed has to be rolled up again."""
    day = selectors.day_of(order_id=order_id)
    if day is not None:
        _add_stale_days([StaleDay(day=day)])


def roll_up() -> int:
    """Roll up the days that are stale, each in a transaction of its own. Returns their number.

    Today is stale until it is over, so no order of today tells of itself. What an event told of is committed before it,
    so a day that becomes stale while it is read is rolled up again.
    """
    if not SalesDay.objects.exists():
        mark_days(since=_day(utcnow()) - timedelta(days=_LATELY))
    _add_stale_days([StaleDay(day=_day(utcnow()))])
    stale = list(StaleDay.objects.order_by("day").values_list("day", flat=True))
    for day in stale:
        _roll_up_day(day=day)
    return len(stale)


@writes("orders")
def mark_days(*, since: date | None = None) -> None:
    """Have all days since then that may have orders rolled up again; without ``since`` all that there are."""
    first = selectors.first_day()
    if first is None:
        return
    begin, today = max(since or first, first), _day(utcnow())
    _add_stale_days([StaleDay(day=begin + timedelta(days=number)) for number in range((today - begin).days + 1)])


@writes("orders")
def _roll_up_day(*, day: date) -> None:
    if day < _day(utcnow()):
        StaleDay.objects.filter(pk=day).delete()  # first: what is committed from now on makes it stale again
    SalesDay.objects.filter(day=day).delete()
    SalesDay.objects.bulk_create(selectors.sales_of(day=day))


# -- returns ----------------------------------------------------------------------------------------------------------


@writes("orders")
def open_return(
    *,
    order_id: str,
    came: Sequence[Came],
    reason: str,
    actor: str,
    key: Key | None,
    version: int | None = None,
) -> Return:
    """Record that units are back and what is to be refunded for them. Stock and money follow.

    OrderNotFound; InvalidTransition before SHIPPED; ReturnExceedsShipped; IdempotencyInProgress; PreconditionFailed if
    the order has another ``version``.
    """
    _require_version(order_id, version)
    order, lines = returnable(order_id=order_id)
    wanted = units_of(came=came)
    opened = Return.objects.create(
        order=order,
        status=ReturnStatus.RECEIVED,
        items=[{"product_id": product_id, "quantity": quantity} for product_id, quantity in wanted.items()],
        received=[one.kept for one in came],
        reason=reason,
        disposition=came[0].disposition,
        refund_minor=_take_back(order, lines, spread_over(wanted=wanted, lines=lines)),
        actor=actor,
        next_at=Now() + LEASE,
    )
    opened.refresh_from_db(fields=["created_at"])
    trail.record(
        "orders", actor=actor, action="return received", thing=f"order:{order_id}", after={"received": opened.received}
    )
    if key is not None:
        idempotency.claim("orders", key, resource=str(opened.pk))
    return opened


@writes("orders")
def request_return(*, order_id: str, wanted: Mapping[int, int], reason: str, actor: str) -> Return:
    """Record that a customer asks to return units, which nobody can ask for again meanwhile. Nothing moves.

    OrderNotFound; InvalidTransition before SHIPPED; ReturnTooLate; ReturnExceedsShipped.
    """
    order, lines = returnable(order_id=order_id)
    days = settings.ECI_RETURN_DAYS
    left = TimelineEntry.objects.filter(order=order, event__in=_LEFT, at__gt=Now() - timedelta(days=days))
    if not left.exists():
        raise ReturnTooLate(f"An order can be returned for {days} days after it was dispatched.", days=days)
    by_line = spread_over(wanted=wanted, lines=lines)
    _change_returned(order, {})
    OrderLine.objects.filter(pk__in=by_line).update(requested_quantity=F("requested_quantity") + per_row(by_line))
    asked = Return.objects.create(
        order=order,
        status=ReturnStatus.REQUESTED,
        items=[{"product_id": product_id, "quantity": quantity} for product_id, quantity in wanted.items()],
        line_units=list(by_line.items()),
        reason=reason,
        disposition="resell",
        refund_minor=0,
        actor=actor,
    )
    asked.refresh_from_db(fields=["created_at"])
    _note(order, RETURN_REQUESTED, reason, actor=actor)
    outbox.emit("orders", ReturnRequested(order_id=order_id, return_id=asked.pk, version=order.version + 1))
    return asked


@writes("orders")
def receive_return(
    *,
    order_id: str,
    return_id: int,
    came: Sequence[Came] | None,
    actor: str,
    key: Key | None,
    version: int | None = None,
) -> Return:
    """Record what came back of what was requested (None: all of it, to be sold again), and what is to be refunded.
    Stock and money follow.

    OrderNotFound, ReturnNotFound; InvalidTransition when it has been answered; ReturnExceedsShipped when more came
    than was requested; IdempotencyInProgress; PreconditionFailed if the order has another ``version``.
    """
    _require_version(order_id, version)
    order, lines = returnable(order_id=order_id)
    asked = requested_return(order=order, return_id=return_id)
    requested = dict(asked.line_units or ())
    if came is None:
        came = [Came(**item) for item in asked.items]
    spread = spread_over_requested(asked=asked, came=came, lines=lines)
    received = [one.kept for one in came]
    _answer(asked, status=ReturnStatus.RECEIVED, answered_by=actor, next_at=Now() + LEASE, received=received)
    OrderLine.objects.filter(pk__in=requested).update(requested_quantity=F("requested_quantity") - per_row(requested))
    asked.refund_minor = _take_back(order, lines, spread)
    Return.objects.filter(pk=asked.pk).update(refund_minor=asked.refund_minor)
    outbox.emit("orders", ReturnReceived(order_id=order_id, return_id=return_id, version=order.version + 1))
    trail.record(
        "orders",
        actor=actor,
        action="return received",
        thing=f"order:{order_id}",
        after={"return_id": return_id, "received": asked.received},
    )
    if key is not None:
        idempotency.claim("orders", key, resource=str(return_id))
    return asked


@writes("orders")
def refuse_return(
    *, order_id: str, return_id: int, reason: str, actor: str, key: Key | None = None, version: int | None = None
) -> Return:
    """Refuse a requested return: its units may be asked for again.

    OrderNotFound, ReturnNotFound; InvalidTransition when it has been answered; IdempotencyInProgress;
    PreconditionFailed if the order has another ``version``.
    """
    _require_version(order_id, version)
    order, _ = returnable(order_id=order_id)
    asked = requested_return(order=order, return_id=return_id)
    requested = dict(asked.line_units or ())
    _answer(asked, status=ReturnStatus.REFUSED, answered_by=actor, refusal=reason, refund_minor=0, done_at=utcnow())
    _change_returned(order, {})
    OrderLine.objects.filter(pk__in=requested).update(requested_quantity=F("requested_quantity") - per_row(requested))
    _note(order, "return_refused", reason, actor=actor)
    outbox.emit(
        "orders", ReturnRefused(order_id=order_id, return_id=return_id, reason=reason, version=order.version + 1)
    )
    trail.record(
        "orders", actor=actor, action="return refused", thing=f"order:{order_id}", after={"return_id": return_id}
    )
    if key is not None:
        idempotency.claim("orders", key, resource=str(return_id))
    return asked


def returnable(*, order_id: str) -> tuple[Order, list[OrderLine]]:
    """The order and its lines. OrderNotFound; InvalidTransition before it has left."""
    order = Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    if order.status not in RETURNABLE:
        raise InvalidTransition(f"An order that is {order.status} cannot be returned.", status=order.status)
    return order, selectors.whole_lines_of(order_id=order_id)


def requested_return(*, order: Order, return_id: int) -> Return:
    """ReturnNotFound; InvalidTransition when it has been answered."""
    asked = Return.objects.filter(pk=return_id, order=order).select_related("order").first()
    if asked is None:
        raise ReturnNotFound(f"Order {order.pk} has no return {return_id}.", return_id=return_id)
    if asked.status != ReturnStatus.REQUESTED:
        raise InvalidTransition(f"This return is {asked.status} already.", status=asked.status)
    return asked


def _answer(asked: Return, **changes: Any) -> None:
    """Stale when somebody else answered first."""
    if not Return.objects.filter(pk=asked.pk, status=ReturnStatus.REQUESTED).update(**changes):
        raise Stale
    for name, value in changes.items():
        setattr(asked, name, value)


def _as_returnable(lines: Iterable[OrderLine], left: Mapping[int, int]) -> list[Returnable]:
    return [
        Returnable(
            line_id=line.pk,
            product_id=line.product_id,
            left=left.get(line.pk, 0),
        )
        for line in lines
    ]


def units_of(*, came: Iterable[Came]) -> dict[int, int]:
    """Units by product."""
    units: dict[int, int] = {}
    for part in came:
        units[part.product_id] = units.get(part.product_id, 0) + part.quantity
    return units


def spread_over_requested(*, asked: Return, came: Sequence[Came], lines: Sequence[OrderLine]) -> dict[int, int]:
    """Units by line. ReturnExceedsShipped when more came than was requested."""
    units = units_of(came=came)
    spread = spread_return(units, _as_returnable(lines, dict(asked.line_units or ())))
    if spread is None:
        excess = _excess(units, {item["product_id"]: item["quantity"] for item in asked.items})
        raise ReturnExceedsShipped("More units came back than were requested.", items=excess)
    return spread


def spread_over(*, wanted: Mapping[int, int], lines: Sequence[OrderLine]) -> dict[int, int]:
    """Units by line. ReturnExceedsShipped when so many are not left."""
    left = {line.pk: line.quantity - line.returned_quantity - line.requested_quantity for line in lines}
    spread = spread_return(wanted, _as_returnable(lines, left))
    if spread is None:
        returnable: dict[int, int] = {}
        for line in lines:
            returnable[line.product_id] = returnable.get(line.product_id, 0) + left[line.pk]
        raise ReturnExceedsShipped("More units are returned than were shipped.", items=_excess(wanted, returnable))
    return spread


def _excess(wanted: Mapping[int, int], returnable: Mapping[int, int]) -> list[dict[str, int]]:
    return [
        {"product_id": product_id, "requested": units, "returnable": returnable.get(product_id, 0)}
        for product_id, units in wanted.items()
        if units > returnable.get(product_id, 0)
    ]


def _take_back(order: Order, lines: Sequence[OrderLine], by_line: Mapping[int, int]) -> int:
    """Record on the order and its lines that these units are back; returns what they are worth with their tax."""
    value = worth(sold(order=order, lines=lines), by_line)
    _change_returned(
        order,
        {
            "returned_goods_minor": F("returned_goods_minor") + value.goods,
            "returned_tax_minor": F("returned_tax_minor") + value.tax,
        },
    )
    units = dict(by_line)
    OrderLine.objects.filter(pk__in=units).update(returned_quantity=F("returned_quantity") + per_row(units))
    return value.total


def sold(*, order: Order, lines: Sequence[OrderLine]) -> Sold:
    """The order as ``domain.worth`` wants it."""
    return Sold(
        subtotal=order.subtotal_minor,
        tax=order.tax_minor,
        shipping=order.shipping_minor,
        returned_goods=order.returned_goods_minor,
        returned_tax=order.returned_tax_minor,
        lines={line.pk: (line.unit_price_minor, line.quantity - line.returned_quantity) for line in lines},
    )


def _change_returned(order: Order, changes: Mapping[str, Any]) -> None:
    """Stale when the order has changed since it was read: returns of one order are recorded one by one."""
    unchanged = Order.objects.filter(pk=order.pk, version=order.version)
    if not unchanged.update(**changes, version=F("version") + 1, updated_at=Now()):
        raise Stale


@writes("orders")
def fix_refund(*, opened: Return, left_minor: int) -> int:
    """Settle how much the return refunds, of what is ``left_minor`` of the order's money. Returns that amount.

    ReturnsInLine while another return of the order is being refunded.
    """
    order = Order.objects.get(pk=opened.order_id)
    _change_returned(order, {})
    if Return.objects.filter(order=order, refund_fixed=True, done_at=None).exclude(pk=opened.pk).exists():
        raise ReturnsInLine("Another return of this order is being refunded.", order_id=order.pk)
    amount = refund_of_return(worth=opened.refund_minor, left=left_minor, shipping=order.shipping_minor)
    Return.objects.filter(pk=opened.pk, done_at=None).update(refund_minor=amount, refund_fixed=True)
    return amount


@writes("orders")
def finish_return(
    *,
    opened: Return,
    refund_minor: int,
    order_refunded_minor: int,
    order_captured_minor: int,
) -> None:
    """Record that stock and money have followed: ``refund_minor`` for this return; the other two: the order's totals.

    The order is RETURNED when every unit is back.
    """
    unfinished = Return.objects.filter(pk=opened.pk, done_at=None)
    if not unfinished.update(done_at=Now(), next_at=None, refund_minor=refund_minor):
        return
    actor = opened.answered_by or opened.actor or SYSTEM
    record_refund(
        order_id=opened.order_id,
        refunded_minor=order_refunded_minor,
        captured_minor=order_captured_minor,
        detail=opened.reason,
        actor=actor,
    )
    out = OrderLine.objects.filter(order=opened.order_id, returned_quantity__lt=F("quantity"))
    changes: dict[str, Any] = {} if out.exists() else {"status": OrderStatus.RETURNED, "step": Step.DONE}
    Order.objects.filter(pk=opened.order_id).update(**changes, version=F("version") + 1, updated_at=Now())
    _note(Order(pk=opened.order_id), "returned", opened.reason, actor=actor)


@writes("orders")
def postpone_return(*, opened: Return, error: str) -> None:
    """As ``postpone``."""
    delay = timedelta(seconds=min(2 ** min(opened.attempts, 10), _BACKOFF_LIMIT))
    unfinished = Return.objects.filter(pk=opened.pk, done_at=None)
    if unfinished.update(next_at=Now() + delay, attempts=F("attempts") + 1) and opened.attempts == ATTENTION_AFTER:
        record_needs_attention(order_id=opened.order_id, reason=f"return {opened.pk}: {error}")


@writes("orders")
def claim_return(*, return_id: int) -> Return | None:
    """Lease a due return to the caller. None when another runner has it."""
    due = Return.objects.filter(pk=return_id, done_at=None, next_at__lte=Now())
    if not due.update(next_at=Now() + LEASE):
        return None
    return Return.objects.get(pk=return_id)


# -- erasing people ---------------------------------------------------------------------------------------------------

# timeline entries whose detail somebody wrote
_TOLD_IN_WORDS = ("cancelled", "refunded", "returned", "return_requested", "return_refused")


@writes("orders")
def erase_customer(*, customer_id: int, email_digest: str) -> None:
    """Keep the orders, and erase what says whose they were. Orders under way keep it until they end.

    Guests' orders of the same e-mail address, known by its digest (``erasure.email_digest``), are theirs too.
    """
    erasure.record("orders", customer_id, email_digest=email_digest)
    _erase(Order.objects.filter(customer_id=customer_id))
    after_commit("orders", erase_guests)


def erase_guests() -> None:
    """Erase what people who have been erased had ordered as guests."""
    guests = Order.objects.filter(customer_id=None, buyer_erased=False).exclude(email="")
    erasure.find_guests("orders", guests, "email", _erase_guests)


@writes("orders")
def _erase_guests(addresses: Collection[str]) -> None:
    theirs = Order.objects.filter(customer_id=None, email__in=addresses)
    # Shipping is told by the runner, as soon as it may look at the order.
    look = Case(When(step__in=[Step.FULFIL, Step.DONE], then=Now()), default=F("next_at"))
    theirs.filter(buyer_erased=False).update(buyer_erased=True, next_at=look, version=F("version") + 1)
    _erase(theirs)


@writes("orders")
def erase_late() -> None:
    """Erase what ended, or arrived, after its customer had been erased."""
    if Erasure.objects.exists():
        _erase(Order.objects.filter(customer_id__in=erasure.erased("orders")))
        _erase(Order.objects.filter(buyer_erased=True))


def _erase(theirs: QuerySet[Order]) -> None:
    ended = theirs.exclude(status__in=UNFINISHED)
    if not ended.exists():
        return
    orders = ended.values("pk")
    returns = Return.objects.filter(order__in=orders).exclude(done_at=None, status=ReturnStatus.RECEIVED)
    idempotency.erase("orders", endpoint="orders.place", resources=orders)
    idempotency.erase("orders", endpoint="orders.cancel", resources=orders)
    for endpoint in ("orders.return", "orders.receive_return", "orders.refuse_return"):
        idempotency.erase("orders", endpoint=endpoint, resources=returns.values_list(Cast("pk", CharField())))
    blank(returns.exclude(reason="", refusal=""), reason="", refusal="")
    blank(TimelineEntry.objects.filter(order__in=orders, event__in=_TOLD_IN_WORDS).exclude(detail=""), detail="")
    blank(Note.objects.filter(order__in=orders).exclude(text=""), text="")
    told = Q(shipping_address__isnull=False) | ~Q(token="") | ~Q(undo_reason="") | ~Q(email="")
    told |= Q(reference__isnull=False) | Q(metadata__isnull=False)
    nothing = {
        "shipping_address": None,
        "token": "",
        "undo_reason": "",
        "email": "",
        "reference": None,
        "metadata": None,
    }
    blank(ended.filter(told), **nothing)
    own_keys = ended.filter(idempotency_scope__startswith="customer:")
    blank(own_keys, idempotency_scope=None, idempotency_key=None, idempotency_fingerprint="")
