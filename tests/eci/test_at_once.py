"""Several reads at once find what each finds by itself."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from contexts.orders.models import Note, Order
from eci.statements import at_once, reads
from tests.support.shop import Shop


@reads
def _orders(*, order_ids: Collection[str]) -> QuerySet[Order]:
    return Order.objects.filter(pk__in=order_ids).order_by("number")


@reads
def _notes(*, order_ids: Collection[str], text: str = "") -> QuerySet[Note, Any]:
    notes = Note.objects.filter(order__in=order_ids).order_by("pk")
    return (notes.filter(text=text) if text else notes).values_list("text", "at")


@reads
def _wrong(*, order_id: str) -> QuerySet[Order]:
    return Order.objects.filter(pk=order_id).annotate(wrong=RawSQL("no_such_function()", ()))


@pytest.fixture
def order_ids(shop: Shop) -> list[str]:
    made = [str(shop.order(key=f"order {number}").data["order_id"]) for number in range(2)]
    Note.objects.create(order_id=made[0], text="100 % fragile; 'handle' with care", actor="staff:ann")
    return made


def test_each_has_its_own_rows(order_ids: list[str]) -> None:
    none: list[str] = []
    asked: list[Any] = [
        partial(_orders, order_ids=order_ids),
        partial(_notes, order_ids=order_ids),
        partial(_notes, order_ids=order_ids, text="100 % fragile; 'handle' with care"),
        partial(_notes, order_ids=order_ids, text="'; SELECT 1"),
    ]
    assert at_once(*asked) == [one() for one in asked]
    assert [len(rows) for rows in at_once(*asked)] == [2, 1, 1, 0]
    assert at_once(asked[0], partial(_notes, order_ids=none)) == [asked[0](), []], "for nothing nothing is asked"
    [row] = at_once(asked[1])[0]
    assert row[1].tzinfo is not None


def test_mysql_gets_one_packet(order_ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    connection: Any = connections["orders"]
    if connection.vendor != "mysql":
        pytest.skip("only MySQL and MariaDB take several statements in one packet")
    sent: list[str] = []
    cursor_for = connection.cursor_for
    monkeypatch.setattr(connection, "cursor_for", lambda text: sent.append(text) or cursor_for(text))
    at_once(partial(_orders, order_ids=order_ids), partial(_notes, order_ids=order_ids))
    assert len(sent) == 1


def test_after_one_that_fails_the_connection_is_as_before(order_ids: list[str]) -> None:
    good = partial(_orders, order_ids=order_ids)
    with pytest.raises(DatabaseError):
        at_once(good, partial(_wrong, order_id=order_ids[0]), good)
    assert at_once(good, good) == [good(), good()]
