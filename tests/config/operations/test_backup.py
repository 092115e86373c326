"""``manage.py backup`` under load, ``restore`` into empty databases, and what recovery, audit and settle make of it.

What was measured is logged: ``pytest --log-cli-level=INFO tests/config/operations/test_backup.py``.
"""

from __future__ import annotations

import json
import logging
import random
import re
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eci.clock import utcnow
from tests.support import world
from tests.support.process import commands
from tests.support.product import DemoShop, HttpApi, Product, running, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.first(4)]

log = logging.getLogger(__name__)

CLIENTS = 3
PAUSE = 0.3  # seconds a client thinks
TOKENS = ["tok_ok"] * 8 + ["tok_declined", "tok_timeout", "tok_timeout"]
FINAL = {"SHIPPED", "CANCELLED", "EXPIRED", "AWAITING_PAYMENT"}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of databases with nothing in them, beside the same payment provider."""
    ledger = tmp_path / "var" / "sandbox_gateway.sqlite3"
    with world.world(None, tmp_path / "restored", ECI_SANDBOX_LEDGER=str(ledger)) as environment:
        yield environment


class Trade:
    """Buyers who buy, pay later and cancel until they are told to stop. ``placed``: order ids, by when."""

    def __init__(self, api: HttpApi, product_id: int) -> None:
        self.api = api
        self.product_id = product_id
        self.placed: dict[str, float] = {}
        self.slowest = 0.0
        self.failed: list[Any] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._buy) for _ in range(CLIENTS)]

    def __enter__(self) -> Trade:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _buy(self) -> None:
        demo = DemoShop(self.api)
        while not self._stop.wait(PAUSE):
            later = random.random() < 0.2
            means: dict[str, Any] = {"pay_later": True} if later else {"payment": {"token": random.choice(TOKENS)}}
            began = time.monotonic()
            answer = demo.order(self.product_id, random.choice((1, 2)), key=uuid.uuid4().hex, **means)
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer.status not in (201, 202, 402):
                self.failed.append(answer)
                continue
            order_id = (answer.details if answer.status == 402 else answer.data)["order_id"]
            self.placed[order_id] = time.time()
            if later and random.random() < 0.7:
                charge = {"order_id": order_id, "amount": answer.data["order_total"]}
                self.api.post("/v1/payments/charge", charge, key=uuid.uuid4().hex)
            elif random.random() < 0.3:
                self.api.post(f"/v1/orders/{order_id}/cancel", {})


def unfinished(api: HttpApi) -> list[Any]:
    """Orders that are under way, and those for which the provider may have taken money that we do not know of yet."""
    return [
        row
        for row in api.everything("/v1/orders")
        if row["status"] not in FINAL or any(payment["status"] == "PENDING" for payment in row["payments"])
    ]


def taken_at_the_provider(ledger: Path) -> set[str]:
    """References of the captures in the provider's own books."""
    books = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    rows = books.execute("SELECT reference FROM operations WHERE kind IN ('capture', 'charge') AND outcome = 'done'")
    found = {str(reference) for (reference,) in rows}
    books.close()
    return found


ORDER_IDS = ("shell", "-v", "0", "-c", "from contexts.orders.models import Order; print(*Order.objects.in_bulk())")


def all_said(environment: Mapping[str, str], *words: tuple[str, ...]) -> list[str]:
    """By commands that end well."""
    ended = commands(environment, *words)
    assert [code for code, _ in ended] == [0] * len(words), ended
    return [told for _, told in ended]


def refusals(environment: Mapping[str, str], *words: tuple[str, ...]) -> list[str]:
    """By commands each of which ends with 1."""
    ended = commands(environment, *words)
    assert [code for code, _ in ended] == [1] * len(words), ended
    return [line for _, told in ended for line in told.splitlines() if line.startswith("CommandError: ")]


def refuse_while_it_runs(product: Product, folder: Path) -> None:
    backup, restore = ("backup", str(folder)), ("restore", str(folder))
    occupied, full, busy = refusals(product.environment, backup, restore, (*restore, "--force"))
    assert "is not empty: a backup gets a folder of its own" in occupied
    assert "These databases are not empty" in full
    assert "Stop web, worker and beat first" in busy


def refuse_what_is_damaged(empty: dict[str, str], folder: Path) -> None:
    short, late, unfinished = (
        Path(shutil.copytree(folder, folder.with_name(name))) for name in ("short", "late", "unfinished")
    )
    catalog = next(short.glob("catalog.*"))
    catalog.write_bytes(catalog.read_bytes()[:-1])
    newer = json.loads((late / "manifest.json").read_text())
    newer["databases"][0]["migrations"].append("catalog.9999_tomorrow")
    (late / "manifest.json").write_text(json.dumps(newer))
    (unfinished / "manifest.json").unlink()
    damaged = refusals(empty, *(("restore", str(copy)) for copy in (short, late, unfinished)))
    assert f"{catalog.name} does not match the manifest" in damaged[0]
    assert "comes from a newer version of the product" in damaged[1]
    assert "is no finished backup" in damaged[2]


def test_backed_up_under_load_restored_and_settled(
    demo_seed: world.Seed, empty: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    with running(demo_seed, tmp_path / "var") as product:
        with Trade(product.api, DemoShop(product.api).sell("BACKUP", WH001=100_000)) as trade:
            wait_until(lambda: len(trade.placed) > 25, 60, "there is trade")
            began = time.time()
            backup = product.manage("backup", str(folder))
            ended = time.time()
            assert backup.returncode == 0, backup.stdout + backup.stderr
            shown = product.api.page("/metrics/platform").text
            (at,) = re.findall(r"^backup_last_success_timestamp_seconds (\S+)$", shown, re.MULTILINE)
            assert began <= float(at) <= ended
            enough = len(trade.placed) + 20
            wait_until(lambda: len(trade.placed) > enough, 60, "trade goes on after the backup")
        assert trade.failed == []
        lost_again = list(trade.placed)[-1]
        refuse_while_it_runs(product, folder)
        assert product.api.get(f"/v1/orders/{lost_again}").status == 200

    refuse_what_is_damaged(empty, folder)
    restore = time.monotonic()
    # At one moment nothing is at odds, even before anybody recovers anything.
    all_said(empty, ("restore", str(folder)), ("audit",))
    restored = time.monotonic() - restore

    again = Product(tmp_path / "restored", empty)
    try:
        again.start()
        ready = time.monotonic() - restore
        api = again.api
        wait_until(lambda: not api.get("/v1/orders?status=PENDING").data, 60, "no order is being placed")
        wait_until(lambda: not unfinished(api), 60, "every order ends")
        recovered = time.monotonic() - restore
        orders = {row["order_id"]: row for row in api.everything("/v1/orders")}
        assert {order_id for order_id, at in trade.placed.items() if at < began} <= set(orders)
        assert lost_again not in orders
        books, _ = all_said(empty, ("audit",), ("reconcile",))
        ours = {payment["reference"] for row in orders.values() for payment in row["payments"]}
        beyond = taken_at_the_provider(Path(empty["ECI_SANDBOX_LEDGER"])) - ours
        assert beyond, "the provider has taken money since"
        days = {datetime.fromtimestamp(began, UTC).date(), utcnow().date()}  # two where it is about midnight
        settled = commands(empty, *(("settle", day.isoformat()) for day in days))
        assert 1 in [code for code, _ in settled], settled
        settlement = "".join(told for _, told in settled)
        named = re.findall(r"MISSING HERE  the provider took .*\n.*reference (\S+)", settlement)
        assert set(named) >= beyond
        new = DemoShop(api).order(trade.product_id, key="after the restore")
        assert new.status == 201
        assert new.data["payments"][0]["reference"] not in beyond, "its payment's id was used before"
        again.stop()
        before, _, after = all_said(empty, ORDER_IDS, ("restore", str(folder), "--force"), ORDER_IDS)
        assert new.data["order_id"] in before.split()
        assert set(after.split()) <= set(trade.placed), "without the new one"
    finally:
        again.clean_up()
    manifest = json.loads((folder / "manifest.json").read_text())
    log.info(
        "backup %.1f s, writers waited %s ms, slowest order %.0f ms; %d orders in it of %d; %d KiB; restored %.1f s,"
        " serving after %.1f s, recovered after %.1f s; the provider had %d captures beyond. %s\n%s",
        *(ended - began, manifest["paused_ms"], trade.slowest * 1000, len(orders), len(trade.placed)),
        sum(row["bytes"] for row in manifest["databases"]) / 1024,
        *(restored, ready, recovered, len(beyond), books, backup.stdout),
    )
