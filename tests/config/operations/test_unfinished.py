"""A restore that is cut off: nothing starts on what it left, and every command names the one that helps."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client

from config import unfinished
from config.operations import snapshots
from eci.remembered import forget_everything
from tests.support import world

THESE_REFUSE = [["up"], ["prepare"], ["audit"], ["backup"], ["backup", "x"], ["migrate"], ["orders", "status"]]
THESE_DO_NOT = [["restore", "newest", "--force"], ["backup", "--list"], ["audit", "--help"], ["help"], []]


@pytest.mark.any_engine
def test_commands_name_the_one_that_helps(tmp_path: Path) -> None:
    (tmp_path / unfinished.MARK).write_text("/my backups/of monday")
    for words in THESE_REFUSE:
        assert "manage.py restore '/my backups/of monday' --force" in unfinished.problem(words, folder=tmp_path), words
    for words in THESE_DO_NOT:
        assert not unfinished.problem(words, folder=tmp_path), words
    (tmp_path / unfinished.MARK).unlink()
    assert not any(unfinished.problem(words, folder=tmp_path) for words in THESE_REFUSE)


@pytest.mark.django_db(transaction=True)
def test_other_machines_see_the_mark(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "one"
    settings.DATA_DIR.mkdir()
    unfinished.mark(settings.DATA_DIR, "newest")
    try:
        seen_from = settings.DATA_DIR if connection.vendor == "sqlite" else tmp_path / "other"
        assert "manage.py restore newest --force" in unfinished.anywhere(seen_from)
        with pytest.raises(CommandError, match="restore newest --force"):
            call_command("prepare", stdout=io.StringIO())
        with pytest.raises(CommandError, match="nothing whole to save"):
            call_command("backup", str(tmp_path / "bk"), stdout=io.StringIO())
        refused = Client().get("/health/ready")
        assert (refused.status_code, refused.json()["status"]) == (503, "restoring"), "a process that runs already"
        assert "newest" not in refused.content.decode()
        assert Client().get("/health/live").status_code == 200, "it is not ended for it"
    finally:
        unfinished.remove(settings.DATA_DIR)
    forget_everything()
    assert Client().get("/health/ready").json()["status"] != "restoring"
    assert unfinished.anywhere(settings.DATA_DIR) == unfinished.anywhere(tmp_path / "other") == ""


CUT_OFF = """
import django
django.setup()
from config.operations import snapshots
whole = snapshots.Sqlite.restore
def restore(self):
    if self.alias == "orders":
        raise OSError(28, "No space left on device")
    whole(self)
snapshots.Sqlite.restore = restore
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "restore", BACKUP])
"""


@pytest.mark.e2e
@pytest.mark.any_engine
def test_a_full_disk_in_the_middle(demo_seed: world.Seed, tmp_path: Path) -> None:
    if world.ON_SERVERS:
        pytest.skip("fills a disk under SQLite's files")
    with world.world(demo_seed, tmp_path / "var") as shop:

        def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, *words], cwd=world.ROOT, env=shop | more, capture_output=True, text=True, timeout=60
            )

        backup, data = str(tmp_path / "backup"), {"ECI_DATA_DIR": str(tmp_path / "again")}
        assert run("manage.py", "backup", backup).returncode == 0
        script = f"BACKUP = {backup!r}{CUT_OFF}"
        refused = run("manage.py", "restore", str(tmp_path / "none"), **data)
        assert (refused.returncode, list((tmp_path / "again").iterdir())) == (1, []), "not even a key"
        cut = run("-c", script, DJANGO_SETTINGS_MODULE="config.settings", **data)
        assert f"The disk of {tmp_path / 'again'} is full" in cut.stderr and "Traceback" not in cut.stderr
        assert not list((tmp_path / "again").glob("*.restored"))
        for words in (["manage.py", "up"], ["-m", "config.operations.processes", "worker"]):
            refused = run(*words, **data)
            assert (refused.returncode, f"manage.py restore {backup} --force" in refused.stderr) == (1, True)
        assert run("manage.py", "restore", backup, "--force", **data).returncode == 0
        assert not (tmp_path / "again" / unfinished.MARK).exists()
        assert (tmp_path / "again" / "secret_key").read_text() == (tmp_path / "backup" / "secret_key").read_text()


@pytest.mark.any_engine
def test_what_is_said_of_a_disk(tmp_path: Path) -> None:
    full = snapshots.full_or(OSError(28, "No space left on device"), tmp_path)
    assert full == f"The disk of {tmp_path} is full. Make room there, and try again."
    assert snapshots.full_or(PermissionError(13, os.strerror(13)), tmp_path) == f"{tmp_path}: Permission denied"
