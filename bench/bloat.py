"""Do the tables of messages and keys grow for ever? ``python tools/servers.py python -m bench.bloat [ROWS]``

On empty databases: it writes ROWS old rows into each table (200,000), prunes them, lets the database clean up as it
does in time, and does so five times. A table that does not bloat is as large after the last round as after the first.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections, models  # noqa: E402

from bench.filling.goods import moment  # noqa: E402
from bench.filling.trade import COLUMNS  # noqa: E402
from bench.filling.writer import refresh_statistics, write  # noqa: E402
from bench.page import table  # noqa: E402
from contexts.notifications.models import InboxEvent  # noqa: E402
from contexts.orders import models as orders  # noqa: E402
from contexts.payments import models as payments  # noqa: E402
from eci import idempotency, outbox  # noqa: E402
from eci.clock import utcnow  # noqa: E402

ROUNDS = 5
OLD = moment(utcnow() - 2 * outbox.KEPT)
_SIZES = {
    "postgresql": "SELECT pg_total_relation_size('{table}')",
    "mysql": "SELECT file_size FROM information_schema.innodb_sys_tablespaces"
    " WHERE name = concat(database(), '/{table}')",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}


def messages(rows: int) -> Iterator[tuple[Any, ...]]:
    payload = '{"version": 2, "order_id": "ORD-01M82R2FZKQ0XJ7W2C4T5N8V9A", "order_total": "12.34", "currency": "USD"}'
    for number in range(rows):
        told = (uuid.uuid4().hex, "orders.order_confirmed.v1", "notifications", f"ORD-{number:026}")
        yield (*told, payload, OLD, OLD, 1, OLD)


def heard(rows: int) -> Iterator[tuple[Any, ...]]:
    return ((uuid.uuid4().hex, "orders.order_confirmed.v1", OLD) for _ in range(rows))


def keys(rows: int) -> Iterator[tuple[Any, ...]]:
    answer = '{"data": {"filler": "' + "x" * 1500 + '"}}'
    for _ in range(rows):
        yield "staff:1:orders.place", uuid.uuid4().hex, "d" * 64, "ORD-01M82R2FZKQ0XJ7W2C4T5N8V9A", 201, answer, OLD


@dataclass
class Table:
    model: type[models.Model]
    rows: Callable[[int], Iterator[tuple[Any, ...]]]
    prune: Callable[[str], int]
    columns: tuple[str, ...]
    full: list[float] = field(default_factory=list)  # MB after each round's writing
    left: list[float] = field(default_factory=list)  # and pruning
    seconds: float = 0.0
    slowest: float = 0.0  # of its statements

    @property
    def alias(self) -> str:
        return self.model._meta.app_label

    def size(self) -> float:
        with connections[self.alias].cursor() as cursor:
            cursor.execute(_SIZES[connections[self.alias].vendor].format(table=self.model._meta.db_table))
            return float(cursor.fetchone()[0]) / 1024**2

    def round(self, rows: int) -> None:
        write(self.model, self.columns, self.rows(rows))
        self.full.append(self.size())
        begun = time.perf_counter()
        with connections[self.alias].execute_wrapper(self._clock):
            pruned = self.prune(self.alias)
        self.seconds += time.perf_counter() - begun
        if pruned != rows:
            raise SystemExit(f"{self.model._meta.db_table}: {pruned} rows of {rows} were pruned")
        refresh_statistics(self.alias)
        self.left.append(self.size())

    def _clock(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        begun = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - begun)


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    call_command("prepare", verbosity=0)
    told = COLUMNS[orders.OutboxEvent]
    tables = [
        Table(orders.OutboxEvent, messages, outbox.prune, told),
        Table(payments.OutboxEvent, messages, outbox.prune, told),
        Table(InboxEvent, heard, outbox.prune, COLUMNS[InboxEvent]),
        Table(orders.Idempotency, keys, idempotency.prune, COLUMNS[orders.Idempotency]),
        Table(payments.Idempotency, keys, idempotency.prune, COLUMNS[orders.Idempotency]),
    ]
    lines = []
    for one in tables:
        for _ in range(ROUNDS):
            one.round(rows)
        lines.append(
            (
                f"{one.model._meta.db_table}, {connections[one.alias].vendor}",
                *(f"{size:,.0f}" for size in (one.full[0], one.full[-1], one.left[0], one.left[-1])),
                f"{one.seconds / ROUNDS / rows * 100_000:.1f}",
                f"{one.slowest * 1000:.0f}",
            )
        )
    head = (f"MB with {rows:,} rows", "first", f"after {ROUNDS * rows:,}", "pruned, first", "pruned, last")
    print(table((*head, "s for 100,000", "slowest statement, ms"), lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
