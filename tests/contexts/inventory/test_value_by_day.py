"""What the stock is worth, noted every hour: a day's figure is that of its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contexts.inventory import composed, tasks
from contexts.inventory.models import StockDay
from contexts.inventory.public.api import inventory
from eci.clock import utcnow
from tests.config.desk.test_desk import away
from tests.support.shop import Shop


def noted() -> list[tuple[str, int, str]]:
    return [
        (one.currency, one.units, str(one.value))
        for one in inventory.value_by_day(since=utcnow().date() - timedelta(days=1))
    ]


def test_units_on_hand_by_the_prices_of_now(shop: Shop, monkeypatch: Any) -> None:
    monkeypatch.setattr(composed, "MAX_FOUND", 1)  # products that are asked for at once
    tasks.value_stock()
    assert noted() == [("USD", 110, "10099.00")]
    shop.api.patch(f"/v1/products/{shop.other_id}", {"price": "1.00", "currency": "EUR"})
    tasks.value_stock()
    assert noted() == [("EUR", 10, "10.00"), ("USD", 100, "9999.00")]
    assert StockDay.objects.count() == 2


def test_days_that_are_over_stay(shop: Shop) -> None:
    tasks.value_stock()
    yesterday = utcnow().date() - timedelta(days=1)
    StockDay.objects.update(day=yesterday, value_minor=1)
    tasks.value_stock()
    assert noted() == [("USD", 110, "0.01"), ("USD", 110, "10099.00")]
    assert inventory.value_by_day(since=utcnow().date() + timedelta(days=1)) == ()


def test_nothing_is_noted_while_the_catalog_is_away(shop: Shop) -> None:
    with away("catalog"):
        tasks.value_stock()
    assert noted() == []
