"""A drop, as a shop has it on the day of a sale: a few units, many buyers, all at once, at the running product.

It is played over HTTP, as buyers come, and sells a product of its own, from a warehouse for drops. Both stay, as the
books have them; afterwards the product is off sale, and the warehouse closed.
"""

from __future__ import annotations

import secrets
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

WAREHOUSE = "DROP"
PATIENCE = 60  # seconds in which an order that was answered 202 settles
_SOLD = ("SHIPPED", "CONFIRMED")
_ENDED = (*_SOLD, "CANCELLED", "EXPIRED")


class DropError(Exception):
    """The race cannot be run; one sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Race:
    """``refused``: those who came too late. ``others``: any other answers, with how many got each. ``left``: units that
    can still be sold. ``waits``: seconds that each buyer waited, sorted."""

    units: int
    buyers: int
    sold: int
    refused: int
    others: dict[str, int]
    left: int
    seconds: float
    waits: list[float]

    @property
    def is_right(self) -> bool:
        """Every unit is sold once, nobody else got one, and nobody was told anything but that."""
        expected = min(self.units, self.buyers)
        return self.sold == expected and self.left == self.units - expected and not self.others

    def wait(self, percent: int) -> float:
        return statistics.quantiles(self.waits, n=100)[percent - 1] if len(self.waits) > 1 else self.waits[0]


def run(*, url: str, token: str, units: int, buyers: int, at_once: int) -> Race:
    """DropError."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    with httpx.Client(base_url=url, headers=headers, limits=limits, timeout=PATIENCE, trust_env=False) as shop:
        name = secrets.token_hex(4)
        product = {"sku": f"DROP-{name}", "name": f"Drop {name}", "price": 10}
        product_id = int(_data(shop.post("/v1/products", json=product))["product_id"])
        try:
            _receive(shop, product_id, units)
            answers, seconds = _buy(shop, name, product_id, buyers, at_once)
            left = _data(shop.get(f"/v1/inventory/availability/{product_id}"))["total_available"]
        finally:
            shop.delete(f"/v1/products/{product_id}")
            shop.patch(f"/v1/warehouses/{WAREHOUSE}", json={"is_active": False})
    told = Counter(answer for answer, _ in answers)
    sold, refused = told.pop("sold", 0), told.pop("insufficient_stock", 0)
    return Race(
        units=units,
        buyers=buyers,
        sold=sold,
        refused=refused,
        others=dict(told),
        left=left,
        seconds=seconds,
        waits=sorted(wait for _, wait in answers),
    )


def _receive(shop: httpx.Client, product_id: int, units: int) -> None:
    """The units are in the warehouse of drops, which an earlier one has closed."""
    made = shop.post("/v1/warehouses", json={"code": WAREHOUSE, "name": "Drops", "priority": 1000})
    if made.status_code == 409:
        made = shop.patch(f"/v1/warehouses/{WAREHOUSE}", json={"is_active": True})
    _data(made)
    _data(shop.post("/v1/inventory", json={"product_id": product_id, "warehouse": WAREHOUSE, "onhand": units}))


def _buy(
    shop: httpx.Client, name: str, product_id: int, buyers: int, at_once: int
) -> tuple[list[tuple[str, float]], float]:
    """What each buyer was told in the end, and after how many seconds; and how long all of it took."""
    start = threading.Event()

    def buyer(number: int) -> tuple[str, float]:
        start.wait()
        began = time.perf_counter()
        order = {
            "email": f"buyer-{number}@drop-{name}.example.com",
            "items": [{"product_id": product_id, "quantity": 1}],
            "idempotency_key": f"drop-{name}-{number}",
        }
        try:
            answer = shop.post("/v1/orders", json=order)
            waited = time.perf_counter() - began
            return _outcome(shop, answer), waited
        except httpx.HTTPError as error:
            return f"no answer ({type(error).__name__})", time.perf_counter() - began

    with ThreadPoolExecutor(at_once) as crowd:
        coming = [crowd.submit(buyer, number) for number in range(buyers)]
        began = time.perf_counter()
        start.set()
        answers = [one.result() for one in coming]
    return answers, time.perf_counter() - began


def _outcome(shop: httpx.Client, answer: httpx.Response) -> str:
    body = answer.json()
    if answer.status_code not in (201, 202):
        return str(body.get("code") or answer.status_code)
    order = body["data"]
    until = time.monotonic() + PATIENCE
    while order["status"] not in _ENDED and time.monotonic() < until:
        time.sleep(0.2)
        order = _data(shop.get(f"/v1/orders/{order['order_id']}"))
    return "sold" if order["status"] in _SOLD else str(order["status"])


def _data(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()["data"]
    try:
        said = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        said = f"{answer.status_code} and no word of the shop's"
    raise DropError(f"{answer.request.method} {answer.request.url.path}: {said}")
