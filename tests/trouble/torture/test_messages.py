"""Events and wake-ups doubled, shuffled and lost, and workers killed in the middle: no outcome is another."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.world import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.first(0)]


def test_unreliable_messages_and_workers_change_no_outcome() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.trouble.torture.messages"], cwd=ROOT, capture_output=True, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
