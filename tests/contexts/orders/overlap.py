"""A dispatch, a forced count and a receipt elsewhere at once, on real connections; prints how each round ended as JSON.

Run by test_overlap.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connections  # noqa: E402

from config.books import audit  # noqa: E402
from contexts.inventory.models import Movement, Stock  # noqa: E402
from contexts.notifications.models import Notification  # noqa: E402
from tests.support.api import Answer, Api, settle  # noqa: E402
from tests.support.shop import Shop  # noqa: E402

ROUNDS, ROUNDS_OF_THREE = 12, 4


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    """The answers to all calls; each runs in a thread of its own, all at the same moment."""
    barrier = threading.Barrier(len(calls))
    answers: dict[int, Answer] = {}

    def run(index: int) -> None:
        barrier.wait()
        answers[index] = calls[index]()
        connections.close_all()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[index] for index in range(len(calls))]


def one_round(shop: Shop, name: str, *, elsewhere: bool) -> dict[str, Any]:
    """An order of both units there are. Its dispatch, a count that finds none and, ``elsewhere``, a receipt of two."""
    product = {"sku": name, "name": name, "price": "10.00"}
    product_id = shop.api.post("/v1/products", product).data["product_id"]
    stock = shop.api.post("/v1/inventory", {"product_id": product_id, "warehouse": "WH001", "onhand": 2}).data
    order = shop.order(2, product_id=product_id, fulfilment="warehouse").data
    shipment = f"/v1/shipments/{order['shipments'][0]['shipment_id']}"
    count = {"onhand": 0, "reason": "count", "force": True}
    calls = [
        lambda: Api().patch(shipment, {"status": "SHIPPED"}),
        lambda: Api().patch(f"/v1/inventory/{stock['inventory_id']}", count),
    ]
    if elsewhere:
        receipt = {"product_id": product_id, "warehouse": "WH002", "onhand": 2}
        calls.append(lambda: Api().post("/v1/inventory", receipt))
    dispatched, *others = at_once(*calls)
    settle()
    rows = Stock.objects.filter(product_id=product_id).order_by("warehouse")
    after = shop.read(order["order_id"])
    return {
        "dispatch": dispatched.json.get("code") or dispatched.status,
        "others": [answer.status for answer in others],
        "status": after["status"],
        "needs_attention": after["needs_attention"],
        "shipments": [[one["warehouse"], one["status"], one["withheld"]] for one in after["shipments"]],
        "stock": [[row.warehouse_id, row.on_hand, row.reserved, row.owed] for row in rows],
        "ledger": sum(Movement.objects.filter(product_id=product_id).values_list("delta", flat=True)),
        "mails": sorted(Notification.objects.filter(order_id=order["order_id"]).values_list("kind", flat=True)),
    }


def rounds() -> Iterator[dict[str, Any]]:
    shop = Shop.open(Api())
    for number in range(ROUNDS + ROUNDS_OF_THREE):
        elsewhere = number >= ROUNDS
        yield one_round(shop, f"round {number}", elsewhere=elsewhere) | {"elsewhere": elsewhere}


if __name__ == "__main__":
    ended = list(rounds())
    json.dump({"rounds": ended, "findings": [str(finding) for finding in audit.audit().findings]}, sys.stdout)
