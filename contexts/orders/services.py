"""Writes of orders, each one transaction on this context's database. The workflows decide what to do next."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, DateTimeField, F, Q, QuerySet, When
from django.db.models.functions import Cast, Now

from contexts.orders.domain import OrderAsked, Quote, Returnable, spread_return, tax_share
from contexts.orders.models import Erasure, Order, OrderLine, Return, Step, Switch, TimelineEntry, Undo
from contexts.orders.public.contracts import OrderNotFound, OrderPaymentStatus, OrderStatus, ReturnExceedsShipped
from eci import erasure, events, idempotency, outbox
from eci.clock import utcnow
from eci.db import Stale, per_row, writes
from eci.erasure import blank
from eci.errors import EciError, InvalidTransition
from eci.idempotency import Answer, Key

LEASE = timedelta(seconds=15)
ATTENTION_AFTER = 10  # attempts at one step
_BACKOFF_LIMIT = 10  # seconds
UNFINISHED = (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING, OrderStatus.AWAITING_PAYMENT, OrderStatus.CONFIRMED)
RETURNABLE = (OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.RETURNED)


class LeaseLost(Exception):
    """Another runner has taken the order over, so this one may know less than the database."""


@writes("orders")
def create_order(
    *, order_id: str, asked: OrderAsked, quote: Quote, key: Key | None, trace: dict[str, str]
) -> tuple[Order, list[OrderLine], TimelineEntry]:
    """Record the order, leased to the caller. IdempotencyInProgress when the key is taken; IntegrityError when an order
    was placed with it before."""
    now = utcnow()
    if key is not None:
        idempotency.claim("orders", key, resource=order_id)
    order = Order(
        order_id=order_id,
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
        next_at=Now(),
        lease_owner=uuid.uuid4().hex,
        lease_until=Now() + LEASE,
        idempotency_scope=key.scope if key else None,
        idempotency_key=key.key if key else None,
        idempotency_fingerprint=key.fingerprint if key else "",
        trace=trace,
    )
    Order.objects.bulk_create([order])
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
    OrderLine.objects.bulk_create(lines)
    return order, lines, _note(order, "placed")


def shortened(*, detail: str) -> str:
    """As much of a text as a timeline entry keeps."""
    return detail[:300]


def _note(order: Order, event: str, detail: str = "", *, at: datetime | None = None) -> TimelineEntry:
    entry = TimelineEntry(order=order, event=event, detail=shortened(detail=detail), at=at or utcnow())
    TimelineEntry.objects.bulk_create([entry])
    return entry


@writes("orders")
def claim(*, order_id: str, version: int | None = None) -> Order | None:
    """Lease the order to the caller. None when another runner has it, its version is another, or there is none."""
    owner = uuid.uuid4().hex
    free = Order.objects.filter(Q(lease_until=None) | Q(lease_until__lte=Now()), pk=order_id)
    if version is not None:
        free = free.filter(version=version)
    if not free.update(lease_owner=owner, lease_until=Now() + LEASE, attempts=F("attempts") + 1):
        return None
    return Order.objects.get(pk=order_id)


def _write(order: Order, changes: Mapping[str, Any], *, at: datetime | None = None) -> None:
    """Update the leased row; the object follows, with ``at`` as its time. LeaseLost when another runner has it."""
    held = Order.objects.filter(pk=order.pk, lease_owner=order.lease_owner)
    if not held.update(**changes, version=F("version") + 1, updated_at=Now()):
        raise LeaseLost(order.pk)
    for name, value in changes.items():
        setattr(order, name, value)
    order.version += 1
    order.updated_at = at or utcnow()


_IDLE: dict[str, Any] = {"lease_owner": "", "lease_until": None, "next_at": None, "attempts": 0}


def _rest(order: Order, changes: Mapping[str, Any], *, at: datetime) -> None:
    """Update and give the lease back. If its version has changed, something was asked meanwhile: it is due."""
    changed_meanwhile = ~Q(version=order.version)
    next_at = changes.get("next_at")
    again = Case(When(changed_meanwhile, then=Now()), default=next_at, output_field=DateTimeField())
    _write(order, _IDLE | dict(changes) | {"next_at": again}, at=at)
    order.next_at = next_at


@writes("orders")
def record_progress(*, order: Order, changes: Mapping[str, Any], event: str, detail: str = "") -> TimelineEntry:
    """A step is done and the runner goes on: it keeps the lease, for longer."""
    _write(order, {"lease_until": Now() + LEASE, "attempts": 0, **changes})
    return _note(order, event, detail)


@writes("orders")
def record_confirmed(*, order: Order, fact: events.Event) -> TimelineEntry:
    """Record the pivot: from here on a failing step is repeated, and undoes nothing."""
    changes = {
        "status": OrderStatus.CONFIRMED,
        "payment_status": OrderPaymentStatus.PAID,
        "step": Step.FULFIL,
        "expires_at": None,
        "confirmed_at": utcnow(),
    }
    _write(order, {"lease_until": Now() + LEASE, "attempts": 0, **changes})
    outbox.emit("orders", fact)
    return _note(order, "confirmed")


@writes("orders")
def record_rest(
    *,
    order: Order,
    changes: Mapping[str, Any],
    at: datetime,
    event: str = "",
    detail: str = "",
    facts: Sequence[events.Event] = (),
    remembered: tuple[Key, Answer] | None = None,
) -> TimelineEntry | None:
    """The workflow pauses or ends here: the lease is given back, and the caller's answer, if any, remembered."""
    _rest(order, changes, at=at)
    entry = _note(order, event, detail, at=at) if event else None
    outbox.emit("orders", *facts)
    if remembered is not None:
        idempotency.finish("orders", *remembered)
    return entry


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
def postpone(*, order: Order, error: str) -> None:
    """A step failed for now: it is due again after a pause that grows. After many attempts a person is asked for."""
    delay = timedelta(seconds=min(2 ** min(order.attempts, 10) / 2, _BACKOFF_LIMIT))
    attention = order.needs_attention or order.attempts >= ATTENTION_AFTER
    if attention and not order.needs_attention:
        _note(order, "needs_attention", error)
    Order.objects.filter(pk=order.pk, lease_owner=order.lease_owner).update(
        lease_owner="", lease_until=None, next_at=Now() + delay, needs_attention=attention, updated_at=Now()
    )


@writes("orders")
def request_cancel(*, order_id: str, reason: str, key: Key | None) -> bool:
    """Ask for the order to be undone; False when its state no longer allows it. The runner, not this, decides.

    IdempotencyInProgress when the key is taken.
    """
    if key is not None:
        idempotency.claim("orders", key, resource=order_id)
    open_orders = Order.objects.filter(pk=order_id, undo=Undo.NONE, status__in=UNFINISHED)
    return bool(
        open_orders.update(
            undo=Undo.CANCELLED,
            undo_reason=reason[:300],
            next_at=Now(),
            version=F("version") + 1,
            updated_at=Now(),
        )
    )


@writes("orders")
def wake(*, order_id: str, when: Q, changes: Mapping[str, Any] | None = None) -> bool:
    """Make the order due now, if ``when`` holds for it. For handlers of other contexts' events."""
    return bool(
        Order.objects.filter(when, pk=order_id).update(**(changes or {}), next_at=Now(), version=F("version") + 1)
    )


@writes("orders")
def record_refund(*, order_id: str, refunded_minor: int, captured_minor: int, detail: str) -> None:
    """Record the payment's totals after a refund. Totals only grow, so an event that comes late changes nothing."""
    status = OrderPaymentStatus.REFUNDED if refunded_minor >= captured_minor else OrderPaymentStatus.PARTIALLY_REFUNDED
    older = Order.objects.filter(pk=order_id, refunded_minor__lt=refunded_minor)
    if older.update(refunded_minor=refunded_minor, payment_status=status, version=F("version") + 1, updated_at=Now()):
        _note(Order(pk=order_id), "refunded", detail)


@writes("orders")
def record_needs_attention(*, order_id: str, reason: str) -> None:
    if Order.objects.filter(pk=order_id).update(needs_attention=True, version=F("version") + 1, updated_at=Now()):
        _note(Order(pk=order_id), "needs_attention", reason)


@writes("orders")
def record_attended(*, order_id: str, actor: str) -> None:
    """OrderNotFound."""
    if not Order.objects.filter(pk=order_id).update(needs_attention=False, version=F("version") + 1, updated_at=Now()):
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    _note(Order(pk=order_id), "attended", actor)


@writes("orders")
def make_due(*, order_id: str, actor: str) -> None:
    """Make the order and its returns due now, but for an order that is done, waits for its buyer or has a runner."""
    unleased = Q(lease_until=None) | Q(lease_until__lte=Now())
    waiting = Order.objects.filter(unleased, pk=order_id).exclude(next_at=None).exclude(step=Step.AWAIT_PAYMENT)
    if waiting.update(next_at=Now(), attempts=0):
        _note(Order(pk=order_id), "retried", actor)
    Return.objects.filter(order=order_id, done_at=None, attempts__gt=0).update(next_at=Now())


@writes("orders")
def set_switch(*, taking: bool, reason: str, actor: str) -> None:
    Switch.objects.create(taking=taking, reason=reason, actor=actor, at=utcnow())


@writes("orders")
def open_return(*, order_id: str, wanted: Mapping[int, int], reason: str, disposition: str, key: Key | None) -> Return:
    """Record that units come back and what is to be refunded for them.

    OrderNotFound; InvalidTransition before SHIPPED; ReturnExceedsShipped; IdempotencyInProgress.
    """
    order = Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    if order.status not in RETURNABLE:
        raise InvalidTransition(f"An order that is {order.status} cannot be returned.", status=order.status)
    lines = list(OrderLine.objects.filter(order=order).order_by("line_no"))
    spread = spread_return(
        wanted,
        [
            Returnable(
                line_id=line.pk,
                product_id=line.product_id,
                unit_price=line.unit_price_minor,
                left=line.quantity - line.returned_quantity,
            )
            for line in lines
        ],
    )
    if spread is None:
        raise ReturnExceedsShipped("More units are returned than were shipped.", items=_excess(wanted, lines))
    by_line, goods = spread
    tax = tax_share(
        tax=order.tax_minor,
        subtotal=order.subtotal_minor,
        returned_before=order.returned_goods_minor,
        tax_before=order.returned_tax_minor,
        returning=goods,
    )
    everything = sum(by_line.values()) == sum(line.quantity - line.returned_quantity for line in lines)
    if everything:
        tax = order.tax_minor - order.returned_tax_minor
    if not Order.objects.filter(pk=order_id, version=order.version).update(
        returned_goods_minor=F("returned_goods_minor") + goods,
        returned_tax_minor=F("returned_tax_minor") + tax,
        version=F("version") + 1,
        updated_at=Now(),
    ):
        raise Stale
    OrderLine.objects.filter(pk__in=by_line).update(returned_quantity=F("returned_quantity") + per_row(by_line))
    opened = Return.objects.create(
        order=order,
        items=[{"product_id": product_id, "quantity": quantity} for product_id, quantity in wanted.items()],
        reason=reason,
        disposition=disposition,
        refund_minor=goods + tax,
        next_at=Now() + LEASE,
    )
    opened.refresh_from_db(fields=["created_at"])
    if key is not None:
        idempotency.claim("orders", key, resource=str(opened.pk))
    return opened


def _excess(wanted: Mapping[int, int], lines: Sequence[OrderLine]) -> list[dict[str, int]]:
    excess = []
    for product_id, units in wanted.items():
        left = sum(line.quantity - line.returned_quantity for line in lines if line.product_id == product_id)
        if units > left:
            excess.append({"product_id": product_id, "requested": units, "returnable": left})
    return excess


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
        opened.refresh_from_db()
        return
    opened.refund_minor = refund_minor
    opened.done_at = utcnow()
    record_refund(
        order_id=opened.order_id,
        refunded_minor=order_refunded_minor,
        captured_minor=order_captured_minor,
        detail=opened.reason,
    )
    out = OrderLine.objects.filter(order=opened.order_id, returned_quantity__lt=F("quantity"))
    changes: dict[str, Any] = {} if out.exists() else {"status": OrderStatus.RETURNED, "step": Step.DONE}
    Order.objects.filter(pk=opened.order_id).update(**changes, version=F("version") + 1, updated_at=Now())
    _note(Order(pk=opened.order_id), "returned", opened.reason)


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

_TOLD_IN_WORDS = ("cancelled", "refunded", "returned")  # timeline entries whose detail somebody wrote


@writes("orders")
def erase_customer(*, customer_id: int) -> None:
    """Keep the orders, and erase what says whose they were. Orders under way keep it until they end."""
    erasure.record("orders", customer_id)
    _erase([customer_id])


@writes("orders")
def erase_late() -> None:
    """Erase what ended, or arrived, after its customer had been erased."""
    if Erasure.objects.exists():
        _erase(erasure.erased("orders"))


def _erase(customers: Collection[int] | QuerySet[Any, int]) -> None:
    ended = Order.objects.filter(customer_id__in=customers).exclude(status__in=UNFINISHED)
    orders = ended.values("pk")
    returns = Return.objects.filter(order__in=orders).exclude(done_at=None)
    idempotency.erase("orders", endpoint="orders.place", resources=orders)
    idempotency.erase("orders", endpoint="orders.cancel", resources=orders)
    idempotency.erase("orders", endpoint="orders.return", resources=returns.values_list(Cast("pk", CharField())))
    blank(returns.exclude(reason=""), reason="")
    blank(TimelineEntry.objects.filter(order__in=orders, event__in=_TOLD_IN_WORDS).exclude(detail=""), detail="")
    told = Q(shipping_address__isnull=False) | ~Q(token="") | ~Q(undo_reason="")
    blank(ended.filter(told), shipping_address=None, token="", undo_reason="")
    own_keys = ended.filter(idempotency_scope__startswith="customer:")
    blank(own_keys, idempotency_scope=None, idempotency_key=None, idempotency_fingerprint="")
