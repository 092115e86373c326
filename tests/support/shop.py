"""What tests of orders do again and again, in the words of a shop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from tests.support.api import Answer, Api


@dataclass
class Shop:
    api: Api
    customer_id: int
    product_id: int
    other_id: int

    @classmethod
    def open(cls, api: Api) -> Shop:
        """A lamp at 99.99 with 100 in WH001, a rug at 10.00 with 5 in WH001 and 5 in WH002."""
        for code, priority in (("WH001", 1), ("WH002", 2)):
            api.post("/v1/warehouses", {"code": code, "name": code, "priority": priority})
        lamp = api.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "99.99"}).data["product_id"]
        rug = api.post("/v1/products", {"sku": "RUG", "name": "Rug", "price": "10.00"}).data["product_id"]
        for product_id, warehouse, units in ((lamp, "WH001", 100), (rug, "WH001", 5), (rug, "WH002", 5)):
            api.post("/v1/inventory", {"product_id": product_id, "warehouse": warehouse, "onhand": units})
        person = {"email": "ann@example.com", "full_name": "Ann", "password": "pass123"}
        customer_id = api.post("/v1/users/register", person).data["customer_id"]
        return cls(api, customer_id, lamp, rug)

    def order(self, quantity: int = 2, *, key: str | None = None, product_id: int | None = None, **more: Any) -> Answer:
        items = [{"product_id": product_id or self.product_id, "quantity": quantity}]
        return self.api.post("/v1/orders", {"customer_id": self.customer_id, "items": items} | more, key=key)

    def read(self, order_id: str) -> Any:
        return self.api.get(f"/v1/orders/{order_id}").data

    def stock(self, product_id: int | None = None) -> tuple[int, int, int]:
        """On hand, reserved, available."""
        data = self.api.get(f"/v1/inventory/availability/{product_id or self.product_id}").data
        return data["total_on_hand"], data["total_reserved"], data["total_available"]

    def notices(self, order_id: str) -> list[str]:
        """Kinds of the notices sent about the order, sorted."""
        self.api.settle()
        found = self.api.get(f"/v1/notifications?order_id={order_id}").data
        assert all(notice["status"] == "SENT" for notice in found), found
        return sorted(notice["type"] for notice in found)


def charge(shop: Shop, order: Any, *, amount: str | None = None, key: str | None = None, **more: Any) -> Any:
    body = {"order_id": order["order_id"], "amount": amount or order["order_total"]} | more
    return shop.api.post("/v1/payments/charge", body, key=key)


def expire(order_id: str) -> None:
    """Let the order's deadline, and its hold's, be past."""
    from contexts.inventory.models import Allocation, Reservation
    from contexts.orders.models import Order
    from contexts.payments.models import PaymentRequest

    past = Now() - timedelta(seconds=1)
    Order.objects.filter(pk=order_id).update(next_at=past, expires_at=past)
    PaymentRequest.objects.filter(pk=order_id).update(deadline=past)
    Reservation.objects.filter(key=order_id).update(expires_at=past)
    Allocation.objects.filter(reservation__key=order_id).update(lapses_at=past)
