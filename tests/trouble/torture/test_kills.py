"""``kill -9`` in a real process at boundaries of every workflow, and between two processes: the short forms, on each
engine.

``make torture`` runs the long one. The table of what was killed and found is the test's output: ``pytest -s``.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.world import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.first(0)]


def test_killed_anywhere_it_ends_as_if_nothing_had_happened() -> None:
    require_no_finding("tests.trouble.torture", "--kills", "100")


@pytest.mark.any_engine
def test_a_call_between_processes_that_is_broken_anyhow_changes_nothing() -> None:
    """Each way once."""
    require_no_finding("tests.trouble.torture.remote", "--kills", "12", "--only", "place, shipped by staff")


def require_no_finding(*words: str) -> None:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
