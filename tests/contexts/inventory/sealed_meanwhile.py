"""Writers and two sealers at once, on real connections; prints what became of the ledger as JSON.

Run by test_sealed_meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import patch

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connections  # noqa: E402

from contexts.inventory.models import LedgerCheckpoint, LedgerLink, Movement, Warehouse  # noqa: E402
from contexts.inventory.services import counts, proof, sealing, stock  # noqa: E402
from contexts.inventory.services.counts import Counted  # noqa: E402
from contexts.inventory.verify_ledger import verify  # noqa: E402
from eci.db import unit_of_work  # noqa: E402

WRITERS, ROUNDS, PRODUCTS = 4, 40, (1, 2, 3, 4, 5)
LATE = 99  # a product of its own
PATIENCE = 60  # seconds


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def write() -> None:
    """Several places in one transaction: their ids lie among those of others."""
    for _ in range(ROUNDS):
        rows = [
            Counted(product=product_id, product_id=product_id, warehouse=code, units=1)
            for product_id in PRODUCTS
            for code in ("A", "B")
        ]
        counts.record(counts=rows, add=True, partial=False, reason="found", actor="test")


def receive_late(taken: threading.Event, go_on: threading.Event) -> None:
    with unit_of_work("inventory"):
        stock.receive(
            product_id=LATE, warehouse="A", quantity=1, reorder_point=None, actor="test", create_warehouse=False
        )
        taken.set()
        go_on.wait(PATIENCE)


def main() -> dict[str, object]:
    for code in ("A", "B"):
        Warehouse.objects.create(code=code, name=code)
    sealing.BATCH = 7  # so that a batch ends in the middle of a transaction
    over, taken, go_on = threading.Event(), threading.Event(), threading.Event()
    late = [] if connections["inventory"].vendor == "sqlite" else [in_thread(lambda: receive_late(taken, go_on))]
    assert not late or taken.wait(PATIENCE)

    def seal() -> None:
        while not over.is_set():
            sealing.seal()
            over.wait(0.005)

    writers = [in_thread(write) for _ in range(WRITERS)]
    sealers = [in_thread(seal) for _ in range(2)]
    for writer in writers:
        writer.join()
    while late and not LedgerLink.objects.exists():
        over.wait(0.01)
    over.set()
    for thread in sealers:
        thread.join()
    sealing.seal()
    last = LedgerCheckpoint.objects.order_by("-number")[0]
    with patch.object(sealing, "PATIENT", timedelta(0)), patch.object(sealing, "QUIET", timedelta(0)):
        sealing.seal()
        waited = LedgerCheckpoint.objects.count() == last.number
    go_on.set()
    for thread in late:
        thread.join()
    sealing.seal()
    by_place: dict[tuple[int, str], list[int]] = {}
    for link in LedgerLink.objects.order_by("number"):
        by_place.setdefault((link.product_id, link.warehouse), []).append(link.movement_id or 0)
    came_late = Movement.objects.filter(product_id=LATE).values_list("pk", flat=True)
    return {
        "movements": Movement.objects.count(),
        "links": LedgerLink.objects.count(),
        "in order": all(ids == sorted(ids) for ids in by_place.values()),
        "overtaken": sum(pk < last.upto for pk in came_late),
        "waited": waited,
        "late": len(late),
        "findings": verify(proof.records(), sealing.public_keys())[1],
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
