"""Time: aware UTC datetimes in Python; ISO 8601 with ``Z`` and milliseconds in JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def utcnow() -> datetime:
    return datetime.now(UTC)


def in_utc(moment: datetime) -> datetime:
    """A time that has no zone, in a sixth of the time that ``replace`` takes."""
    return datetime.combine(moment, moment.time(), UTC)


def iso(moment: datetime | None) -> str | None:
    """``2026-01-31T20:30:00.123Z``; None stays None."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    minute = _minute(moment.year, moment.month, moment.day, moment.hour, moment.minute)
    return f"{minute}:{moment.second:02}.{moment.microsecond // 1000:03}Z"


@lru_cache(4096)  # an order's times are mostly of one minute, and ``isoformat`` takes twice as long
def _minute(year: int, month: int, day: int, hour: int, minute: int) -> str:
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}"
