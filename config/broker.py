"""How Celery reaches its broker.

While the broker is away, a process tries to reach it every two seconds. Kombu would wait longer each time, up to 30
seconds, and work that is due, such as notifications, would wait that long once the broker is back.

The filesystem broker survives ``kill -9``: a message is readable whole or not at all. Kombu's own writes a file that a
reader may find half-written, and keeps its bindings in a file that a kill may leave empty; either stops the worker for
good. Bindings are the same in every process, so each process keeps them in memory.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from celery.app.amqp import AMQP
from kombu import connection
from kombu.transport import filesystem, virtual

AGAIN = 2  # seconds between two attempts to reach the broker


class Connection(connection.Connection):
    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        steady = {"interval_start": AGAIN, "interval_step": 0}
        return super().ensure_connection(*args, **steady | kwargs)  # type: ignore[no-untyped-call]


class Amqp(AMQP):
    Connection = Connection


class Channel(filesystem.Channel):
    get_table = virtual.Channel.get_table
    _delete = virtual.Channel._delete

    def _queue_bind(self, *args: Any) -> None:
        """Write no file: the base class keeps the binding in memory."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        path = Path(self.data_folder_out) / f"{time.time_ns()}_{uuid.uuid4().hex}.{queue}.msg"
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(payload))
        aside.rename(path)

    def _get(self, queue: str, timeout: Any = None) -> Any:
        try:
            return super()._get(queue)  # type: ignore[no-untyped-call]
        except ValueError:  # a crash cut the message short; nothing is lost, for beat sends another
            raise Empty from None


class Transport(filesystem.Transport):
    Channel = Channel
