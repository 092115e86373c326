"""The sealed ledger: whatever is changed in it by SQL is found, and where. Nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections

from contexts.inventory.models import LedgerCheckpoint, LedgerLink, Movement
from contexts.inventory.services import proof, sealing, stock
from contexts.inventory.verify_ledger import verify

Stocked = Callable[..., int]
BEGIN = datetime(2026, 5, 1, 8, tzinfo=UTC)


def found(earlier: list[Any] | None = None) -> list[tuple[str, str]]:
    return verify(proof.records(), sealing.public_keys(), earlier or [])[1]


def sql(statement: str, *params: Any) -> None:
    with connections["inventory"].cursor() as cursor:
        cursor.execute(statement, params)


def receive(product_id: int, warehouse: str = "A", quantity: int = 5) -> None:
    stock.receive(
        product_id=product_id,
        warehouse=warehouse,
        quantity=quantity,
        reorder_point=None,
        actor="staff:ann",
        create_warehouse=True,
    )


class Undone(Exception):
    """Nothing of the unit of work stays."""


@pytest.fixture
def product_id(stocked: Stocked) -> int:
    """A product with a history in two warehouses, sealed by a checkpoint every two hours; another one beside it."""
    with time_machine.travel(BEGIN, tick=False) as clock:
        one, other = stocked(A=10, B=3), stocked(A=7)
        for _ in range(4):
            sealing.seal()
            clock.shift(timedelta(hours=1))
            stock.adjust(product_id=one, warehouse="A", delta=-1, reason="broken", actor="staff:ann")
            receive(one), receive(other), receive(one, "B")
            clock.shift(timedelta(hours=1))
        sealing.seal()
    return one


def ids(product_id: int, warehouse: str = "A") -> list[int]:
    rows = Movement.objects.filter(product_id=product_id, warehouse=warehouse)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def of_checkpoint(number: int) -> str:
    return sealing.exact(LedgerCheckpoint.objects.get(number=number).at)


def test_what_is_sealed_is_found_sound(product_id: int) -> None:
    assert found() == []
    assert LedgerLink.objects.count() == Movement.objects.count() == 19
    assert list(LedgerCheckpoint.objects.order_by("number").values_list("number", "links")) == [
        (1, 3),
        (2, 7),
        (3, 11),
        (4, 15),
        (5, 19),
    ]
    assert sealing.seal() == 0
