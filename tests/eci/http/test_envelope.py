"""Every failure is answered in the envelope, and no answer reveals more than it should."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client

from contexts.catalog import selectors
from eci import errors
from tests.support.api import Answer, Api
from tests.support.away import without_database

pytestmark = pytest.mark.any_engine

KEYS = {"status", "data", "error", "code", "details", "timestamp"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(selectors, "product", fail)


def read(api: Api) -> Answer:
    answer = api.get("/v1/products/1", **{"X-Request-ID": "request-1"})
    assert set(answer.json) == KEYS
    assert (answer.json["status"], answer.json["data"]) == ("error", None)
    assert TIME.fullmatch(answer.json["timestamp"])
    return answer


def test_a_success_is_enveloped(api: Api) -> None:
    made = api.post("/v1/products", {"sku": "S", "name": "N", "price": 1})
    assert set(made.json) == {"status", "data", "error", "timestamp"}
    assert (made.json["status"], made.json["error"]) == ("success", None)
    assert TIME.fullmatch(made.json["timestamp"])
    listed = api.get("/v1/products")
    assert set(listed.json) == {"status", "data", "error", "timestamp", "meta"}
    assert listed.json["meta"] == {"limit": 20, "next": None, "previous": None}
    gone = api.delete(f"/v1/products/{made.data['product_id']}")
    assert (gone.status, gone.json) == (204, None)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidRequest("No.", field=["Bad."]), 400, "validation_error"),
        (errors.NotAuthenticated("No."), 401, "not_authenticated"),
        (errors.NotFound("No.", product_id=1), 404, "not_found"),
        (errors.Conflict("No."), 409, "conflict"),
        (errors.InvalidTransition("No.", status="SHIPPED"), 409, "invalid_transition"),
        (errors.OwnedByOrder("No."), 409, "owned_by_order"),
        (errors.IdempotencyInProgress("No."), 409, "idempotency_in_progress"),
        (errors.IdempotencyKeyReused("No."), 422, "idempotency_key_reused"),
        (errors.ContextUnavailable("No."), 503, "context_unavailable"),
    ],
)
def test_an_error_keeps_its_status_code_and_details(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: errors.EciError, status: int, code: str
) -> None:
    failing(monkeypatch, error)
    answer = read(api)
    assert (answer.status, answer.code, answer.error, answer.details) == (status, code, "No.", error.details)
    waits = status == 503 or code == "idempotency_in_progress"
    assert ("Retry-After" in answer.headers) == waits
    assert not waits or int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("error", [RuntimeError("the secret"), KeyError("the secret"), RecursionError("the secret")])
def test_what_nobody_expected_is_a_500_without_a_trace(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing(monkeypatch, error)
    answer = read(api)
    assert (answer.status, answer.code, answer.details) == (500, "internal_error", {"request_id": "request-1"})
    told = json.dumps(answer.json)
    assert not any(word in told for word in ("secret", "Traceback", ".py", type(error).__name__))


def test_a_failing_plain_view_is_enveloped_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(names: list[str]) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr("eci.http.health.states", fail)
    answer = api.get("/health", **{"X-Request-ID": "request-1"})
    assert (answer.status, answer.code, answer.details) == (500, "internal_error", {"request_id": "request-1"})
    assert "secret" not in json.dumps(answer.json)


def test_an_unreachable_database_is_a_503_to_be_tried_again(tmp_path: Path) -> None:
    def ask() -> Any:
        return [Client(raise_request_exception=False).get(url) for url in ("/v1/products", "/v1/customers")]

    catalog, customers = without_database(tmp_path, ["catalog"], ask)
    body = catalog.json()
    assert (catalog.status_code, body["code"], body["status"]) == (503, "context_unavailable", "error")
    assert int(catalog.headers["Retry-After"]) >= 1
    assert "unable to open" not in catalog.content.decode()
    assert customers.status_code == 200


def test_a_database_lost_in_the_middle_of_a_command_is_a_503(api: Api) -> None:
    def lose(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT"):
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    body = {"sku": "S", "name": "N", "price": 1}
    with connections["catalog"].execute_wrapper(lose):
        answer = api.post("/v1/products", body, key="k")
    assert (answer.status, answer.code) == (503, "context_unavailable")
    assert "Retry-After" in answer.headers
    assert "server closed" not in json.dumps(answer.json)
    assert api.post("/v1/products", body, key="k").status == 201


def test_a_bad_host_is_an_enveloped_400(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["shop.example"]
    answer = Client().get("/v1/products", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


def test_field_errors_stand_under_their_field_and_item(api: Api) -> None:
    items = [{"product_id": 1, "quantity": 1}, {"product_id": 1, "quantity": 0}]
    answer = api.post("/v1/orders", {"customer_id": 1, "items": items})
    assert answer.status == 400
    assert {name: set(fields) for name, fields in answer.details["items"].items()} == {"1": {"quantity"}}
    assert answer.error.startswith("items.1.quantity: ")


def test_head_answers_as_get_without_a_body() -> None:
    client = Client()
    head, get = client.head("/v1/products"), client.get("/v1/products")
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(get.content)))


def test_what_an_answer_told_does_not_wait_for_the_collector(api: Api) -> None:
    def left_by_a_list() -> int:
        api.get("/v1/products")
        gc.collect()
        gc.disable()
        try:
            api.get("/v1/products")
            return gc.collect()
        finally:
            gc.enable()

    def add(*numbers: int) -> None:
        for number in numbers:
            assert api.post("/v1/products", {"sku": f"S{number}", "name": "Lamp", "price": 1}).status == 201

    add(1)
    left = left_by_a_list()
    add(*range(2, 12))
    assert left_by_a_list() <= left + 5
