"""``make bench``: the product, django-oscar and plain SQL on one machine, in turn, for several rounds.

From the environment: QUICK=1 for a short run, ENGINE=sqlite for SQLite files in place of servers, ROUNDS=, READS=1 for
the product's reads alone. It prints its tables and writes them with all figures to var/bench. Exit codes: 0 measured,
1 the books did not agree or nothing could be measured.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import databases, machine, oscar, page, retail
from bench.floor import PRODUCTS, Floor
from bench.home import HOME, end_with, kept
from bench.load import Call
from bench.mailbox import Mailbox
from bench.measures import CLIENTS, READERS, Bench, Stretch, of_the_month
from bench.oscar import Oscar
from bench.progress import Progress
from bench.replay import EXCERPT, MONTH
from bench.shop import ROOT, Shop, ShopError
from tools.servers import Servers, free_ports

CUSTOMERS = 200
CHECK_UP = 300  # seconds: into so long an idleness falls one check-up of all orders (BEAT in config/contexts.py)


@dataclass(frozen=True)
class Plan:
    """``seconds``: of load at a time, and of the floor, of reads and of idleness."""

    rounds: int
    seconds: float
    floor_seconds: float
    read_seconds: float
    idle_seconds: float
    profiled: int  # orders
    engine: str
    reads_only: bool

    @classmethod
    def from_environment(cls) -> Plan:
        quick = os.environ.get("QUICK", "") not in ("", "0")
        rounds = int(os.environ.get("ROUNDS") or (2 if quick else 3))
        engine = os.environ.get("ENGINE") or "servers"
        if engine not in ("servers", "sqlite"):
            raise ShopError(f"ENGINE is servers or sqlite, not {engine}.")
        reads_only = os.environ.get("READS", "") not in ("", "0")
        return cls(rounds, *((3, 2, 2, 10, 60) if quick else (8, 4, 3, CHECK_UP, 300)), engine, reads_only)


def main() -> int:
    plan = Plan.from_environment()
    with kept() as (results, written):
        run(plan, results)
    if plan.reads_only:
        print(f"\n{page.reads(results)}\nMB of web: {results['memory']['web']}\nAll figures: {written}")
        return 0
    tables = page.tables(results)
    written.with_suffix(".md").write_text(tables)
    print(f"\n{tables}\nAll figures: {written}\nInto the docs: python -m bench.page {written.relative_to(ROOT)}")
    return 0


def run(plan: Plan, results: dict[str, Any]) -> None:
    """Measure, and put everything into ``results``."""
    results |= {
        "engine": plan.engine,
        "machine": machine.description(),
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds},
        "rounds": [],
    }
    steps = 3 + plan.rounds * 6 if plan.reads_only else 4 + plan.rounds * (3 * len(CLIENTS) + 10)
    progress = Progress("bench", steps)
    with _started(plan, progress) as bench:
        results["versions"] = [] if plan.reads_only else _versions(bench)
        month, lines = of_the_month(_invoices(), bench.shop)
        _warm_up(bench)
        progress.tick()
        if plan.reads_only:
            for number in range(plan.rounds):
                results["rounds"].append({"reads": _reads(plan, bench, progress, f"round {number + 1}", month)})
            results["memory"] = _memory(bench)
            progress.tick()
            return
        for number in range(plan.rounds):
            results["rounds"].append(_round(plan, bench, progress, f"round {number + 1}", month, lines))
        progress.say("nothing: what idleness costs")
        results["memory"] = _memory(bench)
        results["idle"] = _idle(bench, plan.idle_seconds)
        progress.tick()
        progress.say("one order, step by step")
        results["order"] = _one_order(plan, bench)
        results["audit"] = bench.shop.audit()
        progress.tick()


# -- start ------------------------------------------------------------------------------------------------------------
@contextmanager
def _started(plan: Plan, progress: Progress) -> Iterator[Bench]:
    """Servers, shop, peer and floor, each on fresh databases, all on the disk of this checkout."""
    progress.say("installing and filling")
    work = HOME / plan.engine
    if work.exists():  # what a killed run has left
        if plan.engine == "servers" and (work / "servers").exists():
            Servers(work / "servers", durable=True).stop()
        shutil.rmtree(work)
    work.mkdir()
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        peer = None if plan.reads_only else pool.submit(oscar.installed, HOME / "oscar")
        mailbox = stack.enter_context(Mailbox())
        environment, urls, pids = _servers(plan, work, stack)
        shop_port, oscar_port = free_ports(2)
        shop = Shop(work / "shop", environment, port=shop_port, mail_port=mailbox.port)
        floor = Floor(urls["floor"], work)
        month = MONTH if MONTH.exists() else EXCERPT
        filled = pool.submit(
            shop.prepare, "--products", str(PRODUCTS), "--customers", str(CUSTOMERS), "--units", "1000000000",
            "--retail", str(month), "--sold-out",
        )  # fmt: skip
        beside = None
        if peer:
            floor.prepare()
            beside = Oscar(peer.result(), work, urls["oscar"], port=oscar_port, mail_port=mailbox.port)
            beside.prepare(products=PRODUCTS, users=CUSTOMERS)
        filled.result()
        stack.callback(shop.stop)
        shop.start()
        if beside:
            stack.callback(beside.stop)
            beside.start()
        with databases.cursor(shop.databases["catalog"]) as found:
            found.execute("SELECT id FROM catalog_product WHERE sku = 'SOLD-OUT'")
            (sold_out,) = found.fetchone()
        progress.tick()
        yield Bench(shop, beside, floor, mailbox, pids, list(range(1, PRODUCTS + 1)), int(sold_out), CUSTOMERS)


def _servers(plan: Plan, work: Path, stack: ExitStack) -> tuple[dict[str, str], dict[str, str], dict[str, int]]:
    """The shop's settings, the databases of floor and peer, and the servers' processes."""
    if plan.engine == "sqlite":
        return {}, {name: f"sqlite:///{work.absolute()}/{name}.sqlite3" for name in ("floor", "oscar")}, {}
    servers = Servers(work / "servers", durable=True)
    stack.callback(servers.stop)
    servers.start()
    servers.postgres.create_databases(["floor", "oscar"])
    pids = {server.name: server.pid() or 0 for server in servers.all}
    return servers.environment(), {name: servers.postgres.dsn(name) for name in ("floor", "oscar")}, pids


def _warm_up(bench: Bench) -> None:
    """Every process has loaded what it needs, and one order is there to be read."""
    bench.orders(8, 3)
    if bench.oscar:
        bench.peer_orders(8, 3)
        bench.floor_orders(8, 1)
    with databases.cursor(bench.shop.databases["orders"]) as found:
        found.execute("SELECT order_id FROM orders_order ORDER BY order_id LIMIT 1")
        (bench.shipped,) = found.fetchone()


# -- rounds -----------------------------------------------------------------------------------------------------------
def _round(
    plan: Plan, bench: Bench, progress: Progress, name: str, month: Any, lines: Mapping[bytes, int]
) -> dict[str, Any]:
    """Everything once. Floor, peer and shop take turns for each number of clients."""

    def stretch(what: str, run: Callable[..., Stretch], *arguments: Any) -> Stretch:
        progress.say(f"{name}: {what}")
        found = run(*arguments)
        progress.tick()
        return found

    found: dict[str, Any] = {"sync": [], "floor": {}, "peer": {}, "shop": {}}
    for clients in CLIENTS:
        at = f"{clients} clients"
        found["sync"].append(machine.sync(HOME))
        found["floor"][str(clients)] = stretch(f"plain SQL, {at}", bench.floor_orders, clients, plan.floor_seconds)
        found["peer"][str(clients)] = stretch(f"django-oscar, {at}", bench.peer_orders, clients, plan.seconds)
        found["shop"][str(clients)] = stretch(f"orders, {at}", bench.orders, clients, plan.seconds)
    found["hot"] = stretch("one hot product", bench.hot, READERS, plan.seconds)
    found["refusals"] = stretch("what is sold out", bench.refusals, READERS, plan.seconds / 2)
    found["month"] = stretch("a real month", bench.month, month, lines, READERS, plan.seconds)
    found["reads"] = _reads(plan, bench, progress, name, month)
    progress.say(f"{name}: the audit")
    found["audit"] = bench.shop.audit()
    progress.tick()
    return found


def _reads(plan: Plan, bench: Bench, progress: Progress, name: str, month: Iterator[Call]) -> dict[str, Stretch]:
    kinds: dict[str, Callable[[int, float], Stretch]] = {
        **{what: partial(bench.read, what) for what in bench.reads()},
        "order list, one line each": partial(bench.order_list, bench.small_orders()),
        "order list, a real month's": partial(bench.order_list, month),
    }
    found = {}
    for what, read in kinds.items():
        progress.say(f"{name}: {what}")
        found[what] = read(READERS, plan.read_seconds)
        progress.tick()
    return found


def _memory(bench: Bench) -> dict[str, list[float]]:
    """MB of each process of the shop, by part."""
    now = machine.look()
    return {
        part: sorted((machine.memory(process.pid) for process in now.tree(root)), reverse=True)
        for part, root in bench.of_shop().items()
    }


def _idle(bench: Bench, seconds: float) -> dict[str, float]:
    """ms of processor time in a second, by part, while nobody asks for anything."""
    bench.shop.settle()
    time.sleep(2)
    roots = bench.of_shop()
    before = machine.look()
    time.sleep(seconds)
    after = machine.look()
    return {part: (after.cpu(root) - before.cpu(root)) / (after.at - before.at) for part, root in roots.items()}


def _one_order(plan: Plan, bench: Bench) -> dict[str, Any]:
    """See bench.one_order; the shop's own processes are stopped for it."""
    bench.shop.stop()
    servers = [f"{name}={pid}" for name, pid in bench.servers.items()]
    log = ["--postgres-log", str(HOME / "servers/servers/postgresql.log")] if servers else []
    found: dict[str, Any] = json.loads(bench.shop.run("-m", "bench.one_order", *log, str(plan.profiled), *servers))
    return found


# -- facts ------------------------------------------------------------------------------------------------------------
def _versions(bench: Bench) -> list[str]:
    used = [f"Python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in ("Django", "gunicorn"))]
    shops = {databases.version(url): None for url in bench.shop.databases.values()}
    lock = (ROOT / "bench/oscar_shop/requirements.lock").read_text()
    peer = next(line.split()[0] for line in lock.splitlines() if line.startswith("django-oscar=="))
    return [*used, *shops, peer.replace("==", " ")]


def _invoices() -> tuple[retail.Invoice, ...]:
    return retail.read(MONTH if MONTH.exists() else EXCERPT)


if __name__ == "__main__":
    end_with("bench", main)
