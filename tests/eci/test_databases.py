"""Databases that take too long, and servers that take connections and answer nothing."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client

from eci import databases
from eci.http.envelope import describe

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n WHERE i < 1e12",
    "postgresql": "SELECT pg_sleep(20)",
    "mysql": "SELECT sleep(20)",
}


@pytest.fixture(autouse=True)
def one_second() -> Iterator[None]:
    databases.bound_waits(1, statements=True)
    yield
    databases.bound_waits(0, statements=False)
    databases.hung.__init__()


def elsewhere(work: Callable[[], Any]) -> Any:
    """In a thread, which has connections of its own."""

    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


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
