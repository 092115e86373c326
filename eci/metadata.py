"""Metadata: names and values with which other systems mark our products, customers and orders, such as their ids.

A row keeps up to 50 of them in a JSON column, null where there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eci import text
from eci.errors import InvalidRequest

KEYS = 50
KEY = 40  # characters
VALUE = 500

Kept = Mapping[str, str] | None  # as the column has it
RULE = f"Metadata is an object of up to {KEYS} texts: names of up to {KEY} characters, values of up to {VALUE}."


def clean(given: Any) -> dict[str, str | None]:
    """What somebody gives, taken in as text; None is a name to be removed. ValueError."""
    if not isinstance(given, dict) or len(given) > 2 * KEYS:  # as many to remove as to add
        raise ValueError(RULE)
    found: dict[str, str | None] = {}
    for name, value in given.items():
        key = _clean(name, "A name", limit=KEY, blank=False)
        if key in found:
            raise ValueError(f"{key} is given twice.")
        found[key] = None if value is None else _clean(value, key, limit=VALUE)
    return found


def _clean(given: Any, about: str, *, limit: int, blank: bool = True) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{about}: this must be a text.")
    try:
        return text.clean(given, limit=limit, blank=blank)
    except ValueError as error:
        raise ValueError(f"{about}: {error}") from None


def merged(kept: Kept, given: Mapping[str, str | None]) -> dict[str, str] | None:
    """What is kept after a change: null removes a name, and what is not named stays. InvalidRequest for too much."""
    both = {**(kept or {}), **given}
    merged = {name: value for name, value in both.items() if value is not None}
    if len(merged) > KEYS:
        sentence = f"There can be at most {KEYS} names."
        raise InvalidRequest(f"metadata: {sentence}", metadata=[sentence])
    return merged or None


def shown(kept: Kept) -> dict[str, str]:
    """In alphabetical order, for engines differ in theirs."""
    return dict(sorted((kept or {}).items()))
