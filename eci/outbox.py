"""Outbox, inbox and relay: an event is committed with the change it reports, and reaches every consumer.

1. ``emit`` writes one outbox row for each consumer, in the writer's own database and transaction.
2. The relay leases rows that are due, and hands each consumer its own, many at once: perhaps more than once.
3. The consumer commits inbox rows and effects together, and ignores an event whose inbox row is there already.
4. The relay marks the outbox rows as delivered.
"""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, connections, models
from django.db.models import F, Min, QuerySet, Subquery, Value
from django.db.models.functions import Now

from eci import events, pruning
from eci.away import PAUSE, is_away
from eci.db import after_commit, alias_of, in_unit_of_work, locked, run_in_unit_of_work, unit_of_work
from eci.ids import new_event_id
from eci.statements import Change, Changes, Inserts, Reads, change, changes, reads
from eci.statements.rows import QuickModel
from eci.watch import requests

log = logging.getLogger(__name__)

BATCH = 50  # few, so that a slow machine delivers them within the lease, and no context waits long for its turn
ROUNDS = 8  # batches of one context in one round
LISTED = 100
LEASE = timedelta(seconds=10)
KEPT = timedelta(days=14)  # for outbox rows that are delivered, and for inbox rows
_BACKOFF_LIMIT = 60  # seconds
emitted = threading.Event()  # set when this process has emitted events; the relay, if it runs here, waits for it


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event, as its consumer gets it."""

    event_id: uuid.UUID
    name: str
    payload: dict[str, Any]
    trace: dict[str, str]


class OutboxRow(QuickModel):
    """One event for one consumer. It is kept for a while after its delivery."""

    event_id = models.UUIDField()
    name = models.CharField(max_length=100)
    consumer = models.CharField(max_length=30)
    aggregate_id = models.CharField(max_length=64)
    payload = models.JSONField()
    trace = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    next_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=40, default="", blank=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["delivered_at", "next_at"], name="%(app_label)s_outbox_due"),
            models.Index(fields=["aggregate_id"], name="%(app_label)s_outbox_aggregate"),
        ]

    def delivery(self) -> Delivery:
        return Delivery(event_id=self.event_id, name=self.name, payload=self.payload, trace=self.trace)


class InboxRow(QuickModel):
    """An event that this context has handled. The row was committed together with the effect."""

    event_id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=100)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["received_at"], name="%(app_label)s_inbox_age")]


def _outbox(context: str) -> type[OutboxRow]:
    return apps.get_model(context, "OutboxEvent")


def _inbox(context: str) -> type[InboxRow]:
    return apps.get_model(context, "InboxEvent")


# -- statements, of each context's own tables --------------------------------------------------------------------------


@functools.cache
def _inserts_in(context: str) -> Inserts[OutboxRow]:
    return Inserts(_outbox(context))


@functools.cache
def _inbox_inserts_in(context: str) -> Inserts[InboxRow]:
    return Inserts(_inbox(context))


def _waiting(context: str, aggregate_id: str | None) -> QuerySet[OutboxRow]:
    due = _outbox(context)._default_manager.filter(delivered_at=None, next_at__lte=Now())
    return due if aggregate_id is None else due.filter(aggregate_id=aggregate_id)


@functools.cache
def _any_due_in(context: str) -> Reads[..., int]:
    @reads
    def any_due(*, aggregate_id: str | None) -> QuerySet[OutboxRow, int]:
        return _waiting(context, aggregate_id).values_list("pk", flat=True)[:1]

    return any_due


@functools.cache
def _oldest_in(context: str) -> Reads[..., OutboxRow]:
    @reads
    def oldest(*, aggregate_id: str | None) -> QuerySet[OutboxRow]:
        order = (*_as_in_index(context), "pk") if aggregate_id is None else ("pk",)
        return locked(_waiting(context, aggregate_id).order_by(*order), skip_locked=True)[:BATCH]

    return oldest


@functools.cache
def _longest_waiting_in(context: str) -> Reads[..., Any]:
    """The event with the lowest id of those that wait: MariaDB's index of them has their ids, so that it reads one row.

    Of an id plus nothing, because PostgreSQL would seek the lowest id among all events, of which few wait.
    """

    @reads
    def longest_waiting() -> QuerySet[Any]:
        rows = _outbox(context)._default_manager
        waiting = rows.filter(delivered_at=None).order_by().annotate(one=Value(1)).values("one")
        first = waiting.annotate(first=Min(F("pk") + 0)).values("first")
        return rows.filter(pk=Subquery(first)).only("created_at").annotate(now=Now())

    return longest_waiting


def _as_in_index(context: str) -> tuple[str, ...]:
    """The index's order, for rows whose ``delivered_at`` is null, so that no engine reads, sorts and locks all that
    waits. PostgreSQL does not see that this makes them equal there, so it must be told both columns; told both,
    MariaDB sorts."""
    if connections[alias_of(context)].vendor == "postgresql":
        return ("delivered_at", "next_at")
    return ("next_at",)


@functools.cache
def _lease_in(context: str) -> Changes[...]:
    @changes
    def lease(*, ids: Collection[int], owner: str) -> Change:
        rows = _outbox(context)._default_manager.filter(pk__in=ids)
        return change(rows, lease_owner=owner, next_at=Now() + LEASE, attempts=F("attempts") + 1)

    return lease


@functools.cache
def _delivered_in(context: str) -> Changes[...]:
    @changes
    def delivered(*, ids: Collection[int], owner: str) -> Change:
        mine = _outbox(context)._default_manager.filter(pk__in=ids, lease_owner=owner)
        return change(mine, delivered_at=Now(), lease_owner="")

    return delivered


@functools.cache
def _seen_in(context: str) -> Reads[..., uuid.UUID]:
    @reads
    def seen(*, events: Collection[uuid.UUID]) -> QuerySet[InboxRow, uuid.UUID]:
        return _inbox(context)._default_manager.filter(pk__in=events).values_list("pk", flat=True)

    return seen


# -- writing -----------------------------------------------------------------------------------------------------------


def emit(context: str, *facts: events.Event, known_to: str = "") -> None:
    """Write events to the outbox, for every subscriber, inside the unit of work that made them happen.

    ``known_to``: the context that commanded it and has the answer. It is not told again: if it dies before it has
    recorded the answer, it commands again.
    """
    if not in_unit_of_work(context):
        raise RuntimeError(f"an event of {context} was emitted outside of its unit of work")
    trace = requests.trace_headers()
    row = _outbox(context)
    rows = [
        row(
            event_id=event_id,
            name=fact.NAME,
            consumer=consumer,
            aggregate_id=fact.aggregate_id,
            payload=fact.payload(),
            trace=trace,
        )
        for fact in facts
        for event_id in [new_event_id()]
        for consumer in settings.ECI_SUBSCRIPTIONS.get(fact.NAME, ())
        if consumer != known_to
    ]
    _inserts_in(context).along(rows)
    if rows:
        after_commit(context, emitted.set)


# -- delivering --------------------------------------------------------------------------------------------------------


def deliver_due(context: str, *, aggregate_id: str | None = None) -> int:
    """Deliver what is due in the context's outbox, up to one batch. Returns the number of delivered rows.

    With ``aggregate_id``, only that aggregate's events: a request does this after its commit, so that their effects are
    visible before the relay's next round. Delivery is guaranteed by the relay alone.

    1. Lease the rows, so that no other relay takes them meanwhile.
    2. Hand each consumer its own, all at once. If it cannot handle them so, hand them over one by one.
    3. Mark the delivered ones. The others are due again later: after 1, 2, 4 … seconds, at most a minute. While a
       consumer is away, its events are due again after some seconds each time, and that counts as no attempt.
    """
    owner = uuid.uuid4().hex
    rows = _claim(context, owner, aggregate_id)
    if not rows:
        return 0
    rows.sort(key=lambda row: (row.consumer, row.aggregate_id))  # by aggregate, so that batches lock in one order
    batches = [(consumer, list(own)) for consumer, own in itertools.groupby(rows, key=lambda row: row.consumer)]
    delivered, untold = list[OutboxRow](), list[OutboxRow]()
    for consumer, own in batches:
        try:
            delivered += _hand_over(consumer, own)
        except _ConsumerAway:
            untold += own
    done = {row.pk for row in (*delivered, *untold)}
    _mark(context, owner, delivered, [row for row in rows if row.pk not in done], untold)
    return len(delivered)


def _claim(context: str, owner: str, aggregate_id: str | None) -> list[OutboxRow]:
    """Lease a batch, the longest due first, and return it in the order in which it was emitted."""
    if not _any_due_in(context)(aggregate_id=aggregate_id):  # read first: an idle relay must not take the write lock
        return []

    def claim() -> list[OutboxRow]:
        rows = _oldest_in(context)(aggregate_id=aggregate_id)
        if rows:
            _lease_in(context).along(ids=[row.pk for row in rows], owner=owner)
        return sorted(rows, key=lambda row: row.pk)

    return run_in_unit_of_work(context, claim)


def _mark(
    context: str, owner: str, delivered: list[OutboxRow], failed: list[OutboxRow], untold: list[OutboxRow]
) -> None:
    """Rows whose lease has run out meanwhile are another relay's, and stay as they are."""
    mine = _outbox(context)._default_manager.filter(lease_owner=owner)
    with unit_of_work(context):
        _delivered_in(context).along(ids=[row.pk for row in delivered], owner=owner)
        for attempts in {row.attempts for row in failed}:
            pause = timedelta(seconds=min(2**attempts, _BACKOFF_LIMIT))
            mine.filter(pk__in=[row.pk for row in failed if row.attempts == attempts]).update(
                lease_owner="", next_at=Now() + pause
            )
        if untold:
            mine.filter(pk__in=[row.pk for row in untold]).update(
                lease_owner="", next_at=Now() + PAUSE, attempts=F("attempts") - 1
            )


class _ConsumerAway(Exception): ...


def _hand_over(consumer: str, rows: list[OutboxRow]) -> list[OutboxRow]:
    """The rows that the consumer has handled: all; or, since one that fails must hold up no other, those it can.
    _ConsumerAway."""
    row = rows[0]
    about = (row.payload.get("order_id", ""), row.trace) if len(rows) == 1 else ("", None)
    with requests.lines_about(str(about[0]), about[1]):
        try:
            _deliverer(consumer)(consumer, [row.delivery() for row in rows])
        except Exception as error:  # whatever the handler raises, the event stays and is delivered again
            if is_away(error):
                told = {"consumer": consumer, "events": len(rows), "error": type(error).__name__}
                log.warning("consumer_away", extra=told)
                raise _ConsumerAway from error
            if len(rows) == 1:
                told = {"event_name": row.name, "consumer": consumer, "attempts": row.attempts}
                log.exception("event_not_handled", extra=told)
                return []
            log.info("events_handed_over_one_by_one", extra={"consumer": consumer, "error": type(error).__name__})
        else:
            return rows
    return [row for row in rows if _hand_over(consumer, [row])]


def _deliverer(consumer: str) -> Callable[[str, list[Delivery]], None]:
    if settings.ECI_SERVICES[consumer] == "local":
        return receive
    from eci.calls import remote  # imported only where a context is remote: it is costly

    return remote.deliver


def receive(consumer: str, deliveries: Sequence[Delivery]) -> None:
    """The consumer's side: inbox rows and effects in one transaction. An event that it had before changes nothing."""
    handlers = {delivery.event_id: _handling(consumer, delivery) for delivery in deliveries}
    seen = _seen_in(consumer)

    def handle() -> None:
        known = set(seen(events=list(handlers)))
        new = [delivery for delivery in deliveries if delivery.event_id not in known]
        row = _inbox(consumer)
        _inbox_inserts_in(consumer)([row(event_id=delivery.event_id, name=delivery.name) for delivery in new])
        for delivery in new:
            handlers[delivery.event_id]()

    try:
        run_in_unit_of_work(consumer, handle)
    except IntegrityError:
        if len(seen(events=list(handlers))) < len(handlers):
            raise  # else another relay delivered the same events at the same moment


def _handling(consumer: str, delivery: Delivery) -> Callable[[], None]:
    """What the consumer does with this event. LookupError."""
    found = events.handler_of(consumer, delivery.name)
    if found is None:
        raise LookupError(f"{consumer} has no handler of {delivery.name}")
    event, handler = found
    about = {
        "eci.context": consumer,
        "messaging.system": "eci.outbox",
        "messaging.operation.type": "process",
        "messaging.destination.name": delivery.name,
        "messaging.message.id": str(delivery.event_id),
        "messaging.consumer.group.name": consumer,
    }
    order_id = str(delivery.payload.get("order_id", ""))

    def handling() -> None:
        with requests.continued(delivery.trace, f"process {delivery.name}", about, order_id=order_id, kind="CONSUMER"):
            handler(event.from_payload(delivery.payload))

    return handling


def deliver_after_commit(context: str, aggregate_id: str) -> None:
    """Deliver this aggregate's events right after the commit, so that their effects are visible at once."""
    after_commit(context, partial(deliver_due, context, aggregate_id=aggregate_id))


def undelivered(context: str, *, attempts: int) -> list[OutboxRow]:
    """Rows that were handed over in vain at least ``attempts`` times, oldest first."""
    return list(
        _outbox(context)._default_manager.filter(delivered_at=None, attempts__gte=attempts).order_by("pk")[:LISTED]
    )


def lag(context: str) -> float:
    """For how many seconds the oldest undelivered event has waited; 0 if there is none."""
    connections[alias_of(context)].ensure_connection()  # to compile the statement, Django asks MariaDB for its version
    row = _longest_waiting_in(context).first()
    return 0.0 if row is None else max(0.0, (row.now - row.created_at).total_seconds())


def redeliver(context: str, row_id: int) -> bool:
    """Deliver one row now, though it is not due yet. Returns whether it is delivered."""
    row = _outbox(context)._default_manager.filter(pk=row_id)
    row.filter(delivered_at=None, lease_owner="").update(next_at=Now())
    deliver_due(context, aggregate_id=row.values_list("aggregate_id", flat=True).get())
    return not row.filter(delivered_at=None).exists()


def prune(context: str, *, keep: timedelta = KEPT) -> int:
    """Delete delivered outbox rows and inbox rows that are older than ``keep``."""
    limit = Now() - keep
    told = _outbox(context)._default_manager.filter(delivered_at__lt=limit)
    heard = _inbox(context)._default_manager.filter(received_at__lt=limit)
    return pruning.delete(told, by="delivered_at") + pruning.delete(heard, by="received_at")


def relay_once(contexts: Iterable[str]) -> int:
    """One round over these contexts' outboxes. Returns the number of delivered rows."""
    total = 0
    for context in contexts:
        for _ in itertools.repeat(None, ROUNDS):  # a long backlog of one context must not starve the others
            delivered = deliver_due(context)
            total += delivered
            if delivered < BATCH:
                break
    return total
