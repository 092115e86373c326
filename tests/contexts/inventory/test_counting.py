"""Read, think, write back: counts that know what moved meanwhile, and conditional writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

import pytest

from contexts.inventory.models import Movement, Stock
from contexts.inventory.services import holds, stock
from eci.calls import rpc
from eci.clock import utcnow
from eci.errors import ContextUnavailable
from tests.support.api import Answer, Api


@pytest.fixture
def sold(stocked: Callable[..., int]) -> Callable[[int], None]:
    """Sells units of the one product, of which there are 300."""
    product_id = stocked(A=300)

    def sell(units: int) -> None:
        holds.reserve(key=f"sale-{units}", order_id="X-1", demand={product_id: units}, seconds=60)
        holds.ship(key=f"sale-{units}", actor="test")

    return sell


def count(api: Api, on_hand: int | None = None, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    body = {"reason": "count", **({} if on_hand is None else {"onhand": on_hand}), **more}
    return api.patch(f"/v1/inventory/{Stock.objects.get().pk}", body, **(headers or {}))


def test_a_count_that_expects_what_is_not_there_any_more(api: Api, sold: Callable[[int], None]) -> None:
    assert count(api, 300, expected_onhand=300).status == 200
    sold(5)
    late = count(api, 300, expected_onhand=300, reorder_point=1)
    assert (late.status, late.code, late.details["on_hand"]) == (409, "changed_meanwhile", 295)
    [movement] = late.details["movements"]
    assert {name: movement[name] for name in ("delta", "on_hand", "reason", "order_id", "actor")} == {
        "delta": -5,
        "on_hand": 295,
        "reason": "shipment",
        "order_id": "X-1",
        "actor": "test",
    }
    assert (Stock.objects.get().on_hand, Stock.objects.get().reorder_point) == (295, 10)
    assert count(api, expected_onhand=300, reorder_point=1).code == "changed_meanwhile"
    assert count(api, 294, expected_onhand=295).data["onhand"] == 294


def test_what_moved_after_the_count_is_added_to_it(api: Api, sold: Callable[[int], None]) -> None:
    counted_at = utcnow()
    sold(5)
    sold(2)
    answer = count(api, 298, counted_at=counted_at.isoformat(), expected_onhand=300)
    assert (answer.status, answer.data["onhand"]) == (200, 291)
    assert list(Movement.objects.order_by("pk").values_list("delta", flat=True)) == [300, -5, -2, -2]
    wrong = count(api, 298, counted_at=counted_at.isoformat(), expected_onhand=299)
    assert (wrong.code, len(wrong.details["movements"])) == ("changed_meanwhile", 3)
    gone = count(api, 0, counted_at=counted_at.isoformat())
    assert (gone.status, gone.code) == (409, "below_reserved")


def test_a_count_that_is_sent_again_moves_nothing(
    api: Api, stocked: Callable[..., int], sold: Callable[[int], None]
) -> None:
    """A correction is no movement, up or down, from one row or from many. All else is: a sale, a return, a transfer."""
    product_id, counted_at = Stock.objects.get().product_id, utcnow().isoformat()
    sold(5)
    for on_hand, now in ((298, 293), (290, 285), (300, 295)):
        asked = {"counted_at": counted_at, "expected_onhand": 300}
        assert [count(api, on_hand, **asked).data["onhand"] for _ in range(3)] == [now] * 3
        item = {"product_id": product_id, "warehouse": "A", "onhand": on_hand} | asked
        many = api.post("/v1/inventory/counts", {"items": [item], "reason": "count"})
        assert (many.data["same"], Stock.objects.get().on_hand) == (1, now)
    api.post("/v1/warehouses", {"code": "B", "name": "B"})
    body = {"product_id": product_id, "from_warehouse": "A", "to_warehouse": "B", "quantity": 7}
    assert api.post("/v1/inventory/transfers", body).status == 200
    stock.restock(order_id="X-1", reference="r", returned={product_id: 2}, disposition="resell", actor="t")
    stock.restock(order_id="X-1", reference="s", returned={product_id: 1}, disposition="damaged", actor="t")
    many = api.post("/v1/inventory/counts", {"items": [item | {"onhand": 298}], "reason": "count"})
    assert many.data["items"][0]["row"]["onhand"] == 298 - 5 - 7 + 2
    wrong = api.post("/v1/inventory/counts", {"items": [item | {"expected_onhand": 299}], "reason": "count"})
    assert wrong.code == "changed_meanwhile"


def test_many_rows_know_no_force_and_no_time_that_is_not_theirs(api: Api, sold: Callable[[int], None]) -> None:
    item = {"product_id": Stock.objects.get().product_id, "warehouse": "A", "onhand": 1}
    for in_item, beside, field in (
        ({"force": True}, {}, "force"),
        ({}, {"force": "yes"}, "force"),
        ({}, {"counted_at": utcnow().isoformat()}, "counted_at"),
        ({"counted_at": utcnow().isoformat()}, {"mode": "add"}, "counted_at"),
        ({"counted_at": (utcnow() + timedelta(minutes=1)).isoformat()}, {}, "counted_at"),
    ):
        refused = api.post("/v1/inventory/counts", {"items": [item | in_item], "reason": "count"} | beside)
        assert (refused.status, field in str(refused.details)) == (400, True)
    assert Stock.objects.get().on_hand == 300


def test_a_count_of_the_future_is_refused(api: Api, sold: Callable[[int], None]) -> None:
    for moment in ((utcnow() + timedelta(minutes=1)).isoformat(), "yesterday", 5):
        assert list(count(api, 300, counted_at=moment).details) == ["counted_at"]


def test_if_match_is_obeyed(api: Api, sold: Callable[[int], None]) -> None:
    path = f"/v1/inventory/{Stock.objects.get().pk}"
    seen = api.get(path).headers["ETag"]
    assert api.get(path, **{"If-None-Match": seen}).status == 304
    sold(5)
    for tag in (seen, "nope", '"nope"'):
        refused = count(api, 300, {"If-Match": tag})
        assert (refused.status, refused.code) == (412, "precondition_failed")
    assert Stock.objects.get().on_hand == 295
    now = api.get(path).headers["ETag"]
    done = count(api, 290, {"If-Match": now})
    assert (done.status, done.headers["ETag"]) == (200, api.get(path).headers["ETag"])
    assert count(api, 280, {"If-Match": now}).status == 412
    assert count(api, 280, {"If-Match": "*"}).status == 200


def test_every_change_that_people_see_is_another_version(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10, B=1)
    row = Stock.objects.get(warehouse="A")
    asked: dict[str, Any] = {"order_id": "X", "demand": {product_id: 2}, "seconds": 60, "warehouse": "A"}
    again: dict[str, Any] = {"inventory_id": row.pk, "reason": "count", "force": True, "actor": "t"}
    seen = row.version
    for write in (
        lambda: holds.reserve(key="a", paying=True, **asked),
        lambda: holds.reserve(key="b", **asked),
        lambda: holds.release(key="b"),
        lambda: stock.count(on_hand=0, reorder_point=None, **again),
        lambda: stock.adjust(product_id=product_id, warehouse="A", delta=2, reason="found", actor="t"),
        lambda: holds.ship(key="a", actor="t"),
        lambda: stock.count(on_hand=None, reorder_point=3, **again),
        lambda: stock.transfer(product_id=product_id, from_warehouse="B", to_warehouse="A", quantity=1, actor="t"),
        lambda: stock.restock(order_id="X", reference="r", returned={product_id: 1}, disposition="resell", actor="t"),
    ):
        write()
        row.refresh_from_db()
        assert row.version > seen
        seen = row.version
    stock.count(on_hand=row.on_hand, reorder_point=3, **again)
    row.refresh_from_db()
    assert row.version == seen


def test_a_tag_covers_what_the_catalog_says(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    path = f"/v1/inventory/{Stock.objects.get().pk}"
    first = api.get(path)
    with rpc.replaced("catalog", Away()):
        partial = api.get(path, **{"If-None-Match": first.headers["ETag"]})
    assert (partial.status, partial.data["name"]) == (200, None)
    assert api.get(path, **{"If-None-Match": partial.headers["ETag"]}).data["name"] == "Lamp"
    api.patch(f"/v1/products/{product_id}", {"name": "Light"})
    renamed = api.get(path, **{"If-None-Match": first.headers["ETag"]})
    assert (renamed.status, renamed.data["name"]) == (200, "Light")
    assert count(api, 9, {"If-Match": first.headers["ETag"]}).status == 200, "the row is what it was"


def test_a_tag_covers_what_changes_by_time(
    api: Api, stocked: Callable[..., int], run_out: Callable[[str], None]
) -> None:
    product_id = stocked(A=10)
    holds.reserve(key="a", order_id="X", demand={product_id: 4}, seconds=60)
    path = f"/v1/inventory/{Stock.objects.get().pk}"
    held = api.get(path)
    run_out("a")
    later = api.get(path, **{"If-None-Match": held.headers["ETag"]})
    assert (held.data["available"], later.status, later.data["available"]) == (6, 200, 10)


def test_warehouses_have_versions(api: Api, stocked: Callable[..., int]) -> None:
    stocked(A=1)
    path = "/v1/warehouses/A"
    first = api.get(path)
    assert (first.status, first.data["name"]) == (200, "A")
    renamed = api.patch(path, {"name": "North"}, **{"If-Match": first.headers["ETag"]})
    assert (renamed.status, renamed.data["name"], renamed.data["priority"]) == (200, "North", 1)
    assert api.get(path).headers["ETag"] == renamed.headers["ETag"] != first.headers["ETag"]
    late = api.patch(path, {"is_active": False}, **{"If-Match": first.headers["ETag"]})
    assert (late.status, late.code) == (412, "precondition_failed")
    assert api.patch(path, {"is_active": False}).data["is_active"] is False
    assert api.get(path).data["name"] == "North"
    for call in (api.get("/v1/warehouses/NONE"), api.patch("/v1/warehouses/NONE", {"name": "x"})):
        assert (call.status, call.code) == (404, "not_found")
    api.post("/v1/warehouses", {"code": "a/b c", "name": "Odd"})
    assert api.get("/v1/warehouses/a/b%20c").data["name"] == "Odd"


def test_a_warehouse_is_found_by_its_code_however_it_is_typed(api: Api) -> None:
    code = "é" * 64
    api.post("/v1/warehouses", {"code": code, "name": "Lit"})
    path = "/v1/warehouses/" + quote(normalize("NFD", code)) + "%20"
    assert api.get(path).data["name"] == "Lit"
    assert api.patch(path, {"name": "Dark"}).data["name"] == "Dark"
    for unknown in ("a%00b", "W%EF%B8%8F", "%E2%80%8B", "x" * 65):
        assert api.get(f"/v1/warehouses/{unknown}").status == 404


def test_a_warehouse_keeps_its_code_and_wants_a_change(api: Api, stocked: Callable[..., int]) -> None:
    stocked(A=1)
    for change, field in (({}, "name"), ({"code": "A"}, "name"), ({"code": "B", "name": "New"}, "code")):
        refused = api.patch("/v1/warehouses/A", change)
        assert (refused.status, list(refused.details)) == (400, [field])
    assert api.patch("/v1/warehouses/A", {"code": "A", "name": "New"}).data["name"] == "New"


def test_rows_name_their_products(api: Api, stocked: Callable[..., int], statements: Any) -> None:
    first, second = stocked(A=1), stocked(A=1)
    with statements() as counted:
        rows = api.get("/v1/inventory").data
    assert [(row["product_id"], row["sku"], row["name"]) for row in rows] == [
        (second, "SKU-2", "Lamp"),
        (first, "SKU-1", "Lamp"),
    ]
    assert len([line for line in counted.log if "catalog_product" in line[1]]) == 1
    Stock.objects.filter(product_id=second).update(product_id=987654321)
    Movement.objects.filter(product_id=second).update(product_id=987654321)
    assert [row["sku"] for row in api.get("/v1/inventory").data] == [None, "SKU-1"]


class Away:
    def __getattr__(self, name: str) -> Any:
        raise ContextUnavailable("catalog is away")


def test_rows_are_shown_while_the_catalog_is_away(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=1)
    with rpc.replaced("catalog", Away()):
        listed = api.get("/v1/inventory")
        assert (listed.status, listed.data[0]["sku"], listed.json["meta"]["unavailable"]) == (200, None, ["catalog"])
        shown = api.get(f"/v1/inventory/{listed.data[0]['inventory_id']}")
        assert (shown.status, shown.data["name"], shown.data["unavailable"]) == (200, None, ["catalog"])
        body = {"product_id": product_id, "warehouse": "A", "onhand": 1}
        assert api.post("/v1/inventory", body).data["onhand"] == 2
    assert "unavailable" not in api.get("/v1/inventory").json["meta"]
