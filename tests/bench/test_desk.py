"""The bench of the desk asks for pages that are there, and says which are slow."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.urls import resolve

from bench import desk
from tests.support.walk import kind, places

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

NAMES = ("product", "sku", "category", "order", "customer", "tail", "number", "shipment", "tracking", "today")


def test_it_asks_for_every_list_that_grows_with_orders_stock_and_products() -> None:
    asked = {kind(resolve(urlsplit(page.format(**dict.fromkeys(NAMES, "7"))).path)) for page in desk.PAGES}
    assert asked <= {kind(place) for place in places()} | {"staff/orders/<str:order_id>/return"}
    for name in ("Product", "PriceChange", "Stock", "Movement", "Reservation", "Shipment", "Order", "Payment"):
        assert f"{name}Admin changelist" in asked


def test_it_tells_what_is_over_the_bound() -> None:
    found = {"when": "2026-12-01", "commit": "abc", "engine": "sqlite", "size": {"orders": 3}, "foreign": 0.0}
    told = desk.told(found | {"pages": {"/admin/": [10.0, 700.0, 20.0], "/staff/pack": [700.0, 600.5, 800.0]}})
    assert "| `/admin/` | 20.0 (10.0 to 700) |" in told and "Over 600 ms: `/staff/pack`." in told
