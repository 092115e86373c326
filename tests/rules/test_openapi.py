"""The whole OpenAPI document as each role: no 5xx, no undocumented status, no answer off its schema.

``make fuzz`` runs more of the same: ECI_FUZZ_EXAMPLES requests for each operation and role, from ECI_FUZZ_SEED.
Without it each of the staff roles makes one request where not everybody is let in: ``test_roles`` has the refusals.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest

from config import limits
from tests.support.openapi import SEED, api, fuzz, operations
from tests.support.people import PASSWORD, Person, customer, staff
from tests.support.policy import ROLES, table
from tests.support.world import ON_SERVERS

pytestmark = [pytest.mark.long, pytest.mark.first(11)]

LONG = "ECI_FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("ECI_FUZZ_EXAMPLES", "1" if ON_SERVERS else "2"))
FIRST = int(os.environ.get("ECI_FUZZ_SEED", str(SEED)))


@pytest.fixture(autouse=True)
def _closed(settings: Any, tmp_path: Path) -> None:
    settings.ECI_OPEN = False
    settings.ECI_KEYS_DIR = tmp_path
    settings.ECI_RATE_LIMITS = limits.parse("off")


def shop(boss: Person, ann: Person) -> dict[str, list[Any]]:
    """A shop with an order, a payment, a parcel and a notice, and what may be named in calls, by field."""
    boss.post("/v1/warehouses", {"code": "W", "name": "W"})
    product_id = boss.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "5.00"}).data["product_id"]
    row = boss.post("/v1/inventory", {"product_id": product_id, "warehouse": "W", "onhand": 100_000}).data
    items = [{"product_id": product_id, "quantity": 1}]
    order = ann.post("/v1/orders", {"items": items, "shipping_address": "1 Main St"}).data
    unpaid = ann.post("/v1/orders", {"items": items, "pay_later": True}).data
    hold = boss.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 1}).data
    address = {"line1": "1 Main St", "city": "Town", "country": "US"}
    notice = {"type": "email", "recipient": "bob@example.com", "message": "hello"}
    return {
        "product_id": [product_id],
        "sku": ["LAMP"],
        "warehouse": ["W"],
        "code": ["W"],
        "customer_id": [ann.customer_id],
        "order_id": [order["order_id"], unpaid["order_id"]],
        "payment_id": [order["payments"][0]["payment_id"]],
        "shipment_id": [order["shipments"][0]["shipment_id"]],
        "tracking_no": [order["shipments"][0]["tracking_no"]],
        "inventory_id": [row["inventory_id"]],
        "reservation_id": [hold["reservation_id"]],
        "idempotency_key": [hold["idempotency_key"]],
        "address_id": [ann.post("/v1/users/me/addresses", address).data["address_id"]],
        "notification_id": [boss.post("/v1/notifications", notice).data["notification_id"]],
        "email": ["ann@example.com", "new@example.com"],
        "password": [PASSWORD],
        "phone": ["+15551234567"],
        "recipient": ["bob@example.com"],
        "type": ["email"],
        "shipping_address": ["1 Main St"],
        "reservation_minutes": [15],
        "refresh": [ann.login["refresh"]],
        "provider": ["sandbox"],
        "quantity": [1, 2],
        "price": ["5.00"],
        "unit_price": ["4.50", 3],
        "amount": [order["order_total"], "1.00"],
        "delta": [5, -1],
        "onhand": [7],
        "currency": ["USD"],
        "method": ["credit_card"],
        "token": ["", "tok_declined", "tok_timeout"],
        "items": [items],
        "limit": [1],
        "cursor": [""],
    }


@functools.cache
def documented() -> list[Any]:
    return list(operations(api()))


def examples(role: str, row: dict[str, str]) -> int:
    if not LONG and ON_SERVERS and row[role] == "-":
        return 0  # it is refused before any server is asked
    if not LONG and role in ("K", "S", "P", "V"):
        return int(row[role] != "-" and row["A"] == "-")
    return 1 if row[role] == "-" else EXAMPLES


@pytest.mark.parametrize("role", ("C", "admin") if ON_SERVERS else ROLES)
def test_every_answer_is_as_documented(role: str) -> None:
    boss, ann = staff("admin"), customer("ann@example.com")
    people = {"A": Person(), "C": ann, "admin": boss}
    who = people.get(role) or staff(role)
    known = shop(boss, ann)
    allowed = table()
    found = []
    for number, operation in enumerate(documented()):
        if asked := examples(role, allowed[operation.method.upper(), operation.path]):
            token = who.login.get("access")
            found += fuzz(operation, token=token, known=known, examples=asked, seed=FIRST + number)
    assert not found, "\n".join(map(str, found))
