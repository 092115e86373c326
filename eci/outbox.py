"""Outbox, inbox and relay: an event is committed with the change it reports, and reaches every consumer.

1. ``emit`` writes one outbox row for each consumer, in the writer's own database and transaction.
2. The relay leases rows that are due, and hands each to its consumer: perhaps more than once.
3. The consumer commits an inbox row together with the effect, and ignores an event whose inbox row is there already.
4. The relay marks the outbox row as delivered.
"""

from __future__ import annotations

import itertools
import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, models
from django.db.models import F, Max, Min
from django.db.models.functions import Now

from eci import events
from eci.db import after_commit, in_unit_of_work, locked, run_in_unit_of_work, unit_of_work
from eci.watch import requests

log = logging.getLogger(__name__)

BATCH = 20  # few, so that a slow machine delivers them within the lease, and no context waits long for its turn
LISTED = 100
LEASE = timedelta(seconds=10)
KEPT = timedelta(days=14)  # for outbox rows that are delivered, and for inbox rows
_BACKOFF_LIMIT = 60  # seconds


class OutboxRow(models.Model):
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


class InboxRow(models.Model):
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


def emit(context: str, *facts: events.Event, known_to: str = "") -> None:
    """Write events to the outbox, for every subscriber, inside the unit of work that made them happen.

    ``known_to``: the context that commanded it and has the answer. It is not told again: if it dies before it has
    recorded the answer, it commands again.
    """
    if not in_unit_of_work(context):
        raise RuntimeError(f"an event of {context} was emitted outside of its unit of work")
    trace = requests.trace_headers()
    rows = [
        _outbox(context)(
            event_id=event_id,
            name=fact.NAME,
            consumer=consumer,
            aggregate_id=fact.aggregate_id,
            payload=fact.payload(),
            trace=trace,
        )
        for fact in facts
        for event_id in [uuid.uuid4()]
        for consumer in settings.ECI_SUBSCRIPTIONS.get(fact.NAME, ())
        if consumer != known_to
    ]
    if rows:
        _outbox(context)._default_manager.bulk_create(rows)


def deliver_due(context: str, *, aggregate_id: str | None = None) -> int:
    """Deliver what is due in the context's outbox, up to one batch. Returns the number of delivered rows.

    With ``aggregate_id``, only that aggregate's events: a request does this after its commit, so that their effects are
    visible before the relay's next round. Delivery is guaranteed by the relay alone.

    1. Lease the rows, so that no other relay takes them meanwhile.
    2. Hand each one to its consumer.
    3. Mark the delivered ones. The others are due again later: after 1, 2, 4 … seconds, at most a minute.
    """
    owner = uuid.uuid4().hex
    rows = _claim(context, owner, aggregate_id)
    if not rows:
        return 0
    delivered = [row for row in rows if _hand_over(row)]
    mine = _outbox(context)._default_manager.filter(lease_owner=owner)
    with unit_of_work(context):
        mine.filter(pk__in=[row.pk for row in delivered]).update(delivered_at=Now(), lease_owner="")
    for row in rows:
        if row not in delivered:
            mine.filter(pk=row.pk).update(
                lease_owner="", next_at=Now() + timedelta(seconds=min(2**row.attempts, _BACKOFF_LIMIT))
            )
    return len(delivered)


def _claim(context: str, owner: str, aggregate_id: str | None) -> list[OutboxRow]:
    due = _outbox(context)._default_manager.filter(delivered_at=None, next_at__lte=Now())
    if aggregate_id is not None:
        due = due.filter(aggregate_id=aggregate_id)
    if not due.exists():  # read first: an idle relay must not take the write lock
        return []

    def claim() -> list[OutboxRow]:
        rows = list(locked(due.order_by("pk"), skip_locked=True)[:BATCH])
        if rows:
            _outbox(context)._default_manager.filter(pk__in=[row.pk for row in rows]).update(
                lease_owner=owner, next_at=Now() + LEASE, attempts=F("attempts") + 1
            )
        return rows

    return run_in_unit_of_work(context, claim)


def _hand_over(row: OutboxRow) -> bool:
    with requests.lines_about(str(row.payload.get("order_id", "")), row.trace):
        try:
            _deliverer(row.consumer)(row.consumer, row.event_id, row.name, row.payload, row.trace)
        except Exception:  # whatever the handler raises, the event stays and is delivered again
            log.exception(
                "event_not_handled", extra={"event_name": row.name, "consumer": row.consumer, "attempts": row.attempts}
            )
            return False
    return True


def _deliverer(consumer: str) -> Callable[..., None]:
    if settings.ECI_SERVICES[consumer] == "local":
        return receive
    from eci.calls import remote  # imported only where a context is remote: it is costly

    return remote.deliver


def receive(consumer: str, event_id: uuid.UUID, name: str, payload: dict[str, Any], trace: dict[str, str]) -> None:
    """The consumer's side: inbox row and effect in one transaction. An event that it had before changes nothing."""
    found = events.handler_of(consumer, name)
    if found is None:
        raise LookupError(f"{consumer} has no handler of {name}")
    event, handler = found

    def handle() -> None:
        if _inbox(consumer)._default_manager.filter(event_id=event_id).exists():
            return
        _inbox(consumer)._default_manager.create(event_id=event_id, name=name)
        handler(event.from_payload(payload))

    about = {
        "eci.context": consumer,
        "messaging.system": "eci.outbox",
        "messaging.operation.type": "process",
        "messaging.destination.name": name,
        "messaging.message.id": str(event_id),
        "messaging.consumer.group.name": consumer,
    }
    order_id = str(payload.get("order_id", ""))
    with requests.continued(trace, f"process {name}", about, order_id=order_id, kind="CONSUMER"):
        try:
            run_in_unit_of_work(consumer, handle)
        except IntegrityError:
            if not _inbox(consumer)._default_manager.filter(event_id=event_id).exists():
                raise  # else another relay delivered the same event at the same moment


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
    waiting = _outbox(context)._default_manager.filter(delivered_at=None)
    found = waiting.aggregate(oldest=Min("created_at"), now=Max(Now()))
    return 0.0 if found["oldest"] is None else max(0.0, (found["now"] - found["oldest"]).total_seconds())


def redeliver(context: str, row_id: int) -> bool:
    """Deliver one row now, though it is not due yet. Returns whether it is delivered."""
    row = _outbox(context)._default_manager.filter(pk=row_id)
    row.filter(delivered_at=None, lease_owner="").update(next_at=Now())
    deliver_due(context)
    return not row.filter(delivered_at=None).exists()


def prune(context: str, *, keep: timedelta = KEPT) -> int:
    """Delete delivered outbox rows and inbox rows that are older than ``keep``."""
    limit = Now() - keep
    gone, _ = _outbox(context)._default_manager.filter(delivered_at__lt=limit).delete()
    seen, _ = _inbox(context)._default_manager.filter(received_at__lt=limit).delete()
    return gone + seen


def relay_once(contexts: Iterable[str]) -> int:
    """One round over these contexts' outboxes. Returns the number of delivered rows."""
    total = 0
    for context in contexts:
        for _ in itertools.repeat(None, 20):  # a long backlog of one context must not starve the others
            delivered = deliver_due(context)
            total += delivered
            if delivered < BATCH:
                break
    return total
