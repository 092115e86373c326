"""An order for which nothing is due is paid without asking anybody."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contexts.payments.models import Payment, PaymentRequest
from tests.support.ledger import Ledger
from tests.support.shop import Shop


@pytest.fixture
def free(settings: Any) -> dict[str, Any]:
    settings.ECI_SHIPPING_FEES = {"USD": Decimal(0)}
    return {"unit_price": "0.00"}


@pytest.mark.parametrize("pay_later", [False, True])
@pytest.mark.parametrize(("fulfilment", "status"), [("automatic", "SHIPPED"), ("warehouse", "CONFIRMED")])
def test_a_free_order_is_paid_and_goes_on_at_once(
    shop: Shop, free: dict[str, Any], ledger: Ledger, pay_later: bool, fulfilment: str, status: str
) -> None:
    items = [{"product_id": shop.product_id, "quantity": 2} | free]
    body = {"customer_id": shop.customer_id, "items": items, "pay_later": pay_later, "fulfilment": fulfilment}
    answer = shop.api.post("/v1/orders", body)
    assert (answer.status, answer.data["status"], answer.data["payment_status"]) == (201, status, "PAID")
    assert (answer.data["order_total"], answer.data["payments"]) == ("0.00", [])
    assert ledger.operations() == []
    assert (Payment.objects.count(), PaymentRequest.objects.count()) == (0, 0)
    assert "order_confirmation" in shop.notices(answer.data["order_id"])


def test_a_free_order_can_be_cancelled_and_returned(shop: Shop, free: dict[str, Any]) -> None:
    body = {"customer_id": shop.customer_id, "items": [{"product_id": shop.product_id, "quantity": 2} | free]}
    waiting = shop.api.post("/v1/orders", body | {"fulfilment": "warehouse"}).data["order_id"]
    assert shop.api.post(f"/v1/orders/{waiting}/cancel", {}).data["status"] == "CANCELLED"
    shipped = shop.api.post("/v1/orders", body).data["order_id"]
    back = {"items": [{"product_id": shop.product_id, "quantity": 2}], "reason": "r"}
    answer = shop.api.post(f"/v1/orders/{shipped}/returns", back)
    assert (answer.status, answer.data["refund"]) == (201, "0.00")
    assert shop.read(shipped)["status"] == "RETURNED"
    assert shop.stock() == (100, 0, 100)
