"""Contract dataclasses as JSON: the same names, amounts with their currency's decimal places, times in UTC."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from eci import money
from eci.clock import iso

_ACTORS = ("actor", "answered_by")


def as_json(item: Any) -> dict[str, Any]:
    """A dataclass, and those inside it. A Decimal is an amount in the ``currency`` field of the same dataclass."""
    shown = {}
    for name, is_plain in _fields(type(item)):  # type: ignore[arg-type]
        value = getattr(item, name)
        shown[name] = value if is_plain else _value(value, item)
    return shown


@cache
def _fields(kind: Any) -> tuple[tuple[str, bool], ...]:
    """The names of its fields, and whether JSON has their values as they are."""
    hints = get_type_hints(kind)
    return tuple(
        (field.name, all(map(_is_plain, get_args(hints[field.name]) or (hints[field.name],)))) for field in fields(kind)
    )


def _is_plain(kind: Any) -> bool:
    return isinstance(kind, type) and (kind in (str, int, bool, NoneType) or issubclass(kind, StrEnum))


def _value(value: Any, item: Any) -> Any:
    if isinstance(value, Decimal):
        return money.text(value, item.currency)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [_value(each, item) for each in value]
    return as_json(value) if is_dataclass(value) else value


def without_staff_names(shown: Any) -> Any:
    """The same JSON, as a customer may read it: members of staff, who act by name, are ``staff``."""
    if isinstance(shown, list):
        return [without_staff_names(each) for each in shown]
    if not isinstance(shown, dict):
        return shown
    return {
        name: "staff" if name in _ACTORS and str(value).startswith("staff:") else without_staff_names(value)
        for name, value in shown.items()
    }
