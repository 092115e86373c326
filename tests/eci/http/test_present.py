"""Contract dataclasses as JSON, and JSON as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from django.utils.functional import lazystr
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from eci.http.envelope import EnvelopeRenderer
from eci.http.present import as_json

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

AT = datetime(2026, 1, 31, 20, 30, 0, 123456, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Part:
    colour: Colour
    tags: tuple[str, ...] = ()
    price: Decimal = Decimal(3)
    currency: str = "JPY"


@dataclass(frozen=True, kw_only=True)
class Whole:
    number: int
    name: str | None
    is_new: bool
    amount: Decimal
    refunded: Decimal | None
    currency: str
    colour: Colour | None
    colours: tuple[Colour, ...]
    at: datetime
    until: datetime | None
    times: tuple[datetime, ...]
    part: Part
    parts: tuple[Part, ...]
    other: Part | None = None


def test_a_dataclass_is_plain_json() -> None:
    part = Part(colour=Colour.RED, tags=("a", "b"))
    whole = Whole(
        number=1,
        name=None,
        is_new=True,
        amount=Decimal("2.5"),
        refunded=None,
        currency="USD",
        colour=Colour.RED,
        colours=(Colour.RED,),
        at=AT,
        until=AT.astimezone(timezone(timedelta(hours=5))),
        times=(AT,),
        part=part,
        parts=(part, Part(colour=Colour.RED)),
    )
    shown_part = {"colour": "red", "tags": ["a", "b"], "price": "3", "currency": "JPY"}
    shown = as_json(whole)
    assert shown == {
        "number": 1,
        "name": None,
        "is_new": True,
        "amount": "2.50",
        "refunded": None,
        "currency": "USD",
        "colour": "red",
        "colours": ["red"],
        "at": "2026-01-31T20:30:00.123Z",
        "until": "2026-01-31T20:30:00.123Z",
        "times": ["2026-01-31T20:30:00.123Z"],
        "part": shown_part,
        "parts": [shown_part, shown_part | {"tags": []}],
        "other": None,
    }
    assert type(shown["colour"]) is str, "no word is more than its text"
    assert vars(whole)["colour"] is Colour.RED, "the dataclass is what it was"


DATA: list[Any] = [
    {"a": [1, -1, 2**62, None, True, "é", "\u2028 \u2029", "\x00\x1f\x7f\\/\"<>&'", "😀"], "b": {}, "c": [], "1": ()},
    {"word": Colour.RED, "said": lazystr("later"), 3: "three"},
    [],
    None,
]


@pytest.mark.parametrize("data", DATA, ids=["plain", "kinds", "empty", "nothing"])
@pytest.mark.parametrize("media_type", ["application/json", "application/json; indent=2"])
def test_an_answer_is_the_json_of_rest_framework(data: Any, media_type: str) -> None:
    given = EnvelopeRenderer().render(data, media_type, {"response": Response(data)})
    envelope = json.loads(given)
    expected = {"status": "success", "data": data, "error": None, "timestamp": envelope["timestamp"]}
    assert given == JSONRenderer().render(expected, media_type, {})
