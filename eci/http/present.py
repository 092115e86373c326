"""Contract dataclasses as JSON: the same names, amounts with their currency's decimal places, times in UTC."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from eci import money
from eci.clock import iso

_ACTORS = ("actor", "answered_by")


def as_json(item: Any) -> dict[str, Any]:
    """A dataclass, and those inside it. A Decimal is an amount in the ``currency`` field of the same dataclass."""
    shown = dict(vars(item))
    kind = _fields(type(item))  # type: ignore[arg-type]
    for name in kind.words:
        if shown[name] is not None:
            shown[name] = str(shown[name])
    for name in kind.lists:
        shown[name] = list(shown[name])
    for name in kind.said:
        shown[name] = list(map(str, shown[name]))
    for name in kind.parts:
        shown[name] = [as_json(part) for part in shown[name]]
    for name in kind.wholes:
        if shown[name] is not None:
            shown[name] = as_json(shown[name])
    for name in kind.times:
        shown[name] = iso(shown[name])
    for name in kind.amounts:
        if shown[name] is not None:
            shown[name] = money.text(shown[name], item.currency)
    for name in kind.others:
        shown[name] = _value(shown[name], item)
    return shown


class _Kind(NamedTuple):
    """The names of a dataclass's fields, of those whose values JSON does not have as they are: words of an enumeration,
    lists of what JSON has, lists of such words, lists of dataclasses, single ones, times, amounts, and others."""

    words: list[str]
    lists: list[str]
    said: list[str]
    parts: list[str]
    wholes: list[str]
    times: list[str]
    amounts: list[str]
    others: list[str]


@cache
def _fields(kind: type[Any]) -> _Kind:
    found = _Kind([], [], [], [], [], [], [], [])
    hints = get_type_hints(kind)
    for name in (field.name for field in fields(kind)):
        members = [member for member in get_args(hints[name]) or (hints[name],) if member not in (NoneType, Ellipsis)]
        is_list, is_plain = get_origin(hints[name]) is tuple, all(member in (str, int, bool) for member in members)
        if is_list and is_plain:
            found.lists.append(name)
        elif is_list and all(map(_is_word, members)):
            found.said.append(name)
        elif is_list and all(map(is_dataclass, members)):
            found.parts.append(name)
        elif is_list:
            found.others.append(name)
        elif all(map(_is_word, members)):
            found.words.append(name)
        elif members == [datetime]:
            found.times.append(name)
        elif members == [Decimal]:
            found.amounts.append(name)
        elif all(map(is_dataclass, members)):
            found.wholes.append(name)
        elif not is_plain:
            found.others.append(name)
    return found


def _is_word(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def _value(value: Any, item: Any) -> Any:
    if isinstance(value, Decimal):
        return money.text(value, item.currency)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [_value(each, item) for each in value]
    if isinstance(value, StrEnum):
        return str(value)
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
