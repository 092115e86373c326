"""``kill -9`` in a real process at boundaries of every workflow, and between two processes: the short forms, on each
engine.

``make torture`` runs the long one. The table of what was killed and found is the test's output: ``pytest -s``.
"""

from __future__ import annotations

import pytest

from tests.support.world import Seed
from tests.trouble.torture.stage import run

pytestmark = [pytest.mark.e2e, pytest.mark.first(0)]


def test_killed_anywhere_it_ends_as_if_nothing_had_happened(seed: Seed) -> None:
    run(seed, "tests.trouble.torture", "--kills", "50")


@pytest.mark.any_engine
def test_a_call_between_processes_that_is_broken_anyhow_changes_nothing(seed: Seed) -> None:
    """Each way once."""
    run(seed, "tests.trouble.torture.remote", "--kills", "12", "--only", "place, shipped by staff")
