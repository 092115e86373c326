"""Measure what stock as of an instant costs in a large shop, and whether it is what was there.

``python -m bench.as_of speed [MOVEMENTS [ROWS]]`` makes an inventory database of its own, on SQLite, or behind
``tools/servers.py`` on PostgreSQL: one warehouse with ROWS stock rows (100,000), and in 400 days MOVEMENTS (3,000,000)
that left it with as many holds; one product in 18 orders is the same. It asks for products and for the warehouse at
instants of all that time, and prints the time by the clock and the processor time: this process's and PostgreSQL's.

``python -m bench.as_of exact [RECORDINGS [WRITERS]]`` lets WRITERS processes (4) do whatever changes the stock of a few
products, of which one row at a time is locked, recorded and released, RECORDINGS times (1,000). Then stock as of each
recording's instant is compared with it. Rows are locked, because what is being written at an instant is no longer what
was there before, and not yet to be seen.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.models.functions import Now  # noqa: E402

from bench import machine  # noqa: E402
from bench.filling import goods, writer  # noqa: E402
from contexts.inventory import past, selectors  # noqa: E402
from contexts.inventory.domain import span_of  # noqa: E402
from contexts.inventory.models import Allocation, Movement, Reservation, Stock, Warehouse  # noqa: E402
from contexts.inventory.services import holds, stock, sweeping  # noqa: E402
from eci.clock import utcnow  # noqa: E402
from eci.db import unit_of_work  # noqa: E402
from eci.errors import EciError  # noqa: E402

YEARS = timedelta(days=400)
UNITS = 10_000_000
BATCH = 100_000
PLACES = ("A", "B")
PRODUCTS = range(1, 6)
Row = tuple[Any, ...]

chance = random.Random(5)  # noqa: S311


# -- speed ------------------------------------------------------------------------------------------------------------


def duration() -> timedelta:
    """Of a hold: most are shipped at once, others wait in the warehouse."""
    return timedelta(seconds=1) if chance.random() < 0.8 else timedelta(days=3) * chance.random()


def fill(movements: int, rows: int) -> None:
    """Inventory's rows only; the holds are of reservations that are not there."""
    shelves = goods.Shelves(["WH001"])
    for product_id in range(1, rows + 1):
        shelves.add(product_id, 0, UNITS)
    now = utcnow()
    opened = goods.moment(now - YEARS - timedelta(days=1))
    writer.write(Warehouse, ("code", "name", "priority"), [("WH001", "Warehouse", 1)])
    columns = ("product_id", "warehouse_id", "delta", "on_hand", "kind", "reason", "actor", "at")
    writer.write(Movement, columns, shelves.receipts(opened))
    left, held = "shipment", ("reservation_id", "stock_id", "quantity", "state", "since", "until", "lasted")
    for start in range(0, movements, BATCH):
        lines: list[Row] = []
        parts: list[Row] = []
        for number in range(start, min(start + BATCH, movements)):
            row = int(rows * chance.random() ** 4)
            lasted = duration()
            at = now - YEARS * (1 - number / movements)
            began, ended = goods.moment(at), goods.moment(at + lasted)
            if at + lasted > now:
                shelves.reserved[row] += 1
                parts.append((number // 3, row + 1, 1, "OPEN", began, None, None))
                continue
            shelves.on_hand[row] -= 1
            parts.append((number // 3, row + 1, 1, "SHIPPED", began, ended, span_of([lasted])))
            lines.append((row + 1, "WH001", -1, shelves.on_hand[row], left, left, "bench", ended))
        writer.write(Allocation, held, {part[:2]: part for part in parts}.values())
        writer.write(Movement, columns, lines)
    shelves.store(opened)
    writer.refresh_statistics("inventory")


def server_ticks() -> float:
    """Of the process that serves our connection, in milliseconds; of SQLite there is none."""
    connection = connections["inventory"]
    if connection.vendor != "postgresql":
        return 0.0
    return machine.parse(Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text()).cpu


def measure(name: str, times: int, ask: Callable[[datetime], int]) -> None:
    clock, cpu, found = [], [], 0
    for number in range(times):
        moment = utcnow() - YEARS * ((number + 0.5) / times)
        began, ours, server = time.perf_counter(), time.process_time(), server_ticks()
        found = ask(moment)
        clock.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - ours) * 1000 + server_ticks() - server)
    figures = (statistics.median(clock), max(clock), statistics.median(cpu), max(cpu))
    print(f"{name:24}" + "".join(f"{figure:10.1f}" for figure in figures) + f"{found:10}", flush=True)


def speed(movements: int = 3_000_000, rows: int = 100_000) -> None:
    call_command("migrate", "inventory", database="inventory", verbosity=0)
    began = time.process_time()
    if not Warehouse.objects.exists():
        fill(movements, rows)
    vendor = connections["inventory"].vendor
    print(f"{vendor}: {Movement.objects.count()} movements, {Allocation.objects.count()} holds, {rows} stock rows,")
    print(f"written in {time.process_time() - began:.0f} s of processor time. The busiest product has", end=" ")
    print(f"{Movement.objects.filter(product_id=1).count()} movements.")
    print(f"{'ms':24}{'median':>10}{'most':>10}{'CPU':>10}{'most':>10}{'rows':>10}")
    any_product = lambda moment: len(past.product_as_of(product_id=chance.randint(1, rows), moment=moment))  # noqa: E731
    measure("a product", 200, any_product)
    measure("the busiest product", 50, lambda moment: len(past.product_as_of(product_id=1, moment=moment)))
    measure("the warehouse", 10, lambda moment: len(past.warehouse_as_of(warehouse="WH001", moment=moment)))


# -- exactness --------------------------------------------------------------------------------------------------------


def anything() -> None:
    """One of the things that change stock, with products, warehouses, units and holds by chance."""
    product, place, count = chance.choice(PRODUCTS), chance.choice(PLACES), chance.randint(1, 9)
    about: dict[str, Any] = {"product_id": product, "warehouse": place}
    key = f"{os.getpid()}-{chance.randint(0, 40)}"
    row = Stock.objects.get(**about)
    counted: dict[str, Any] = {"reorder_point": None, "reason": "count", "force": True, "actor": "bench"}
    match chance.randint(0, 13):
        case 0:
            stock.receive(**about, quantity=count, reorder_point=None, actor="bench", create_warehouse=False)
        case 1:
            stock.adjust(**about, delta=-count, reason="lost", actor="bench")
        case 2:
            other = "B" if place == "A" else "A"
            asked: dict[str, Any] = {"product_id": product, "from_warehouse": place, "to_warehouse": other}
            stock.transfer(**asked, quantity=count, actor="bench")
        case 3 | 4:
            stock.count(inventory_id=row.pk, on_hand=chance.randint(0, 30), **counted)
        case 5:
            sweeping.sweep_batch()
        case 6:
            holds.release(key=key)
        case 7:
            holds.confirm(key=key)
        case 8 | 9:
            holds.ship(key=key, actor="bench")
        case 10:
            holds.stop_paying(key=key, seconds=1)
        case _:
            demand = {product: count, chance.choice(PRODUCTS): count}
            paying = chance.random() < 0.5
            holds.reserve(key=key, order_id=f"X{key}", demand=demand, seconds=1, paying=paying, again=True)


def write() -> None:
    """Until it is killed. It prints a dot once it has begun."""
    chance.seed(os.getpid())
    print(".", end="", flush=True)
    while True:
        try:
            anything()
        except EciError:
            continue


def record() -> tuple[datetime, int, dict[str, Row]] | None:
    """What each warehouse has of a product; None where a hold runs out just now."""
    product = chance.choice(PRODUCTS)
    with unit_of_work("inventory"):
        selectors.stock_of(product_ids=[product], lock=True)
        moment = utcnow()
        rows = selectors.availability(product_ids=[product])[product]
        about = {"stock__product_id": product, "lapses_at__gte": moment - timedelta(milliseconds=2)}
        if Allocation.objects.filter(**about, lapses_at__lte=Now() + timedelta(milliseconds=2)).exists():
            return None
    return moment, product, {row.warehouse_id: (row.on_hand, row.held, row.owed, row.available) for row in rows}


def recorded(count: int) -> Iterator[tuple[datetime, int, dict[str, Row]]]:
    while count:
        if made := record():
            count -= 1
            yield made
        time.sleep(0.01 * chance.random())


def exact(recordings: int = 1_000, writers: int = 4) -> None:
    call_command("migrate", "inventory", database="inventory", verbosity=0)
    for code in PLACES:
        stock.create_warehouse(code=code, name=code, priority=1, address="", is_active=True, actor="bench")
        for product in PRODUCTS:
            asked: dict[str, Any] = {"reorder_point": None, "actor": "bench", "create_warehouse": False}
            stock.receive(product_id=product, warehouse=code, quantity=30, **asked)
    command = [sys.executable, "-m", "bench.as_of", "write"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(writers)]
    for one in running:
        one.stdout.read(1)  # type: ignore[union-attr]
    made = list(recorded(recordings))
    for one in running:
        one.kill()
        one.wait()
    wrong = sum(not _agrees(*one) for one in made)
    vendor, span = connections["inventory"].vendor, (made[-1][0] - made[0][0]).total_seconds()
    print(
        f"{vendor}: {writers} writers, {Movement.objects.count()} movements and {Reservation.objects.count()}", end=" "
    )
    print(f"reservations in {span:.0f} s; {len(made)} recordings, {wrong} of them are not what stock is as of then.")
    sys.exit(bool(wrong))


def _agrees(moment: datetime, product: int, recorded: dict[str, Row]) -> bool:
    rows = past.product_as_of(product_id=product, moment=moment)
    then = {row.warehouse: (row.on_hand, row.reserved, row.owed, row.available) for row in rows}
    if then != recorded:
        print(f"product {product} at {moment}: recorded {recorded}, as of then {then}")
    return then == recorded


if __name__ == "__main__":
    {"speed": speed, "exact": exact, "write": write}[sys.argv[1]](*map(int, sys.argv[2:]))
