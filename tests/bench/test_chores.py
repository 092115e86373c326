"""What a piece of regular work is measured to cost."""

from __future__ import annotations

import time

import pytest

from bench.chores import measure

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def busy() -> int:
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    return 10


def test_each_time_of_several() -> None:
    cost = measure(busy, 3, {})
    assert 20 <= cost["cpu"]["Python"] < 50
    assert cost["wall"] >= 19


def test_a_thousand_of_what_is_done_once() -> None:
    assert measure(busy, 1, {})["cpu"]["Python"] >= 2000
    assert 20 <= measure(lambda: busy() * 0, 1, {})["cpu"]["Python"] < 200
