"""Times are aware, in UTC, and written with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from eci import clock

pytestmark = pytest.mark.no_database


def test_time_is_written_in_utc_with_milliseconds() -> None:
    paris = timezone(timedelta(hours=2))
    assert clock.iso(datetime(2026, 1, 31, 22, 30, 0, 123_999, tzinfo=paris)) == "2026-01-31T20:30:00.123Z"
    assert clock.iso(datetime(2026, 1, 31, tzinfo=UTC)) == "2026-01-31T00:00:00.000Z"
    assert clock.iso(datetime(876, 1, 2, 3, 4, 5, 6_000, tzinfo=UTC)) == "0876-01-02T03:04:05.006Z"
    assert clock.iso(None) is None


def test_a_time_without_a_zone_is_of_utc() -> None:
    moment = datetime(2026, 1, 31, 22, 30, 0, 123_999, tzinfo=UTC)
    assert clock.in_utc(moment.replace(tzinfo=None)) == moment


def test_now_is_aware_and_in_utc() -> None:
    now = clock.utcnow()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
