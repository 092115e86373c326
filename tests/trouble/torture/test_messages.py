"""Events and wake-ups doubled, shuffled and lost, and workers killed in the middle: no outcome is another."""

from __future__ import annotations

import pytest

from tests.support.world import Seed
from tests.trouble.torture.stage import run

pytestmark = [pytest.mark.e2e, pytest.mark.first(0)]


def test_unreliable_messages_and_workers_change_no_outcome(seed: Seed) -> None:
    """An order of each kind."""
    run(seed, "tests.trouble.torture.messages", "--orders", "19")
