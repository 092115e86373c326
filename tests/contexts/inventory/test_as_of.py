"""Stock as of an instant: over HTTP, as a file, and by ``manage.py stock_as_of``. ``test_machine`` has it exact."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from contexts.inventory.domain import SPAN, SPANS, span_of
from contexts.inventory.models import Allocation, HistoryStart, Movement, Stock
from contexts.inventory.public.contracts import AllocationState
from contexts.inventory.services import holds, parts, stock
from eci.clock import iso, utcnow
from tests.support.api import Api

Numbers = tuple[Any, ...]


def given(moment: datetime) -> str:
    """With its microseconds, as a client that recorded something knows it."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def then(api: Api, product_id: int, moment: str) -> dict[str, Numbers]:
    """On hand, reserved, owed and available by warehouse."""
    data = api.get(f"/v1/inventory/availability/{product_id}?as_of={moment}").data
    rows = {
        row["warehouse"]: (row["on_hand"], row["reserved"], row["owed"], row["available"]) for row in data["warehouses"]
    }
    sums = [sum(numbers) for numbers in zip(*rows.values(), strict=True)] or [0] * 4
    assert [data[f"total_{name}"] for name in ("on_hand", "reserved", "owed", "available")] == sums
    return rows


def test_a_product_at_each_moment_of_its_life(api: Api, stocked: Callable[..., int]) -> None:
    """Received, held, short after a count, covered by another warehouse, shipped; and a closed warehouse."""
    before = utcnow()
    product_id = stocked(A=5, B=3)
    row = Stock.objects.get(product_id=product_id, warehouse="A")
    moments = {}

    def moment(name: str) -> None:
        moments[name] = given(utcnow())

    moment("received")
    holds.reserve(key="paid", order_id="X-1", demand={product_id: 4}, seconds=600, paying=True)
    moment("held")
    stock.update_warehouse(code="B", is_active=False, actor="t")
    moment("closed")
    counted: dict[str, Any] = {"reorder_point": None, "reason": "count", "force": True, "actor": "t"}
    stock.count(inventory_id=row.pk, on_hand=1, **counted)
    moment("short")
    stock.receive(
        product_id=product_id, warehouse="B", quantity=2, reorder_point=None, actor="t", create_warehouse=False
    )
    stock.update_warehouse(code="B", is_active=True, actor="t")
    moment("moved")
    holds.ship(key="paid", actor="t")
    moment("shipped")
    assert {name: then(api, product_id, at) for name, at in moments.items()} == {
        "received": {"A": (5, 0, 0, 5), "B": (3, 0, 0, 3)},
        "held": {"A": (5, 4, 0, 1), "B": (3, 0, 0, 3)},
        "closed": {"A": (5, 4, 0, 1), "B": (3, 0, 0, 0)},
        "short": {"A": (1, 0, 4, 0), "B": (3, 0, 0, 0)},
        "moved": {"A": (1, 0, 0, 1), "B": (5, 4, 0, 1)},
        "shipped": {"A": (1, 0, 0, 1), "B": (1, 0, 0, 1)},
    }
    assert then(api, product_id, given(before)) == {"A": (0, 0, 0, 0), "B": (0, 0, 0, 0)}


def test_a_hold_counts_from_its_first_instant_until_it_runs_out(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=5)
    holds.reserve(key="short", order_id="X-1", demand={product_id: 2}, seconds=600)
    held = Allocation.objects.get()
    ends = held.since + (utcnow() - held.since) / 2
    Allocation.objects.update(lapses_at=ends)
    instant = timedelta(microseconds=1)
    around = (held.since - instant, held.since, ends - instant, ends)
    expected = [(5, 0, 0, 5), (5, 2, 0, 3), (5, 2, 0, 3), (5, 0, 0, 5)]
    assert [then(api, product_id, given(at))["A"] for at in around] == expected
    stock.count(
        inventory_id=held.stock_id, on_hand=1, reorder_point=None, reason="count", force=True, actor="t"
    )  # which reclaims the units
    closed = Allocation.objects.get()
    assert (closed.state, closed.until) == (AllocationState.EXPIRED, ends), "not when it was tidied up"
    assert [then(api, product_id, given(at))["A"] for at in around] == expected


def test_a_movement_counts_as_of_the_time_it_is_shown_with(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=5)
    api.post("/v1/inventory/adjustments", {"product_id": product_id, "warehouse": "A", "delta": -2, "reason": "lost"})
    for line in api.get(f"/v1/inventory/movements?product_id={product_id}").data:
        shown = line["at"]
        last = Movement.objects.filter(at__lte=datetime.fromisoformat(shown) + timedelta(microseconds=999)).last()
        assert last is not None
        assert then(api, product_id, shown)["A"][0] == last.on_hand
        assert last.pk >= line["movement_id"]


def test_a_clock_that_is_behind_changes_no_order(stocked: Callable[..., int]) -> None:
    """Of another machine, say: what comes later in the ledger is not of an earlier time."""
    product_id = stocked(A=5)
    ahead = utcnow() + timedelta(minutes=1)
    Stock.objects.update(updated_at=ahead)
    holds.reserve(key="k", order_id="X-1", demand={product_id: 2}, seconds=600, paying=True)
    holds.ship(key="k", actor="t")
    assert Allocation.objects.get().since == ahead
    assert Movement.objects.latest("pk").at == ahead
    assert parts.instant(rows=[]) < ahead


@pytest.mark.parametrize(
    ("moment", "sentence"),
    [
        ("2999-01-01", "as_of: This is in the future."),
        ("yesterday", "as_of: Give a time such as 2026-01-31T20:30:00Z, or a date."),
        ("", "as_of: This is empty: leave it out, or give it a value."),
        ("2026-02-30", "as_of: Give a time such as 2026-01-31T20:30:00Z, or a date."),
        ("2026-01-31T20:30:00", ""),
        ("2026-01-31", ""),
        ("2026-01-31T21:30:00+01:00", ""),
        ("0001-01-01T00:00:00+23:00", "as_of: Give a time such as 2026-01-31T20:30:00Z, or a date."),
    ],
)
def test_which_instants(api: Api, stocked: Callable[..., int], moment: str, sentence: str) -> None:
    product_id = stocked(A=1)
    for path in (f"/v1/inventory/availability/{product_id}", "/v1/inventory/stock"):
        answer = api.get(f"{path}?as_of={moment}")
        if sentence:
            assert (answer.status, answer.code, answer.error) == (400, "validation_error", sentence)
        else:
            assert answer.status == 200
    if not sentence:
        assert then(api, product_id, moment) == {"A": (0, 0, 0, 0)}


def test_what_is_not_there(api: Api, stocked: Callable[..., int], product: Callable[[], int]) -> None:
    stocked(A=1)
    assert api.get("/v1/inventory/stock").error == "as_of: This field is required."
    assert api.get("/v1/inventory/stock?as_of=2026-01-31&warehouse=Z").error == "There is no warehouse Z."
    assert api.get("/v1/inventory/availability/999?as_of=2026-01-31").status == 404
    assert then(api, product(), "2026-01-31") == {}


def test_a_warehouse_in_pages_and_as_a_file(
    api: Api, client: Client, stocked: Callable[..., int], statements: Any
) -> None:
    ids = [stocked(A=number, B=9) for number in (1, 2, 3)]
    holds.reserve(key="k", order_id="X-1", demand={ids[2]: 3}, seconds=600, warehouse="A", paying=True)
    moment = given(utcnow())
    api.post("/v1/inventory/adjustments", {"product_id": ids[0], "warehouse": "A", "delta": 5, "reason": "found"})
    seen, path = [], f"/v1/inventory/stock?as_of={moment}&warehouse=A&limit=2"
    while path:
        answer = api.get(path)
        assert answer.json["meta"]["as_of"] == iso(datetime.fromisoformat(moment))
        assert answer.json["meta"]["holds_known_from"] is None
        seen += [(row["sku"], row["on_hand"], row["reserved"], row["owed"], row["available"]) for row in answer.data]
        path = (answer.json["meta"]["next"] or "").partition("testserver")[2]
    assert seen == [("SKU-3", 3, 3, 0, 0), ("SKU-2", 2, 0, 0, 2), ("SKU-1", 1, 0, 0, 1)]
    assert len(api.get(f"/v1/inventory/stock?as_of={moment}").data) == 6
    export = client.get(f"/v1/inventory/stock/export?as_of={moment}&warehouse=A")
    lines = b"".join(export.streaming_content).decode().split("\r\n")  # type: ignore[attr-defined]
    assert lines[0].lstrip("\ufeff") == "product_id,sku,name,warehouse,on_hand,reserved,owed,available"
    assert lines[1:4] == [
        f"{pk},SKU-{n},Lamp,A,{n},{held},0,{n - held}" for n, pk, held in zip((1, 2, 3), ids, (0, 0, 3), strict=True)
    ]
    with statements() as counted:
        api.get(f"/v1/inventory/stock?as_of={moment}&limit=100")
    assert counted.total <= 9, counted.report()


def test_before_holds_kept_their_times_only_on_hand_is_known(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=5)
    holds.reserve(key="k", order_id="X-1", demand={product_id: 2}, seconds=600, paying=True)
    before = given(utcnow())
    start = HistoryStart.objects.create(at=utcnow())
    Allocation.objects.update(since=start.at)  # as the migration does
    answer = api.get(f"/v1/inventory/availability/{product_id}?as_of={before}").data
    assert answer["holds_known_from"] == iso(start.at)
    assert answer["warehouses"] == [{"warehouse": "A", "on_hand": 5, "reserved": None, "owed": None, "available": None}]
    assert (answer["total_on_hand"], answer["total_available"]) == (5, None)
    assert then(api, product_id, given(utcnow()))["A"] == (5, 2, 0, 3)


def test_the_command(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=5, B=2)
    holds.reserve(key="k", order_id="X-1", demand={product_id: 1}, seconds=600, paying=True)
    moment = given(utcnow())

    def told(*args: str) -> list[str]:
        out = StringIO()
        call_command("stock_as_of", *args, stdout=out)
        return out.getvalue().splitlines()

    in_a = "SKU-1 in A: 5 on hand, 1 reserved, 0 owed, 4 available"
    assert told(moment, "SKU-1") == [in_a, "SKU-1 in B: 2 on hand, 0 reserved, 0 owed, 2 available"]
    assert told(moment, "--warehouse", "A") == [in_a]
    for args, sentence in (
        ((moment,), "Give a SKU, or --warehouse and its code."),
        ((moment, "NO"), "There is no product NO."),
        ((moment, "--warehouse", "NO"), "There is no warehouse NO."),
        (("2999-01-01", "SKU-1"), "2999-01-01: This is in the future."),
    ):
        with pytest.raises(CommandError) as error:
            told(*args)
        assert str(error.value) == sentence


def test_spans() -> None:
    seconds = [0, 0.99, 1, 3.9, 4, SPAN**9, 10**12]
    assert [span_of([timedelta(seconds=one)]) for one in seconds] == [0, 0, 1, 1, 2, 10, SPANS - 1]
