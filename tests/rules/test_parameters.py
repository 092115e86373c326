"""Every parameter of every path: one without a value is refused by its name, and so is a format that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from eci.http import docs
from eci.http.exports import ExportView
from tests.support.routes import routes

pytestmark = pytest.mark.any_engine


def parameters() -> Iterator[tuple[str, str]]:
    for path, item in docs.schema()["paths"].items():
        for said in item.get("get", {}).get("parameters", ()):
            if said["in"] == "query":
                yield re.sub(r"\{[a-z_]+\}", "7", path), said["name"]


def test_one_without_a_value_selects_nothing(api: Any) -> None:
    found = list(parameters())
    assert {"barcode", "product_ids", "skus", "q", "reference", "email", "order_id"} <= {name for _, name in found}
    for path, name in found:
        for method in (api.client.get, api.client.head):
            answer = method(f"{path}?{name}=")
            assert answer.status_code == 400, (path, name)
        assert list(api.get(f"{path}?{name}=").details) == [name], path


def test_a_format_that_there_is_not_is_told_by_those_that_there_are(api: Any) -> None:
    for route in routes():
        if "GET" not in route.methods:
            continue
        for wrong in ("pdf", ""):
            answer = api.get(f"{route.example}?format={wrong}")
            assert (answer.status, list(answer.details)) == (400, ["format"]), (route.path, wrong)
        choices = "csv, xlsx." if issubclass(route.view, ExportView) else "json"
        assert choices in answer.json["error"], answer.json
