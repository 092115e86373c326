"""What other contexts ask of many orders at once."""

from __future__ import annotations

from typing import Any

from contexts.orders.public.api import orders
from contexts.orders.public.contracts import Recipient
from tests.support.shop import Shop


def test_recipients_of_many_orders_are_one_read(shop: Shop, statements: Any) -> None:
    items = [{"product_id": shop.product_id, "quantity": 1}]
    guest = shop.api.post("/v1/orders", {"email": "guest@example.com", "items": items}).data["order_id"]
    ann = shop.order().data["order_id"]
    with statements() as counted:
        found = orders.recipients(order_ids=[ann, guest, "ORD-0000000000"])
    assert counted.total == 1
    assert found == {
        ann: Recipient(customer_id=shop.customer_id, email=""),
        guest: Recipient(customer_id=None, email="guest@example.com"),
    }
    assert {order_id: orders.recipient(order_id=order_id) for order_id in found} == found
