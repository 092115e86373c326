"""The replay's client waits and asks again with the same key; it takes every other answer as it is."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from bench.client import Client

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def answering(*answers: httpx.Response) -> tuple[Client, list[str]]:
    """A client whose server gives these answers in turn, and the keys it was sent."""
    left, keys = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("Idempotency-Key", ""))
        return left.pop(0)

    return client_of(handle), keys


def client_of(handle: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://shop", connections=1, transport=httpx.MockTransport(handle))


def error(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"data": None, "code": code, "error": "No."}, headers={"Retry-After": "0"})


@pytest.mark.parametrize(
    ("status", "code"), [(503, "context_unavailable"), (429, "throttled"), (409, "idempotency_in_progress")]
)
def test_asks_again_with_the_same_key(status: int, code: str) -> None:
    client, keys = answering(error(status, code), error(status, code), httpx.Response(201, json={"data": {"id": 1}}))
    answer = client.post("/v1/orders", {}, key="k1")
    assert (answer.status, answer.data) == (201, {"id": 1})
    assert keys == ["k1", "k1", "k1"]
    assert client.retries == 2


@pytest.mark.parametrize(("status", "code"), [(409, "insufficient_stock"), (400, "validation_error"), (500, "error")])
def test_takes_any_other_answer(status: int, code: str) -> None:
    client, keys = answering(error(status, code))
    assert (client.post("/v1/orders", {}, key="k1").code, keys) == (code, ["k1"])


def test_an_answer_outside_the_envelope_is_told_apart() -> None:
    client, _ = answering(httpx.Response(502, text="<h1>Bad gateway</h1>"))
    assert client.get("/v1/orders/1").code == "no_envelope"


def test_nobody_home_is_not_healthy() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    assert not client_of(refuse).healthy()
