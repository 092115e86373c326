"""Totals of large tables are counted by beat, and of small ones by whoever asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contexts.orders.models import Totals
from eci import totals
from eci.clock import utcnow

pytestmark = pytest.mark.usefixtures("shop")


class Table:
    def __init__(self, rows: int) -> None:
        self.rows = rows

    def count(self) -> tuple[int, dict[str, Any]]:
        return self.rows, {"rows": self.rows}


def told(table: Table) -> Any:
    return totals.of("orders", table.count).figures["rows"]


def test_few_rows_are_counted_by_whoever_asks() -> None:
    table = Table(totals.FEW)
    totals.keep("orders", table.count)
    table.rows += 1
    assert told(table) == totals.FEW + 1


def test_many_rows_are_counted_by_beat() -> None:
    table = Table(totals.FEW + 1)
    totals.keep("orders", table.count)
    table.rows += 1
    assert told(table) == totals.FEW + 1
    before = totals.of("orders", table.count)
    totals.keep("orders", table.count)
    after = totals.of("orders", table.count)
    assert after.rows == after.figures["rows"] == totals.FEW + 2
    assert before.at < after.at <= utcnow()


TEN_MINUTES = round(600_000 / totals.SHARE)  # ms of counting after which beat pauses for so long


def test_after_a_count_that_took_long_beat_pauses_and_nobody_else_counts() -> None:
    table = Table(totals.FEW + 1)
    totals.keep("orders", table.count)
    table.rows += 1
    Totals.objects.update(at=utcnow() - timedelta(minutes=9), milliseconds=TEN_MINUTES)
    totals.keep("orders", table.count)
    assert told(table) == totals.FEW + 1
    Totals.objects.update(at=utcnow() - timedelta(minutes=11))
    assert told(table) == totals.FEW + 1
    totals.keep("orders", table.count)
    assert told(table) == totals.FEW + 2


def test_while_beat_is_away_for_twice_its_pause_they_are_counted_by_whoever_asks() -> None:
    table = Table(totals.FEW + 1)
    totals.keep("orders", table.count)
    table.rows += 1
    Totals.objects.update(at=utcnow() - timedelta(minutes=20), milliseconds=TEN_MINUTES)
    assert told(table) == totals.FEW + 2


def test_while_beat_is_away_they_are_counted_by_whoever_asks() -> None:
    table = Table(totals.FEW + 1)
    totals.keep("orders", table.count)
    Totals.objects.update(at=utcnow() - totals.BELIEVED)
    table.rows += 1
    assert told(table) == totals.FEW + 2


def test_a_count_that_took_long_does_not_replace_a_later_one() -> None:
    """So that no counter goes back."""
    late, early = Table(totals.FEW + 2), Table(totals.FEW + 1)
    totals.keep("orders", late.count)
    Totals.objects.update(at=utcnow() + timedelta(seconds=1))
    totals.keep("orders", early.count)
    assert told(early) == totals.FEW + 2
