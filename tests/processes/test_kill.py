"""``kill -9`` of everything under load: nothing that was acknowledged is lost, nothing happens twice.

ECI_E2E_KILLS says how often (2). What was counted is logged: ``pytest --log-cli-level=INFO``.
"""

from __future__ import annotations

import logging
import os
import random
import re
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller

from tests.support.api import Answer
from tests.support.product import DemoShop, HttpApi, Product, Running, at_once, free_port, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.first(3)]

log = logging.getLogger(__name__)

KILLS = int(os.environ.get("ECI_E2E_KILLS", "2"))
CLIENTS = 8
OPENING = 100_000
REPEATED = 20  # mails of a kill: those of one turn (docs/reliability.md)
FINAL = {"SHIPPED", "CANCELLED"}
PAID = [("order_confirmation", "SENT"), ("shipping_confirmation", "SENT")]
DECLINED = [("payment_failure", "SENT")]
SUBJECTS = {
    "is confirmed": "order_confirmation",
    "is on its way": "shipping_confirmation",
    "failed": "payment_failure",
}


class Mailbox:
    """A mail server's messages: Message-ID and kind by order."""

    def __init__(self) -> None:
        self.received: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content)
        subject = str(message["Subject"])
        order = re.search(r"ORD-\w+", subject)
        kind = next((kind for words, kind in SUBJECTS.items() if subject.endswith(words)), subject)
        with self._lock:
            self.received.setdefault((order[0] if order else "", kind), []).append(str(message["Message-ID"]))
        return "250 Accepted"


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, int]]:
    mailbox, port = Mailbox(), free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield mailbox, port
    finally:
        server.stop()


@dataclass
class Trade:
    """What the clients asked for and what they were told."""

    product_id: int
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    unexpected: list[Answer] = field(default_factory=list)

    def new_request(self) -> str:
        key = uuid.uuid4().hex
        quantities = random.choice([(1,), (2,), (1, 2)])
        token = random.choices(["tok_ok", "tok_declined", "tok_timeout"], [20, 2, 1])[0]
        self.asked[key] = {
            "customer_id": 1,
            "items": [{"product_id": self.product_id, "quantity": quantity} for quantity in quantities],
            "payment": {"token": token},
        }
        return key

    def send(self, api: HttpApi, key: str) -> Answer:
        return api.post("/v1/orders", self.asked[key], key=key)

    def buy_until_it_breaks(self, api: HttpApi) -> None:
        while True:
            key = self.new_request()
            try:
                answer = self.send(api, key)
            except httpx.TransportError:
                return
            if answer.status == 201:
                self.acknowledged[key] = answer.data["order_id"]
            elif answer.status not in (202, 402):
                self.unexpected.append(answer)

    def outcome(self, api: HttpApi, key: str) -> str:
        """The order of this key, asked for again as a client would: waiting when told to."""
        end = time.monotonic() + 60
        while True:
            answer = self.send(api, key)
            if answer.status == 201:
                return str(answer.data["order_id"])
            if answer.status == 402:
                return str(answer.details["order_id"])
            assert answer.status in (202, 503) or answer.code == "idempotency_in_progress", answer
            assert time.monotonic() < end, f"still {answer.status} after a minute: {answer.json}"
            time.sleep(float(answer.headers.get("Retry-After", "1")))


def trade_and_kill(product: Product, trade: Trade) -> None:
    """Load the running product, kill it in the middle, start it again."""
    enough = len(trade.acknowledged) + random.randint(2 * CLIENTS, 6 * CLIENTS)
    clients = [threading.Thread(target=trade.buy_until_it_breaks, args=(product.api,)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_until(lambda: len(trade.acknowledged) >= enough or trade.unexpected, 60, "orders under load")
    product.kill()
    for client in clients:
        client.join(60)
    product.start()


def captures(data_dir: Path) -> Counter[tuple[str, int]]:
    """What the payment provider really took: reference and amount."""
    ledger = sqlite3.connect(f"file:{data_dir / 'sandbox_gateway.sqlite3'}?mode=ro", uri=True)
    rows = ledger.execute(
        "SELECT reference, amount_minor FROM operations WHERE kind IN ('capture', 'charge') AND outcome = 'done'"
    ).fetchall()
    ledger.close()
    return Counter((str(reference), int(amount)) for reference, amount in rows)


def notices_by_order(api: HttpApi) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for notice in api.everything("/v1/notifications"):
        found.setdefault(notice["order_id"], []).append((notice["type"], notice["status"]))
    return {order_id: sorted(notices) for order_id, notices in found.items()}


def test_killed_under_load(own_product: Running, mail: tuple[Mailbox, int]) -> None:
    mailbox, smtp_port = mail
    with own_product(EMAIL_HOST="127.0.0.1", EMAIL_PORT=str(smtp_port)) as product:
        trade = Trade(DemoShop(product.api).sell("KILL", price="9.99", WH001=OPENING))
        for _ in range(KILLS):
            trade_and_kill(product, trade)
            for order_id in trade.acknowledged.values():
                assert product.api.get(f"/v1/orders/{order_id}").status == 200
        healthy = time.monotonic()
        assert trade.unexpected == []

        api = product.api
        keys = list(trade.asked)
        order_ids = dict(
            zip(keys, at_once([lambda key=key: trade.outcome(api, key) for key in keys], CLIENTS), strict=True)
        )
        assert len(set(order_ids.values())) == len(keys)
        assert trade.acknowledged.items() <= order_ids.items()

        wait_until(lambda: {order["status"] for order in api.everything("/v1/orders")} <= FINAL, 60, "all orders end")
        recovered = time.monotonic() - healthy
        orders = {order["order_id"]: order for order in api.everything("/v1/orders")}
        assert set(orders) == set(order_ids.values())
        paid = {order_id: order for order_id, order in orders.items() if order["status"] == "SHIPPED"}
        for key, order_id in order_ids.items():
            assert (order_id in paid) == (trade.asked[key]["payment"]["token"] != "tok_declined")

        sold = sum(line["quantity"] for order in paid.values() for line in order["items"])
        assert DemoShop(api).stock(trade.product_id) == (OPENING - sold, 0, OPENING - sold)

        taken = captures(product.data_dir)
        expected = Counter[tuple[str, int]]()
        for order in paid.values():
            (payment,) = order["payments"]
            assert (payment["status"], payment["captured"]) == ("COMPLETED", order["order_total"])
            expected[payment["reference"], round(float(order["order_total"]) * 100)] += 1
        assert taken == expected
        assert all(
            payment["captured"] == "0.00"
            for order_id, order in orders.items()
            if order_id not in paid
            for payment in order["payments"]
        )

        due = {order_id: PAID if order_id in paid else DECLINED for order_id in orders}
        wait_until(lambda: notices_by_order(api) == due, 120, "every notice is sent, once")
        announced = time.monotonic() - healthy
        assert set(mailbox.received) == {(order_id, kind) for order_id in due for kind, _ in due[order_id]}
        assert all(len(set(ids)) == 1 for ids in mailbox.received.values()), "a repeated mail under another Message-ID"
        repeated = sum(len(ids) - 1 for ids in mailbox.received.values())
        assert repeated <= KILLS * REPEATED

        log.info(
            "%d kills, %d orders, %d acknowledged before; %d mails sent twice; recovered after %.1f s, announced after"
            " %.1f s. %s",
            *(KILLS, len(orders), len(trade.acknowledged), repeated, recovered, announced),
            product.require_sound_books(),
        )
