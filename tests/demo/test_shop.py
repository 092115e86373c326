"""What the demonstration's scripts know of the product, which they cannot import."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from config.contexts import CONTEXTS
from tests.support.world import ROOT

pytestmark = pytest.mark.no_database


def test_the_services_are_where_the_contexts_say(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("shop", ROOT / "demo" / "shop.py")
    assert spec and spec.loader
    shop = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shop", shop)
    spec.loader.exec_module(shop)
    assert {name: (one.port, one.demo_port) for name, one in shop.SERVICES.items()} == {
        name: (one.port, one.demo_port) for name, one in CONTEXTS.items()
    }
