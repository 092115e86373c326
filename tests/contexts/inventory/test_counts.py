"""Counts of many rows at once: all or none, or each by itself; what is reserved and owed stays whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from contexts.inventory.models import Movement, Stock, Trail
from contexts.inventory.services import holds, stock
from tests.support.api import Answer, Api

COUNTS = "/v1/inventory/counts"


def counted(api: Api, *items: dict[str, Any], key: str | None = None, **more: Any) -> Answer:
    return api.post(COUNTS, {"items": list(items), "reason": "year's end"} | more, key=key)


def on_hand() -> dict[tuple[int, str], int]:
    return {(row.product_id, row.warehouse_id): row.on_hand for row in Stock.objects.all()}


def test_rows_are_set_to_what_was_counted(api: Api, stocked: Callable[..., int]) -> None:
    lamp, rug = stocked(A=300, B=5), stocked(A=2)
    items = [
        {"product_id": lamp, "warehouse": "A", "onhand": 295, "expected_onhand": 300},
        {"sku": "SKU-2", "warehouse": " A ", "onhand": 2},
        {"sku": "SKU-2", "warehouse": "B", "onhand": 4},
    ]
    answer = counted(api, *items, key="k")
    assert answer.status == 200
    assert {name: answer.data[name] for name in ("counted", "same", "refused")} == {
        "counted": 2,
        "same": 1,
        "refused": 0,
    }
    assert [(one["outcome"], one["row"]["sku"], one["row"]["onhand"]) for one in answer.data["items"]] == [
        ("counted", "SKU-1", 295),
        ("same", "SKU-2", 2),
        ("counted", "SKU-2", 4),
    ]
    assert on_hand() == {(lamp, "A"): 295, (lamp, "B"): 5, (rug, "A"): 2, (rug, "B"): 4}
    line = Trail.objects.filter(action="stock.count").last()
    assert line is not None and (line.before, line.after) == ({"on_hand": 300}, {"on_hand": 295})
    again = counted(api, *items, key="k")
    assert (again.data, again.headers["Idempotent-Replayed"]) == (answer.data, "true")
    assert counted(api, items[0], key="k").code == "idempotency_key_reused"
    assert Movement.objects.filter(reason="year's end").count() == 2


def test_all_or_none_and_each_by_itself(api: Api, stocked: Callable[..., int]) -> None:
    lamp = stocked(A=10, B=10)
    holds.reserve(key="held", order_id="X-1", demand={lamp: 6}, seconds=60, warehouse="B")
    items = [
        {"product_id": lamp, "warehouse": "A", "onhand": 9},
        {"product_id": 999, "warehouse": "A", "onhand": 1},
        {"sku": "none", "warehouse": "A", "onhand": 1},
        {"product_id": lamp, "warehouse": "C", "onhand": 1},
        {"product_id": lamp, "warehouse": "B", "onhand": 5},
    ]
    before = on_hand()
    refused = counted(api, *items)
    assert (refused.status, refused.code, on_hand()) == (404, "not_found", before)
    assert "Nothing was recorded. Item 1: There is no product 999." in refused.error
    assert [(one["item"], one["code"]) for one in refused.details["items"]] == [
        (1, "not_found"),
        (2, "not_found"),
        (3, "not_found"),
        (4, "below_reserved"),
    ]
    assert counted(api, items[0], items[4]).code == "below_reserved"
    late = counted(api, items[0] | {"expected_onhand": 11})
    assert (late.status, late.code, late.details["items"][0]["details"]["on_hand"]) == (409, "changed_meanwhile", 10)
    assert on_hand() == before

    api.post("/v1/warehouses", {"code": "D", "name": "D"})
    never = {"product_id": lamp, "warehouse": "D", "onhand": 1, "expected_onhand": 2}
    each = counted(api, *items, never, partial=True)
    assert [one["outcome"] for one in each.data["items"]] == ["counted", *["refused"] * 5]
    assert each.data["items"][5]["code"] == "changed_meanwhile"
    assert each.data["items"][4]["details"]["reserved"] == 6
    assert on_hand() == before | {(lamp, "A"): 9}


def test_added_units_go_first_to_what_is_owed(
    api: Api, stocked: Callable[..., int], available: Callable[[int], int]
) -> None:
    lamp = stocked(A=5)
    holds.reserve(key="paid", order_id="X-1", demand={lamp: 5}, seconds=60)
    holds.confirm(key="paid", actor="test")
    row = Stock.objects.get()
    stock.count(inventory_id=row.pk, on_hand=0, reorder_point=None, reason="r", force=True, actor="test")
    item = {"product_id": lamp, "warehouse": "A", "onhand": 3}
    answer = counted(api, item, item, mode="add")
    assert [one["row"]["onhand"] for one in answer.data["items"]] == [6, 6]
    row.refresh_from_db()
    assert (row.on_hand, row.reserved, row.owed, available(lamp)) == (6, 5, 0, 1)


def test_an_expired_reservation_is_in_nobody_s_way(
    api: Api, stocked: Callable[..., int], run_out: Callable[[str], None]
) -> None:
    lamp = stocked(A=5)
    holds.reserve(key="late", order_id="X-1", demand={lamp: 5}, seconds=60)
    assert counted(api, {"product_id": lamp, "warehouse": "A", "onhand": 1}).code == "below_reserved"
    run_out("late")
    assert counted(api, {"product_id": lamp, "warehouse": "A", "onhand": 1}).data["items"][0]["row"]["available"] == 1


@pytest.mark.any_engine
def test_what_is_no_count_is_told_by_its_item(api: Api, stocked: Callable[..., int]) -> None:
    item = {"product_id": stocked(A=1), "warehouse": "A", "onhand": 3}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"product_id": "x"}, "product_id"),
        ({"sku": "SKU-1"}, "product_id"),
        ({"onhand": -1}, "onhand"),
        ({"onhand": None}, "onhand"),
        ({"onhand": 1_000_000_001}, "onhand"),
        ({"warehouse": ""}, "warehouse"),
        ({"expected_onhand": 1.5}, "expected_onhand"),
    ]
    for change, field in wrong:
        answer = counted(api, item, item | change, partial=True)
        assert (answer.status, list(answer.details["items"]["1"])) == (400, [field]), change
    twice = counted(api, item, {"sku": "SKU-1", "warehouse": "A", "onhand": 3})
    assert (twice.status, twice.details["items"]) == (
        400,
        {"1": {"onhand": ["Item 0 counts the same product in the same warehouse."]}},
    )
    more: list[dict[str, Any]] = [{"items": []}, {"items": [item] * 1_001}, {"items": "x"}, {"mode": "less"}]
    for body in [*more, {"reason": ""}, {"reason": None}, {"partial": "yes"}]:
        answer = counted(api, item, **body)
        assert (answer.status, list(answer.details)) == (400, list(body)), body
    assert counted(api, item | {"onhand": 1_000_000_000}, mode="add").code == "too_many_units"
    assert on_hand() == {(item["product_id"], "A"): 1}


def test_a_thousand_rows_take_no_statement_each(api: Api, stocked: Callable[..., int]) -> None:
    lamp = stocked(A=1)
    codes = [f"W{number}" for number in range(1_000)]
    stock.Warehouse.objects.bulk_create([stock.Warehouse(code=code, name=code) for code in codes])
    items = [{"product_id": lamp, "warehouse": code, "onhand": number} for number, code in enumerate(codes)]
    with CaptureQueriesContext(connections["inventory"]) as statements:
        assert counted(api, *items).data["counted"] == 999
    assert len(statements) < 40, len(statements)
    assert counted(api, *items).data["same"] == 1_000
