"""JSON, whatever ``Accept`` says, unless a page is asked for."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.any_engine

JSON = ["", " ", ",", "*/*", "*", "application/*", "application/json", "application/json; indent=2", "text/plain"]
JSON += [
    "text/*",
    "application/xml",
    "application/vnd.eci+json",
    "image/*, text/*;q=0.5",
    ";;;",
    "\xff",
    "a/b/c",
    "q=1",
]
JSON += ["q=1", "application/json, text/plain, */*", "x" * 10_000, "text/css, " * 100]


@pytest.mark.parametrize("accept", JSON, ids=lambda accept: ascii(accept[:30]))
@pytest.mark.parametrize("path", ["/v1/products", "/v1/products/999", "/v1/nothing"])
def test_json(client: Client, path: str, accept: str) -> None:
    answer = client.get(path, headers={"accept": accept})
    assert answer.status_code == (200 if path == "/v1/products" else 404)
    assert answer["Content-Type"].startswith("application/json")
    assert answer.json()["status"] in ("success", "error")


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"])
def test_a_page(client: Client, accept: str) -> None:
    answer = client.get("/v1/products", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/html")
    assert client.get("/v1/products?format=json", headers={"accept": accept}).json()["status"] == "success"
