"""Values are kept for their seconds, each key by itself."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from eci import remembered
from eci.remembered import Remembered, forget_everything

pytestmark = pytest.mark.no_database


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(remembered, "time", clock)
    return clock


def test_a_value_is_kept_for_its_seconds(clock: Clock) -> None:
    prices: Remembered[str, int] = Remembered(5)
    assert (prices.get("tea"), "tea" in prices) == (None, False)
    prices.put("tea", 3)
    clock.now += 4.9
    prices.put("milk", 1)
    assert (prices.get("tea"), "tea" in prices) == (3, True)
    clock.now += 0.1
    assert (prices.get("tea"), "tea" in prices) == (None, False)
    assert prices.get("milk") == 1


def test_a_value_is_loaded_once_in_its_seconds(clock: Clock) -> None:
    loaded: list[float] = []
    found: Remembered[str, int | None] = Remembered(5)

    def load() -> None:
        loaded.append(clock.now)

    for _ in range(12):
        assert found.get_or_load("nothing", load) is None
        clock.now += 1
    assert loaded == [1_000, 1_005, 1_010]


def test_a_load_that_fails_leaves_nothing_behind(clock: Clock) -> None:
    found: Remembered[str, int] = Remembered(5)

    def fail() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        found.get_or_load("tea", fail)
    assert found.get_or_load("tea", lambda: 3) == 3


def test_of_several_threads_one_adds() -> None:
    turns: Remembered[str, bool] = Remembered(60)
    together = threading.Barrier(8)

    def add(_: int) -> bool:
        together.wait()
        return turns.add("tea", True)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(8))) == 1


def test_a_key_is_added_again_after_its_seconds(clock: Clock) -> None:
    turns: Remembered[str, bool] = Remembered(5)
    assert [turns.add("tea", True), turns.add("tea", True), turns.add("milk", True)] == [True, False, True]
    clock.now += 5
    assert turns.add("tea", True)


def test_no_seconds_keep_nothing() -> None:
    found: Remembered[str, int] = Remembered(0)
    found.put("tea", 3)
    assert found.get("tea") is None


def test_what_is_over_takes_no_memory(clock: Clock) -> None:
    found: Remembered[int, bool] = Remembered(5)
    for number in range(100):
        clock.now += 1
        found.put(number, True)
    assert len(found._kept) <= 6


def test_one_key_is_forgotten_or_all_of_them() -> None:
    prices: Remembered[str, int] = Remembered(60)
    others: Remembered[str, int] = Remembered(60)
    for name in ("tea", "milk", "bread"):
        prices.put(name, 1)
        others.put(name, 2)
    prices.forget("tea")
    prices.forget("never put")
    assert [name in prices for name in ("tea", "milk", "bread")] == [False, True, True]
    prices.forget_all()
    assert ("bread" in prices, others.get("bread")) == (False, 2)
    forget_everything()
    assert others.get("bread") is None
