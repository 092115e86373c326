"""``python -m bench.desk``: how long staff wait for each page of the desk, in a shop that has traded for years.

From the environment: SIZE, the shop's share of 100,000 products, 200,000 stock rows, 1,000,000 lines of the ledger and
300,000 orders (1). ROUNDS (5): each page is asked so often, each time about another order, product or customer.
ENGINE=sqlite for SQLite files; otherwise it starts servers of its own. It prints each page's median with the fastest
and the slowest, and what is over the bound, and writes everything to var/bench. Exit codes: 0 measured, 1 it could not
be.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx

from bench import databases, machine
from bench.figures import Spread, short
from bench.growth import WAREHOUSES, Site
from bench.home import HOME, end_with, kept
from bench.page import table
from bench.progress import Progress
from bench.shop import ADMIN, Shop, ShopError
from tools.servers import Servers, free_ports

FULL = {"products": 100_000, "stock": 200_000, "ledger": 1_000_000, "orders": 300_000, "holds": 1_000}
BOUNDS = {"servers": 300, "sqlite": 600}  # ms
WARM_UP = 2
# `{…}` is a value that the shop has; see Site.values and `more`.
PAGES = (
    "/admin/",
    *(
        f"/admin/catalog/product/{query}"
        for query in (
            "",
            "?p=50",
            "?q={sku}",
            "?q=glass+lamp",
            "?q=lamp",
            "?category={category}",
            "?on_sale=0",
            "?changed=week",
            "?stock=none",
            "?o=5",
            "{product}/change/",
        )
    ),
    "/staff/products/{product}",
    *(f"/admin/catalog/pricechange/{query}" for query in ("", "?q={sku}")),
    *(
        f"/admin/inventory/stock/{query}"
        for query in ("", "?q={sku}", "?q=glass+lamp", "?low=1", "?warehouse__code__exact=WH002", "{product}/change/")
    ),
    *(
        f"/admin/inventory/movement/{query}"
        for query in (
            "",
            "?q={sku}",
            "?q={order}",
            "?q=glass+lamp",
            "?kind__exact=receipt",
            "?warehouse__code__exact=WH002",
        )
    ),
    *(f"/admin/inventory/reservation/{query}" for query in ("", "?q={order}", "?ends=alive", "?ends=soon")),
    "/admin/inventory/stock/document/?scan={sku}",
    "/staff/pack",
    "/staff/pack/{shipment}",
    *(f"/admin/shipping/shipment/{query}" for query in ("", "?q={order}", "?q={tracking}", "?status__exact=PENDING")),
    *(
        f"/admin/orders/order/{query}"
        for query in (
            "",
            "?p=50",
            "?q={order}",
            "?q={tail}",
            "?q={number}",
            "?q=c{customer}@example.com",
            "?q={sku}",
            "?q=nothing-like-it",
            "?sold=1",
            "?status__exact=SHIPPED",
            "?status__exact=CANCELLED",
            "?needs_attention__exact=1",
            "?created_at__gte={today}",
            "?o=6",
            "{order}/change/",
        )
    ),
    "/staff/orders/{order}",
    "/staff/orders/{order}/return",
    *(
        f"/admin/payments/payment/{query}"
        for query in ("", "?q={order}", "?status__exact=DECLINED", "?review__exact=OPEN")
    ),
    *(
        f"/admin/notifications/notification/{query}"
        for query in ("", "?q={order}", "?q=c{customer}@example.com", "?status__exact=FAILED")
    ),
    *(f"/admin/customers/customer/{query}" for query in ("", "?q=c{customer}@example.com", "{customer}/change/")),
    *(f"/staff/go?q={{{name}}}" for name in ("order", "number", "tracking", "sku")),
    "/staff/go?q=glass+lamp",
    "/staff/go?q=c{customer}@example.com",
    "/staff/activity",
    "/staff/reconcile",
)


def more(site: Site) -> dict[str, list[Any]]:
    """What pages are asked about, beside what calls of the API are."""
    orders = site.values["order"]
    with databases.cursor(site.shop.databases["orders"]) as found:
        found.execute("SELECT number FROM orders_order WHERE number IS NOT NULL LIMIT 200")
        numbers = [number for (number,) in found.fetchall()]
    with databases.cursor(site.shop.databases["shipping"]) as found:
        found.execute("SELECT id, tracking_no FROM shipping_shipment LIMIT 200")
        shipments, tracking = zip(*found.fetchall(), strict=True)
    return {
        "tail": [order[-6:].lower() for order in orders],
        "number": numbers or [1],
        "shipment": list(shipments),
        "tracking": list(tracking),
        "today": [f"{datetime.now(UTC):%Y-%m-%d}+00:00:00%2B00:00"],
    }


def signed_in(url: str) -> httpx.Client:
    """An administrator at the desk. ShopError."""
    http = httpx.Client(base_url=url, timeout=120, trust_env=False, follow_redirects=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', http.get("/admin/login/").text)
    sent = {"username": ADMIN["email"], "password": ADMIN["password"], "csrfmiddlewaretoken": token[1] if token else ""}
    page = http.post("/admin/login/", data=sent, headers={"Referer": url})
    if "sessionid" not in http.cookies:
        raise ShopError(f"Nobody could sign in: {page.status_code} {page.text[:300]}")
    return http


def ask(http: httpx.Client, address: str) -> float:
    """Milliseconds until the page is there. ShopError."""
    began = time.perf_counter()
    page = http.get(address)
    spent = (time.perf_counter() - began) * 1000
    if page.status_code != 200 or "/login/" in page.url.path or "cannot be filtered" in page.text:
        raise ShopError(f"{address}: {page.status_code} {page.text[:300]}")
    return spent


def run(engine: str, share: float, rounds: int, results: dict[str, Any]) -> None:
    progress = Progress("desk", 1 + len(PAGES))
    folder = HOME / "desk"
    with ExitStack() as stack:
        if (folder / "servers").exists():  # what a killed run has left
            Servers(folder / "servers", durable=True).stop()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment: dict[str, str] = {}
        if engine != "sqlite":
            servers = Servers(folder / "servers", durable=True)
            stack.callback(servers.stop)
            servers.start()
            environment = servers.environment()
        shop = Shop(folder / "shop", environment, port=free_ports(1)[0], mail_port=1)
        site = Site(shop, {what: max(WAREHOUSES, round(rows * share)) for what, rows in FULL.items()}, {})
        progress.say("filling")
        site.fill()
        stack.callback(shop.stop)
        site.start()
        site.chores("count", "check-up")  # as beat does
        values = site.values | more(site)
        results |= {"engine": engine, "size": site.size, "filled": site.filled, "machine": machine.description()}
        progress.tick()
        http = signed_in(shop.url)
        stack.callback(http.close)
        before = machine.look()
        for page in PAGES:
            progress.say(page)
            for turn in range(-WARM_UP, rounds):
                address = page.format(**{name: there[turn % len(there)] for name, there in values.items()})
                spent = ask(http, address)
                if turn >= 0:
                    results["pages"].setdefault(page, []).append(spent)
            progress.tick()
        results["foreign"] = machine.foreign(before, machine.look(), os.getpid())


def told(results: Mapping[str, Any]) -> str:
    bound = BOUNDS["sqlite" if results["engine"] == "sqlite" else "servers"]
    spreads = {page: Spread.of(times) for page, times in results["pages"].items()}
    over = [page for page, spread in spreads.items() if spread.median > bound]
    size = ", ".join(f"{rows:,} {what}" for what, rows in results["size"].items())
    return "\n\n".join(
        [
            f"{results['when'][:10]}, commit {results['commit']}, {results['engine']}: {size}."
            f" Others' load: {short(results['foreign'])} cores.",
            table(("page", "ms"), [(f"`{page}`", spread) for page, spread in spreads.items()]),
            f"Over {bound} ms: {', '.join(f'`{page}`' for page in over) or 'none'}.",
        ]
    )


def main() -> int:
    engine = os.environ.get("ENGINE") or "servers"
    share = float(os.environ.get("SIZE") or 1)
    rounds = int(os.environ.get("ROUNDS") or 5)
    with kept("desk-") as (results, written):
        results["pages"] = {}
        run(engine, share, rounds, results)
    print(f"\n{told(results)}\n\nAll figures: {written}")
    return 0


if __name__ == "__main__":
    end_with("desk", main)
