"""Stock over HTTP: receipts, counts, adjustments, transfers, availability, the ledger, warehouses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from contexts.inventory.models import Movement, Reservation, Stock
from contexts.inventory.public.contracts import WarehouseNotFound
from contexts.inventory.services import counts, holds, stock
from tests.support.api import Api


def row_id(product_id: int, warehouse: str) -> int:
    return Stock.objects.get(product_id=product_id, warehouse=warehouse).pk


def deltas(api: Api, product_id: int) -> list[tuple[str, int, int]]:
    """(warehouse, delta, on hand after it) of the product's movements, oldest first."""
    lines = api.get(f"/v1/inventory/movements?product_id={product_id}&limit=100").data
    return [(line["warehouse"], line["delta"], line["on_hand"]) for line in reversed(lines)]


def test_receipts_add_up(api: Api, product: Callable[[], int]) -> None:
    product_id = product()
    body = {"product_id": product_id, "warehouse": "MAIN", "onhand": 5}
    first = api.post("/v1/inventory", body)
    assert first.status == 201
    assert set(first.data) == {
        "inventory_id",
        "product_id",
        "sku",
        "name",
        "warehouse",
        "onhand",
        "reserved",
        "owed",
        "available",
        "reorder_point",
        "updated_at",
    }
    assert (first.data["onhand"], first.data["reserved"], first.data["reorder_point"]) == (5, 0, 10)
    second = api.post("/v1/inventory", body | {"onhand": 3, "reorder_point": 2})
    assert (second.data["onhand"], second.data["available"], second.data["reorder_point"]) == (8, 8, 2)
    assert second.data["inventory_id"] == first.data["inventory_id"]
    assert deltas(api, product_id) == [("MAIN", 5, 5), ("MAIN", 3, 8)]


def test_a_receipt_with_a_key_counts_once(api: Api, product: Callable[[], int]) -> None:
    body = {"product_id": product(), "warehouse": "MAIN", "onhand": 5}
    first = api.post("/v1/inventory", body, key="r-1")
    again = api.post("/v1/inventory", body, key="r-1")
    assert (again.status, again.data) == (201, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = api.post("/v1/inventory", body | {"onhand": 6}, key="r-1")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert Stock.objects.get().on_hand == 5


def test_receipts_of_unknown_things(api: Api, settings: Any, product: Callable[[], int]) -> None:
    assert api.post("/v1/inventory", {"product_id": 987654321, "warehouse": "MAIN", "onhand": 5}).status == 404
    product_id = product()
    with pytest.raises(WarehouseNotFound):
        stock.receive(
            product_id=product_id, warehouse="NEW", quantity=1, reorder_point=None, actor="t", create_warehouse=False
        )
    assert not Stock.objects.exists()


def test_low_stock_and_filters(api: Api, stocked: Callable[..., int]) -> None:
    plenty, low = stocked(A=50), stocked(A=9, B=10, CLOSED=1)
    api.patch("/v1/warehouses/CLOSED", {"is_active": False})
    rows = api.get("/v1/inventory?low_stock=true").data
    assert [(row["product_id"], row["warehouse"]) for row in rows] == [(low, "A")]
    assert len(api.get("/v1/inventory?low_stock=false").data) == 3, "nothing is ordered for a closed one"
    assert [row["onhand"] for row in api.get(f"/v1/inventory?product_id={plenty}").data] == [50]
    assert [row["onhand"] for row in api.get("/v1/inventory?warehouse=B").data] == [10]
    one = api.get(f"/v1/inventory/{row_id(plenty, 'A')}")
    assert one.data["available"] == 50


def test_a_count_sets_what_was_found(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    path = f"/v1/inventory/{row_id(product_id, 'A')}"
    answer = api.patch(path, {"onhand": 7, "reorder_point": 3, "reason": "yearly count"})
    assert (answer.status, answer.data["onhand"], answer.data["reorder_point"]) == (200, 7, 3)
    line = api.get("/v1/inventory/movements").data[0]
    assert (line["delta"], line["on_hand"], line["reason"], line["actor"]) == (-3, 7, "yearly count", "open")
    assert api.patch(path, {"reorder_point": 0, "reason": "never"}).data["onhand"] == 7
    assert len(deltas(api, product_id)) == 2


def test_a_count_of_no_row_is_404(api: Api) -> None:
    for identity in ("4711", "9" * 15, "9" * 16, "9" * 40):
        answer = api.patch(f"/v1/inventory/{identity}", {"onhand": 7, "reason": "count"})
        assert (answer.status, answer.code) == (404, "not_found")
        assert api.get(f"/v1/inventory/{identity}").status == 404


def test_a_count_below_reserved_is_refused(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    holds.reserve(key="h", order_id="X", demand={product_id: 6}, seconds=60)
    body = {"onhand": 5, "reorder_point": 1, "reason": "count"}
    answer = api.patch(f"/v1/inventory/{row_id(product_id, 'A')}", body)
    assert (answer.status, answer.code) == (409, "below_reserved")
    assert answer.details == {"on_hand": 10, "reserved": 6}
    assert (Stock.objects.get().on_hand, Stock.objects.get().reorder_point) == (10, 10)
    exact = api.patch(f"/v1/inventory/{row_id(product_id, 'A')}", body | {"onhand": 6})
    assert (exact.status, exact.data["available"]) == (200, 0)


def test_a_count_reclaims_expired_units(api: Api, stocked: Callable[..., int], run_out: Callable[[str], None]) -> None:
    product_id = stocked(A=10)
    holds.reserve(key="h", order_id="X", demand={product_id: 6}, seconds=60)
    run_out("h")
    answer = api.patch(f"/v1/inventory/{row_id(product_id, 'A')}", {"onhand": 2, "reason": "count"})
    assert (answer.status, answer.data["onhand"], answer.data["reserved"]) == (200, 2, 0)


def test_a_forced_count_releases_the_newest_unpaid_reservations_first(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10, B=10)
    for key, paying in (("paid", True), ("old", False), ("new", False)):
        holds.reserve(key=key, order_id="X", demand={product_id: 3}, seconds=60, paying=paying, warehouse="A")
    path = f"/v1/inventory/{row_id(product_id, 'A')}"
    body = {"reason": "count", "force": True}
    assert api.patch(path, body | {"onhand": 6}).data["reserved"] == 6
    assert statuses("paid", "old", "new") == ["RESERVED", "RESERVED", "RELEASED"]
    assert api.patch(path, body | {"onhand": 2}).data["reserved"] == 0
    assert statuses("paid", "old", "new") == ["RESERVED", "RELEASED", "RELEASED"]
    [paid] = [row for row in api.get("/v1/inventory/reservations").data if row["idempotency_key"] == "paid"]
    assert paid["needs_attention"] is True
    assert [one["state"] for one in paid["allocations"]] == ["SHORT"]
    assert deltas(api, product_id)[-2:] == [("A", -4, 6), ("A", -4, 2)]


def statuses(*keys: str) -> list[str]:
    return [Reservation.objects.get(key=key).status for key in keys]


def test_a_forced_count_releases_the_whole_of_a_split_reservation(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=4, B=10)
    holds.reserve(key="split", order_id="X", demand={product_id: 12}, seconds=60)
    body = {"onhand": 3, "reason": "count", "force": True}
    assert api.patch(f"/v1/inventory/{row_id(product_id, 'A')}", body).data["available"] == 3
    assert statuses("split") == ["RELEASED"]
    assert list(Stock.objects.values_list("reserved", flat=True)) == [0, 0]


def test_an_adjustment_changes_on_hand_by_a_difference(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    body = {"product_id": product_id, "warehouse": "A", "delta": -4, "reason": "broken"}
    assert api.post("/v1/inventory/adjustments", body, key="a").data["onhand"] == 6
    again = api.post("/v1/inventory/adjustments", body, key="a")
    assert (again.data["onhand"], again.headers["Idempotent-Replayed"]) == (6, "true")
    assert api.post("/v1/inventory/adjustments", body | {"delta": 1}, key="a").status == 422
    assert deltas(api, product_id) == [("A", 10, 10), ("A", -4, 6)]


def test_a_refused_adjustment_leaves_nothing(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    stocked(B=1)
    holds.reserve(key="h", order_id="X", demand={product_id: 6}, seconds=60)
    body = {"product_id": product_id, "warehouse": "A", "delta": -5, "reason": "broken"}
    refused = api.post("/v1/inventory/adjustments", body, key="a")
    assert (refused.status, refused.code) == (409, "below_reserved")
    assert api.post("/v1/inventory/adjustments", body | {"delta": -11}).code == "below_reserved"
    assert api.post("/v1/inventory/adjustments", body | {"warehouse": "B", "delta": -1}).status == 409
    assert api.post("/v1/inventory/adjustments", body | {"warehouse": "B", "delta": -1}, key="b").status == 409
    assert api.post("/v1/inventory/adjustments", body | {"warehouse": "NOPE"}).status == 404
    assert api.post("/v1/inventory/adjustments", body | {"product_id": 987654321}).status == 404
    assert not Stock.objects.filter(product_id=product_id, warehouse="B").exists()
    assert len(deltas(api, product_id)) == 1


def test_a_transfer_is_two_lines_of_the_ledger(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    stocked(B=1)
    body = {"product_id": product_id, "from_warehouse": "A", "to_warehouse": "B", "quantity": 4}
    answer = api.post("/v1/inventory/transfers", body, key="t")
    assert (answer.status, answer.data["from_row"]["onhand"], answer.data["to_row"]["onhand"]) == (200, 6, 4)
    assert api.post("/v1/inventory/transfers", body, key="t").data == answer.data
    back = body | {"from_warehouse": "B", "to_warehouse": "A", "quantity": 1}
    assert api.post("/v1/inventory/transfers", back).data["from_row"]["onhand"] == 3
    assert sorted(deltas(api, product_id)) == sorted(
        [("A", 10, 10), ("A", -4, 6), ("B", 4, 4), ("B", -1, 3), ("A", 1, 7)]
    )


def test_a_refused_transfer_leaves_nothing(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    stocked(B=1)
    holds.reserve(key="h", order_id="X", demand={product_id: 7}, seconds=60)
    body = {"product_id": product_id, "from_warehouse": "A", "to_warehouse": "B", "quantity": 4}
    refused = api.post("/v1/inventory/transfers", body, key="t")
    assert (refused.status, refused.code) == (409, "insufficient_stock")
    assert refused.details["items"] == [{"product_id": product_id, "requested": 4, "available": 3}]
    assert api.post("/v1/inventory/transfers", body | {"from_warehouse": "B", "to_warehouse": "A"}).status == 409
    assert api.post("/v1/inventory/transfers", body | {"to_warehouse": "NOPE"}).details == {"warehouse": "NOPE"}
    assert api.post("/v1/inventory/transfers", body | {"to_warehouse": "A"}).status == 400
    assert api.post("/v1/inventory/transfers", body | {"product_id": 987654321}).status == 404
    assert Stock.objects.filter(product_id=product_id).count() == 1


def test_a_transfer_reclaims_expired_units(
    api: Api, stocked: Callable[..., int], run_out: Callable[[str], None]
) -> None:
    product_id = stocked(A=10, B=1)
    holds.reserve(key="h", order_id="X", demand={product_id: 7}, seconds=60)
    run_out("h")
    body = {"product_id": product_id, "from_warehouse": "A", "to_warehouse": "B", "quantity": 10}
    assert api.post("/v1/inventory/transfers", body).data["from_row"]["onhand"] == 0


def test_availability_of_one(api: Api, stocked: Callable[..., int], product: Callable[[], int]) -> None:
    product_id = stocked(B=4, A=6)
    holds.reserve(key="h", order_id="X", demand={product_id: 5}, seconds=60)
    assert api.get(f"/v1/inventory/availability/{product_id}").data == {
        "product_id": product_id,
        "total_available": 5,
        "total_on_hand": 10,
        "total_reserved": 5,
        "warehouses": [
            {"warehouse": "A", "on_hand": 6, "reserved": 5, "available": 1},
            {"warehouse": "B", "on_hand": 4, "reserved": 0, "available": 4},
        ],
    }
    empty = product()
    assert api.get(f"/v1/inventory/availability/{empty}").data == {
        "product_id": empty,
        "total_available": 0,
        "total_on_hand": 0,
        "total_reserved": 0,
        "warehouses": [],
    }
    for unknown in ("987654321", "0", "9" * 15, "9" * 30, "abc", "-1", "1.5"):
        assert api.get(f"/v1/inventory/availability/{unknown}").status == 404


def test_availability_of_many(api: Api, stocked: Callable[..., int], product: Callable[[], int]) -> None:
    first, empty = stocked(A=6), product()
    found = api.get(f"/v1/inventory/availability?product_ids={empty},{first},{first}").data
    assert [(row["product_id"], row["total_available"]) for row in found] == [(empty, 0), (first, 6)]
    assert api.get(f"/v1/inventory/availability?product_ids={first},987654321").details == {"product_id": 987654321}
    body = {"sku": 'a "b", c', "name": "Lamp", "price": "5.00"}
    odd = api.post("/v1/products", body).data["product_id"]
    skus = quote('SKU-2,"a ""b"", c",SKU-1')
    by_sku = api.get(f"/v1/inventory/availability?skus={skus}")
    assert [(one["product_id"], one["total_available"]) for one in by_sku.data][1] == (odd, 0)
    assert len({one["product_id"] for one in by_sku.data}) == 3
    unknown = api.get("/v1/inventory/availability?skus=SKU-1,NONE")
    assert (unknown.status, unknown.details) == (404, {"sku": "NONE"})
    for bad in ("", "?product_ids=", "?product_ids=1,,2", "?product_ids=a", f"?product_ids={','.join(['1'] * 201)}"):
        answer = api.get(f"/v1/inventory/availability{bad}")
        assert (answer.status, list(answer.details)) == (400, ["product_ids"])
    assert answer.details["product_ids"] == ["Give up to 200 ids, with a comma between two."]
    for word in ("99999999999999999999", "-1", "a", ""):
        answer = api.get(f"/v1/inventory/availability?product_ids=1,{word}")
        assert answer.details["product_ids"] == [f"'{word}' is no id: an id has 1 to 15 digits, and nothing else."]


def test_an_inactive_warehouse_is_not_allocated_from(api: Api, stocked: Callable[..., int]) -> None:
    api.post("/v1/warehouses", {"code": "OFF", "name": "Closed", "is_active": False})
    product_id = stocked(OFF=5)
    data = api.get(f"/v1/inventory/availability/{product_id}").data
    assert (data["total_available"], data["total_on_hand"]) == (0, 5)
    answer = api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 1})
    assert answer.code == "insufficient_stock"


def test_the_ledger_has_every_field_and_pages_without_repeating(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    holds.reserve(key="h", order_id="X-1", demand={product_id: 1}, seconds=60)
    holds.ship(key="h", actor="test")
    for number in range(12):
        stock.adjust(product_id=product_id, warehouse="A", delta=number + 1, reason="found", actor="test")
    [line] = api.get("/v1/inventory/movements?order_id=X-1").data
    assert {name: value for name, value in line.items() if name not in ("movement_id", "at")} == {
        "product_id": product_id,
        "warehouse": "A",
        "delta": -1,
        "on_hand": 9,
        "reason": "shipment",
        "order_id": "X-1",
        "reference": "h",
        "actor": "test",
    }
    assert walk(api, "/v1/inventory/movements?limit=3", "movement_id") == list(
        Movement.objects.order_by("-at", "-pk").values_list("pk", flat=True)
    )


def test_movements_are_found_by_their_delivery_note(api: Api, stocked: Callable[..., int], client: Client) -> None:
    product_id = stocked(A=10)
    came = counts.Counted(product=product_id, product_id=product_id, warehouse="A", units=3, reference="DN-1")
    counts.record(counts=[came], add=True, partial=False, reason="receipt", actor="test")
    [line] = api.get("/v1/inventory/movements?reference=DN-1").data
    assert (line["delta"], line["reference"]) == (3, "DN-1")
    assert api.get("/v1/inventory/movements?reference=DN").data == []
    file = b"".join(client.get("/v1/inventory/movements/export?reference=DN-1").streaming_content).decode()
    assert len(file.splitlines()) == 2 and "DN-1" in file
    explained = api.get(f"/v1/inventory/{row_id(product_id, 'A')}/explain").data
    assert [one["reference"] for one in explained["last_movements"]] == ["DN-1", None]


def test_a_warehouse_that_there_is_not_is_said_by_every_list_and_export(api: Api, stocked: Callable[..., int]) -> None:
    stocked(A=10)
    for path in ("", "/export", "/movements", "/movements/export", "/reservations", "/stock", "/stock/export"):
        moment = "&as_of=2026-01-31" if path.startswith("/stock") else ""
        answer = api.get(f"/v1/inventory{path}?warehouse=a{moment}")
        assert (answer.status, answer.details, answer.error) == (
            404,
            {"warehouse": "a"},
            "There is no warehouse a.",
        ), path


def test_every_list_pages_without_repeating(api: Api, product: Callable[[], int]) -> None:
    product_id = product()
    for number in range(8):
        body = {"product_id": product_id, "warehouse": f"W{number}", "onhand": 1}
        assert api.post("/v1/inventory", body).status == 201
        holds.reserve(key=f"h{number}", order_id="X", demand={product_id: 1}, seconds=60)
    for path, name in (
        ("/v1/inventory?limit=3", "inventory_id"),
        ("/v1/inventory?limit=3&ordering=created_at", "inventory_id"),
        ("/v1/warehouses?limit=3", "code"),
        ("/v1/warehouses?limit=3&ordering=-name", "code"),
        ("/v1/inventory/reservations?limit=3", "reservation_id"),
        ("/v1/inventory/reservations?limit=3&status=RESERVED", "reservation_id"),
    ):
        found = walk(api, path, name)
        assert len(found) == len(set(found)) == 8, path


def walk(api: Api, path: str | None, name: str) -> list[Any]:
    """The named value of every row, page by page."""
    found: list[Any] = []
    while path:
        answer = api.get(path)
        found += [row[name] for row in answer.data]
        path = answer.json["meta"]["next"]
    return found


def test_a_repeated_count_with_a_key_counts_once(api: Api) -> None:
    product_id = api.post("/v1/products", {"sku": "COUNTED", "name": "Counted", "price": 1}).data["product_id"]
    row = api.post("/v1/inventory", {"product_id": product_id, "warehouse": "WH001", "onhand": 9}).data
    path = f"/v1/inventory/{row['inventory_id']}"
    keyed = {"Idempotency-Key": "count"}
    assert api.patch(path, {"onhand": 5, "reason": "count"}, **keyed).data["onhand"] == 5
    api.patch(path, {"onhand": 7, "reason": "found two"})
    late = api.patch(path, {"onhand": 5, "reason": "count"}, **keyed)
    assert (late.data["onhand"], late.headers["Idempotent-Replayed"]) == (5, "true")
    assert api.get(path).data["onhand"] == 7
    assert api.patch(path, {"onhand": 6, "reason": "count"}, **keyed).status == 422
    assert api.patch(path, {"onhand": 6, "reason": "count"}, **{"Idempotency-Key": "k" * 256}).status == 400


def test_warehouses(api: Api) -> None:
    made = api.post("/v1/warehouses", {"code": "N", "name": "North", "priority": 5, "address": "1 Pier"}, key="w")
    assert made.status == 200
    assert {name: made.data[name] for name in ("code", "name", "priority", "address", "is_active")} == {
        "code": "N",
        "name": "North",
        "priority": 5,
        "address": "1 Pier",
        "is_active": True,
    }
    duplicate = api.post("/v1/warehouses", {"code": "N", "name": "Other"})
    assert (duplicate.status, duplicate.code, duplicate.details) == (409, "duplicate_warehouse", {"code": "N"})
    assert [row["name"] for row in api.get("/v1/warehouses").data] == ["North"]
