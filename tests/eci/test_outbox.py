"""Events are committed with their change, delivered at least once, and have their effect once."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db import OperationalError, connections
from django.db.models import F
from django.db.models.functions import Now

from contexts.catalog.models import OutboxEvent
from contexts.customers.models import InboxEvent as CustomersInbox
from contexts.inventory.models import InboxEvent, Warehouse
from eci import events, outbox
from eci.clock import utcnow
from eci.db import unit_of_work
from eci.errors import ContextUnavailable
from eci.watch import requests
from tests.support.api import Api


@dataclass(frozen=True, kw_only=True)
class Built(events.Event):
    NAME: ClassVar[str] = "catalog.built.v1"
    AGGREGATE: ClassVar[str] = "code"

    code: str


class Died(BaseException):
    """The process of the relay is gone."""


class Builder:
    """A consumer that adds a warehouse for each event, and then fails if a test wants it."""

    def __init__(self) -> None:
        self.trouble: Callable[[Built], None] = lambda event: None
        self.told: list[str] = []

    def __call__(self, event: Built) -> None:
        self.told.append(event.code)
        Warehouse.objects.create(code=f"{event.code}-{len(self.told)}", name=event.code)
        self.trouble(event)

    def fail(self, event: Built) -> None:
        raise RuntimeError("no")


@pytest.fixture(autouse=True)
def builder(settings: Any) -> Iterator[Builder]:
    builder = Builder()
    settings.ECI_SUBSCRIPTIONS = {Built.NAME: ("inventory",)}
    with events.replaced({("inventory", Built.NAME): (Built, builder)}):
        yield builder


def emit(*codes: str, version: int = 1) -> None:
    with unit_of_work("catalog"):
        outbox.emit("catalog", *(Built(code=code, version=version) for code in codes))


def built() -> list[str]:
    return list(Warehouse.objects.order_by("name").values_list("name", flat=True))


def make_due() -> None:
    OutboxEvent.objects.filter(delivered_at=None).update(next_at=utcnow() - timedelta(seconds=1))


def only_row() -> OutboxEvent:
    return OutboxEvent.objects.get()


def told(code: str, event_id: uuid.UUID | None = None, **more: str) -> outbox.Delivery:
    payload = {"code": code, "version": 1, **more}
    return outbox.Delivery(event_id=event_id or uuid.uuid4(), name=Built.NAME, payload=payload, trace={})


def test_an_event_reaches_its_consumer_once(builder: Builder) -> None:
    emit("A")
    assert (only_row().name, only_row().consumer, only_row().aggregate_id) == (Built.NAME, "inventory", "A")
    assert built() == []
    assert [outbox.deliver_due("catalog") for _ in range(2)] == [1, 0]
    assert (built(), builder.told) == (["A"], ["A"])
    assert (only_row().delivered_at is not None, only_row().lease_owner) == (True, "")


def test_what_nobody_consumes_is_not_written(settings: Any) -> None:
    settings.ECI_SUBSCRIPTIONS = {}
    emit("A")
    assert OutboxEvent.objects.count() == 0


def test_every_consumer_gets_its_own_row(settings: Any) -> None:
    seen: list[str] = []
    settings.ECI_SUBSCRIPTIONS = {Built.NAME: ("inventory", "customers")}
    events.subscribe("customers", Built, lambda event: seen.append(event.code))
    emit("A")
    assert OutboxEvent.objects.values("event_id").distinct().count() == 1
    assert outbox.deliver_due("catalog") == 2
    assert (built(), seen) == (["A"], ["A"])
    assert (InboxEvent.objects.count(), CustomersInbox.objects.count()) == (1, 1)


def test_who_commanded_it_is_not_told(settings: Any) -> None:
    settings.ECI_SUBSCRIPTIONS = {Built.NAME: ("inventory", "customers")}
    with unit_of_work("catalog"):
        outbox.emit("catalog", Built(code="A", version=1), known_to="inventory")
    assert only_row().consumer == "customers"
    settings.ECI_SUBSCRIPTIONS = {Built.NAME: ("inventory",)}
    with unit_of_work("catalog"):
        outbox.emit("catalog", Built(code="B", version=1), known_to="inventory")
    assert only_row().aggregate_id == "A", "where nobody else is to be told, nothing is written"


def test_one_consumer_s_trouble_is_not_another_s(settings: Any, builder: Builder) -> None:
    seen: list[str] = []
    settings.ECI_SUBSCRIPTIONS = {Built.NAME: ("inventory", "customers")}
    events.subscribe("customers", Built, lambda event: seen.append(event.code))
    builder.trouble = builder.fail
    emit("A")
    assert outbox.deliver_due("catalog") == 1
    assert (built(), seen) == ([], ["A"])


def test_a_rolled_back_change_takes_its_event_along() -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work("catalog"):
        outbox.emit("catalog", Built(code="A", version=1))
        _ = 1 / 0
    assert OutboxEvent.objects.count() == 0


def test_a_failing_handler_keeps_the_event_and_is_asked_again_later(builder: Builder) -> None:
    builder.trouble = builder.fail
    emit("A")
    before = only_row().next_at
    assert outbox.deliver_due("catalog") == 0
    assert (built(), InboxEvent.objects.count()) == ([], 0), "neither effect nor inbox row is left"
    row = only_row()
    assert (row.delivered_at, row.attempts, row.lease_owner) == (None, 1, "")
    assert row.next_at > before
    assert outbox.deliver_due("catalog") == 0
    assert builder.told == ["A"], "not before its time"
    builder.trouble = lambda event: None
    make_due()
    assert outbox.deliver_due("catalog") == 1
    assert built() == ["A"]


def test_the_pauses_grow_up_to_a_minute(builder: Builder) -> None:
    builder.trouble = builder.fail
    emit("A")
    pauses = []
    for _ in range(9):
        make_due()
        started = utcnow()
        outbox.deliver_due("catalog")
        pauses.append(round((only_row().next_at - started).total_seconds()))
    assert pauses == sorted(pauses)
    assert (pauses[0] <= 2, pauses[-1]) == (True, 60)


@pytest.mark.parametrize("error", [ContextUnavailable("away"), OperationalError("server closed the connection")])
def test_while_a_consumer_is_away_its_events_wait_some_seconds_and_nothing_counts(
    builder: Builder, error: Exception
) -> None:
    def away(event: Built) -> None:
        raise error

    builder.trouble = away
    emit("A", "B")
    for _ in range(9):
        make_due()
        started = utcnow()
        assert outbox.deliver_due("catalog") == 0
    assert builder.told == ["A"] * 9, "nobody is asked for each event alone"
    rows = list(OutboxEvent.objects.all())
    assert {row.attempts for row in rows} == {0}
    assert all(timedelta(seconds=3) < row.next_at - started < timedelta(seconds=8) for row in rows)
    builder.trouble = lambda event: None
    make_due()
    assert outbox.deliver_due("catalog") == 2


def test_an_event_delivered_twice_has_its_effect_once(builder: Builder) -> None:
    emit("A")
    outbox.deliver_due("catalog")
    OutboxEvent.objects.update(delivered_at=None)  # the relay died before it could note the delivery
    make_due()
    assert outbox.deliver_due("catalog") == 1
    outbox.receive("inventory", [only_row().delivery()])
    assert (built(), builder.told) == (["A"], ["A"])


@pytest.mark.parametrize("with_another", [False, True])
def test_two_relays_in_the_same_moment_have_the_effect_once(builder: Builder, with_another: bool) -> None:
    """The other relay commits after this one has read the inbox, and before it writes its own row there."""
    emit("A", *(["B"] if with_another else []))
    same = OutboxEvent.objects.get(aggregate_id="A").delivery()
    outbox.receive("inventory", [same])
    with inbox_seen_too_early():
        assert outbox.deliver_due("catalog") == (2 if with_another else 1)
    assert built() == (["A", "B"] if with_another else ["A"])
    assert InboxEvent.objects.count() == len(built())


@contextmanager
def inbox_seen_too_early() -> Iterator[None]:
    """The first look into inventory's inbox finds nothing."""
    looks = iter([True])

    def early(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and "inventory_inboxevent" in sql and next(looks, False):
            sql, params = sql.replace("WHERE", "WHERE 1 = 0 AND"), params
        return execute(sql, params, many, context)

    with connections["inventory"].execute_wrapper(early):
        yield


def test_a_failing_event_holds_up_no_other(builder: Builder) -> None:
    def trouble(event: Built) -> None:
        if event.code == "A":
            builder.fail(event)

    builder.trouble = trouble
    emit("A", "B")
    emit("C")
    assert outbox.relay_once(["catalog"]) == 2
    assert built() == ["B", "C"]
    builder.trouble = lambda event: None
    make_due()
    assert outbox.relay_once(["catalog"]) == 1
    assert built() == ["A", "B", "C"]


def test_a_consumer_handles_many_events_in_one_transaction(statements: Any) -> None:
    emit(*(f"E{number}" for number in range(30)))
    with statements() as counted:
        assert outbox.deliver_due("catalog") == 30
    commits = Counter(alias for alias, sql in counted.log if sql == "COMMIT")
    assert commits == {"catalog": 2, "inventory": 1}
    inbox = [sql.split()[0] for alias, sql in counted.log if "inventory_inboxevent" in sql]
    assert inbox == ["SELECT", "INSERT"]


def test_an_aggregate_s_events_come_in_the_order_they_were_emitted_in(settings: Any) -> None:
    seen: list[tuple[str, int]] = []
    handlers = {("inventory", Built.NAME): (Built, lambda event: seen.append((event.code, event.version)))}
    for version, code in enumerate("BABCAB"):
        emit(code, version=version)
    OutboxEvent.objects.filter(aggregate_id="B", payload__version=0).update(next_at=Now())  # it has failed before
    with events.replaced(handlers):
        assert outbox.deliver_due("catalog") == 6
    assert seen == [("A", 1), ("A", 4), ("B", 0), ("B", 2), ("B", 5), ("C", 3)]


def test_a_batch_is_read_by_index() -> None:
    """In the order of the index, so that no engine reads, sorts or locks all that waits."""
    with unit_of_work("orders"):
        outbox.emit("orders", *(Built(code=f"E{number}", version=1) for number in range(300)))
    asked: list[tuple[str, Any]] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "ORDER BY" in sql:
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with connections["orders"].execute_wrapper(record):
        assert outbox.deliver_due("orders") == outbox.BATCH
    ((sql, params),) = asked
    with connections["orders"].cursor() as cursor:
        cursor.execute(f"{connections['orders'].ops.explain_query_prefix()} {sql}", params)
        plan = str(cursor.fetchall())
    assert "orders_outbox_due" in plan
    assert "TEMP B-TREE" not in plan
    assert "filesort" not in plan


def test_a_lease_keeps_other_relays_away_until_it_runs_out(builder: Builder) -> None:
    def die(event: Built) -> None:
        raise Died

    builder.trouble = die
    emit("A")
    with pytest.raises(Died):
        outbox.deliver_due("catalog")
    builder.trouble = lambda event: None
    lease = only_row().next_at - utcnow()
    assert outbox.LEASE * 0.5 < lease <= outbox.LEASE
    assert outbox.deliver_due("catalog") == 0
    assert builder.told == ["A"]
    OutboxEvent.objects.update(next_at=F("next_at") - outbox.LEASE - timedelta(seconds=1))
    assert outbox.deliver_due("catalog") == 1
    assert (built(), only_row().attempts) == (["A"], 2)


def test_a_relay_that_lost_its_lease_marks_nothing(builder: Builder) -> None:
    def taken_over(event: Built) -> None:
        OutboxEvent.objects.update(lease_owner="another relay")

    builder.trouble = taken_over
    emit("A")
    outbox.deliver_due("catalog")
    assert (only_row().delivered_at, only_row().lease_owner) == (None, "another relay")


def test_only_one_aggregate_s_events_when_asked() -> None:
    emit("A", "B")
    assert outbox.deliver_due("catalog", aggregate_id="B") == 1
    assert built() == ["B"]


def test_one_row_is_delivered_when_a_person_asks_for_it() -> None:
    emit(*(f"E{number}" for number in range(outbox.BATCH)), *"ABCD")
    asked = OutboxEvent.objects.get(aggregate_id="D")
    OutboxEvent.objects.filter(pk=asked.pk).update(next_at=Now() + timedelta(hours=1))
    assert outbox.redeliver("catalog", asked.pk)
    assert built() == ["D"]


def test_more_than_a_batch_is_delivered_in_one_round() -> None:
    codes = [f"E{number:03}" for number in range(2 * outbox.BATCH + 4)]
    emit(*codes)
    assert outbox.deliver_due("catalog") == outbox.BATCH
    assert outbox.relay_once(["catalog", "customers"]) == outbox.BATCH + 4
    assert built() == codes


def test_a_relay_that_dies_in_a_long_backlog_has_marked_most_of_what_it_delivered(builder: Builder) -> None:
    def die(event: Built) -> None:
        if event.code == "E114":
            raise SystemExit

    builder.trouble = die
    emit(*(f"E{number}" for number in range(130)))
    with pytest.raises(SystemExit):
        outbox.relay_once(["catalog"])
    waiting = set(OutboxEvent.objects.filter(delivered_at=None).values_list("aggregate_id", flat=True))
    assert waiting >= {f"E{number}" for number in range(114, 130)}
    assert len(waiting) <= 16 + outbox.BATCH < 130


def test_an_idle_relay_writes_nothing(statements: Any) -> None:
    with statements() as counted:
        assert outbox.relay_once(["catalog"]) == 0
    assert [sql.split()[0] for _, sql in counted.log] == ["SELECT"]


def test_an_event_nobody_handles_any_more_stays() -> None:
    emit("A")
    with events.replaced({}):
        assert outbox.deliver_due("catalog") == 0
    assert only_row().delivered_at is None


def test_a_newer_producer_may_add_fields() -> None:
    outbox.receive("inventory", [told("A", colour="red")])
    assert built() == ["A"]


def test_the_request_s_id_goes_with_the_event(builder: Builder) -> None:
    seen: list[str] = []
    builder.trouble = lambda event: seen.append(requests.request_id())
    with requests.continued({"request_id": "request-1"}, "test"):
        emit("A")
    assert only_row().trace == {"request_id": "request-1"}
    outbox.deliver_due("catalog")
    assert seen == ["request-1"]
    assert requests.request_id() == ""


def test_prune() -> None:
    emit("A", "B", "C")
    outbox.deliver_due("catalog", aggregate_id="A")
    outbox.deliver_due("catalog", aggregate_id="B")
    long_ago = utcnow() - timedelta(days=15)
    OutboxEvent.objects.filter(aggregate_id="A").update(delivered_at=long_ago, created_at=long_ago)
    OutboxEvent.objects.filter(aggregate_id="C").update(created_at=long_ago)
    assert outbox.prune("catalog", keep=timedelta(days=14)) == 1
    assert set(OutboxEvent.objects.values_list("aggregate_id", flat=True)) == {"B", "C"}, "what waits is never pruned"
    InboxEvent.objects.filter(pk=OutboxEvent.objects.get(aggregate_id="B").event_id).update(received_at=long_ago)
    assert outbox.prune("inventory", keep=timedelta(days=14)) == 1
    assert InboxEvent.objects.count() == 1


def test_a_request_delivers_what_it_caused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    emit("A")
    outbox.deliver_after_commit("catalog", "A")
    assert built() == ["A"]
    monkeypatch.setattr(outbox, "deliver_due", lambda *args, **kwargs: 1 / 0)
    outbox.deliver_after_commit("catalog", "A")  # the caller's change is committed: nothing may fail any more
