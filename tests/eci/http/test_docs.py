"""The OpenAPI document is built once, and sent only to those who do not have it."""

from __future__ import annotations

import gzip

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

pytestmark = pytest.mark.any_engine


def test_it_is_built_once_and_known_by_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    first = client.get("/schema")

    def built_again(*arguments: object, **options: object) -> None:
        raise AssertionError("a document that is there was built again")

    monkeypatch.setattr(SchemaGenerator, "get_schema", built_again)
    again = client.get("/schema")
    assert (again.status_code, again.content) == (200, first.content) and b"/v1/orders" in first.content
    zipped = client.get("/schema", headers={"Accept-Encoding": "gzip, br"})
    assert zipped.headers["Content-Encoding"] == "gzip" and gzip.decompress(zipped.content) == first.content
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert first.headers["Cache-Control"] == "no-cache"
    for tag in (first.headers["ETag"], zipped.headers["ETag"]):
        known = client.get("/schema", headers={"If-None-Match": tag})
        assert (known.status_code, known.content) == (304, b"")


def test_each_format_is_a_document_of_its_own() -> None:
    client = Client()
    yaml, json = client.get("/schema"), client.get("/schema?format=json")
    assert json.json()["openapi"].startswith("3.1") and json.headers["ETag"] != yaml.headers["ETag"]
    assert client.get("/schema?format=nonsense").status_code == 400
