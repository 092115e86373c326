"""Contract dataclasses as JSON: names as they are, amounts with their currency's places, times in UTC."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from eci import money
from eci.clock import iso


def as_json(item: Any) -> dict[str, Any]:
    """One level of a dataclass; Decimals are amounts in its ``currency``."""
    return {field.name: _value(getattr(item, field.name), item) for field in fields(item)}


def _value(value: Any, item: Any) -> Any:
    if isinstance(value, Decimal):
        return money.text(value, item.currency)
    if isinstance(value, datetime):
        return iso(value)
    return value
