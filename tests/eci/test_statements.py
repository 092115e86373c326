"""A prepared queryset answers as the queryset does; that each of the product's does so is tested in tests/rules."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from contexts.inventory.models import Import, ImportLine, Movement, Stock, Warehouse
from eci.db import locked, unit_of_work
from eci.statements import Change, Inserts, change, changes, per_row, reads

COMPILED: list[str] = []


@reads
def stock(*, codes: Collection[str], product_id: int | None = None, name: str = "") -> QuerySet[Stock]:
    COMPILED.append("stock")
    rows = Stock.objects.filter(warehouse__in=codes).select_related("warehouse").order_by("pk")
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    return rows.filter(warehouse__name=name) if name else rows


@reads
def levels(*, codes: Collection[str]) -> QuerySet[Stock, dict[str, Any]]:
    return Stock.objects.filter(warehouse__in=codes).order_by("pk").values("pk", "on_hand")


@reads
def mine(*, product_id: int) -> QuerySet[Stock]:
    return locked(Stock.objects.filter(product_id=product_id))


@reads
def mine_unlocked(*, product_id: int) -> QuerySet[Stock]:
    return Stock.objects.filter(product_id=product_id)


@changes
def add(*, units: Mapping[int, int]) -> Change:
    return change(Stock.objects.filter(pk__in=units), on_hand=F("on_hand") + per_row(units), updated_at=Now())


add_warehouses = Inserts(Warehouse, once=True)
add_stock = Inserts(Stock, updated_at=Now())


@pytest.fixture
def rows() -> list[Stock]:
    add_warehouses([Warehouse(code=code, name=code.lower()) for code in ("A", "B")])
    made = [Stock(product_id=number, warehouse_id="AB"[number % 2], on_hand=number) for number in range(1, 6)]
    assert add_stock(made) == 5
    return made


def test_rows_are_the_querysets(rows: list[Stock], django_assert_num_queries: Any) -> None:
    with unit_of_work("inventory"), django_assert_num_queries(1, using="inventory"):
        found = stock(codes=["A"])
        assert [row.warehouse.name for row in found] == ["a", "a"], "what is selected beside it needs no question"
    assert found == list(stock.definition(codes=["A"])) == [rows[1], rows[3]]
    first = stock.first(codes=["B"])
    assert first is not None and (first.on_hand, first._state.adding, first._state.db) == (1, False, "inventory")
    assert first.updated_at.tzinfo is not None
    assert levels(codes=["B"])[0] == {"pk": rows[0].pk, "on_hand": 1}


@reads
def names(*, code: str) -> QuerySet[Warehouse]:
    return Warehouse.objects.filter(pk=code).only("name")


def test_a_row_is_the_model_that_django_makes(rows: list[Stock]) -> None:
    [made] = mine_unlocked(product_id=1)
    django = Stock.objects.get(product_id=1)
    assert type(made) is Stock and made == django
    assert {**vars(made), "_state": None} == {**vars(django), "_state": None}
    assert (made._state.db, made._state.adding, made._state.fields_cache) == (django._state.db, False, {})
    assert made.warehouse.name == "b"
    made.on_hand = 7
    made.save(update_fields=["on_hand"])
    assert Stock.objects.get(product_id=1).on_hand == 7
    [partly] = names(code="A")
    assert partly.get_deferred_fields() == Warehouse.objects.only("name").get(pk="A").get_deferred_fields()
    assert partly.is_active, "read when somebody asks"


def test_a_new_row_is_the_one_that_django_makes() -> None:
    house, other = Warehouse(code="WH8"), Warehouse(code="WH9")
    [made, of_django] = [Movement(warehouse=house, delta=1), Movement()]
    of_django.warehouse, of_django.delta = house, 1
    for one in (made, of_django):
        assert (one.warehouse is house, one.warehouse_id, one.delta) == (True, "WH8", 1)
    copied = copy.copy(made)
    copied.warehouse, copied.delta = other, 2
    assert (made.warehouse, made.warehouse_id, made.delta) == (house, "WH8", 1)
    assert (copied.warehouse, copied.warehouse_id, copied.delta) == (other, "WH9", 2)
    copied._state.adding, copied._state.db = False, "inventory"
    assert (made._state.adding, made._state.db) == (True, None)
    assert Movement(warehouse=None).warehouse_id is None


def test_a_queryset_is_compiled_once(rows: list[Stock]) -> None:
    stock(codes=["A"], product_id=7)
    before = len(COMPILED)
    for number in range(1, 6):
        found = stock(codes=["A", "B", "C"][:number], product_id=number)
        assert [row.product_id for row in found] == ([number] if number > 1 else [])
    assert len(COMPILED) == before


def test_what_decides_the_text_may_be_asked_for(rows: list[Stock]) -> None:
    assert len(stock(codes=["A", "B"])) == 5
    assert len(stock(codes=["A", "B"], product_id=None, name="")) == 5
    assert len(stock(codes=("A", "B"), product_id=3)) == 1
    assert len(stock(codes={"A", "B"}, name="a")) == 2
    assert stock(codes=[]) == [] and stock.first(codes=[]) is None


def test_a_stand_in_cannot_be_looked_at() -> None:
    def looks(look: Any) -> None:
        def definition(*, product_id: int, codes: Collection[str]) -> QuerySet[Stock]:
            look(product_id, codes)
            return Stock.objects.filter(product_id=product_id)

        with pytest.raises(TypeError):
            reads(definition)(product_id=1, codes=["A"])

    looks(lambda product_id, codes: product_id == 1)
    looks(lambda product_id, codes: product_id > 1)
    looks(lambda product_id, codes: int(product_id))
    looks(lambda product_id, codes: len(codes))
    looks(lambda product_id, codes: list(codes))
    looks(lambda product_id, codes: "A" in codes)


def test_a_definition_asks_nothing() -> None:
    @reads
    def asks(*, name: str) -> QuerySet[Stock]:
        return Stock.objects.filter(warehouse__in=list(Warehouse.objects.values_list("pk", flat=True)))

    with pytest.raises(RuntimeError, match="asks the database"):
        asks(name="A")


def test_each_row_gets_its_own(rows: list[Stock]) -> None:
    assert add(units={}) == 0
    assert add(units={rows[0].pk: 5}) == 1
    assert add(units={row.pk: 10 * row.product_id for row in rows} | {10**9: 1}) == 5
    assert [row.on_hand for row in stock(codes=["A", "B"])] == [16, 22, 33, 44, 55]


def test_a_thousand_rows_at_once(rows: list[Stock]) -> None:
    lines = [
        Movement(product_id=1, warehouse_id="A", delta=number, on_hand=1, reason="", actor="") for number in range(1000)
    ]
    assert Inserts(Movement)(lines) == 1000
    found = Movement.objects.filter(pk__in=[line.pk for line in lines[::90]]).order_by("pk")
    assert [line.delta for line in found] == [*range(0, 1000, 90)]
    units = {row.pk: 1 for row in rows} | {10**9 + number: number for number in range(1000)}
    assert add(units=units) == 5


def test_many_rows_become_what_they_are(rows: list[Stock]) -> None:
    """Of every type of column, and with what nobody gave."""
    at = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    made = [
        Import(
            kind="receipts",
            actor="it's \"n\\\n{,}",
            file=uuid.UUID(int=number),
            size=number,
            given={"a": [None, 1.5, 'é"\\']},
            applied_at=at if number % 2 else None,
            pruned=bool(number % 2),
        )
        for number in range(50)
    ]
    assert Inserts(Import)(made) == 50
    for row, number in zip(
        Import.objects.filter(pk__in=[row.pk for row in made]).order_by("pk"), range(50), strict=True
    ):
        assert (row.file.int, row.size, row.pruned, row.given) == (
            *(number, number, bool(number % 2), {"a": [None, 1.5, 'é"\\']}),
        )
        assert (row.actor, row.applied_at) == ("it's \"n\\\n{,}", at if number % 2 else None)
        assert row.created_at is not None and row.lease_until is None


@pytest.mark.parametrize("count", [1, 50])
def test_json_is_the_same_of_one_row_and_of_many(rows: list[Stock], count: int) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    said = {"at": at, "price": Decimal("1.50"), "words": ['é"\\', None, {}], "number": 7}
    made = [
        ImportLine(import_pk=1, position=number, line=number, outcome="new", values=said, cells=None, messages=["it's"])
        for number in range(count)
    ]
    Inserts(ImportLine)(made)
    for row in ImportLine.objects.filter(pk__in=[row.pk for row in made]):
        assert row.values == said | {"at": "2026-01-02T03:04:05.678Z", "price": "1.50"}
        assert (row.cells, row.messages, row.changes) == (None, ["it's"], {})


@pytest.mark.parametrize("count", [1, 50])
def test_rows_that_are_there_are_replaced(rows: list[Stock], count: int) -> None:
    made = [Import(kind="a", actor="x", file=uuid.uuid4(), size=1) for _ in range(count)]
    Inserts(Import)(made)
    for number, row in enumerate(made):
        row.kind, row.size, row.actor = f"b{number}", number, "y"
    assert Inserts(Import, replaces=("kind", "size"))(made) == count
    found = Import.objects.filter(pk__in=[row.pk for row in made]).order_by("pk")
    assert [(row.kind, row.size, row.actor) for row in found] == [(f"b{n}", n, "x") for n in range(count)]


def test_an_insert_may_be_repeated_where_that_is_wanted(rows: list[Stock]) -> None:
    again = Stock(product_id=1, warehouse_id="B", on_hand=9)
    with pytest.raises(IntegrityError), unit_of_work("inventory"):
        add_stock([again])
    assert add_warehouses([Warehouse(code="A", name="other"), Warehouse(code="C", name="c")]) == 1
    assert [row.name for row in Warehouse.objects.order_by("pk")] == ["a", "b", "c"]
    with pytest.raises(TypeError, match="one row leaves"):
        add_warehouses([Warehouse(code="D", name="d"), Warehouse(code="E", name="e", created_at=Now())])


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_locks_need_a_unit_of_work() -> None:
    assert (
        mine.definition(product_id=1).query.select_for_update is connections["inventory"].features.has_select_for_update
    )
    with unit_of_work("inventory"):
        assert mine(product_id=1) == []
    if connections["inventory"].features.has_select_for_update:
        with pytest.raises(transaction.TransactionManagementError):
            mine(product_id=1)


def test_a_failure_inside_a_unit_is_not_swallowed(rows: list[Stock]) -> None:
    with pytest.raises(transaction.TransactionManagementError), unit_of_work("inventory"), suppress(IntegrityError):
        add_stock([Stock(product_id=1, warehouse_id="B")])


@pytest.mark.no_database
def test_threads_may_compile_at_once() -> None:
    @reads
    def platform(*, name: str) -> QuerySet[Warehouse]:
        return Warehouse.objects.filter(name=name)

    together = threading.Barrier(8)

    def compiled(number: int) -> tuple[str, list[Any]]:
        together.wait(10)
        _, kept = platform.prepared({"name": "x"})
        assert kept is not None
        return platform.text({"name": f"n{number}"}, kept[0])

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(compiled, range(8)))
    assert [params for _, params in texts] == [[f"n{number}"] for number in range(8)]
    assert len({text for text, _ in texts}) == 1 and "WHERE" in texts[0][0]
