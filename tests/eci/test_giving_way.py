"""Long work lets others write to the same file of SQLite, whose lock has no queue."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from eci import db
from tests.support.world import ON_SERVERS


@pytest.mark.skipif(ON_SERVERS, reason="servers have queues")
def test_who_waits_gets_a_turn_between_two_units(tmp_path: Path) -> None:
    wrote = threading.Event()

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "shop.sqlite3", timeout=20, isolation_level=None)

    def write() -> None:
        connection = connect()
        connection.execute("BEGIN IMMEDIATE")
        wrote.set()
        connection.execute("COMMIT")
        connection.close()

    works = connect()
    works.execute("BEGIN IMMEDIATE")
    waiting = threading.Thread(target=write)
    waiting.start()
    for _ in range(20):
        works.execute("COMMIT")
        db.give_way("catalog")
        if wrote.is_set():
            break
        works.execute("BEGIN IMMEDIATE")
    assert wrote.is_set()
    works.close()
    waiting.join()
