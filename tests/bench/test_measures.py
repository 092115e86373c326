"""A stretch of load, and what is told of it."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.load import Tally
from bench.measures import measured
from bench.shop import ShopError

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def test_a_stretch() -> None:
    settled: list[bool] = []
    tally = Tally(8, seconds=2.0, times=[float(each) for each in range(1, 101)], others=Counter({"500": 2}))
    stretch = measured({}, lambda: tally, lambda: settled.append(True))
    assert settled
    assert (stretch["rate"], stretch["calls"], stretch["clients"], stretch["others"]) == (50.0, 100, 8, {"500": 2})
    assert (stretch["p50"], stretch["p95"], stretch["p99"]) == (50.0, 95.0, 99.0)


def test_a_stretch_without_an_answer_is_tried_again() -> None:
    tallies = [Tally(1), Tally(1, seconds=1.0, times=[5.0])]
    assert measured({}, lambda: tallies.pop(0))["calls"] == 1
    with pytest.raises(ShopError, match="503"):
        measured({}, lambda: Tally(1, others=Counter({"503": 1})))
