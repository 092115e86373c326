"""``manage.py await_migrations``, which pods wait for before they serve."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import world

pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[dict[str, str]]:
    orders_alone = "*=http://elsewhere:8000,orders=local"  # so that there is less to migrate
    with world.world(None, tmp_path / "var", ECI_SERVICES=orders_alone) as environment:
        yield environment


_COMMAND = [sys.executable, "manage.py", "await_migrations"]


def test_it_waits_until_the_last_migration_has_run(empty: dict[str, str]) -> None:
    waiting = subprocess.Popen(_COMMAND, cwd=world.ROOT, env=empty, stdout=subprocess.PIPE, text=True)
    assert waiting.stdout is not None
    first = waiting.stdout.readline()
    assert first.startswith("Waiting for default: ") and "orders: " in first
    world.prepare(empty)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0


@pytest.mark.any_engine
def test_it_gives_up_in_words(empty: dict[str, str]) -> None:
    done = subprocess.run([*_COMMAND, "--seconds", "0"], cwd=world.ROOT, env=empty, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Not ready after 0 seconds: default: " in done.stderr


@pytest.mark.any_engine
def test_a_database_out_of_reach_is_waited_for(empty: dict[str, str]) -> None:
    away = empty | {"ECI_ORDERS_DATABASE_URL": "sqlite:////nowhere/orders.sqlite3"}
    done = subprocess.run([*_COMMAND, "--seconds", "0"], cwd=world.ROOT, env=away, capture_output=True, text=True)
    assert done.returncode == 1
    assert "orders: out of reach (OperationalError)" in done.stderr
