"""What a command prints does not decide what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config import unfinished
from tests.support import world

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]


CLOSED = ["/bin/sh", "-c", 'exec "$@" >&-', "sh"]


def test_nobody_reads_what_is_printed(demo_seed: world.Seed, tmp_path: Path) -> None:
    """Unbuffered, as in containers: each line is written at once."""
    backup = tmp_path / "backup"
    reader, gone = os.pipe()
    os.close(reader)
    with world.world(demo_seed, tmp_path / "var") as shop, Path("/dev/full").open("w") as full:

        def manage(*words: str, output: Any = None, code: int = 0) -> str:
            command = [*([] if output else CLOSED), sys.executable, "manage.py", *words]
            environment = shop | {"PYTHONUNBUFFERED": "1"}
            done = subprocess.run(
                command, cwd=world.ROOT, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60
            )
            assert done.returncode == code, done.stderr
            return done.stderr

        manage("backup", str(backup))
        manage("restore", str(backup), "--force", output=gone)
        assert "could not be written: No space left" in manage("restore", str(backup), "--force", output=full, code=1)
        assert not Path(shop["ECI_DATA_DIR"], unfinished.MARK).exists()
    os.close(gone)


def test_a_command_that_is_interrupted_says_so_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "shell", "-c", "raise KeyboardInterrupt"]
    told = world.environment(tmp_path / "var", {})
    done = subprocess.run(command, cwd=world.ROOT, env=told, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "manage.py shell was interrupted before it was done."
    assert "Traceback" not in done.stderr
