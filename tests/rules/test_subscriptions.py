"""What config/contexts.py promises exists: handlers, events and tasks."""

from __future__ import annotations

import fnmatch
import importlib
import re
from collections import Counter

import pytest
from django.conf import settings

from config.contexts import BEAT, CONTEXTS, subscriptions
from eci import checks, events

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def announced() -> dict[str, list[type[events.Event]]]:
    """Context -> the event classes of its public/events.py that have a name of their own."""
    found = {}
    for context in CONTEXTS:
        module = importlib.import_module(f"contexts.{context}.public.events")
        found[context] = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, events.Event) and "NAME" in vars(item)
        ]
    return found


def test_the_table_of_subscriptions_is_what_is_handled() -> None:
    table = {(consumer, name) for name, consumers in subscriptions().items() for consumer in consumers}
    assert table == events.subscriptions()
    assert subscriptions() == settings.ECI_SUBSCRIPTIONS
    assert checks.subscriptions_match_handlers(None) == []


def test_a_missing_handler_is_told_at_start() -> None:
    (_, name), *others = sorted(events.subscriptions())
    with events.replaced({other: events.handler_of(*other) for other in others}):
        (error,) = checks.subscriptions_match_handlers(None)
    assert (error.id, name in error.msg) == ("eci.E006", True)


def test_what_is_consumed_is_announced_by_its_context() -> None:
    names = {event.NAME: event for found in announced().values() for event in found}
    assert set(subscriptions()) <= set(names)
    for consumer, name in events.subscriptions():
        found = events.handler_of(consumer, name)
        assert found is not None
        assert found[0] is names[name]


def test_events_have_unique_versioned_names() -> None:
    assert any(announced().values())
    for context, found in announced().items():
        for event in found:
            assert re.fullmatch(r"[a-z]+\.[a-z_]+\.v[0-9]+", event.NAME)
            assert event.NAME.startswith(f"{context}.")
            assert event.AGGREGATE in event.__dataclass_fields__
            assert event.__dataclass_params__.frozen  # type: ignore[attr-defined]
    counted = Counter(event.NAME for found in announced().values() for event in found)
    assert [name for name, times in counted.items() if times > 1] == []


def test_beat_wakes_tasks_that_exist_on_their_context_s_queue() -> None:
    from config.celery import app

    app.loader.import_default_modules()
    beat = app.conf.beat_schedule
    assert set(beat) == {task for context in CONTEXTS.values() for task in context.beat} | set(BEAT)
    for name in BEAT:
        assert re.fullmatch(r"config\.(books|operations|staff)\.tasks", app.tasks[name].__module__)
        assert app.amqp.router.route({}, name)["queue"].name == "eci"
    for name, entry in beat.items():
        if name in BEAT:
            continue
        context = name.split(".")[0]
        assert name in CONTEXTS[context].beat
        assert entry["task"] in app.tasks
        assert app.tasks[name].__module__ == f"contexts.{context}.tasks"
        assert entry["options"]["queue"] == context
        assert entry["schedule"] == CONTEXTS[context].beat[name]


def test_every_task_of_a_context_is_routed_to_its_queue() -> None:
    from config.celery import app

    app.loader.import_default_modules()
    own = [name for name, task in app.tasks.items() if task.__module__.startswith("contexts.")]
    assert own
    for name in own:
        context = app.tasks[name].__module__.split(".")[1]
        routes = [route["queue"] for pattern, route in app.conf.task_routes.items() if fnmatch.fnmatch(name, pattern)]
        assert routes == [context], name
        assert app.amqp.router.route({}, name)["queue"].name == context


def test_every_context_prunes() -> None:
    assert [name for name, context in CONTEXTS.items() if f"{name}.prune" not in context.beat] == []
