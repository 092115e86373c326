"""Ids of orders and events sort by time and cannot be guessed."""

from __future__ import annotations

import functools
import operator
import re
import uuid

import pytest

from eci import ids

pytestmark = pytest.mark.no_database


def test_an_order_id_is_ours_and_fits() -> None:
    order_id = ids.new_order_id()
    assert re.fullmatch(r"ORD-[0-9A-HJKMNP-TV-Z]{26}", order_id)
    assert ids.is_our_order(order_id)
    assert not any(ids.is_our_order(other) for other in ("", "12345", "ORDER-1", "X-ORD-1"))


def test_order_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    start = 1_700_000_000_000
    moments = [start + step for step in (0, 1, 31, 32, 1_000, 10**6, 10**9, 10**12)]
    made = []
    for moment in moments:
        monkeypatch.setattr(ids.time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append(ids.new_order_id())
    assert made == sorted(made)


def test_order_ids_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    made = [ids.new_order_id() for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert len({order_id[:14] for order_id in made}) == 1
    for place in range(14, 30):  # 16 characters of 5 random bits: each takes every value
        assert len({order_id[place] for order_id in made}) == 32


def test_event_ids_are_uuids_that_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment in (1_700_000_000_000, 1_700_000_000_001, 1_800_000_000_000):
        monkeypatch.setattr(ids.time, "time_ns", lambda moment=moment: moment * 1_000_000)
        some = [ids.new_event_id() for _ in range(200)]
        assert len(set(some)) == len(some)
        assert {(one.version, one.variant, one.int >> 80) for one in some} == {(7, uuid.RFC_4122, moment)}
        made.append(some)
    assert max(made[0]) < min(made[1]) and max(made[1]) < min(made[2])


def test_event_ids_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    made = [ids.new_event_id().int for _ in range(200)]
    ever, always = functools.reduce(operator.or_, made), functools.reduce(operator.and_, made)
    assert (ever & ~always).bit_count() == 74
