"""The demo shop is priced in the shop's currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command

from config import fees
from eci import money
from tests.support.api import Api


@pytest.mark.parametrize(
    ("currency", "headset", "mug", "fee"),
    [
        ("USD", "99.99", "9.50", "10.00"),
        pytest.param("EUR", "99.99", "9.50", "10.00", marks=pytest.mark.any_engine),
        pytest.param("JPY", "14999", "1425", "1500", marks=pytest.mark.any_engine),
        ("KWD", "29.997", "2.850", "3.000"),
    ],
)
def test_load_demo_in_the_shop_s_currency(settings: Any, currency: str, headset: str, mug: str, fee: str) -> None:
    settings.ECI_CURRENCY, settings.ECI_SHIPPING_FEES = currency, fees.parse("", currency=currency)
    call_command("load_demo")
    call_command("load_demo")
    api = Api()
    products = [api.get(f"/v1/products/sku/{sku}").data for sku in ("HEADSET-01", "MUG-BLUE")]
    assert [(product["price"], product["currency"]) for product in products] == [(headset, currency), (mug, currency)]
    customer = api.get("/v1/customers").data[0]["customer_id"]
    items = [{"product_id": product["product_id"], "quantity": 2} for product in products]
    order = api.post("/v1/orders", {"customer_id": customer, "items": items})
    assert (order.status, order.data["currency"], order.data["shipping_amount"]) == (201, currency, fee)
    assert Decimal(order.data["subtotal"]) == 2 * (Decimal(headset) + Decimal(mug))


def test_every_currency_has_a_likely_price() -> None:
    for currency in money._PLACES:
        money.to_minor(fees.likely(Decimal("1899.00"), currency), currency)
        assert fees.likely(Decimal("7.90"), currency) > 0
