"""``kill -9`` in a real process at boundaries of every workflow: the short form, on each engine.

``make torture`` runs the long one. The table of what was killed and found is the test's output: ``pytest -s``.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.world import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.first(0)]


def test_killed_anywhere_it_ends_as_if_nothing_had_happened() -> None:
    command = [sys.executable, "-m", "tests.trouble.torture", "--kills", "100"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
