"""Databases that take too long, and servers that take connections and answer nothing."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.db import OperationalError, connections
from django.test import Client
from django.utils.timezone import now

import eci.db
from eci import databases
from eci.db import Stale, unit_of_work
from eci.http.envelope import describe
from eci.remembered import forget_everything
from tests.support.threads import elsewhere

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n WHERE i < 1e12",
    "postgresql": "SELECT pg_sleep(20)",
    "mysql": "SELECT sleep(20) FROM (SELECT 1 UNION SELECT 2) AS two",  # MySQL ends a single sleep without a word
}


@pytest.fixture(autouse=True)
def one_second() -> Iterator[None]:
    databases.bound_waits(1, statements=True)
    yield
    databases.bound_waits(0, statements=False)
    databases.hung.__init__()


@pytest.mark.parametrize("context", ["catalog", "orders"])
def test_a_statement_that_takes_too_long_is_ended_in_words(context: str) -> None:
    def ask() -> tuple[Any, ...]:
        connection = connections[context]
        with connection.cursor() as cursor:
            with pytest.raises(OperationalError) as slow:
                cursor.execute(SLOW[connection.vendor])
            cursor.execute("SELECT 1")
            return describe(slow.value), cursor.fetchone()

    (status, body, headers), after = elsewhere(ask)
    assert (status, body["code"], body["details"]) == (503, "context_unavailable", {"context": context})
    assert "takes too long" in body["error"] and headers["Retry-After"]
    assert after == (1,), "the connection is as good as before"


@pytest.mark.skipif(connections["orders"].vendor == "sqlite", reason="writers of SQLite take turns")
@pytest.mark.parametrize("context", ["catalog", "orders"])
def test_so_is_one_that_waits_for_somebody_s_lock(context: str) -> None:
    databases.bound_waits(2, statements=True)  # the shortest wait for a lock that MySQL knows is a second
    used = apps.get_model(context, "UsedServiceToken")
    locked, answered = threading.Event(), threading.Event()

    def write() -> None:
        used.objects.create(digest="one", used_at=now())

    def hold() -> None:
        with contextlib.suppress(Stale), unit_of_work(context):
            write()
            locked.set()
            answered.wait(60)
            raise Stale

    def ask() -> Any:
        with pytest.raises(OperationalError) as slow:
            write()
        return describe(slow.value), eci.db._is_serialization_failure(slow.value)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(elsewhere, hold)
        assert locked.wait(10), holding.result()
        (status, body, _), again = elsewhere(ask)
        answered.set()
        holding.result()
    assert (status, body["code"], body["details"]) == (503, "context_unavailable", {"context": context})
    assert "takes too long" in body["error"]
    assert not again
    assert databases.hung.admits(connections[context].server), "the server is well"


@pytest.mark.skipif(connections["orders"].vendor == "sqlite", reason="SQLite has no server")
@pytest.mark.parametrize(("context", "path"), [("catalog", "/v1/products"), ("shipping", "/v1/shipments/track/x")])
def test_a_server_that_hangs_is_asked_by_one_and_left_alone_by_the_others(
    monkeypatch: pytest.MonkeyPatch, context: str, path: str
) -> None:
    """It is a socket that accepts and says nothing."""
    monkeypatch.setattr(databases, "PAUSE", 60)  # the machine may be slow
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        server = ("127.0.0.1", str(silent.getsockname()[1]))

        def ask() -> tuple[int, Any]:
            connection = connections[context]
            connection.settings_dict = connection.settings_dict | {"HOST": server[0], "PORT": server[1]}
            answer = Client(raise_request_exception=False).get(path)
            return answer.status_code, answer.json()

        status, body = elsewhere(ask)
        assert (status, body["code"], body["details"]) == (503, "context_unavailable", {"context": context})
        silent.settimeout(0)
        assert accepted(silent) == 1
        assert elsewhere(ask)[0] == 503
        assert accepted(silent) == 0, "nobody waited for it"


def accepted(listening: socket.socket) -> int:
    """How many have connected since the last look."""
    for count in itertools.count():
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
    raise AssertionError


def test_of_many_who_ask_a_server_that_hangs_one_is_let_through_after_the_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    hung, server = databases.Hung(), ("host", "1")
    assert hung.admits(server)
    elsewhere(lambda: hung.add(server))
    assert not hung.admits(server)
    now[0] += databases.PAUSE
    assert [hung.admits(server) for _ in range(3)] == [True, False, False]
    hung.add(server)
    assert not hung.admits(server)
    now[0] += databases.PAUSE
    assert not hung.admits(server), "it has just waited in vain itself"
    now[0] += databases.TIRED
    assert hung.admits(server)
    hung.forget(server)
    assert [hung.admits(server) for _ in range(3)] == [True] * 3


def test_who_waits_long_for_a_database_is_counted() -> None:
    databases.bound_waits(5, statements=True)
    connection_of = connections["catalog"].vendor
    stop = threading.Event()

    def ask() -> None:
        with connections["catalog"].cursor() as cursor, pytest.raises(OperationalError):
            cursor.execute(SLOW[connection_of])
        stop.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(elsewhere, ask)
        while not databases.stuck(0.2):
            assert not stop.is_set()
        assert databases.stuck(100) == 0
        databases.bound_waits(0.1, statements=True)
    assert databases.stuck(0.2) == 0


def failure(code: int | None = None, text: str = "", **of_driver: Any) -> OperationalError:
    error = OperationalError(*([code] if code else []), text)
    error.__cause__ = Exception()
    for name, value in of_driver.items():
        setattr(error.__cause__, name, value)
    return error


KINDS = {
    databases.FULL: [
        failure(sqlstate="53100"),
        failure(1021),
        failure(1114),
        failure(1026, "Error writing file (Errcode: 28)"),
        failure(sqlite_errorcode=13),
    ],
    databases.READ_ONLY: [failure(sqlstate="25006"), failure(1290), failure(sqlite_errorcode=8 | 4 << 8)],
    databases.LOCKED: [failure(sqlstate="55P03"), failure(1205), failure(sqlite_errorcode=5)],
    databases.TIMED_OUT: [failure(sqlstate="57014"), failure(3024), failure(text="the server gave no answer in time")],
    databases.UNREACHABLE: [failure(2003), failure(text="connection refused"), failure(sqlite_errorcode=14)],
}


@pytest.mark.any_engine
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_tells_its_kind(kind: str) -> None:
    assert {databases.kind_of(error) for error in KINDS[kind]} == {kind}


@pytest.mark.any_engine
def test_a_full_disk_makes_what_is_on_it_unready(tmp_path: Path, settings: Any) -> None:
    """SQLite's own limit of pages stands for the disk: it fails with the same error."""

    def fill() -> tuple[Any, Any]:
        connection = connections["catalog"].copy()
        connection.settings_dict = connection.settings_dict | {"NAME": str(tmp_path / "full.sqlite3"), "HOST": ""}
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (x)")
            cursor.execute("PRAGMA max_page_count = 2")
            with pytest.raises(OperationalError) as full:
                cursor.execute("INSERT INTO t VALUES (zeroblob(100000))")
        connection.close()
        return describe(full.value), Client().get("/health/ready")

    if connections["catalog"].vendor != "sqlite":
        pytest.skip("fills a file of SQLite")
    (status, body, _), answer = elsewhere(fill)
    assert (status, body["details"]) == (503, {"context": "catalog"}) and "takes no changes" in body["error"]
    assert answer.json()["contexts"]["catalog"] == databases.FULL
    assert Client().get("/health/live").status_code == 200
    forget_everything()
    assert Client().get("/health/ready").json()["contexts"]["catalog"] == "healthy"


MOMENTS = [
    "2026-01-31 20:30:00.123456+00", "2026-01-31 20:30:00+00", "2026-01-31 20:30:00.5+05:30", "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00", "1883-11-18 12:00:00+00",
]  # fmt: skip


@pytest.mark.skipif(connections["orders"].vendor != "mysql", reason="it alone writes values into its texts")
def test_values_are_written_as_the_driver_writes_them() -> None:
    from MySQLdb.cursors import Cursor

    connection = connections["orders"]
    connection.ensure_connection()
    values = [
        "",
        'it\'s \\ "%s" \0 \n ü 🎉 %',
        0,
        -1,
        2**63,
        True,
        False,
        None,
        1.5,
        Decimal("1.10"),
        b"\xff'",
        [1, "a"],
    ]
    values += [
        datetime.fromisoformat("2026-01-31T20:30:00"),
        datetime.fromisoformat("2026-01-31T20:30:00.000005"),
        date(2026, 1, 31),
        timedelta(hours=5),
    ]
    cursor = connection.connection.cursor()
    for value in values:
        assert cursor._mogrify("SELECT '%%', %s", [value]) == Cursor._mogrify(cursor, "SELECT '%%', %s", [value])
    with connection.cursor() as asked:
        asked.execute("SELECT %s, %s", values[:2])
        assert asked.fetchone() == tuple(values[:2])


@pytest.mark.skipif(connections["orders"].vendor != "mysql", reason="its times have no zone")
@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30)), ZoneInfo("Europe/Berlin")])
def test_times_are_kept_in_utc(zone: Any) -> None:
    moment = datetime(2026, 1, 31, 20, 30, 0, 5, zone)
    operations = connections["orders"].ops
    assert operations.adapt_datetimefield_value(moment) == str(moment.astimezone(UTC).replace(tzinfo=None))


@pytest.mark.skipif(connections["orders"].vendor == "sqlite", reason="its times are texts")
@pytest.mark.parametrize("context", ["catalog", "orders"])
def test_times_are_read_as_django_reads_them(context: str) -> None:
    connection = connections[context]
    if connection.vendor == "postgresql":
        kinds = [f"'{moment}'::timestamptz" for moment in MOMENTS]
    else:
        kinds = [f"TIMESTAMP '{moment[:-3]}'" for moment in MOMENTS if moment.endswith("+00")]
        kinds += ["CAST(NULL AS DATETIME)"]
    for kind in kinds:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {kind}, CAST({kind} AS CHAR(40))")  # noqa: S608
            found, text = cursor.fetchone()
        if connection.vendor == "postgresql":
            assert found == datetime.fromisoformat(text.strip()) and found.tzinfo is UTC
        else:
            assert found == (text and datetime.fromisoformat(text))
            aware = connection.ops.convert_datetimefield_value(found, None, connection)
            assert aware == (found and found.replace(tzinfo=UTC))
