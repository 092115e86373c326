"""Clients that order and read while servers fail, what they were told, and the databases read past all of our code."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.api import Answer
from tests.support.product import Product

PAUSE = 0.8  # seconds a client thinks
OPENING = 100_000


@dataclass(frozen=True)
class Call:
    """One request and what became of it. ``status`` is 0 when no answer came."""

    phase: str
    what: str
    status: int
    code: str
    seconds: float
    retry_after: bool

    @property
    def may_be_repeated(self) -> bool:
        return self.retry_after and (self.status, self.code) in (
            (503, "context_unavailable"),
            (409, "idempotency_in_progress"),
        )


@dataclass
class Trade:
    """What the clients asked for and were told. ``placed``: the order of each key that was answered with one.
    ``referred``: what each order without a key was answered, by its reference."""

    product: Product
    product_id: int
    phase: str = "before"
    calls: list[Call] = field(default_factory=list)
    placed: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    referred: dict[str, Answer] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self, what: str, send: Callable[[], Answer]) -> Answer | None:
        phase, begun = self.phase, time.monotonic()
        try:
            answer = send()
        except httpx.TransportError as error:
            self.calls.append(Call(phase, what, 0, type(error).__name__, time.monotonic() - begun, False))
            return None
        code = answer.json.get("code", "") if answer.status >= 400 else ""
        seconds, retry_after = time.monotonic() - begun, "Retry-After" in answer.headers
        self.calls.append(Call(phase, what, answer.status, code, seconds, retry_after))
        return answer

    def buy(self) -> None:
        """One order after the other, each repeated with its key until there is an order."""
        while not self.over.is_set():
            key = uuid.uuid4().hex
            self.asked.add(key)
            while key not in self.placed:
                answer = self.ask("order", lambda key=key: self._order(key))
                if answer is not None and answer.status == 201:
                    self.placed[key] = answer.data["order_id"]
                time.sleep(PAUSE)

    def _order(self, key: str) -> Answer:
        items = [{"product_id": self.product_id, "quantity": 1}]
        return self.product.api.post("/v1/orders", {"customer_id": 1, "items": items}, key=key)

    def buy_without_key(self) -> None:
        """One order after the other, none repeated."""
        items = [{"product_id": self.product_id, "quantity": 1}]
        while not self.over.is_set():
            body = {"customer_id": 1, "items": items, "reference": uuid.uuid4().hex}
            answer = self.ask("order", lambda body=body: self.product.api.post("/v1/orders", body, key=None))
            if answer is not None:
                self.referred[body["reference"]] = answer
            time.sleep(PAUSE)

    def without_key(self) -> dict[str, str]:
        """The orders that were placed without a key, by their references."""
        answered = self.referred.items()
        return {reference: answer.data["order_id"] for reference, answer in answered if answer.status in (201, 202)}

    def read(self, what: str, paths: list[str]) -> None:
        while not self.over.is_set():
            for path in paths:
                self.ask(what, lambda path=path: self.product.api.get(path))
                time.sleep(PAUSE)

    def during(self, phase: str, what: str = "") -> list[Call]:
        return [call for call in self.calls if call.phase == phase and what in ("", call.what)]

    def figures(self, phase: str) -> str:
        calls = self.during(phase)
        answers = Counter(f"{call.what} {call.status} {call.code}".strip() for call in calls)
        slowest = max(calls, key=lambda call: call.seconds)
        told = ", ".join(f"{answer} × {count}" for answer, count in sorted(answers.items()))
        return f"{phase}: {told}; slowest {slowest.what} {slowest.status} {slowest.seconds:.1f} s"


class Books:
    """Every database, read past all of our code."""

    def __init__(self, urls: Mapping[str, str], data_dir: Path) -> None:
        self.urls = urls
        self.ledger = data_dir / "sandbox_gateway.sqlite3"

    def rows(self, context: str, query: str) -> list[tuple[Any, ...]]:
        url = urlsplit(self.urls[f"ECI_{context.upper()}_DATABASE_URL"])
        if url.scheme == "postgres":
            import psycopg

            with psycopg.connect(url.geturl()) as postgres:
                return postgres.execute(query).fetchall()
        import MySQLdb

        mysql = MySQLdb.connect(
            host=str(url.hostname), port=url.port, user=url.username, password=url.password, database=url.path[1:]
        )
        try:
            cursor = mysql.cursor()
            cursor.execute(query)
            return list(cursor.fetchall())
        finally:
            mysql.close()

    def number(self, context: str, query: str) -> int:
        return int(self.rows(context, query)[0][0] or 0)

    def unsettled(self, upto: str) -> dict[str, int]:
        """What is still under way of the orders up to this one, by what it is."""
        mine = f"order_id <= '{upto}'"
        orders = self.number("orders", f"SELECT count(*) FROM orders_order WHERE {mine}")
        sent = f"SELECT count(*) FROM notifications_notification WHERE {mine} AND status = 'SENT'"
        shipped = f"SELECT count(*) FROM orders_order WHERE {mine} AND status = 'SHIPPED' AND next_at IS NULL"
        found = {
            "orders": orders - self.number("orders", shipped),
            "notices": 2 * orders - self.number("notifications", sent),
        }
        for context in ("inventory", "payments", "shipping", "orders"):
            waiting = f"SELECT count(*) FROM {context}_outboxevent WHERE delivered_at IS NULL"
            found[f"events of {context}"] = self.number(context, f"{waiting} AND aggregate_id <= '{upto}'")
        return {name: count for name, count in found.items() if count}

    def captured(self) -> list[tuple[str, int]]:
        """Reference and amount of everything the provider took."""
        ledger = sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)
        rows = ledger.execute(
            "SELECT reference, amount_minor FROM operations WHERE kind IN ('capture', 'charge') AND outcome = 'done'"
        ).fetchall()
        ledger.close()
        return sorted(rows)


def require_retryable_answers(trade: Trade) -> None:
    assert [call for call in trade.calls if call.status not in (200, 201, 202) and not call.may_be_repeated] == []


def require_sound(trade: Trade, books: Books) -> None:
    orders = dict(books.rows("orders", "SELECT order_id, total_minor FROM orders_order"))
    paid = books.rows(
        "payments", "SELECT order_id, captured_minor, refunded_minor, reference, status FROM payments_payment"
    )
    assert set(trade.placed) == trade.asked
    without_key = trade.without_key()
    known = books.rows("orders", "SELECT reference, order_id FROM orders_order WHERE reference IS NOT NULL")
    assert dict(known) == without_key, "a 503 means that nothing was done"
    assert len(set(trade.placed.values())) == len(trade.asked) == len(orders) - 1 - len(without_key)
    assert sorted((order_id, taken) for order_id, taken, *_ in paid) == sorted(orders.items())
    assert {(refunded, status) for _, _, refunded, _, status in paid} == {(0, "COMPLETED")}
    assert books.captured() == sorted((reference, taken) for _, taken, _, reference, _ in paid)
    stock = books.rows(
        "inventory", f"SELECT on_hand, reserved FROM inventory_stock WHERE product_id = {trade.product_id}"
    )
    assert stock == [(OPENING - len(orders), 0)]
    notices = books.rows("notifications", "SELECT order_id, kind, status FROM notifications_notification")
    kinds = ("order_confirmation", "shipping_confirmation")
    assert sorted(notices) == sorted((order_id, kind, "SENT") for order_id in orders for kind in kinds)
