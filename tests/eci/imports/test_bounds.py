"""What a file of many rows costs: as many statements and as much memory as its pieces, and no more."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from contexts.inventory.models import Movement
from contexts.orders.models import Order, OrderLine
from eci.http import exports
from eci.imports import applying, reading
from tests.support.imports import Importing, csv

PIECE = 25
FEW, MANY = 75, 300  # rows


def file_of(rows: int, letter: str) -> bytes:
    return csv("sku,name,price", *(f"{letter}-{n},Lamp {n},{n + 1}" for n in range(rows)))


def prices_of(rows: int, letter: str) -> bytes:
    return csv("sku,price", *(f"{letter}-{n},{n + 2}" for n in range(rows)))


def counts_of(rows: int, letter: str) -> bytes:
    return csv("sku,onhand", *(f"{letter}-{n},{n}" for n in range(rows)))


def receipts_of(rows: int, letter: str) -> bytes:
    return csv("sku,quantity,reference", *(f"{letter}-{n},{n + 1},DN-{letter}" for n in range(rows)))


def people(rows: int, letter: str) -> bytes:
    return csv("email,full_name", *(f"{letter}{n}@example.com,Ann {n}" for n in range(rows)))


KINDS = {
    "products": file_of,
    "prices": prices_of,
    "stock_counts": counts_of,
    "receipts": receipts_of,
    "customers": people,
}
EXPORTS = (
    *("/v1/products/export", "/v1/products/prices/export", "/v1/inventory/export", "/v1/inventory/movements/export"),
    *("/v1/orders/export", "/v1/customers/export"),
    "/v1/orders/export?format=xlsx",  # of the others too, for a query does not know its file
)


def fill(importing: Importing, rows: int, letter: str) -> None:
    """As many products, stock rows, movements, customers and orders."""
    for kind in ("products", "stock_counts", "customers"):
        importing.kind = kind
        importing.take(KINDS[kind](rows, letter))
    sums = dict.fromkeys(("subtotal_minor", "tax_minor", "shipping_minor", "total_minor"), 100)
    about = {
        "status": "CONFIRMED",
        "payment_status": "PAID",
        "currency": "USD",
        "fulfilment": "automatic",
        "method": "m",
    }
    orders = [Order(order_id=f"ORD-{letter}{n}", **about, **sums) for n in range(rows)]
    Order.objects.bulk_create(orders)
    line = {"line_no": 1, "product_id": 1, "sku": "A", "name": "A", "quantity": 1}
    prices = {"unit_price_minor": 100, "catalog_price_minor": 100}
    OrderLine.objects.bulk_create([OrderLine(order=order, **line, **prices) for order in orders])


def export(importing: Importing, path: str) -> int:
    """The bytes of the file, which is streamed and not kept."""
    answer = importing.api.client.get(path)
    assert answer.status_code == 200, answer.content
    return sum(map(len, answer.streaming_content))


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


def stages(importing: Importing, import_id: str) -> list[Callable[[], Any]]:
    """Read, apply and undo it, each when it is called."""
    return [importing.work, lambda: importing.apply(import_id), lambda: importing.undo(import_id)]


def peaks(importing: Importing, rows: int, letter: str) -> dict[tuple[str, str], int]:
    """Bytes that each stage of each kind has at once, for a file of so many rows."""
    taken: dict[tuple[str, str], int] = {}
    for kind, content in KINDS.items():
        importing.kind = kind
        import_id = importing.send(content(rows, letter)).data["import_id"]
        for name, stage in zip(("read", "apply", "undo"), stages(importing, import_id), strict=True):
            if (kind, name) != ("customers", "undo"):  # each person is erased, and all contexts told: it takes long
                taken[kind, name] = peak(stage)
        counts = importing.seen(import_id)["counts"]
        assert counts.get("undone", counts["new"]) == rows, (kind, counts)
    return taken


@pytest.mark.any_engine  # what is measured is Python's
def test_memory_is_that_of_a_piece(importing: Importing) -> None:
    few, many = 2 * PIECE, 5 * PIECE
    peaks(importing, PIECE, "w")  # what is loaded and compiled once
    small, large = peaks(importing, few, "f"), peaks(importing, many, "m")

    def above() -> dict[tuple[str, str], str]:
        return {of: f"{small[of]:,} bytes, {large[of]:,}" for of in small if large[of] >= 1.6 * small[of]}

    if above():  # another thread of the process may have taken some meanwhile: rows take theirs each time
        again = peaks(importing, many, "n")
        large = {of: min(large[of], again[of]) for of in large}
    assert not above(), f"for {few} rows and for {many}"


def test_exports_have_a_page_in_memory(importing: Importing) -> None:
    sizes: list[dict[str, tuple[int, int]]] = []
    for letter, rows in (("f", FEW), ("m", MANY - FEW)):
        fill(importing, rows, letter)
        sizes.append({path: (export(importing, path), peak(partial(export, importing, path))) for path in EXPORTS})
    for path, (small, few) in sizes[0].items():
        large, many = sizes[1][path]
        assert large > 2 * small, path
        if many >= 1.6 * few:  # as above: another thread may have taken some meanwhile
            many = min(many, peak(partial(export, importing, path)))
        assert many < 1.6 * few, f"{path}: {few:,} bytes for {FEW} rows, {many:,} for {MANY}"


def test_statements_are_those_of_the_pieces(importing: Importing, statements: Any) -> None:
    taken: dict[int, list[int]] = {}
    for rows, letter in ((PIECE, "w"), (2 * PIECE, "f"), (4 * PIECE, "m")):
        found = taken[rows] = []
        for kind, content in KINDS.items():
            importing.kind = kind
            import_id = importing.send(content(rows, letter)).data["import_id"]
            for stage in stages(importing, import_id)[:2]:
                with statements() as counted:
                    stage()
                found.append(counted.total)
    assert Movement.objects.count() == 2 * 7 * PIECE - 3  # nothing was counted as 0 before
    for few, many in zip(taken[2 * PIECE], taken[4 * PIECE], strict=True):
        assert many <= 2 * few, taken


def test_lists_and_exports_take_as_many_statements_for_many_rows(
    importing: Importing, statements: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", MANY)
    paths = [
        *("/v1/products?limit=100", "/v1/products/search?q=lamp&limit=100", "/v1/products/search?name=amp&limit=100"),
        *("/v1/inventory?limit=100", "/v1/inventory/movements?limit=100"),
        *("/v1/orders?limit=100", "/v1/customers?limit=100", *EXPORTS),
    ]
    taken: list[list[int]] = []
    for rows, letter in ((10, "w"), (10, "f"), (90, "m")):
        fill(importing, rows, letter)
        importing.kind = "receipts"
        done = importing.take(receipts_of(rows, letter))
        found = []
        for path in [*paths, f"/v1/imports/{done['import_id']}/rows?limit=100"]:
            with statements() as counted:
                if "export" in path:
                    export(importing, path)
                else:
                    assert importing.api.client.get(path).status_code == 200, path
            found.append(counted.total)
        taken.append(found)
    for path, few, many in zip([*paths, "rows"], *taken[1:], strict=True):
        assert many <= few, path
