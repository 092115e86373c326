"""Crowds: forked processes that use the shop at the same moment, on the databases of the environment.

    python -m tests.trouble.proofs.crowd SCENARIO '{"argument": ...}'

prints as JSON how everybody's requests ended, and what plain SQL then finds in the databases.
"""

from __future__ import annotations

import functools
import gc
import json
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.world import ROOT

PROCESSES = 8
PATIENCE = 60  # times a client comes again
STUCK = 360  # seconds, after which a crowd that undoes one another's work for ever has been given its chance
_fork = multiprocessing.get_context("fork")
_start: Any = None


def gather(environment: Mapping[str, str], scenario: str, **arguments: Any) -> Any:
    """Run a scenario in a process of its own; what it tells."""
    more = {"DJANGO_SETTINGS_MODULE": "config.settings", "ECI_POOL_SIZE": "0", "ECI_LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.trouble.proofs.crowd", scenario, json.dumps(arguments)],
        cwd=ROOT,
        env=dict(environment) | more,
        capture_output=True,
        text=True,
        timeout=STUCK,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout)


# -- inside the scenario's process ------------------------------------------------------------------------------------


def in_processes(work: Callable[..., Any], count: int, *arguments: Any) -> list[Any]:
    """What ``work(number, *arguments)`` gives in each of ``count`` forked processes, which begin together."""
    from django.db import connections

    connections.close_all()  # parent and child must not share a connection
    gc.freeze()  # nor must each child copy what the collector looks through
    with _fork.Pool(count, _remember, [_fork.Barrier(count)]) as pool:
        return pool.starmap(_begin_together, [(work, number, *arguments) for number in range(count)], chunksize=1)


def _remember(barrier: Any) -> None:
    """Eight that are busy all the time must not starve what other tests, running beside, hold to seconds."""
    os.nice(5)
    global _start
    _start = barrier


def _begin_together(work: Callable[..., Any], number: int, *arguments: Any) -> Any:
    random.seed(number)
    _start.wait()
    return work(number, *arguments)


def outcome(answer: Any) -> str:
    return str(answer.status) if answer.status < 400 else f"{answer.status} {answer.code}"


@functools.cache
def shop() -> Any:
    """This process's client; making one costs more than most requests."""
    from tests.support.api import Api

    return Api()


def buy(body: dict[str, Any], key: str, told: Counter[str]) -> Any:
    """Place an order as a client does who may be told to come again: with the same key, until the outcome is known."""
    for _ in range(PATIENCE):
        answer = shop().post("/v1/orders", body, key=key)
        if answer.status not in (202, 503) and outcome(answer) != "409 idempotency_in_progress":
            break
        if answer.status != 202:
            assert int(answer.headers["Retry-After"]) >= 1
        told["repeated"] += 1
        time.sleep(random.uniform(0.2, 1))
    told[outcome(answer)] += 1
    return answer


def open_shop(products: int, **units: int) -> list[int]:
    """Products at 10.00 with so many units in each warehouse; their ids."""
    for priority, code in enumerate(units, 1):
        assert shop().post("/v1/warehouses", {"code": code, "name": code, "priority": priority}).status == 200
    ids = []
    for number in range(products):
        product = {"sku": f"CROWD-{number}", "name": f"Product {number}", "price": "10.00"}
        ids.append(shop().post("/v1/products", product).data["product_id"])
        for code, onhand in units.items():
            body = {"product_id": ids[-1], "warehouse": code, "onhand": onhand}
            assert shop().post("/v1/inventory", body).status == 201
    return ids


def guest(*lines: tuple[int, int], **more: Any) -> dict[str, Any]:
    items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines]
    return {"email": "ann@example.com", "items": items} | more


def sql(alias: str, query: str) -> list[Any]:
    """The first row of what the database answers."""
    from django.db import connections

    with connections[alias].cursor() as cursor:
        cursor.execute(query)
        return [value if isinstance(value, str) else int(value or 0) for value in cursor.fetchone()]


def deadlocks() -> Counter[str]:
    """How many each server has ended so far by undoing one of the transactions, which then was run again."""
    from django.db import connections

    queries = {
        "postgresql": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
        "mysql": "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'",
    }
    vendors = {alias: connections[alias].vendor for alias in ("inventory", "orders")}
    return Counter({alias: sql(alias, queries[vendor])[0] for alias, vendor in vendors.items() if vendor in queries})


def _operations(kind: str, amount: int | None = None) -> list[int]:
    """How often the payment provider did this, by its own ledger."""
    from django.conf import settings

    ledger = sqlite3.connect(settings.ECI_SANDBOX_LEDGER)
    done = ledger.execute("SELECT amount_minor FROM operations WHERE outcome = 'done' AND kind = ?", (kind,)).fetchall()
    ledger.close()
    return [sum(amount in (None, row[0]) for row in done)]


def books() -> dict[str, Any]:
    """Units and money, read past the product's own code, and what its audit says."""
    from config.books.audit import audit

    on_hand, reserved, least = sql(
        "inventory", "SELECT SUM(on_hand), SUM(reserved), MIN(on_hand - reserved) FROM inventory_stock"
    )
    return {
        "on_hand": on_hand,
        "reserved": reserved,
        "least": least,
        "moved": sql("inventory", "SELECT SUM(delta) FROM inventory_movement")[0],
        "held": sql("inventory", "SELECT SUM(quantity) FROM inventory_allocation WHERE state = 'OPEN'")[0],
        "sold": sql(
            "orders",
            "SELECT SUM(l.quantity) FROM orders_orderline l JOIN orders_order o ON o.order_id = l.order_id"
            " WHERE o.status = 'SHIPPED' AND o.payment_status = 'PAID'",
        )[0],
        "orders": sql("orders", "SELECT COUNT(*) FROM orders_order")[0],
        "captures": _operations("charge")[0] + _operations("capture")[0],
        "findings": [str(finding) for finding in audit().findings],
    }


# -- scenarios --------------------------------------------------------------------------------------------------------


def hot_product(units: int, attempts: int) -> dict[str, Any]:
    """Everybody wants one unit of the same product, which lies in two warehouses."""
    [product_id] = open_shop(1, WH001=units // 2, WH002=units - units // 2)
    told = in_processes(_buy_one_after_the_other, PROCESSES, product_id, attempts // PROCESSES)
    return {"told": sum(told, Counter()), **books()}


def _buy_one_after_the_other(number: int, product_id: int, attempts: int) -> Counter[str]:
    told: Counter[str] = Counter()
    for attempt in range(attempts):
        buy(guest((product_id, 1)), f"{number}-{attempt}", told)
    return told


def many_lines(products: int, units: int, orders: int) -> dict[str, Any]:
    """Orders of 2 to 40 products in random order; every fifth waits for the warehouse and is cancelled."""
    ids = open_shop(products, WH001=units - units // 3, WH002=units // 3)
    before = deadlocks()
    told = in_processes(_buy_baskets, PROCESSES, ids, orders // PROCESSES)
    return {"told": sum(told, Counter()), "deadlocks": deadlocks() - before, **books()}


def _buy_baskets(number: int, ids: list[int], orders: int) -> Counter[str]:
    told: Counter[str] = Counter()
    for count in range(orders):
        basket = [(product_id, random.randint(1, 3)) for product_id in random.sample(ids, random.randint(2, 40))]
        fulfilment = "automatic" if count % 5 else "warehouse"
        placed = buy(guest(*basket, fulfilment=fulfilment), f"{number}-{count}", told)
        if placed.status == 201 and fulfilment == "warehouse":
            cancelled = shop().post(f"/v1/orders/{placed.data['order_id']}/cancel", {})
            told[f"cancelled {outcome(cancelled)}"] += 1
    return told


def one_key(processes: int, threads: int) -> dict[str, Any]:
    """The same command with the same key by every thread of every process, then once more by one; for each command all
    the answers, and its effects."""
    [product_id] = open_shop(1, WH001=100)
    paid = shop().post("/v1/payments/charge", {"order_id": "PAID", "amount": "100.00"}).data
    due = shop().post("/v1/orders", guest((product_id, 1), pay_later=True)).data
    commands: dict[str, tuple[str, dict[str, Any]]] = {
        "order": ("/v1/orders", guest((product_id, 2))),
        "reserve": ("/v1/inventory/reserve", {"product_id": product_id, "quantity": 3, "order_id": "HELD"}),
        "charge": ("/v1/payments/charge", {"order_id": "CHARGED", "amount": "12.34"}),
        "pay later": ("/v1/payments/charge", {"order_id": due["order_id"], "amount": due["order_total"]}),
        "refund": (f"/v1/payments/{paid['payment_id']}/refund", {"amount": "1.00", "reason": "scratched"}),
    }
    told = {}
    for name, (path, body) in commands.items():
        answers = in_processes(_send_from_threads, processes, path, body, f"the key of {name}", threads)
        told[name] = [*sum(answers, []), _send(path, body, f"the key of {name}")]
    return {
        "told": told,
        "order": [
            *sql("orders", "SELECT COUNT(*) FROM orders_order WHERE status = 'SHIPPED' AND NOT pay_later"),
            *sql("inventory", "SELECT -SUM(delta) FROM inventory_movement WHERE delta = -2"),
        ],
        "reserve": sql("inventory", "SELECT COUNT(*), SUM(quantity) FROM inventory_allocation WHERE state = 'OPEN'"),
        "charge": [*_payments("CHARGED"), *_operations("charge", 1234)],
        "pay later": [*_payments(due["order_id"]), *_operations("charge", 2050)],
        "refund": [
            *sql("payments", f"SELECT COUNT(*) FROM payments_refund WHERE payment_id = {paid['payment_id']}"),
            *_operations("refund", 100),
        ],
    }


def _payments(order_id: str) -> list[int]:
    return sql("payments", f"SELECT COUNT(*), SUM(captured_minor) FROM payments_payment WHERE order_id = '{order_id}'")


def _send_from_threads(number: int, path: str, body: dict[str, Any], key: str, threads: int) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda _: _send(path, body, key), range(threads)))


def _send(path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    from django.db import connections

    from tests.support.api import Api

    try:
        answer = Api().post(path, body, key=key)
    finally:
        connections.close_all()
    return {
        "outcome": outcome(answer),
        "replayed": answer.headers.get("Idempotent-Replayed") == "true",
        "retry_after": answer.headers.get("Retry-After"),
        "data": answer.json["data"],
    }


SCENARIOS: tuple[Callable[..., Any], ...] = (hot_product, many_lines, one_key)

if __name__ == "__main__":
    import django

    django.setup()
    json.dump(
        {scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[1]](**json.loads(sys.argv[2])), sys.stdout
    )
