"""A command that would answer for an empty shop, because the shop is on servers or nowhere, says so and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import elsewhere
from tests.config.test_settings import run

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


@pytest.fixture(autouse=True)
def _no_databases_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if "_DATABASE_URL" in name:
            monkeypatch.delenv(name)


def shop_on_servers(folder: Path) -> None:
    (folder / "servers").mkdir()
    (folder / "servers" / "servers.json").write_text("{}")


def test_nothing_is_said_of_a_shop_on_sqlite(tmp_path: Path) -> None:
    assert elsewhere.problem(["audit"], folder=tmp_path) == ""


def test_of_one_on_servers_it_is_said_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_on_servers(tmp_path)
    said = elsewhere.problem(["orders", "stop", "we count"], folder=tmp_path)
    assert said.endswith("""make manage SERVERS=1 ARGS='orders stop '"'"'we count'"'"''""")
    assert [elsewhere.problem([free], folder=tmp_path) for free in ("up", "prepare", "help")] == ["", "", ""]
    assert elsewhere.problem([], folder=tmp_path) == ""
    monkeypatch.setenv("ECI_ORDERS_DATABASE_URL_FILE", "/run/secrets/orders")
    assert elsewhere.problem(["audit"], folder=tmp_path) == ""


def test_files_of_a_later_shop_are_that_shop(tmp_path: Path) -> None:
    shop_on_servers(tmp_path)
    (tmp_path / "platform.sqlite3").touch()
    assert elsewhere.problem(["audit"], folder=tmp_path) == ""


def test_but_not_while_the_servers_run(tmp_path: Path) -> None:
    shop_on_servers(tmp_path)
    (tmp_path / "platform.sqlite3").touch()
    (tmp_path / "servers" / "redis").mkdir()
    sleeper = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(sleeper, cwd=tmp_path / "servers" / "redis", stdin=subprocess.PIPE) as server:
        (tmp_path / "servers" / "redis.pid").write_text(str(server.pid))
        assert "runs on servers" in elsewhere.problem(["audit"], folder=tmp_path)
        assert "runs on servers" in elsewhere.problem(["prepare"], folder=tmp_path)
        assert elsewhere.problem(["up"], folder=tmp_path) == ""


def test_manage_py_asks(tmp_path: Path) -> None:
    shop_on_servers(tmp_path)
    done = run(tmp_path, "manage.py", "audit")
    assert (done.returncode, done.stdout) == (1, "")
    assert "make manage SERVERS=1 ARGS=audit" in done.stderr
    assert not (tmp_path / "orders.sqlite3").exists()


def test_where_there_is_no_shop_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ("audit", "reconcile", "create_staff"):
        done = run(tmp_path, "manage.py", arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert (
            done.stderr == f"There is no shop in {tmp_path} yet: make run makes one, and so does manage.py prepare.\n"
        )
    assert not list(tmp_path.glob("*.sqlite3"))
    for name in ("orders", "counters"):
        (tmp_path / f"{name}.sqlite3").touch()
    (tmp_path / "counters.sqlite3").write_text("x")
    assert elsewhere.missing(["audit"], folder=tmp_path)
    assert [elsewhere.missing([free], folder=tmp_path) for free in ("up", "prepare", "restore", "help")] == [""] * 4
    (tmp_path / "orders.sqlite3").write_text("x")
    assert elsewhere.missing(["audit"], folder=tmp_path) == ""
    (tmp_path / "orders.sqlite3").unlink()
    monkeypatch.setenv("ECI_ORDERS_DATABASE_URL", "postgresql://orders")
    assert elsewhere.missing(["audit"], folder=tmp_path) == ""


def test_help_needs_no_shop(tmp_path: Path) -> None:
    assert elsewhere.missing(["create_staff", "--help"], folder=tmp_path) == ""
    assert elsewhere.missing(["create_staff", "ann"], folder=tmp_path) != ""
