#!/usr/bin/env python3
"""How the seven services work together: their health, then a purchase call by call, with what was asked and answered.

Every call carries the same trace, and the last ones show what the services did for one another.
"""

from __future__ import annotations

import argparse
import json
import secrets
import textwrap
from typing import Any

from shop import SERVICES, Answer, Call, Shop, add_options, addresses, require, run, wait_until

WAREHOUSE = "WH001"
HIDDEN = ("password", "access", "refresh")  # never shown: a demonstration is recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--lines", type=int, default=12, help="how many lines of an answer are shown (12; 0 for all)")
    options = parser.parse_args()
    trace = secrets.token_hex(16)
    shop = Shop(
        addresses(options.base_url, options.ports),
        token=options.token,
        headers={"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"},
        watch=Screen(options.lines).show,
    )

    title("Health of every service")
    for context, service in SERVICES.items():
        require(shop.health(context) == "healthy", f"{service.name} is not healthy.")
    print(f"✅ {len(SERVICES)} services are healthy")
    order_id = buy(shop)
    print(f"\n🎉 Order {order_id} went through all seven services. 🎉")
    print(f"Trace id: {trace}")
    print("  Where traces are collected (docs/tracing.md) Jaeger shows it, and the log lines have it as trace_id.")


def buy(shop: Shop) -> str:
    """Sell a new product to a new customer; the id of the order."""
    name = secrets.token_hex(5)

    title("1. Catalog: a product, found in the list")
    product = {"sku": f"INTER-{name.upper()}", "name": "Wireless Headset", "category": "Electronics", "price": "99.99"}
    product_id = shop.post("catalog", "/v1/products", product, key=f"{name}-product")["product_id"]
    listed = shop.get("catalog", "/v1/products?limit=5")
    require(product_id in [one["product_id"] for one in listed], "The new product is not in the list.")

    title("2. Customers: register")
    person = {"email": f"demo-{name}@example.com", "full_name": "Demo User", "password": secrets.token_urlsafe(12)}
    customer_id = shop.post("customers", "/v1/users/register", person, key=f"{name}-customer")["customer_id"]

    title("3. Inventory: receive, and reserve for 15 minutes")
    if shop.send("inventory", "GET", f"/v1/warehouses/{WAREHOUSE}").status == 404:
        warehouse = {"code": WAREHOUSE, "name": "Demo"}
        shop.post("inventory", "/v1/warehouses", warehouse, key=f"{name}-warehouse", status=200)
    receipt = {"product_id": product_id, "warehouse": WAREHOUSE, "onhand": 20}
    shop.post("inventory", "/v1/inventory", receipt, key=f"{name}-receipt")
    wanted = {"product_id": product_id, "quantity": 2, "reservation_minutes": 15}
    shop.post("inventory", "/v1/inventory/reserve", wanted, key=f"{name}-hold", status=200)
    require_available(shop, product_id, 18)

    title("4. Payments: charge for an order of another system")
    foreign = f"demo-{name}"
    charge = {"order_id": foreign, "amount": "199.98", "currency": "USD", "customer_id": customer_id}
    shop.post("payments", "/v1/payments", charge, key=f"{name}-payment", status=200)

    title("5. Orders: one request, in which orders calls catalog, customers, inventory, payments and shipping")
    lines = [{"product_id": product_id, "quantity": 2, "price": 99.99}]
    placed = shop.post("orders", "/v1/orders", {"customer_id": customer_id, "items": lines}, key=f"{name}-order")
    order_id = str(placed["order_id"])

    title("6. Shipping: a parcel for the order of the other system")
    parcel = {"order_id": foreign, "address": "123 Demo St", "city": "Test City"}
    shop.post("shipping", "/v1/shipments", parcel, key=f"{name}-shipment")

    title("7. Notifications: a message of ours")
    message = {
        "type": "email",
        "recipient": person["email"],
        "subject": "Order Confirmed",
        "message": f"Your order {foreign} has been confirmed",
    }
    shop.post("notifications", "/v1/notifications", message, key=f"{name}-message")

    title("8. What each service has recorded of the order")
    order = shop.get("orders", f"/v1/orders/{order_id}")
    require(order["status"] == "SHIPPED" and not order["unavailable"], f"The order is {order['status']}.")
    [payment] = shop.get("payments", f"/v1/payments?order_id={order_id}")
    require(payment["status"] == "COMPLETED", f"Its payment is {payment['status']}.")
    [shipment] = shop.get("shipping", f"/v1/shipments?order_id={order_id}")
    require(shipment["status"] == "SHIPPED", f"Its shipment is {shipment['status']}.")
    require_available(shop, product_id, 16)
    wait_until(
        lambda: sorted(
            one["type"]
            for one in shop.get("notifications", f"/v1/notifications?order_id={order_id}")
            if one["status"] == "SENT"
        ),
        lambda sent: sent == ["order_confirmation", "shipping_confirmation"],
        "both confirmations of the order were sent",
    )
    return order_id


def require_available(shop: Shop, product_id: int, units: int) -> None:
    found = shop.get("inventory", f"/v1/inventory/availability/{product_id}")["total_available"]
    require(found == units, f"{found} units are available and not {units}.")


# -- what is shown ----------------------------------------------------------------------------------------------------


def title(text: str) -> None:
    print(f"\n── {text} {'─' * max(0, 100 - len(text))}")


class Screen:
    """Shows each call and its answer, cut to so many lines. What is asked and answered as before is not repeated."""

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.before: tuple[str, Any] = "", None

    def show(self, call: Call, answer: Answer) -> None:
        shown = answer.data if answer.data is not None else answer.body
        if (answer.asked, shown) == self.before:
            return
        self.before = answer.asked, shown
        print(f"\n▶ {call.service}: {answer.asked}")
        if call.body is not None:
            print(f"  {json.dumps(hidden(call.body), ensure_ascii=False)}")
        print(f"◀ {answer.status}  X-Request-ID: {answer.headers.get('x-request-id', '-')}")
        text = json.dumps(hidden(shown), indent=2, ensure_ascii=False).splitlines()
        if self.lines and len(text) > self.lines:
            text = [*text[: self.lines], f"… {len(text) - self.lines} more lines"]
        print(textwrap.indent("\n".join(text), "  "))


def hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "…" if name in HIDDEN else hidden(inner) for name, inner in value.items()}
    return [hidden(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    run(main)
