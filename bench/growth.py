"""``make bench-growth``: does anything grow? The same calls and tasks on a small shop and a large one, in turn.

From the environment: SIZE, the large shop's share of 1,000,000 products, 2,000,000 stock rows, 3,000,000 lines of the
ledger and 300,000 orders (1); the small one has a hundredth of these. ROUNDS (3). ENGINE=sqlite for SQLite files. It
prints what grows and writes everything to var/bench. Exit codes: 0 measured, 1 a shop's books did not agree or nothing
could be measured.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench import databases, machine, page
from bench.home import HOME, end_with, kept
from bench.load import Call, Tally, drive
from bench.measures import order
from bench.progress import Progress
from bench.shop import ROOT, Shop
from tools.servers import Servers, free_ports

FULL = {"products": 1_000_000, "stock": 2_000_000, "ledger": 3_000_000, "orders": 300_000, "holds": 100_000}
SMALL = 0.01  # of it
WAITING = {"small": 0, "large": 2_800}  # events
WAREHOUSES = 10
ORDERS_OF_EACH = 10  # customer
SECONDS = 0.6  # of calls, one after the other
WARM_UP = 0.2
VALUES = 20  # that calls ask for by turns. The warm-up asks for each, so that no shop is measured by its disk
LONGEST = 600  # seconds
CHORES = ("sweep-idle", "recover", "settle", "send", "count", "relay", "deliver", "prune-idle")
LAST = ("check-up", "prune-outbox", "prune-answers")  # which is done once
# `{…}` is a value that the shop has; see Site.values.
CALLS = (
    "/v1/products",
    "/v1/products?category={category}",
    "/v1/products?ordering=price",
    "/v1/products?ordering=-name",
    "/v1/products/{product}",
    "/v1/products/sku/{sku}",
    "/v1/products/{product}/prices",
    "/v1/products/search?q=glass+lamp",
    "/v1/products/search?name=oak",
    "/v1/products/search?category={category}&min_price=10&max_price=50",
    "/v1/categories",
    "/v1/inventory",
    "/v1/inventory?product_id={product}",
    "/v1/inventory?warehouse=WH002",
    "/v1/inventory?low_stock=true",
    "/v1/inventory/availability/{product}",
    "/v1/inventory/movements",
    "/v1/inventory/movements?product_id={product}",
    "/v1/inventory/movements?warehouse=WH002",
    "/v1/inventory/movements?order_id={order}",
    "/v1/inventory/reservations",
    "/v1/inventory/reservations?status=CONFIRMED",
    "/v1/inventory/reservations?order_id={order}",
    "/v1/inventory/reservations/status",
    "/v1/orders",
    "/v1/orders?status=CONFIRMED",
    "/v1/orders?customer_id={customer}",
    "/v1/orders?created_after=2020-01-01",
    "/v1/orders/{order}",
    "/v1/payments?order_id={order}",
    "/v1/shipments",
    "/v1/shipments?status=PENDING",
    "/v1/shipments?order_id={order}",
    "/v1/notifications",
    "/v1/notifications?recipient=c{customer}@example.com",
    "/v1/notifications?order_id={order}",
    "/v1/customers",
    "/metrics",
    "/health",
)
PLACE = "POST /v1/orders"


@dataclass
class Site:
    """One of the two shops. Only its web process runs, so that nothing sweeps or prunes before it is measured."""

    shop: Shop
    size: dict[str, int]
    servers: dict[str, int]
    values: dict[str, list[Any]] = field(default_factory=dict)
    filled: float = 0.0  # seconds

    def fill(self) -> None:
        begun = time.monotonic()
        options = {"warehouses": WAREHOUSES, "customers": self.size["orders"] // ORDERS_OF_EACH, "units": 1_000_000}
        options |= self.size
        self.shop.prepare(*(f"--{name}={value}" for name, value in options.items()))
        self.filled = time.monotonic() - begun

    def start(self) -> None:
        self.shop.start("-m", "config.operations.processes", "web")
        with databases.cursor(self.shop.databases["orders"]) as found:
            found.execute("SELECT order_id FROM orders_order WHERE status = 'SHIPPED' LIMIT 200")
            orders = [order_id for (order_id,) in found.fetchall()]
        chance = random.Random(1)
        products = [chance.randint(1, self.size["products"]) for _ in range(200)]
        with databases.cursor(self.shop.databases["catalog"]) as found:
            found.execute(f"SELECT sku, category FROM catalog_product WHERE id IN ({', '.join(map(str, products))})")
            skus, categories = zip(*found.fetchall(), strict=True)
        self.values = {
            "product": products,
            "sku": list(skus),
            "category": [category.replace(" ", "+") for category in categories],
            "order": orders,
            "customer": list(range(1, 200)),
        }

    def call(self, what: str, *, seconds: float = SECONDS, least: int = 1) -> Tally:
        """Calls one after the other for a while, and ``least`` times; each with the next of some values. The token
        costs nothing in that time."""
        headers = self.shop.token() | {"Content-Type": "application/json"}
        turns = itertools.count()
        end = time.monotonic() + seconds

        def one() -> Call | None:
            turn = next(turns)
            if turn >= least and time.monotonic() >= end:
                return None
            values = {name: there[turn % VALUES] for name, there in self.values.items()}
            if what == PLACE:
                items = [{"product_id": values["product"], "quantity": 1}]
                return order({"customer_id": values["customer"], "items": items})
            return Call(what.format(**values))

        expected = 201 if what == PLACE else 200
        return drive(self.shop.url, one, clients=1, seconds=LONGEST, expected=expected, headers=headers)

    def measure(self, what: str) -> dict[str, Any]:
        # so that every thread of the web process knows the way, and what is asked for lies in memory
        self.call(what, seconds=WARM_UP, least=VALUES if "{" in what else 1)
        roots = {"web": self.shop.pid} | self.servers
        before = machine.look()
        tally = self.call(what)
        after = machine.look()
        calls = len(tally.times)
        if not calls:
            return {"refused": next(iter(tally.others), "no answer")}
        spent = sum(after.cpu(root) - before.cpu(root) for root in roots.values())
        return {"cpu": spent / calls, "p50": statistics.median(tally.times), "calls": calls}

    def chores(self, *names: str) -> dict[str, Any]:
        done: dict[str, Any] = json.loads(self.shop.run("-m", "bench.chores", *names, *self._server_options()))
        return done

    def sweep_beside_orders(self) -> dict[str, Any]:
        """The sweep of all the holds that ran out, while one client places orders."""
        quiet = self.call(PLACE)
        command = [sys.executable, "-m", "bench.chores", "sweep", *self._server_options()]
        sweep = subprocess.Popen(command, cwd=ROOT, env=self.shop.environment, stdout=subprocess.PIPE)
        headers = self.shop.token() | {"Content-Type": "application/json"}

        def one() -> Call | None:
            if sweep.poll() is not None:
                return None
            items = [{"product_id": random.choice(self.values["product"]), "quantity": 1}]
            return order({"customer_id": 1, "items": items})

        beside = drive(self.shop.url, one, clients=1, seconds=LONGEST, expected=201, headers=headers)
        printed, _ = sweep.communicate()
        (found,) = json.loads(printed).values()
        return found | {
            "holds": self.size["holds"],
            "orders": len(beside.times),
            "others": dict(beside.others.most_common(3)),
            "slowest_order": max(beside.times, default=0.0),
            "median_order": statistics.median(beside.times or [0.0]),
            "median_order_before": statistics.median(quiet.times),
        }

    def _server_options(self) -> list[str]:
        return [f"--server={name}={pid}" for name, pid in self.servers.items()]


@contextmanager
def sites(engine: str, share: float, progress: Progress) -> Iterator[dict[str, Site]]:
    work = HOME / "growth"
    with ExitStack() as stack:
        found = {}
        for name, part in (("small", SMALL), ("large", share)):
            folder = work / name
            if (folder / "servers").exists():  # what a killed run has left
                Servers(folder / "servers", durable=True).stop()
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            environment, pids = {"ECI_METRICS_KEPT": "0"}, {}
            if engine != "sqlite":
                servers = Servers(folder / "servers", durable=True)
                stack.callback(servers.stop)
                servers.start()
                environment |= servers.environment()
                pids = {server.name: server.pid() or 0 for server in servers.all}
            shop = Shop(folder / "shop", environment, port=free_ports(1)[0], mail_port=1)
            size = {what: round(rows * part) for what, rows in FULL.items()} | {"waiting": WAITING[name]}
            found[name] = Site(shop, size, pids)
        progress.say("filling")
        with ThreadPoolExecutor() as pool:
            list(pool.map(Site.fill, found.values()))
        for site in found.values():
            stack.callback(site.shop.stop)
            site.start()
        progress.tick()
        yield found


def run(engine: str, share: float, rounds: int, results: dict[str, Any]) -> None:
    """Measure, and put everything into ``results``."""
    what = (*CALLS, PLACE)
    progress = Progress("growth", 4 + rounds * (len(what) * 2 + 1))
    results |= {
        "engine": engine,
        "machine": machine.description(),
        "calls": {one: {"small": [], "large": []} for one in what},
    }
    with sites(engine, share, progress) as both:
        results["sizes"] = {name: site.size for name, site in both.items()}
        results["filled"] = {name: site.filled for name, site in both.items()}
        before = machine.look()
        for _ in range(rounds):
            for site in both.values():
                site.chores("count")  # as beat does
            for one in what:
                for name, site in both.items():
                    progress.say(f"{name}: {one}")
                    results["calls"][one][name].append(site.measure(one))
                    progress.tick()
        results["foreign"] = machine.foreign(before, machine.look(), os.getpid())
        progress.say("the sweep")
        results["sweep"] = {name: site.sweep_beside_orders() for name, site in both.items()}
        progress.tick()
        progress.say("tasks")
        done = results["chores"] = {}
        for names in (*[CHORES] * rounds, LAST):
            for name, site in both.items():
                for chore, cost in site.chores(*names).items():
                    done.setdefault(chore, {"small": [], "large": []})[name].append(cost)
            progress.tick()
        progress.say("the audit")
        for name, site in both.items():
            begun = time.monotonic()
            results.setdefault("audit", {})[name] = site.shop.audit()
            results.setdefault("audit_seconds", {})[name] = time.monotonic() - begun
        progress.tick()


def main() -> int:
    engine = os.environ.get("ENGINE") or "servers"
    share = float(os.environ.get("SIZE") or 1)
    rounds = int(os.environ.get("ROUNDS") or 3)
    with kept("growth-") as (results, written):
        run(engine, share, rounds, results)
    print(f"\n{page.growth(results)}\nAll figures: {written}")
    return 0


if __name__ == "__main__":
    end_with("growth", main)
