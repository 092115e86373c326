"""The relay's thread in the worker: how soon it looks again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from config import celery
from eci import events, outbox
from eci.db import unit_of_work
from eci.imports import leases

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


def test_an_import_that_waits_is_seen_once_in_a_while(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(leases, "any_free", lambda context: context in ("customers", "inventory"))
    monkeypatch.setattr(celery.app, "send_task", lambda name, queue, **options: sent.append((name, queue)))
    run(waits, monkeypatch, [0] * 3)
    assert sent == [("customers.run_imports", "customers"), ("inventory.run_imports", "inventory")]
