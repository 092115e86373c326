"""What the demonstration's scripts know of the product, which they cannot import."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest
from drf_spectacular.generators import SchemaGenerator

from config.contexts import CONTEXTS
from tests.support.product import free_port
from tests.support.world import ROOT

pytestmark = pytest.mark.no_database


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("shop", ROOT / "demo" / "shop.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shop", module)
    spec.loader.exec_module(module)
    return module


class Catalog(BaseHTTPRequestHandler):
    """Says that the catalog is healthy, and nothing else."""

    def do_GET(self) -> None:
        said = json.dumps({"contexts": {"catalog": "healthy"}} if self.path == "/health/catalog" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *told: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def catalog() -> Iterator[int]:
    """The port of a catalog."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Catalog) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_services_are_where_the_contexts_say(shop: ModuleType) -> None:
    assert {name: (one.port, one.demo_port) for name, one in shop.SERVICES.items()} == {
        name: (one.port, one.demo_port) for name, one in CONTEXTS.items()
    }


def test_a_shop_of_this_machine_is_found(shop: ModuleType, catalog: int, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = free_port()
    monkeypatch.setitem(shop.SERVICES, "catalog", replace(shop.SERVICES["catalog"], port=nobody))
    monkeypatch.setattr(shop, "BASE_URL", f"http://127.0.0.1:{catalog}")
    assert set(shop.addresses("", "").values()) == {f"http://127.0.0.1:{catalog}"}, "all are at one address"

    monkeypatch.setattr(shop, "BASE_URL", f"http://127.0.0.1:{nobody}")
    monkeypatch.setitem(shop.SERVICES, "catalog", replace(shop.SERVICES["catalog"], port=catalog))
    found = shop.addresses("", "")
    assert found == {name: f"http://127.0.0.1:{one.port}" for name, one in shop.SERVICES.items()}, "each has its own"

    monkeypatch.setitem(shop.SERVICES, "catalog", replace(shop.SERVICES["catalog"], port=nobody))
    with pytest.raises(shop.Failed, match="No shop answers at"):
        shop.addresses("", "")


def test_locust_s_shoppers_ask_for_what_there_is() -> None:
    document = SchemaGenerator().get_schema(request=None, public=True)
    text = re.sub(r"\{product\['(\w+)'\]\}", r"{\1}", (ROOT / "demo" / "locustfile.py").read_text())
    asked = set(re.findall(r'"(/v1/[^"?]*)', text))
    assert asked and asked <= set(document["paths"])
