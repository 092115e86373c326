"""What a file of many rows costs: as many statements and as much memory as its pieces, and no more."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from contexts.catalog.models import Product
from contexts.inventory.models import Movement
from eci.http import exports
from eci.imports import applying, reading
from tests.support.imports import Importing, csv

PIECE = 50
FEW, MANY = 150, 600  # rows


def file_of(rows: int, letter: str) -> bytes:
    return csv("sku,name,price", *(f"{letter}-{n},Lamp {n},{n + 1}" for n in range(rows)))


def counts_of(rows: int, letter: str) -> bytes:
    return csv("sku,onhand", *(f"{letter}-{n},{n}" for n in range(rows)))


def peak(work: Callable[[], Any]) -> int:
    """Bytes that it has at once, beside what was there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def importing(api: Any, monkeypatch: pytest.MonkeyPatch) -> Importing:
    for module in (reading, applying):
        monkeypatch.setattr(module, "PIECE", PIECE)
    monkeypatch.setattr(exports, "PAGE", PIECE)
    api.post("/v1/warehouses", {"code": "WH1", "name": "Main"})
    return Importing(api)


def stages(importing: Importing, content: bytes) -> list[Callable[[], Any]]:
    """Read, apply and undo it, each when it is called."""
    import_id = importing.send(content).data["import_id"]
    return [importing.work, lambda: importing.apply(import_id), lambda: importing.undo(import_id)]


def test_memory_is_that_of_a_piece(importing: Importing) -> None:
    for stage in stages(importing, file_of(PIECE, "W")):  # what is loaded and compiled once
        stage()
    few = [peak(stage) for stage in stages(importing, file_of(FEW, "F"))]
    many = [peak(stage) for stage in stages(importing, file_of(MANY, "M"))]
    assert Product.objects.count() == PIECE + FEW + MANY
    for name, small, large in zip(("read", "apply", "undo"), few, many, strict=True):
        assert large < 1.6 * small, f"{name}: {small:,} bytes for {FEW} rows, {large:,} for {MANY}"


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_exports_have_a_page_in_memory(importing: Importing, form: str) -> None:
    def export(query: str) -> None:
        for _ in importing.api.client.get(f"/v1/products/export?format={form}{query}").streaming_content:
            pass

    for letter, rows in (("F", FEW), ("M", MANY - FEW)):
        importing.take(file_of(rows, letter))
        export("")
        size = peak(lambda: export(""))
        if letter == "F":
            few = size
    assert size < 1.6 * few, f"{few:,} bytes for {FEW} rows, {size:,} for {MANY}"


def test_statements_are_those_of_the_pieces(importing: Importing, statements: Any) -> None:
    taken: dict[int, list[int]] = {}
    for rows, letter in ((PIECE, "W"), (FEW, "F"), (2 * FEW, "M")):
        found = taken[rows] = []
        for content, kind in ((file_of(rows, letter), "products"), (counts_of(rows, letter), "stock_counts")):
            importing.kind = kind
            read, apply, _ = stages(importing, content)
            for stage in (read, apply):
                with statements() as counted:
                    stage()
                found.append(counted.total)
    assert Movement.objects.count() == 3 * FEW + PIECE - 3
    for few, many in zip(taken[FEW], taken[2 * FEW], strict=True):
        assert many <= 2 * few, taken


def test_lists_and_exports_take_as_many_statements_for_many_rows(
    importing: Importing, statements: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", MANY)
    paths = [
        *("/v1/products?limit=100", "/v1/products/search?q=lamp&limit=100", "/v1/products/search?name=amp&limit=100"),
        *("/v1/inventory?limit=100", "/v1/inventory/movements?limit=100"),
        *(
            "/v1/products/export",
            "/v1/products/prices/export",
            "/v1/inventory/export",
            "/v1/inventory/movements/export",
        ),
    ]
    taken: list[list[int]] = []
    for rows, letter in ((10, "W"), (10, "F"), (90, "M")):
        importing.kind = "products"
        importing.take(file_of(rows, letter))
        importing.kind = "stock_counts"
        done = importing.take(counts_of(rows, letter))
        found = []
        for path in [*paths, f"/v1/imports/{done['import_id']}/rows?limit=100"]:
            with statements() as counted:
                answer = importing.api.client.get(path)
                assert answer.status_code == 200, answer.content
                if answer.streaming:
                    for _ in answer.streaming_content:
                        pass
            found.append(counted.total)
        taken.append(found)
    for path, few, many in zip([*paths, "rows"], *taken[1:], strict=True):
        assert many <= few, path
