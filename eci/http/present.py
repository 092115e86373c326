"""Contract dataclasses as JSON: the same names, amounts with their currency's decimal places, times in UTC."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from eci import money
from eci.clock import iso

_ACTORS = ("actor", "answered_by")


def as_json(item: Any) -> dict[str, Any]:
    """A dataclass, and those inside it. A Decimal is an amount in the ``currency`` field of the same dataclass."""
    return {field.name: _value(getattr(item, field.name), item) for field in fields(item)}


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
