"""Each defence alone, attacked directly where another one would otherwise notice first."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, models
from django.db.models import F
from django.db.models.functions import Now

from contexts.inventory.models import Allocation, Stock
from contexts.inventory.public.contracts import AllocationState
from contexts.inventory.services import holds, parts
from contexts.orders import services as orders
from contexts.orders.models import Order
from contexts.payments.models import Payment
from eci.clock import utcnow
from eci.db import Stale, unit_of_work
from tests.support.shop import Shop


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (Stock, {"reserved": F("on_hand") + 1}),
        (Stock, {"reserved": -1}),
        (Stock, {"owed": -1}),
        (Payment, {"refunded_minor": F("captured_minor") + 1}),
        (Payment, {"captured_minor": F("amount_minor") + 1}),
    ],
    ids=[
        "more reserved than on hand",
        "less than nothing reserved",
        "less than nothing owed",
        "more refunded than taken",
        "more taken than due",
    ],
)
def test_the_table_itself_refuses(shop: Shop, model: type[models.Model], change: dict[str, Any]) -> None:
    shop.order(1)
    with pytest.raises(IntegrityError), unit_of_work(model._meta.app_label):
        model._default_manager.update(**change)


def test_units_sold_since_they_were_read_are_not_reserved(shop: Shop) -> None:
    row = Stock.objects.get(product_id=shop.product_id)
    shop.order(1)
    with pytest.raises(Stale), unit_of_work("inventory"):
        parts.reserve_units(units={row.pk: row.on_hand}, at=utcnow())
    assert shop.stock() == (99, 0, 99)


def test_an_allocation_that_was_closed_since_it_was_read_is_not_closed_again(shop: Shop) -> None:
    shop.api.post("/v1/inventory/reserve", {"product_id": shop.product_id, "quantity": 5}, key="hold")
    read = list(Allocation.objects.all())
    holds.release(key="hold")
    with pytest.raises(Stale), unit_of_work("inventory"):
        parts.close_allocations(allocations=read, state=AllocationState.RELEASED, at=utcnow())
    assert shop.stock() == (100, 0, 100)


def test_an_order_that_somebody_carries_on_is_left_to_them(shop: Shop) -> None:
    order_id = shop.order(1, pay_later=True).data["order_id"]
    assert orders.claim(order_id=order_id) is None, "it is not due"
    Order.objects.update(next_at=Now())
    assert orders.claim(order_id=order_id) is not None
    assert orders.claim(order_id=order_id) is None


def test_whoever_lost_the_lease_writes_nothing_more(shop: Shop) -> None:
    order_id = shop.order(1, pay_later=True).data["order_id"]
    Order.objects.update(next_at=Now())
    slow = orders.claim(order_id=order_id)
    assert slow is not None
    Order.objects.update(lease_until=None)
    assert orders.claim(order_id=order_id) is not None
    with pytest.raises(orders.LeaseLost):
        orders.record_progress(order=slow, changes={}, event="late")
