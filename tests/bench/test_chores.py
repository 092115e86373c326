"""What a piece of regular work is measured to cost."""

from __future__ import annotations

import time

import pytest

from bench import chores
from bench.chores import measure

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def busy() -> int:
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    return 10


def test_each_time_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "WARM_UP", 0)
    monkeypatch.setattr(chores, "SECONDS", 0.1)
    cost = measure(lambda: busy() * 0, True, {})
    assert 20 <= cost["cpu"]["Python"] < 50
    assert cost["wall"] >= 19


def test_what_was_left_to_do_is_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [busy] * 3 + [lambda: 0]
    monkeypatch.setattr(chores, "WARM_UP", 0)
    monkeypatch.setattr(chores, "SECONDS", 0)
    assert measure(lambda: (left.pop(0) if len(left) > 1 else left[0])(), True, {})["cpu"]["Python"] < 5


def test_a_thousand_of_what_is_done_once() -> None:
    assert measure(busy, False, {})["cpu"]["Python"] >= 2000
    assert 20 <= measure(lambda: busy() * 0, False, {})["cpu"]["Python"] < 200
