"""What the worker measures: its tasks, and the connections of its processes.

``eci.watch.metrics`` is imported inside the functions, because ``config.celery`` loads before Django is set up.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from celery.signals import (
    celeryd_init,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_ready,
    worker_shutdown,
)

from eci.watch import metrics_folder

if "worker" in sys.argv:  # Celery's signals come too late: by then Django's checks have imported prometheus_client
    metrics_folder.begin()


@celeryd_init.connect
def leave_the_supervisor_s(**kwargs: Any) -> None:
    if not metrics_folder.is_own():
        metrics_folder.begin()


@worker_shutdown.connect
def end(**kwargs: Any) -> None:
    metrics_folder.end()


@worker_ready.connect
def watch_master(sender: Any, **kwargs: Any) -> None:
    from config.operations import exporter
    from eci.watch.metrics import watch_connections

    worker = sender.controller
    in_master = 0 if worker.pool_cls.__module__.endswith("prefork") else worker.concurrency
    watch_connections(in_master + 1)  # the relay has a thread too
    exporter.serve()


@worker_process_init.connect
def watch_child(**kwargs: Any) -> None:
    from eci.watch.metrics import watch_connections

    watch_connections(1)


_began: dict[str, float] = {}


@task_prerun.connect
def begin_task(task_id: str, **kwargs: Any) -> None:
    _began[task_id] = time.perf_counter()


@task_postrun.connect
def count_task(task_id: str, task: Any, state: str | None = None, **kwargs: Any) -> None:
    from eci.watch import metrics

    seconds = time.perf_counter() - _began.pop(task_id)
    metrics.TASK_DURATION.labels(task.name).observe(seconds)
    metrics.TASKS.labels(task.name, str(state)).inc()
