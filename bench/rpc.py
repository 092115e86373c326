"""Measure what an order costs when contexts run in processes of their own.

``python -m bench.rpc`` starts the same shop three times, each on its own databases: in one process, in two (inventory
and payments apart) and in seven. It places ORDERS orders (100) in each, in turn, so that other load on the machine
affects all. It prints the time a client waits, the processor time of all processes, and the ratios to one process.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from config.contexts import CONTEXTS  # noqa: E402
from tests.support import world  # noqa: E402
from tests.support.cut import PARTS, Cut, cut  # noqa: E402
from tests.support.shop import Shop  # noqa: E402

WARM_UP = 5
CUTS = {"one": {"all": tuple(CONTEXTS)}, "two": PARTS, "seven": {context: (context,) for context in CONTEXTS}}


def place(shop: Shop) -> float:
    """Milliseconds that the client waits for one order."""
    began = time.perf_counter()
    answer = shop.order(1)
    spent = (time.perf_counter() - began) * 1000
    assert answer.status == 201, answer.json
    return spent


def cpu(cut: Cut) -> float:
    """Milliseconds of processor time that all processes of the cut have used."""
    ticks = 0
    for service in cut.services.values():
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[3]) == service.session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def main() -> int:
    orders = int(os.environ.get("ORDERS", "100"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seed = world.seed(folder)
        cuts = {name: stack.enter_context(cut(seed, folder / name, parts)) for name, parts in CUTS.items()}
        shops = {name: Shop.open(started) for name, started in cuts.items()}
        for shop in shops.values():
            body = {"product_id": shop.product_id, "warehouse": "WH001", "onhand": WARM_UP + orders}
            assert shop.api.post("/v1/inventory", body).status == 201
            for _ in range(WARM_UP):
                place(shop)
        before = {name: cpu(started) for name, started in cuts.items()}
        waited: dict[str, list[float]] = {name: [] for name in cuts}
        for _ in range(orders):
            for name, shop in shops.items():
                waited[name].append(place(shop))
        used = {name: (cpu(started) - before[name]) / orders for name, started in cuts.items()}
    median = {name: statistics.median(times) for name, times in waited.items()}
    for name in cuts:
        print(
            f"{name:<6}{median[name]:7.1f} ms an order, median of {orders}: {median[name] / median['one']:.2f} of one"
            f"  {1000 / median[name]:5.1f} orders/s"
            f"  {used[name]:7.1f} CPU-ms: {used[name] / used['one']:.2f} of one"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
