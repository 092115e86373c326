"""The ledger is sealed while it is written: in the order of its writers, and each movement once. Sealing waits for a
transaction that is open for long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import world

pytestmark = pytest.mark.e2e


def test_writers_and_two_sealers_at_once(seed: world.Seed, tmp_path: Path) -> None:
    with world.world(seed, tmp_path / "var", ECI_LOG_LEVEL="CRITICAL", ECI_POOL_SIZE="12") as env:
        program = [sys.executable, "-m", "tests.contexts.inventory.sealed_meanwhile"]
        done = subprocess.run(program, cwd=world.ROOT, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        end = json.loads(done.stdout)
    late = end.pop("late")
    assert late == int(world.ON_SERVERS), "SQLite has one writer: nobody can come late"
    assert end == {
        "movements": 1600 + late,
        "links": 1600 + late,
        "in order": True,
        "overtaken": late,
        "waited": bool(late),
        "findings": [],
    }
