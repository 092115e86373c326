"""Bad input is a 400 that names the field, never a 500."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api

RECEIVE = {"product_id": 1, "warehouse": "A", "onhand": 1}
COUNT = {"onhand": 1, "reason": "count"}
ADJUST = {"product_id": 1, "warehouse": "A", "delta": 1, "reason": "found"}
TRANSFER = {"product_id": 1, "from_warehouse": "A", "to_warehouse": "B", "quantity": 1}
RESERVE = {"product_id": 1, "quantity": 1}
HOLD = {"idempotency_key": "k", "order_id": "X"}
WAREHOUSE = {"code": "A", "name": "A"}

QUANTITIES: list[Any] = [True, False, 0, -1, 1_000_001, 10**30, "1", 1.0, 1.5, None, [], {}, [1]]
UNITS: list[Any] = [*(value for value in QUANTITIES if value != 1_000_001), 1_000_000_001]
IDS: list[Any] = [True, 0, -1, "1", 1.0, None, 2**53 + 1, 10**30, []]
CODES: list[Any] = [True, 5, None, "", "  ", "x" * 65, "a\nb", "a\tb", []]
TEXTS: list[Any] = [True, 5, None, "", "x" * 201, {}]

CASES = [
    *(("POST", "/v1/inventory", RECEIVE, "onhand", value) for value in UNITS),
    *(("POST", "/v1/inventory", RECEIVE, "product_id", value) for value in IDS),
    *(("POST", "/v1/inventory", RECEIVE, "warehouse", value) for value in CODES),
    *(("POST", "/v1/inventory", RECEIVE, "reorder_point", value) for value in (-1, True, "5", 1.5)),
    *(("PATCH", "/v1/inventory/1", COUNT, "onhand", value) for value in (-1, True, "5", 1_000_000_001, None)),
    *(("PATCH", "/v1/inventory/1", COUNT, "expected_onhand", value) for value in (-1, True, "5", None)),
    *(("PATCH", "/v1/inventory/1", COUNT, "counted_at", value) for value in (5, True, "noon", "9999-01-01", None)),
    *(("PATCH", "/v1/inventory/1", COUNT, "force", value) for value in ("true", 1, 0, None)),
    *(("PATCH", "/v1/inventory/1", COUNT, "reason", value) for value in TEXTS),
    *(("POST", "/v1/inventory/adjustments", ADJUST, "delta", value) for value in (0, True, 1.5, "1", 1_000_000_001)),
    *(("POST", "/v1/inventory/adjustments", ADJUST, "reason", value) for value in TEXTS),
    *(("POST", "/v1/inventory/transfers", TRANSFER, "quantity", value) for value in UNITS),
    ("POST", "/v1/inventory/transfers", TRANSFER, "to_warehouse", "A"),
    *(("POST", "/v1/inventory/reserve", RESERVE, "quantity", value) for value in QUANTITIES),
    *(("POST", "/v1/inventory/reserve", RESERVE, "product_id", value) for value in IDS),
    *(("POST", "/v1/inventory/reserve", RESERVE, "warehouse", value) for value in CODES),
    *(("POST", "/v1/inventory/reserve", RESERVE, "reservation_minutes", value) for value in (0, 1441, True, "5", 1.5)),
    *(("POST", "/v1/inventory/reserve", RESERVE, "order_id", value) for value in (True, 1.5, "", "x" * 65, [])),
    *(("POST", "/v1/inventory/reserve", RESERVE, "idempotency_key", value) for value in ("", "x" * 256, "a\nb", 5)),
    *(("POST", "/v1/inventory/reserve", {}, "items", value) for value in ([], None, "a", {}, [1], 5)),
    ("POST", "/v1/inventory/reserve", {}, "items", [{"product_id": 1, "quantity": 1}] * 1_001),
    ("POST", "/v1/inventory/reserve", RESERVE, "items", [{"product_id": 1, "quantity": 1}]),
    *(
        ("POST", f"/v1/inventory/{verb}", HOLD, field, value)
        for verb in ("confirm", "release", "ship")
        for field, value in (("idempotency_key", ""), ("order_id", True), ("reservation_id", "1"))
    ),
    *(("POST", "/v1/inventory/ship", HOLD, "warehouse", value) for value in CODES),
    *(("POST", "/v1/warehouses", WAREHOUSE, "code", value) for value in CODES),
    *(("POST", "/v1/warehouses", WAREHOUSE, "priority", value) for value in (True, "1", 1.5, 10**12)),
    *(("POST", "/v1/warehouses", WAREHOUSE, "is_active", value) for value in ("true", 1, None)),
]


def test_bad_fields(api: Api) -> None:
    for method, path, body, field, value in CASES:
        answer = api.send(method, path, {**body, field: value})
        case = (method, path, field, value if not isinstance(value, list) else len(value))
        assert (answer.status, answer.code) == (400, "validation_error"), case
        assert list(answer.details) == [field], case


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/v1/inventory", {}, {"product_id", "warehouse", "onhand"}),
        ("/v1/inventory/adjustments", {}, {"product_id", "warehouse", "delta", "reason"}),
        ("/v1/inventory/transfers", {}, {"product_id", "from_warehouse", "to_warehouse", "quantity"}),
        ("/v1/inventory/reserve", {}, {"product_id"}),
        ("/v1/inventory/reserve", {"product_id": 1}, {"quantity"}),
        ("/v1/inventory/ship", {}, {"idempotency_key"}),
        ("/v1/warehouses", {}, {"code", "name"}),
    ],
)
def test_missing_fields(api: Api, path: str, body: dict[str, Any], fields: set[str]) -> None:
    answer = api.post(path, body)
    assert (answer.status, set(answer.details)) == (400, fields)


def test_a_count_must_say_something(api: Api) -> None:
    assert set(api.patch("/v1/inventory/1", {}).details) == {"reason"}
    assert set(api.patch("/v1/inventory/1", {"reason": "none"}).details) == {"onhand"}


def test_a_bad_line_is_named_by_its_index(api: Api) -> None:
    lines = [{"product_id": 1, "quantity": 1}, {"product_id": 1, "quantity": 0}]
    answer = api.post("/v1/inventory/reserve", {"items": lines})
    assert answer.status == 400
    assert {index: list(errors) for index, errors in answer.details["items"].items()} == {"1": ["quantity"]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"product_id": 1, "quantity": NaN}',
        b'{"product_id": 1, "quantity": Infinity}',
        b'{"product_id": 1, "quantity": 1e999999999999}',
        b'{"product_id": 1, "quantity": 1, "warehouse": "A\\u0000"}',
        b'{"product_id": 1, "quantity": 1, "order_id": "A\\u0000"}',
        b'{"product_id": 1, "quantity": 1, "order_id": "\\ud800"}',
        b"[1]",
        b"{",
        b"\xff",
    ],
)
def test_bodies_that_are_no_request(api: Api, body: bytes) -> None:
    assert api.post("/v1/inventory/reserve", body).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v1/inventory?colour=red",
        "/v1/inventory?product_id=a",
        "/v1/inventory?product_id=0",
        "/v1/inventory?product_id=99999999999999999999",
        "/v1/inventory?low_stock=perhaps",
        "/v1/inventory?warehouse=A%00",
        "/v1/inventory?limit=0",
        "/v1/inventory?limit=101",
        "/v1/inventory?cursor=abc",
        "/v1/inventory?ordering=price",
        "/v1/inventory/reservations?status=OPEN",
        "/v1/inventory/reservations?order_id=%00",
        "/v1/inventory/reservations/status?limit=5",
        "/v1/inventory/movements?product_id=-1",
        "/v1/inventory/movements?ordering=at",
        "/v1/inventory/availability/1?limit=5",
        "/v1/warehouses?ordering=priority",
    ],
)
def test_bad_queries(api: Api, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.code) == (400, "validation_error")


def test_other_media_types_and_methods(api: Api) -> None:
    assert api.post("/v1/inventory/reserve", b"a=1", content_type="application/x-www-form-urlencoded").status == 415
    assert api.delete("/v1/inventory/1").status == 405
    assert api.get("/v1/inventory/reserve").status == 405
