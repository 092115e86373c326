"""One key, fifty times at the same moment, from ten processes of five threads: one effect."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import world
from tests.trouble.proofs.crowd import gather

pytestmark = pytest.mark.e2e

PROCESSES, THREADS = 10, 5
EFFECTS = {
    "order": [1, 2],  # one order; two units left, once
    "reserve": [1, 3],  # one hold, of three units
    "charge": [1, 1234, 1],  # one payment of that much; the provider took it once
    "pay later": [1, 2050, 1],
    "refund": [1, 1],  # one refund; the provider gave it back once
}


@pytest.fixture(scope="module")
def end(seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with world.world(seed, tmp_path_factory.mktemp("one-key") / "var") as environment:
        return gather(environment, "one_key", processes=PROCESSES, threads=THREADS)


@pytest.mark.parametrize("command", EFFECTS)
def test_one_key_has_one_effect(end: Any, command: str) -> None:
    """One is answered first, the others repeat that answer or are told to wait."""
    *answers, again = end["told"][command]
    assert len(answers) == PROCESSES * THREADS
    waiting = [answer for answer in answers if answer["outcome"] == "409 idempotency_in_progress"]
    done = [answer for answer in answers if answer not in waiting]
    success = "201" if command == "order" else "200"
    assert {answer["outcome"] for answer in [*done, again]} == {success}
    assert all(int(answer["retry_after"]) >= 1 for answer in waiting)
    assert [answer["replayed"] for answer in done].count(False) == 1
    assert again["replayed"]
    assert all(answer["data"] == again["data"] for answer in done)
    assert end[command] == EFFECTS[command]
