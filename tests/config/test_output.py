"""What a command prints does not decide what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import unfinished
from tests.support import world

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]


def test_nobody_reads_what_is_printed(demo_seed: world.Seed, tmp_path: Path) -> None:
    """Unbuffered, as in containers: each line is written at once."""
    if world.ON_SERVERS:
        pytest.skip("printing knows no database")
    with world.world(demo_seed, tmp_path / "var") as shop:
        reader, gone = os.pipe()
        os.close(reader)
        backup = tmp_path / "backup"
        with Path("/dev/full").open("w") as full:
            for output, words, code in (
                (gone, ["backup", str(backup)], 0),
                (gone, ["restore", str(backup), "--force"], 0),
                (full, ["restore", str(backup), "--force"], 1),
                (None, ["prepare"], 0),
            ):
                command = [sys.executable, "manage.py", *words]
                if output is None:
                    command = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command]
                environment = shop | {"PYTHONUNBUFFERED": "1"}
                done = subprocess.run(
                    command,
                    cwd=world.ROOT,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.PIPE,
                    text=True,
                    timeout=60,
                )
                assert done.returncode == code, done.stderr
                assert ("could not be written: No space left" in done.stderr) == (code == 1)
                assert not Path(shop["ECI_DATA_DIR"], unfinished.MARK).exists()
        os.close(gone)
        assert (backup / "manifest.json").exists()
