"""Metrics that processes count as they work: requests, tasks and connections.

``config/operations/metrics.py`` has the metrics that are read from the databases.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.multiprocess import mark_process_dead

from eci.watch import metrics_folder, metrics_text

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # labels must stay few
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_GATEWAY = re.compile(r"^api/v1/[a-z]+/(?=v1/)")

_REQUEST = ["method", "route", "status"]
HTTP_REQUESTS = Counter("http_requests_total", "HTTP requests answered.", _REQUEST)
HTTP_DURATION = Histogram("http_request_duration_seconds", "Time to answer a request.", _REQUEST, buckets=_BUCKETS)
TASKS = Counter("tasks_total", "Celery tasks that ended.", ["task", "state"])
TASK_DURATION = Histogram("task_duration_seconds", "Time that a Celery task took.", ["task"], buckets=(*_BUCKETS, 60))
CONNECTIONS = Gauge(
    "database_connections_active",
    "Connections that processes hold: taken out of the pool where there is one, else open.",
    ["alias"],
    multiprocess_mode="livesum",
)
CONNECTIONS_MAX = Gauge(
    "database_connections_max", "Connections that processes may hold.", ["alias"], multiprocess_mode="livesum"
)


class MeasureMiddleware:
    """Counts and times requests by route. All requests that match no route share the label ``unknown``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - began
        match = request.resolver_match
        route = _GATEWAY.sub("", match.route) if match else "unknown"
        method = request.method if request.method in _METHODS else "other"
        status = str(response.status_code)
        HTTP_REQUESTS.labels(method, route, status).inc()
        HTTP_DURATION.labels(method, route, status).observe(seconds)
        return response


# -- connections ------------------------------------------------------------------------------------------------------

_SAMPLE_PAUSE = 5  # seconds
_wrappers: WeakSet[BaseDatabaseWrapper] = WeakSet()
_wrappers_lock = threading.Lock()


def _remember(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    with _wrappers_lock:
        _wrappers.add(connection)


def watch_connections(threads: int) -> None:
    """From now on, count in a thread of its own how many connections this process and its ``threads`` hold."""
    connection_created.connect(_remember, dispatch_uid="metrics")
    for alias, database in settings.DATABASES.items():
        pool = database.get("OPTIONS", {}).get("pool", {})
        CONNECTIONS_MAX.labels(alias).set(pool.get("max_size", threads))
    threading.Thread(target=_sample_for_ever, name="connections", daemon=True).start()


def _sample_for_ever() -> None:
    while True:
        sample_connections()
        time.sleep(_SAMPLE_PAUSE)


def sample_connections() -> None:
    with _wrappers_lock:
        held = Tally(wrapper.alias for wrapper in _wrappers if wrapper.connection is not None)
    for alias in settings.DATABASES:
        CONNECTIONS.labels(alias).set(held[alias])


# -- answers ----------------------------------------------------------------------------------------------------------


def of_processes() -> bytes:
    """The sum of what all processes of this service have counted, as Prometheus reads it."""
    folder = os.environ.get(metrics_folder.VARIABLE)
    if folder is None:
        return metrics_text.written(REGISTRY.collect())
    _bury(Path(folder))
    return metrics_text.added_up(Path(folder))


def _bury(folder: Path) -> None:
    """Forget the connections of ended processes. Their other counts are kept."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not metrics_folder.alive(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
