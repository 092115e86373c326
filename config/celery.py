"""Celery: beat wakes each context's tasks; the worker runs them and, in a thread of its own, the relay, which
also looks for work that waits, and wakes its task.

The broker only wakes things up. A lost message loses no work: all work that is due stands in a database.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from typing import Any

import structlog
from celery import Celery, beat
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from kombu.exceptions import OperationalError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # Celery would run Django's, pages and all, and drop what they find

from django.conf import settings
from django.db import close_old_connections, connections

from config.broker import Amqp
from config.contexts import BEAT, CHECK_UP, CONTEXTS
from config.operations import worker_metrics  # noqa: F401 - connects its signals
from config.operations.processes import WORKER_THREADS, collect_rarely
from eci import chores, databases
from eci.calls import bulkheads
from eci.watch import requests, tracing

app = Celery("eci", amqp=Amqp)
log = requests.logger(__name__)

RELAY_PAUSE = 0.25  # seconds between two rounds over the outboxes; while nothing is found, twice as many each time
RELAY_PATIENCE = 2.0  # up to these: an event of another process waits no longer, one of this process not at all
EXPIRES = 3600  # seconds that a wake-up may wait; long, because the clocks of two machines may differ by minutes
FIRST_RUN = timedelta(minutes=2)  # after its start beat has woken every task
BEAT_PAUSE = 30  # seconds that beat may sleep at once: probes take it for dead after two minutes
PATIENCE = 30  # seconds that a task waits for one answer of a database: what it asks may be about all orders
BROKER_PAUSE = 10  # seconds, then a task is woken again that the broker did not take
AWAY_PAUSE = 2  # seconds, while a database is out of reach


def _configure() -> None:
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,
        task_default_queue=settings.ECI_SERVICE_NAME,  # other services may share the broker
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # no limit: after the default of 100, worker and beat would exit
        task_publish_retry=False,
        timezone="UTC",
        beat_schedule={
            task: {"task": task, "schedule": seconds, "options": {"expires": EXPIRES, "queue": name}}
            for name in settings.ECI_CONTEXTS
            for task, seconds in CONTEXTS[name].beat.items()
        }
        | {
            task: {"task": task, "schedule": seconds, "options": {"expires": EXPIRES}}
            for task, seconds in BEAT.items()
            if task != CHECK_UP or "orders" in settings.ECI_CONTEXTS
        },
        task_routes={f"{name}.*": {"queue": name} for name in settings.ECI_CONTEXTS},
    )
    if settings.ECI_REDIS_URL:
        app.conf.broker_url = settings.ECI_REDIS_URL
        app.conf.broker_transport_options = {"socket_timeout": 2, "socket_connect_timeout": 1}
    else:
        folder = settings.DATA_DIR / "broker"
        for part in ("messages", "control"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        app.conf.broker_url = "filesystem://"
        app.conf.broker_transport = "config.broker:Transport"
        app.conf.broker_transport_options = {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
        }


class Scheduler(beat.Scheduler):
    """Beat's own, which also shows that it is alive: it answers on no port."""

    def setup_schedule(self) -> None:
        """It waits a whole interval for each first run, so that if restarted often it would never wake a rare task."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at -= max(entry.schedule.run_every - FIRST_RUN, timedelta())

    def tick(self, *args: Any, **kwargs: Any) -> float:
        wait = float(super().tick(*args, **kwargs))
        (settings.DATA_DIR / "beat-alive").touch()
        return min(wait, BEAT_PAUSE)


_configure()
app.autodiscover_tasks(
    ["config.books", "config.operations", "config.staff", *(f"contexts.{name}" for name in settings.ECI_CONTEXTS)]
)


@setup_logging.connect
def _keep_logging(**kwargs: Any) -> None:
    """Do nothing, so that Django's LOGGING stays in force: Celery's own set-up would replace it."""


@task_prerun.connect
def _name_task(task: Any, **kwargs: Any) -> None:
    """Add the task's name to its log lines.

    A wake-up gets no span, since usually nothing is due. The work that it finds has a span, which names the task.
    """
    structlog.contextvars.bind_contextvars(task=task.name)


@task_postrun.connect
def _forget_task(**kwargs: Any) -> None:
    structlog.contextvars.unbind_contextvars("task")


@worker_ready.connect
@worker_process_init.connect
def start_tracing(**kwargs: Any) -> None:
    tracing.start("worker")


@worker_shutdown.connect
@worker_process_shutdown.connect
def stop_tracing(**kwargs: Any) -> None:
    tracing.stop()


_stop = threading.Event()


@worker_ready.connect
@worker_process_init.connect
def bound_waits(**kwargs: Any) -> None:
    databases.bound_waits(PATIENCE if settings.ECI_DATABASE_TIMEOUT else 0, statements=False)


@worker_ready.connect
def start_relay(**kwargs: Any) -> None:
    collect_rarely()
    bulkheads.has_threads(WORKER_THREADS + 1)
    threading.Thread(target=_relay, name="relay", daemon=True).start()


@worker_shutting_down.connect
def stop_relay(**kwargs: Any) -> None:
    from eci import outbox

    _stop.set()
    outbox.emitted.set()


def _relay() -> None:
    from eci import outbox

    databases.bound_waits_of_this_thread(settings.ECI_DATABASE_TIMEOUT)  # one that hangs must not keep all events
    pause = RELAY_PAUSE
    looked: dict[str, float] = {}
    while not _stop.is_set():
        outbox.emitted.clear()
        close_old_connections()
        delivered, away = 0, False
        for context in settings.ECI_CONTEXTS:
            try:
                delivered += outbox.relay_once([context])
                _wake(context, looked)
            except Exception:  # its database may be away for a while; the relay goes on with the other contexts
                log.exception("relay_round_failed", context=context)
                connections.close_all()
                away = True
        if away and not delivered:
            _stop.wait(AWAY_PAUSE)
        elif not delivered:
            outbox.emitted.wait(pause)
            pause = min(2 * pause, RELAY_PATIENCE)
        else:
            pause = RELAY_PAUSE


def _wake(context: str, looked: dict[str, float]) -> None:
    """Wake the context's tasks that have work. ``looked``: when each was last looked for, which this keeps."""
    for task, seconds in CONTEXTS[context].looks.items():
        now = time.monotonic()
        if now - looked.get(task, -seconds) < seconds:
            continue
        looked[task] = now
        if not chores.has_work(task):
            continue
        try:
            app.send_task(task, queue=context, expires=EXPIRES)
        except OperationalError:  # to find that the broker is away may take seconds, and events need none
            log.warning("not_woken", item=task)
            looked[task] += BROKER_PAUSE
