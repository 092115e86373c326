"""Place orders in this process, with nothing else running, to see what one is made of. Prints JSON.

``python -m bench.one_order ORDERS [NAME=PID ...]`` works on the databases of its environment, which bench.filling has
filled. NAME=PID are the servers' processes; ``--postgres-log FILE`` is where PostgreSQL logs.

- ``statements``: those of one order by context, and its commits, as the databases themselves have seen them.
- ``ways``: how often this process waits for an answer of a database, for such an order.
- ``parts``: µs of processor time of one order, by context and layer. A timer of the process looks where it is.
- ``request``, ``after``: µs of this process and of the servers, for an order and for delivering its events and sending
  its mails then. ``calls``: Python functions called by each. Others' load changes all times, and no count.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import sqlparse

from bench import databases, machine
from bench.shop import ADMIN, CONTEXTS, ROOT

WARM_UP = 20
MANY = 675  # lines: the longest order of the real shop
_EVERY = 0.001  # seconds of processor time between two looks; the kernel may take four times as long

# The first that fits the file of the innermost frame outside of Python's own library.
_LAYERS = (
    ("statements", ("django/db/models",)),
    ("drivers", ("django/db", "psycopg", "MySQLdb", "eci/databases", "eci/db.py", "eci/statements")),
    ("watching", ("eci/watch", "structlog", "prometheus_client", "django_prometheus", "opentelemetry")),
    ("identity", ("eci/identity", "jwt", "django/contrib", "config/staff", "django_otp")),
    ("HTTP", ("rest_framework", "eci/http", "django", "corsheaders", "csp", "whitenoise")),
    ("its own", ("contexts", "eci", "config")),
)
ALIASES = {"platform": "default"} | {context: context for context in CONTEXTS}  # Django's names of the databases
LAYERS = (*(name for name, _ in _LAYERS), "other")
_LIBRARY = re.compile(r"/site-packages/(.*)")
_CONTEXT = re.compile(r"^contexts/(\w+)/")


def place_of(file: str) -> str:
    """The file's path inside this checkout or the installed packages; empty for Python's own library."""
    if found := _LIBRARY.search(file):
        return found[1]
    return file.removeprefix(f"{ROOT}/") if file.startswith(f"{ROOT}/") else ""


def layer_of(place: str) -> str:
    fits = (name for name, starts in _LAYERS if place.startswith(starts))
    return next(fits, "other")


def part_of(files: Iterator[str]) -> tuple[str, str]:
    """Context and layer of a stack, given the files of its frames, innermost first."""
    layer, context = "", ""
    for file in files:
        place = place_of(file)
        if place and not layer:
            layer = layer_of(place)
        if found := _CONTEXT.match(place):
            context = found[1]
            break
    return context or "the request", layer or "other"


@contextmanager
def sampled() -> Iterator[Counter[tuple[str, str]]]:
    """How often the process was where, while this is open."""
    seen: Counter[tuple[str, str]] = Counter()

    def look(number: int, frame: FrameType | None) -> None:
        seen[part_of(_files(frame))] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
    try:
        yield seen
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _files(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back


# -- statements, as the databases see them ----------------------------------------------------------------------------
_NOISE = re.compile(r"^(BEGIN|START|SAVEPOINT|RELEASE|SET|PRAGMA|SHOW|ROLLBACK|DEALLOCATE|$)", re.IGNORECASE)
_POSTGRES_LINE = re.compile(r"^(\S*) LOG:  (?:statement|execute [^:]*): (.*)$", re.MULTILINE)
_OF_MARIADB = re.compile(r"\b(orders|shipping)_\w")


class Counted:
    """``said``: (context, statement) in order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def sums(self) -> dict[str, dict[str, int]]:
        """Statements and commits by context."""
        sums = {context: {"statements": 0, "commits": 0} for context in ALIASES}
        for context, statement in self.said:
            if context not in sums or _NOISE.match(statement):
                continue
            sums[context]["commits" if statement.upper().startswith("COMMIT") else "statements"] += 1
        return sums


def of_postgres(log: str, contexts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """From lines that begin with the database's name; ``contexts`` by that."""
    for database, statement in _POSTGRES_LINE.findall(log):
        yield contexts.get(database, ""), statement


def of_mariadb(rows: list[tuple[int, str]]) -> Iterator[tuple[str, str]]:
    """From (connection, statements of a packet). A connection is the context's whose tables it names."""
    owner = {connection: found[1] for connection, said in rows if (found := _OF_MARIADB.search(said))}
    for connection, said in rows:
        for statement in sqlparse.split(said):
            yield owner.get(connection, ""), statement


@contextmanager
def counted(urls: Mapping[str, str], postgres_log: Path | None) -> Iterator[Counted]:
    found = Counted()
    if postgres_log is None:
        with _traced_sqlite(found):
            yield found
        return
    postgres = databases.connect(f"{urls['catalog'].rpartition('/')[0]}/postgres")  # its own log is nobody's
    mariadb = databases.connect(urls["orders"])
    said = mariadb.cursor()
    for setting in ("log_statement = 'all'", "log_line_prefix = '%d '"):
        postgres.execute(f"ALTER SYSTEM SET {setting}")
    for statement in ("SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = ON"):
        said.execute(statement)
    postgres.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)  # every process of PostgreSQL takes it over when it is next idle
    begun = postgres_log.stat().st_size
    try:
        yield found
    finally:
        said.execute("SET GLOBAL general_log = OFF")
        postgres.execute("ALTER SYSTEM RESET ALL")
        postgres.execute("SELECT pg_reload_conf()")
        contexts = {url.rpartition("/")[2]: context for context, url in urls.items()}
        with postgres_log.open() as log:
            log.seek(begun)
            found.said += of_postgres(log.read(), contexts)
        said.execute(
            "SELECT thread_id, CONVERT(argument USING utf8mb4) FROM mysql.general_log"
            " WHERE command_type IN ('Query', 'Execute') ORDER BY event_time"
        )
        found.said += of_mariadb(list(said.fetchall()))
        postgres.close()
        mariadb.close()


@contextmanager
def _traced_sqlite(found: Counted) -> Iterator[None]:
    from django.db import connections

    opened = {context: connections[alias] for context, alias in ALIASES.items()}
    for context, connection in opened.items():
        connection.ensure_connection()
        connection.connection.set_trace_callback(lambda said, of=context: found.said.append((of, said)))
    yield
    for connection in opened.values():
        connection.connection.set_trace_callback(None)


@contextmanager
def ways() -> Iterator[list[str]]:
    """Each wait of this process for an answer of PostgreSQL, MySQL or MariaDB, while this is open: what waited."""
    seen: list[str] = []
    waits: list[tuple[Any, str]] = []
    with suppress(ImportError):  # where databases are files there are no drivers
        from MySQLdb.connections import Connection
        from psycopg import Connection as OfPostgres

        waits += [(Connection, name) for name in ("query", "commit", "rollback", "begin", "ping")]
        waits += [(OfPostgres, "wait")]
    kept = [(owner, name, getattr(owner, name)) for owner, name in waits]

    def watched(name: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*arguments: Any, **options: Any) -> Any:
            seen.append(name)
            return really(*arguments, **options)

        return watching

    for owner, name, really in kept:
        setattr(owner, name, watched(name, really))
    try:
        yield seen
    finally:
        for owner, name, really in kept:
            setattr(owner, name, really)


# -- orders -----------------------------------------------------------------------------------------------------------
class InProcess:
    """The product's WSGI application, called without a server."""

    def __init__(self) -> None:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        from django.test import RequestFactory

        from config.operations import processes
        from config.wsgi import application

        processes.collect_rarely()  # as config/gunicorn.py does
        self.application: Any = application
        self.factory = RequestFactory(HTTP_HOST="127.0.0.1")
        self.headers: dict[str, str] = {}
        answer = self.post("/v1/staff/token", ADMIN)
        self.headers = {"HTTP_AUTHORIZATION": f"Bearer {answer['data']['access']}"}

    def post(self, path: str, body: Any) -> Any:
        key = {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
        return json.loads(
            self._answer(self.factory.post(path, json.dumps(body), "application/json", **self.headers, **key))
        )

    def get(self, path: str) -> Any:
        return json.loads(self.read(path))

    def read(self, path: str) -> bytes:
        return self._answer(self.factory.get(path, **self.headers))

    def _answer(self, asked: Any) -> bytes:
        answer = self.application(asked.environ, lambda status, headers, error=None: None)
        try:
            return b"".join(answer)
        finally:
            answer.close()

    def order(self, lines: int, first: int = 1) -> None:
        items = [{"product_id": first + line, "quantity": 2} for line in range(lines)]
        answer = self.post("/v1/orders", {"customer_id": 1, "items": items})
        assert answer["status"] == "success", answer


def after_commit() -> None:
    """What worker and relay do about orders that were placed: deliver their events, send their mails."""
    from contexts.notifications import workflows
    from eci import outbox

    while outbox.relay_once(CONTEXTS):
        pass
    workflows.send_due()


def spent(work: Callable[[], None], servers: Mapping[str, int]) -> dict[str, float]:
    """ms of processor time, by part."""
    before, begun = machine.look(), time.process_time()
    work()
    used = (time.process_time() - begun) * 1000
    after = machine.look()
    return {"Python": used} | {name: after.cpu(pid) - before.cpu(pid) for name, pid in servers.items()}


def calls(work: Callable[[], None]) -> int:
    """How many Python functions it calls."""
    counted = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.one_order", description=__doc__)
    parser.add_argument("orders", type=int)
    parser.add_argument("servers", nargs="*", metavar="NAME=PID")
    parser.add_argument("--postgres-log", type=Path)
    asked = parser.parse_args()
    servers = {name: int(pid) for name, _, pid in (one.partition("=") for one in asked.servers)}
    shop = InProcess()
    urls = {context: os.environ.get(f"ECI_{context.upper()}_DATABASE_URL", "") for context in ALIASES}
    for number in range(WARM_UP):
        shop.order(1, number + 1)
    after_commit()
    statements, waits = {}, {}
    for lines in (1, MANY):
        shop.order(lines)
        with ways() as seen:
            shop.order(lines)
        with counted(urls, asked.postgres_log) as found:
            shop.order(lines)
        waits[str(lines)] = len(seen)
        statements[str(lines)] = found.sums()
    after_commit()

    def place() -> None:
        for number in range(asked.orders):
            shop.order(1, number % 900 + 1)

    called = {"request": calls(place), "after": calls(after_commit)}
    request = spent(place, servers)
    after = spent(after_commit, servers)
    with sampled() as seen:
        place()
    after_commit()
    each = 1000 / asked.orders
    looks = seen.total()
    parts: dict[str, dict[str, float]] = {}
    for (context, layer), times in seen.items():
        parts.setdefault(context, {})[layer] = times / looks * request["Python"] * each
    json.dump(
        {
            "orders": asked.orders,
            "looks": looks,
            "statements": statements,
            "ways": waits,
            "parts": parts,
            "request": {part: used * each for part, used in request.items()},
            "after": {part: used * each for part, used in after.items()},
            "calls": {part: round(times / asked.orders) for part, times in called.items()},
        },
        sys.stdout,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
