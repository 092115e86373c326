"""The relay's thread in the worker: how soon it looks again, and for what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from config import celery
from config.contexts import CONTEXTS
from contexts.notifications.domain import Kind
from contexts.notifications.services import queue_shop_notification
from contexts.orders.models import Order
from contexts.payments.models import Payment
from eci import chores, events, outbox
from eci.db import unit_of_work
from tests.support.shop import Shop

pytestmark = pytest.mark.any_engine


class Told(events.Event):
    NAME: ClassVar[str] = "catalog.told.v1"
    AGGREGATE: ClassVar[str] = "NAME"


class Waits:
    """Stands for the event that the relay waits for: remembers for how long, and wakes it at once."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def clear(self) -> None:
        pass

    def set(self) -> None:
        pass

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return True


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waits]:
    stand_in = Waits()
    monkeypatch.setattr(outbox, "emitted", stand_in)
    monkeypatch.setattr(celery, "_stop", threading.Event())
    monkeypatch.setattr(celery, "close_old_connections", lambda: None)
    monkeypatch.setattr(chores, "has_work", lambda task: False)
    yield stand_in


def run(waits: Waits, monkeypatch: pytest.MonkeyPatch, found: list[int]) -> list[float]:
    """The pauses of a relay that delivers so many events in each of its rounds."""
    left = iter(found)

    def relay_once(contexts: Any) -> int:
        if contexts != ["catalog"]:
            return 0
        delivered = next(left, None)
        if delivered is None:
            celery._stop.set()
        return delivered or 0

    monkeypatch.setattr(outbox, "relay_once", relay_once)
    celery._relay()
    return waits.pauses[:-1]


def test_it_looks_less_often_while_it_finds_nothing(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(waits, monkeypatch, [0] * 6) == [0.25, 0.5, 1, 2, 2, 2]


def test_what_it_finds_makes_it_look_again_at_once(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(waits, monkeypatch, [0, 0, 3, 0, 0]) == [0.25, 0.5, 0.25, 0.5]


def test_what_its_process_emits_wakes_it(settings: Any) -> None:
    settings.ECI_SUBSCRIPTIONS = {Told.NAME: ("orders",)}
    outbox.emitted.clear()
    with unit_of_work("catalog"):
        outbox.emit("catalog", Told(version=1))
        assert not outbox.emitted.is_set(), "nothing is announced before it is committed"
    assert outbox.emitted.is_set()
    outbox.emitted.clear()


def test_an_event_that_nobody_is_told_wakes_nobody(settings: Any) -> None:
    settings.ECI_SUBSCRIPTIONS = {}
    outbox.emitted.clear()
    with unit_of_work("catalog"):
        outbox.emit("catalog", Told(version=1))
    assert not outbox.emitted.is_set()


def test_a_task_that_has_work_is_woken_once_in_a_while(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(chores, "has_work", lambda task: task in ("inventory.run_imports", "orders.recover"))
    monkeypatch.setattr(celery.app, "send_task", lambda name, queue, **options: sent.append((name, queue)))
    run(waits, monkeypatch, [0] * 3)
    assert sent == [("inventory.run_imports", "inventory"), ("orders.recover", "orders")]


def test_a_broker_that_is_away_is_not_asked_at_each_round(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(name: str, **options: Any) -> None:
        asked.append(name)
        raise OperationalError("Connection refused")

    monkeypatch.setattr(chores, "has_work", lambda task: task == "orders.recover")
    monkeypatch.setattr(celery.app, "send_task", refuse)
    looked: dict[str, float] = {}
    for now in (100.0, 104.1, 113.9, 114.1):
        monkeypatch.setattr(celery.time, "monotonic", lambda now=now: now)
        celery._wake("orders", looked)
    assert asked == ["orders.recover"] * 2


def test_every_task_that_is_looked_for_can_be_asked_and_is_woken_by_beat_too() -> None:
    celery.app.loader.import_default_modules()
    for context in CONTEXTS.values():
        assert context.looks.keys() <= context.beat.keys()
        assert [task for task in context.looks if chores.has_work(task)] == []


def test_a_beat_that_is_often_restarted_wakes_the_rarest_tasks_too() -> None:
    scheduler = celery.Scheduler(app=celery.app)
    first = {name: entry.is_due().next for name, entry in scheduler.schedule.items()}
    assert max(first.values()) <= 120 and min(first.values()) < 11
    again = {name: scheduler.reserve(entry).is_due().next for name, entry in scheduler.schedule.items()}
    assert again["orders.prune"] > 3599 and again["inventory.sweep_holds"] > 9


def test_an_order_that_is_due_is_work(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.order()
    assert not chores.has_work("orders.recover")
    Order.objects.update(next_at=Now())
    assert chores.has_work("orders.recover")
    Order.objects.update(lease_until=Now() + timedelta(seconds=15))
    assert not chores.has_work("orders.recover"), "somebody carries it on"
    celery.app.tasks["orders.recover"]()
    Order.objects.update(lease_until=None)
    celery.app.tasks["orders.recover"]()
    assert not chores.has_work("orders.recover")


def test_so_is_a_payment_without_an_answer_and_a_mail_that_waits(shop: Shop) -> None:
    shop.order(payment={"token": "tok_timeout"})
    assert not chores.has_work("payments.settle_unknown"), "not at once"
    Payment.objects.update(next_at=Now())
    assert chores.has_work("payments.settle_unknown")
    celery.app.tasks["payments.settle_unknown"]()
    assert not chores.has_work("payments.settle_unknown")
    queue_shop_notification(kind=Kind.ORDER_CANCELLATION, order_id="ORD-1", reference="ORD-1", facts={})
    assert chores.has_work("notifications.send_due")
    celery.app.tasks["notifications.send_due"]()
    assert not chores.has_work("notifications.send_due")
