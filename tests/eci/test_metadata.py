"""Metadata: what is taken in, and what is kept after a change."""

from __future__ import annotations

from typing import Any

import pytest

from eci import metadata
from eci.errors import InvalidRequest

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def test_texts_are_taken_in() -> None:
    assert metadata.clean({" e\u0301rp ": " 7 ", "gone": None, "empty": ""}) == {"érp": "7", "gone": None, "empty": ""}


@pytest.mark.parametrize(
    "given",
    [
        "text",
        ["a"],
        None,
        {"a": 1},
        {"a": True},
        {"a": {"b": "c"}},
        {"": "x"},
        {" ": "x"},
        {"a" * 41: "x"},
        {"a": "x" * 501},
        {"a": "two\nlines"},
        {"a": "\u202ehidden"},
        {"a\x00": "x"},
        {"é": "1", "e\u0301": "2"},
        {str(number): "x" for number in range(101)},
    ],
)
def test_what_is_no_metadata_is_refused_in_one_sentence(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+\.$"):
        metadata.clean(given)


def test_a_change_is_merged_and_null_removes() -> None:
    assert metadata.merged({"a": "1", "b": "2"}, {"b": None, "c": "3", "d": None}) == {"a": "1", "c": "3"}
    assert metadata.merged({"a": "1"}, {"a": None}) is None
    assert metadata.merged(None, {}) is None


def test_fifty_names_are_kept_and_no_more() -> None:
    fifty = {str(number): "x" for number in range(50)}
    assert metadata.merged(fifty, {"0": None, "new": "x"}) is not None
    with pytest.raises(InvalidRequest) as refused:
        metadata.merged(fifty, {"new": "x"})
    assert list(refused.value.details) == ["metadata"]


def test_what_is_shown_is_in_one_order() -> None:
    assert list(metadata.shown({"b": "1", "aa": "2"})) == ["aa", "b"]
    assert metadata.shown(None) == {}
