#!/usr/bin/env python3
"""One purchase through seven services, step by step, then what happens when things go wrong.

A line with ✅ is printed when the shop, asked again, shows that it is so. Each run sells a product of its own.
"""

from __future__ import annotations

import argparse
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from shop import SERVICES, Shop, add_options, addresses, require, run, wait_until

WAREHOUSE = "WH001"
UNITS, QUANTITY = 50, 2
PRICE = Decimal("99.99")
HOLD_MINUTES = 1  # the shortest reservation there is


@dataclass
class Purchase:
    """Who buys what in this run."""

    run: str = field(default_factory=lambda: uuid.uuid4().hex[:10].upper())
    product_id: int = 0
    customer_id: int = 0

    @property
    def order_id(self) -> str:
        return f"DEMO-{self.run}"

    @property
    def email(self) -> str:
        return f"demo-{self.run.lower()}@example.com"

    def key(self, what: str) -> str:
        return f"demo-{self.run}-{what}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument(
        "--skip-expiry", action="store_true", help="leave out the reservation that expires, which takes a minute"
    )
    options = parser.parse_args()
    shop = Shop(addresses(options.base_url, options.ports), token=options.token)
    bought = Purchase()

    print("🚀 Starting Complete E-commerce Workflow Demo")
    print("===============================================")
    show_health(shop)
    create_product(shop, bought)
    add_inventory(shop, bought)
    register_customer(shop, bought)
    reservation_id = reserve(shop, bought)
    pay(shop, bought)
    ship_inventory(shop, bought, reservation_id)
    create_shipment(shop, bought)
    notify(shop, bought, "order_confirmation", "Order confirmation")
    notify(shop, bought, "shipping_confirmation", "Shipping confirmation")
    print("🎉 WORKFLOW COMPLETED SUCCESSFULLY! 🎉")

    print("\nThe same purchase as one request, and what happens when things go wrong")
    print("=======================================================================")
    out_of_stock(shop, bought)
    declined(shop, bought)
    same_key_twice(shop, bought)
    if not options.skip_expiry:
        expiry(shop, bought)
    print("🎉 EVERY STORY ENDED AS IT SHOULD! 🎉")


# -- the purchase, service by service ---------------------------------------------------------------------------------


def show_health(shop: Shop) -> None:
    for context, service in SERVICES.items():
        health = shop.health(context)
        require(health == "healthy", f"{service.name} is {health}.")
        print(f"✅ {service.name}: {health}")


def create_product(shop: Shop, bought: Purchase) -> None:
    product = {
        "sku": f"DEMO-{bought.run}",
        "name": f"Gaming Headset {bought.run}",
        "category": "Electronics",
        "price": str(PRICE),
        "description": "Made by the demonstration.",
    }
    bought.product_id = shop.post("catalog", "/v1/products", product, key=bought.key("product"))["product_id"]
    found = shop.get("catalog", f"/v1/products/sku/{product['sku']}")
    require(found["product_id"] == bought.product_id, "The catalog has another product under the new one's SKU.")
    require(Decimal(found["price"]) == PRICE, f"The new product costs {found['price']} and not {PRICE}.")
    print(f"✅ Product created with ID: {bought.product_id}")


def add_inventory(shop: Shop, bought: Purchase) -> None:
    if shop.send("inventory", "GET", f"/v1/warehouses/{WAREHOUSE}").status == 404:
        warehouse = {"code": WAREHOUSE, "name": "Demo"}
        shop.post("inventory", "/v1/warehouses", warehouse, key=bought.key("warehouse"), status=200)
    receipt = {"product_id": bought.product_id, "warehouse": WAREHOUSE, "onhand": UNITS}
    shop.post("inventory", "/v1/inventory", receipt, key=bought.key("receipt"))
    require_stock(shop, bought, on_hand=UNITS, available=UNITS)
    print(f"✅ Inventory added: {UNITS} units in {WAREHOUSE}")


def register_customer(shop: Shop, bought: Purchase) -> None:
    person = {"email": bought.email, "full_name": "Demo Customer", "password": uuid.uuid4().hex}
    registered = shop.post("customers", "/v1/users/register", person, key=bought.key("customer"))
    bought.customer_id = registered["customer_id"]
    found = shop.get("customers", f"/v1/customers/{bought.customer_id}")
    require(found["email"] == bought.email, "The customer who was registered has another e-mail address.")
    print(f"✅ Customer registered with ID: {bought.customer_id}")


def reserve(shop: Shop, bought: Purchase) -> int:
    wanted = {
        "product_id": bought.product_id,
        "quantity": QUANTITY,
        "warehouse": WAREHOUSE,
        "idempotency_key": bought.key("hold"),
        "order_id": bought.order_id,
    }
    made = shop.post("inventory", "/v1/inventory/reserve", wanted, status=200)
    require_reservation(shop, made["reservation_id"], "RESERVED")
    require_stock(shop, bought, on_hand=UNITS, available=UNITS - QUANTITY)
    print("✅ Reservation successful!")
    return int(made["reservation_id"])


def pay(shop: Shop, bought: Purchase) -> None:
    charge = {
        "order_id": bought.order_id,
        "amount": str(PRICE * QUANTITY),
        "customer_id": bought.customer_id,
        "method": "credit_card",
        "idempotency_key": bought.key("payment"),
    }
    made = shop.post("payments", "/v1/payments/charge", charge, status=200)
    found = shop.get("payments", f"/v1/payments/{made['payment_id']}")
    require(found["status"] == "COMPLETED", f"The payment is {found['status']} and not COMPLETED.")
    require(Decimal(found["amount"]) == PRICE * QUANTITY, f"The payment is of {found['amount']}.")
    print("✅ Payment processed successfully!")


def ship_inventory(shop: Shop, bought: Purchase, reservation_id: int) -> None:
    named = {"idempotency_key": bought.key("hold"), "order_id": bought.order_id}
    shop.post("inventory", "/v1/inventory/ship", named, status=200, key=bought.key("ship"))
    require_reservation(shop, reservation_id, "SHIPPED")
    require_stock(shop, bought, on_hand=UNITS - QUANTITY, available=UNITS - QUANTITY)
    print("✅ Inventory shipped successfully!")


def create_shipment(shop: Shop, bought: Purchase) -> None:
    parcel = {"order_id": bought.order_id, "address": "123 Demo St", "city": "Test City", "carrier": "DemoPost"}
    made = shop.post("shipping", "/v1/shipments", parcel, key=bought.key("shipment"))
    tracked = shop.get("shipping", f"/v1/shipments/track/{made['tracking_no']}")
    require(tracked["status"] == made["status"], f"The parcel's tracking says {tracked['status']}.")
    found = shop.get("shipping", f"/v1/shipments?order_id={bought.order_id}")
    require(
        [one["shipment_id"] for one in found] == [made["shipment_id"]],
        "The order has other shipments too.",
    )
    print("✅ Shipment record created!")


def notify(shop: Shop, bought: Purchase, kind: str, title: str) -> None:
    message = {
        "type": kind,
        "recipient": bought.email,
        "subject": title,
        "message": f"{title} of your order {bought.order_id}.",
        "order_id": bought.order_id,
    }
    made = shop.post("notifications", "/v1/notifications", message, key=bought.key(kind))
    path = f"/v1/notifications/{made['notification_id']}"
    wait_until(
        lambda: shop.get("notifications", path)["status"], lambda status: status == "SENT", f"{title.lower()} is SENT"
    )
    print(f"✅ {title} sent")


# -- when things go wrong ---------------------------------------------------------------------------------------------


def out_of_stock(shop: Shop, bought: Purchase) -> None:
    before = stock(shop, bought)
    wanted = before["total_available"] + 1
    refused = place_order(shop, bought, "too-many", status=409, quantity=wanted)
    require(refused["code"] == "insufficient_stock", f"The order was refused as {refused['code']}.")
    require(stock(shop, bought) == before, "The refused order changed the stock.")
    orders = shop.get("orders", f"/v1/orders?customer_id={bought.customer_id}")
    require(orders == [], "The refused order is listed.")
    [item] = refused["details"]["items"]
    print(f"✅ Out of stock: {wanted} asked for, {item['available']} available: refused, nothing held, no order")


def declined(shop: Shop, bought: Purchase) -> None:
    before = stock(shop, bought)
    refused = place_order(shop, bought, "declined", status=402, payment={"token": "tok_declined"})
    order = shop.get("orders", f"/v1/orders/{refused['details']['order_id']}")
    require(order["status"] == "CANCELLED", f"The order is {order['status']} and not CANCELLED.")
    require(stock(shop, bought) == before, "The declined order still holds stock.")
    wait_for_notices(shop, order["order_id"], {"payment_failure"})
    print(f"✅ Payment declined: order {order['order_id']} is cancelled, its stock is free, the customer is told")


def same_key_twice(shop: Shop, bought: Purchase) -> None:
    before = stock(shop, bought)
    first, second = (place_order(shop, bought, "order", status=201) for _ in range(2))
    require(second["headers"].get("idempotent-replayed") == "true", "The second answer is no replay of the first.")
    order_id = first["data"]["order_id"]
    require(second["data"]["order_id"] == order_id, "The same key made two orders.")
    order = shop.get("orders", f"/v1/orders/{order_id}")
    paid = [payment["status"] for payment in shop.get("payments", f"/v1/payments?order_id={order_id}")]
    require((order["status"], paid) == ("SHIPPED", ["COMPLETED"]), f"The order is {order['status']}, payments {paid}.")
    left = before["total_on_hand"] - QUANTITY
    require(stock(shop, bought)["total_on_hand"] == left, f"There are not {left} units left.")
    wait_for_notices(shop, order_id, {"order_confirmation", "shipping_confirmation"})
    print(f"✅ Same key twice: one order {order_id}, paid once, shipped once, confirmed by mail")
    refused = place_order(shop, bought, "order", status=422, quantity=QUANTITY + 1)
    require(refused["code"] == "idempotency_key_reused", f"The order was refused as {refused['code']}.")
    print("✅ Same key, other request: refused")


def expiry(shop: Shop, bought: Purchase) -> None:
    before = stock(shop, bought)
    wanted = {
        "product_id": bought.product_id,
        "quantity": QUANTITY,
        "order_id": f"{bought.order_id}-LATE",
        "idempotency_key": bought.key("late"),
        "reservation_minutes": HOLD_MINUTES,
    }
    made = shop.post("inventory", "/v1/inventory/reserve", wanted, status=200)
    held = before["total_available"] - stock(shop, bought)["total_available"]
    require(held == QUANTITY, f"The reservation holds {held} units and not {QUANTITY}.")
    print(f"⏳ {QUANTITY} units are reserved for {HOLD_MINUTES} minute, and nobody pays for them ...")
    wait_until(
        lambda: stock(shop, bought),
        lambda found: found == before,
        "the reservation has expired",
        HOLD_MINUTES * 60 + 15,
    )
    named = {"idempotency_key": bought.key("late"), "order_id": wanted["order_id"]}
    refused = shop.expect(409, shop.send("inventory", "POST", "/v1/inventory/ship", named, key=bought.key("too-late")))
    require(refused.code == "reservation_expired", f"Shipping it was refused as {refused.code}.")
    require_reservation(shop, made["reservation_id"], "EXPIRED")
    print("✅ Reservation expired: its units can be sold again, and it can no longer be shipped")


# -- what all of them do ----------------------------------------------------------------------------------------------


def place_order(shop: Shop, bought: Purchase, what: str, *, status: int, quantity: int = QUANTITY, **more: Any) -> Any:
    """What the shop answers, which must have this status: data, code, details and headers."""
    lines = [{"product_id": bought.product_id, "quantity": quantity, "price": str(PRICE)}]
    order = {"customer_id": bought.customer_id, "items": lines, **more}
    answer = shop.expect(status, shop.send("orders", "POST", "/v1/orders", order, key=bought.key(what)))
    return {"data": answer.data, "code": answer.code, "details": answer.details, "headers": answer.headers}


def stock(shop: Shop, bought: Purchase) -> dict[str, Any]:
    found = shop.get("inventory", f"/v1/inventory/availability/{bought.product_id}")
    return {name: found[name] for name in ("total_on_hand", "total_reserved", "total_available")}


def require_stock(shop: Shop, bought: Purchase, *, on_hand: int, available: int) -> None:
    found = stock(shop, bought)
    require(
        (found["total_on_hand"], found["total_available"]) == (on_hand, available),
        f"There should be {on_hand} units on hand and {available} available, but the stock is {found}.",
    )


def require_reservation(shop: Shop, reservation_id: int, status: str) -> None:
    found = shop.get("inventory", f"/v1/inventory/reservations/{reservation_id}")
    require(found["status"] == status, f"Reservation {reservation_id} is {found['status']} and not {status}.")


def wait_for_notices(shop: Shop, order_id: str, kinds: set[str]) -> None:
    def sent() -> list[str]:
        found = shop.get("notifications", f"/v1/notifications?order_id={order_id}")
        return sorted(notice["type"] for notice in found if notice["status"] == "SENT")

    wait_until(sent, lambda found: found == sorted(kinds), f"{' and '.join(sorted(kinds))} were sent, once each")


if __name__ == "__main__":
    run(main)
