"""A newcomer's first walk through the API, call by call, each answer as docs/api.md promises it."""

from __future__ import annotations

import pytest

from tests.support.product import DemoShop, Product, moment, wait_until

pytestmark = pytest.mark.e2e

CONTEXTS = {"catalog", "inventory", "customers", "orders", "payments", "shipping", "notifications"}
PRODUCT = {
    "product_id", "sku", "name", "description", "category", "price", "currency", "is_active", "created_at",
    "updated_at",
}  # fmt: skip
STOCK_ROW = {
    "inventory_id", "product_id", "warehouse", "onhand", "reserved", "available", "reorder_point", "updated_at",
}  # fmt: skip
RESERVATION = {"reservation_id", "order_id", "idempotency_key", "status", "warehouse", "allocations", "expires_at"}
PAYMENT = {"payment_id", "order_id", "amount", "currency", "method", "status", "reference"}
SHIPMENT = {"shipment_id", "order_id", "carrier", "tracking_no", "status", "warehouse"}
NOTIFICATION = {
    "notification_id", "type", "channel", "recipient", "status", "order_id", "attempts", "created_at",
}  # fmt: skip
ORDER = {
    "order_id", "customer_id", "status", "payment_status", "currency", "items", "subtotal", "tax_amount",
    "shipping_amount", "order_total", "shipping_address", "reservation", "payments", "shipments", "timeline",
    "created_at", "updated_at",
}  # fmt: skip
ORDER_LINE = {"product_id", "sku", "name", "quantity", "unit_price", "line_total"}


def test_health_and_documents(product: Product) -> None:
    for path in ("/health", "/v1/health", "/actuator/health"):
        health = product.api.get(path)
        assert (health.status, health.json["status"]) == (200, "healthy")
        assert set(health.json["contexts"]) == CONTEXTS
    for path in ("/health/live", "/health/ready", *(f"/health/{context}" for context in CONTEXTS)):
        assert product.api.get(path).status == 200
    assert product.api.get("/health/nothing").status == 404

    docs = product.api.page("/docs")
    assert docs.status_code == 200 and "swagger" in docs.text.lower()
    assert "/v1/orders" in product.api.page("/schema").text
    assert "orders_placed_total" in product.api.page("/metrics").text


def test_the_walk(product: Product, demo: DemoShop) -> None:
    api = product.api

    made = api.post(
        "/v1/products", {"sku": "LAPTOP-WALK", "name": "Gaming Laptop", "price": 1299.99, "category": "Electronics"}
    )
    assert made.status == 201 and set(made.data) >= PRODUCT
    assert (made.data["price"], made.data["currency"], made.data["is_active"]) == ("1299.99", "USD", True)
    laptop = made.data["product_id"]
    again = api.post("/v1/products", {"sku": "LAPTOP-WALK", "name": "Another", "price": 1})
    assert (again.status, again.code) == (409, "duplicate_sku")

    listed = api.get("/v1/products?limit=5")
    assert len(listed.data) == 5 and listed.json["meta"]["limit"] == 5
    assert listed.json["meta"]["next"].startswith("http") and listed.json["meta"]["previous"] is None

    found = api.get("/v1/products/search?name=laptop&category=electronics&min_price=100&max_price=2000")
    assert found.status == 200 and "LAPTOP-WALK" in {row["sku"] for row in found.data}
    assert all(100 <= float(row["price"]) <= 2000 for row in found.data)

    person = {"email": "walker@example.com", "full_name": "Wanda Walker", "password": "pass123"}
    registered = api.post("/v1/users/register", person)
    assert registered.status == 201 and "password" not in str(registered.json)
    assert (registered.data["email"], registered.data["full_name"]) == ("walker@example.com", "Wanda Walker")
    again = api.post("/v1/users/register", person | {"email": "Walker@Example.com"})
    assert (again.status, again.code) == (409, "duplicate_email")

    received = api.post("/v1/inventory", {"product_id": laptop, "warehouse": "WH001", "onhand": 100})
    assert received.status == 201 and set(received.data) >= STOCK_ROW
    assert [received.data[name] for name in ("onhand", "reserved", "available", "reorder_point")] == [100, 0, 100, 10]

    available = api.get(f"/v1/inventory/availability/{laptop}")
    assert available.data == {
        "product_id": laptop,
        "total_available": 100,
        "total_on_hand": 100,
        "total_reserved": 0,
        "warehouses": [{"warehouse": "WH001", "on_hand": 100, "reserved": 0, "available": 100}],
    }

    two = {"product_id": laptop, "quantity": 2, "order_id": "ORDER-1001", "idempotency_key": "walk-reserve"}
    held = api.post("/v1/inventory/reserve", two)
    assert held.status == 200 and set(held.data) >= RESERVATION
    assert (held.data["status"], held.data["order_id"]) == ("RESERVED", "ORDER-1001")
    assert (held.data["idempotency_key"], held.data["warehouse"]) == ("walk-reserve", "WH001")
    (allocation,) = held.data["allocations"]
    assert (allocation["product_id"], allocation["warehouse"], allocation["quantity"]) == (laptop, "WH001", 2)
    repeated = api.post("/v1/inventory/reserve", two)
    assert (repeated.status, repeated.data) == (200, held.data)
    assert repeated.headers["Idempotent-Replayed"] == "true"
    unnamed = api.post("/v1/inventory/reserve", {"product_id": laptop, "quantity": 2, "reservation_minutes": 15})
    assert unnamed.status == 200 and unnamed.data["idempotency_key"]
    assert unnamed.data["reservation_id"] != held.data["reservation_id"]
    assert moment(unnamed.data["expires_at"]) == pytest.approx(moment(unnamed.json["timestamp"]) + 900, abs=2)
    assert demo.stock(laptop) == (100, 4, 96)

    charge = {"order_id": "ORDER-1001", "amount": 1299.99, "method": "credit_card", "idempotency_key": "walk-charge"}
    charged = api.post("/v1/payments/charge", charge)
    assert charged.status == 200 and set(charged.data) >= PAYMENT and charged.data["reference"]
    assert (charged.data["amount"], charged.data["status"]) == ("1299.99", "COMPLETED")
    assert (charged.data["order_id"], charged.data["method"]) == ("ORDER-1001", "credit_card")
    repeated = api.post("/v1/payments/charge", charge)
    assert (repeated.status, repeated.data) == (200, charged.data)
    assert repeated.headers["Idempotent-Replayed"] == "true"
    other = api.post("/v1/payments", {"order_id": 1002, "amount": "50.00", "currency": "USD"})
    assert (other.status, other.data["status"], other.data["order_id"]) == (200, "COMPLETED", "1002")
    assert other.data["currency"] == "USD"

    refund_path = f"/v1/payments/{charged.data['payment_id']}/refund"
    refunded = api.post(refund_path, {"amount": 100.00, "reason": "customer request"})
    assert refunded.status == 200 and refunded.data["refund_id"]
    assert (refunded.data["payment_id"], refunded.data["amount"]) == (charged.data["payment_id"], "100.00")
    assert refunded.data["status"] == "COMPLETED"
    too_much = api.post(refund_path, {"amount": "1200.00", "reason": "too much"})
    assert (too_much.status, too_much.code) == (409, "refund_exceeds_captured")
    payment = api.get(f"/v1/payments/{charged.data['payment_id']}").data
    assert (payment["status"], payment["refunded"]) == ("PARTIALLY_REFUNDED", "100.00")

    hold = {"idempotency_key": "walk-reserve", "order_id": "ORDER-1001"}
    shipped = api.post("/v1/inventory/ship", hold)
    assert (shipped.status, shipped.data["status"], shipped.data["shipped_quantity"]) == (200, "SHIPPED", 2)
    assert demo.stock(laptop) == (98, 2, 96)
    assert api.post("/v1/inventory/ship", hold).data["shipped_quantity"] == 2
    assert api.post("/v1/inventory/release", hold).code == "invalid_transition"
    assert demo.stock(laptop) == (98, 2, 96)

    parcel = api.post("/v1/shipments", {"order_id": "ORDER-1001", "address": "1 Main St", "city": "Springfield"})
    assert parcel.status == 201 and set(parcel.data) >= SHIPMENT and parcel.data["tracking_no"]
    assert (parcel.data["status"], parcel.data["city"]) == ("PENDING", "Springfield")
    tracked = api.get(f"/v1/shipments/track/{parcel.data['tracking_no']}")
    assert tracked.status == 200 and "Main St" not in str(tracked.json)

    message = {
        "type": "email", "recipient": "walker@example.com", "subject": "Hello", "message": "It is on its way.",
        "order_id": "ORDER-1001",
    }  # fmt: skip
    sent = api.post("/v1/notifications", message)
    assert sent.status == 201 and set(sent.data) >= NOTIFICATION
    assert (sent.data["type"], sent.data["channel"], sent.data["order_id"]) == ("email", "email", "ORDER-1001")
    notice = f"/v1/notifications/{sent.data['notification_id']}"
    wait_until(lambda: api.get(notice).data["status"] == "SENT", 60, "the e-mail is sent")


def test_an_order_is_reserved_paid_shipped_and_announced(product: Product, demo: DemoShop) -> None:
    product_id = demo.sell("WALK-ORDER", price="99.99", WH001=10)
    address = {"address": "1 Main St", "city": "Springfield"}

    placed = demo.order(product_id, 2, shipping_address=address, payment={"method": "credit_card", "token": "tok_ok"})

    assert placed.status == 201 and set(placed.data) >= ORDER
    order = placed.data
    assert order["order_id"].startswith("ORD-") and len(order["order_id"]) <= 64
    assert (order["status"], order["payment_status"]) == ("SHIPPED", "PAID")
    amounts = [order[name] for name in ("subtotal", "tax_amount", "shipping_amount", "order_total")]
    assert amounts == ["199.98", "10.00", "10.00", "219.98"]
    (line,) = order["items"]
    assert set(line) >= ORDER_LINE
    assert (line["quantity"], line["unit_price"], line["line_total"]) == (2, "99.99", "199.98")
    assert order["shipping_address"] == address
    assert order["reservation"]["status"] == "SHIPPED" and set(order["reservation"]) >= RESERVATION
    (payment,) = order["payments"]
    assert set(payment) >= PAYMENT and (payment["amount"], payment["status"]) == ("219.98", "COMPLETED")
    (shipment,) = order["shipments"]
    assert set(shipment) >= SHIPMENT and (shipment["status"], shipment["warehouse"]) == ("SHIPPED", "WH001")
    assert [entry["event"] for entry in order["timeline"]] == ["placed", "confirmed", "shipped"]
    assert demo.stock(product_id) == (8, 0, 8)

    both = [("order_confirmation", "SENT"), ("shipping_confirmation", "SENT")]
    wait_until(lambda: demo.notices(order["order_id"]) == both, 60, "both notices are sent")
    read = demo.read(order["order_id"])
    assert {name for name in read if read[name] != order[name]} <= {"updated_at"}


def test_orders_that_are_refused_move_nothing(product: Product, demo: DemoShop) -> None:
    product_id = demo.sell("WALK-REFUSED", price="99.99", WH001=10)
    listed = len(product.api.everything("/v1/orders"))

    wrong = product.api.post(
        "/v1/orders", {"customer_id": 1, "items": [{"product_id": product_id, "quantity": 2, "price": 89.99}]}
    )
    assert (wrong.status, wrong.code) == (409, "price_changed")
    assert wrong.details["items"] == [{"product_id": product_id, "price": "99.99"}]

    many = demo.order(product_id, 11)
    assert (many.status, many.code) == (409, "insufficient_stock")
    assert many.details["items"] == [{"product_id": product_id, "requested": 11, "available": 10}]
    assert len(product.api.everything("/v1/orders")) == listed

    declined = demo.order(product_id, 2, payment={"token": "tok_declined"})
    assert (declined.status, declined.code) == (402, "payment_declined")
    order = demo.read(declined.details["order_id"])
    assert (order["status"], order["payment_status"]) == ("CANCELLED", "FAILED")
    assert order["reservation"]["status"] == "RELEASED"
    assert demo.stock(product_id) == (10, 0, 10)
    alone = [("payment_failure", "SENT")]
    wait_until(lambda: demo.notices(order["order_id"]) == alone, 60, "one notice is sent")
