"""Shoppers for Locust, in an open shop: they look around, and some of them buy. `make load` runs it.

By hand: locust -f demo/locustfile.py --host http://127.0.0.1:8000
"""

from __future__ import annotations

import random
import uuid
from typing import Any

from locust import HttpUser, between, task

SOLD_OUT = 409  # no failure: that is how it should be answered


class Shopper(HttpUser):
    wait_time = between(0.5, 2)

    def on_start(self) -> None:
        listed = self.client.get("/v1/products?limit=100", name="/v1/products").json()["data"]
        self.products: list[dict[str, Any]] = [product for product in listed if product["is_active"]]

    @task(6)
    def look(self) -> None:
        product = random.choice(self.products)
        self.client.get(f"/v1/products/{product['product_id']}", name="/v1/products/{product_id}")
        self.client.get(
            f"/v1/inventory/availability/{product['product_id']}", name="/v1/inventory/availability/{product_id}"
        )

    @task(2)
    def search(self) -> None:
        word = random.choice(self.products)["name"].split()[0]
        self.client.get("/v1/products/search", params={"q": word}, name="/v1/products/search")

    @task(1)
    def buy(self) -> None:
        order = {
            "email": "shopper@example.com",
            "items": [{"product_id": random.choice(self.products)["product_id"], "quantity": random.randint(1, 2)}],
        }
        key = {"Idempotency-Key": uuid.uuid4().hex}
        with self.client.post("/v1/orders", json=order, headers=key, catch_response=True) as answer:
            if answer.status_code in (201, 202, SOLD_OUT):
                answer.success()
            else:
                answer.failure(f"{answer.status_code}: {answer.text[:200]}")
