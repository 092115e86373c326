"""The Postman collections and the Bruno folder say what the OpenAPI document says. `make postman` makes them anew."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.support.programs import program
from tests.support.world import ROOT

pytestmark = pytest.mark.no_database

WORKFLOW = ROOT / "demo/postman/ECI-Workflow.postman_collection.json"
PACKAGES = ROOT / "demo/postman/node_modules"
STALE = "run `make postman`, which makes the collections from the OpenAPI document"
CONTEXTS = {
    "catalog-service/postman/Catalog-Service-API.postman_collection.json": {"catalog"},
    "customerservice/postman/CustomerService API.postman_collection.json": {"customers", "people"},
    "inventoryservice/postman/Inventory API.postman_collection.json": {"inventory"},
    "paymentservice/postman/Payment API.postman_collection.json": {"payments"},
    "orderservice/postman/Order API.postman_collection.json": {"orders"},
    "shipmentservice/postman/Shipment API.postman_collection.json": {"shipping"},
    "notificationservice/postman/Notification API.postman_collection.json": {"notifications"},
}


@pytest.fixture(scope="module")
def document() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)


def documented(document: Any, tags: set[str]) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if tags & set(operation["tags"])
    }


def requests(collection: Path) -> Iterator[Any]:
    return (item["request"] for item in json.loads(collection.read_text())["item"])


def call(method: str, path: str) -> str:
    """``:name`` and ``{{name}}`` are the document's ``{name}``."""
    return f"{method} " + re.sub(r":(\w+)|\{\{(\w+)\}\}", r"{\1\2}", path)


def normal(text: Any) -> str:
    return " ".join(str(text or "").split())


@pytest.mark.parametrize("path", CONTEXTS)
def test_a_collection_tells_what_the_document_tells_of_each_call(path: str, document: Any) -> None:
    told = {
        call(one["method"], "/" + "/".join(one["url"]["path"])): normal(one.get("description"))
        for one in requests(ROOT / path)
    }
    written = {
        name: normal(document["paths"][name.split()[1]][name.split()[0].lower()].get("description"))
        for name in documented(document, CONTEXTS[path])
    }
    assert {name: (told[name], text) for name, text in written.items() if told[name] != text} == {}, STALE


@pytest.mark.parametrize("path", CONTEXTS)
def test_a_collection_has_the_document_s_calls_and_no_others(path: str, document: Any) -> None:
    found = {call(one["method"], "/" + "/".join(one["url"]["path"])) for one in requests(ROOT / path)}
    assert found == documented(document, CONTEXTS[path]), STALE


def test_every_call_of_the_document_is_in_a_collection(document: Any) -> None:
    everything = {tag for tags in CONTEXTS.values() for tag in tags}
    assert documented(document, everything) == {
        f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations
    }


def test_the_bruno_folder_has_the_same_calls(document: Any) -> None:
    asked = re.compile(r"^(get|post|put|patch|delete) \{\n  url: \{\{baseUrl\}\}([^\s?]+)", re.M)
    files = [file.read_text() for file in (ROOT / "demo/bruno").glob("*API/*.bru")]
    found = [call(one[1].upper(), one[2]) for text in files if (one := asked.search(text))]
    everything = {tag for tags in CONTEXTS.values() for tag in tags}
    assert sorted(found) == sorted(documented(document, everything)), STALE


def test_the_workflow_calls_what_there_is(document: Any) -> None:
    known = documented(document, {tag for tags in CONTEXTS.values() for tag in tags}) | {"GET /health"}
    found = {call(one["method"], "/" + "/".join(one["url"]["path"])) for one in requests(WORKFLOW)}
    assert found <= known and len(found) > 10


def test_every_body_has_what_is_required_and_nothing_unknown(document: Any) -> None:
    bodies = 0
    for path in [*map(ROOT.joinpath, CONTEXTS), WORKFLOW]:
        for one in requests(path):
            if one.get("body", {}).get("mode") != "raw":
                continue
            operation = document["paths"][call("", "/" + "/".join(one["url"]["path"])).strip()][one["method"].lower()]
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            sent = json.loads(re.sub(r"(?<=: )\{\{\w+\}\}", "1", one["body"]["raw"]))
            assert set(schema.get("required", ())) <= set(sent) <= set(schema["properties"]), (path, sent)
            bodies += 1
    assert bodies > 40


def test_making_them_again_changes_nothing(document: Any, tmp_path: Path) -> None:
    if not PACKAGES.exists():
        assert os.environ.get("CI") != "true", "tools/install-postman.sh was not run"
        pytest.skip("tools/install-postman.sh was not run")
    command = [program("node", "make lint"), "demo/postman/make.mjs", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, input=json.dumps(document).encode(), check=True, capture_output=True)
    made = {str(file.relative_to(tmp_path)): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    there = {
        str(file.relative_to(ROOT)): file.read_text()
        for file in [*map(ROOT.joinpath, CONTEXTS), WORKFLOW, *(ROOT / "demo/bruno").rglob("*")]
        if file.is_file()
    }
    assert sorted(made) == sorted(there), STALE
    assert [name for name in made if made[name] != there[name]] == [], STALE
