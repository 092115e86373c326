"""A payment provider as a process of its own, with its own ledger, that misbehaves on command.

    python -m tests.support.provider PORT SECRET

It speaks what ``contexts.payments.adapters.signed_http`` speaks. ``POST /<shop>/begin {ledger, webhook_url}`` opens a
shop's books, ``POST /<shop>/faults {operation, fault, times?, seconds?}`` scripts the next answers to an operation.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from contexts.payments.adapters import signing

FAULTS = {
    "silent": "does it and never answers",
    "late": "does it and answers after ``seconds``",
    "slow": "does it after ``seconds``, whoever still waits",
    "cut": "does it and hangs up",
    "broken": "does it and answers 500",
    "nonsense": "does it and answers what nobody understands",
    "twice": "does it and answers twice on the same connection",
    "busy": "does nothing and answers 503",
    "webhook first": "does it, tells the webhook twice, and answers then",
}
_SILENCE = 15  # seconds until a silent answer's connection is given up
_SCHEMA = """
CREATE TABLE IF NOT EXISTS operations (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, reference TEXT NOT NULL,
    amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL
)
"""
_COLUMNS = ("key", "kind", "outcome", "amount_minor", "currency", "reference", "at")


class Ledger:
    """One row for every decided operation. A key is decided once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._transaction() as books:
            books.execute(_SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        books = sqlite3.connect(self._path, timeout=20, isolation_level=None)
        try:
            books.execute("BEGIN IMMEDIATE")
            yield books
            books.execute("COMMIT")
        finally:
            books.close()

    def decide(self, message: dict[str, Any]) -> dict[str, str]:
        with self._transaction() as books:
            known = self._found(books, message["key"])
            if known is not None:
                return known
            kind = message["operation"]
            reference = message.get("reference") or f"prv_{message['key']}"
            reason = self._refusal(books, kind, reference, message)
            outcome = "done" if not reason else "declined" if kind in ("authorise", "charge") else "refused"
            amount, currency = message.get("amount_minor", 0), message.get("currency", "")
            books.execute(
                "INSERT INTO operations (key, kind, reference, amount_minor, currency, outcome, reason, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (message["key"], kind, reference, amount, currency, outcome, reason, datetime.now(UTC).isoformat()),
            )
            return {"outcome": outcome, "reference": reference, "reason": reason}

    def _refusal(self, books: sqlite3.Connection, kind: str, reference: str, message: dict[str, Any]) -> str:
        if kind in ("authorise", "charge"):
            return "declined" if message["token"] == "tok_declined" else ""
        done = dict(
            books.execute(
                "SELECT kind, sum(amount_minor) FROM operations WHERE reference = ? AND outcome = 'done' GROUP BY kind",
                (reference,),
            ).fetchall()
        )
        captured = done.get("capture", 0) + done.get("charge", 0)
        if kind == "capture":
            left = 0 if "void" in done else done.get("authorise", 0) - captured
            return "" if message["amount_minor"] <= left else "not authorised"
        if kind == "void":
            return "already captured" if captured else ""
        return "" if done.get("refund", 0) + message["amount_minor"] <= captured else "more than captured"

    def lookup(self, key: str) -> dict[str, str]:
        with self._transaction() as books:
            return self._found(books, key) or {"outcome": "unknown"}

    def _found(self, books: sqlite3.Connection, key: str) -> dict[str, str] | None:
        row = books.execute("SELECT outcome, reference, reason FROM operations WHERE key = ?", (key,)).fetchone()
        return None if row is None else dict(zip(("outcome", "reference", "reason"), row, strict=True))

    def of_day(self, day: str) -> list[dict[str, Any]]:
        with self._transaction() as books:
            rows = books.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM operations WHERE at LIKE ? ORDER BY id",  # noqa: S608
                (f"{day}%",),
            ).fetchall()
        return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


class Provider(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, secret: str) -> None:
        super().__init__(("127.0.0.1", port), Answering)
        self.secret = secret
        self.shops: dict[str, ShopAccount] = {}


class ShopAccount:
    """One shop's books and the faults it will meet, at a path of its own: a call that was still under way when a test
    ended never reaches the next test's books."""

    def __init__(self, ledger: Path, webhook_url: str, secret: str) -> None:
        self.ledger = Ledger(ledger)
        self.webhook_url = webhook_url
        self.secret = secret
        self._faults: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def script(self, fault: dict[str, Any]) -> None:
        assert fault["fault"] in FAULTS, fault
        with self._lock:
            self._faults.append(fault)

    def next_fault(self, operation: str) -> dict[str, Any]:
        with self._lock:
            for fault in self._faults:
                if fault["operation"] == operation and fault.setdefault("times", 1) > 0:
                    fault["times"] -= 1
                    return fault
        return {"fault": ""}

    def tell(self, key: str) -> None:
        """The webhook, as providers send it: at least once, and here twice."""
        body = json.dumps({"type": "operation.decided", "key": key}).encode()
        headers = signing.signed(body, message_id=f"msg_{key}", secret=self.secret)
        for _ in range(2):
            request = urllib.request.Request(self.webhook_url, body, {**headers, "Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.status == 200


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider
    shop: ShopAccount

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = json.loads(body)
        name, _, verb = self.path.strip("/").partition("/")
        if verb == "begin":
            self.server.shops[name] = ShopAccount(Path(message["ledger"]), message["webhook_url"], self.server.secret)
            self._answer(200, {})
            return
        self.shop = self.server.shops[name]
        if verb == "faults":
            self.shop.script(message)
            self._answer(200, {})
        else:
            try:
                message_id = signing.verified(body, self.headers, secrets=[self.server.secret])
            except signing.BadSignature as error:
                self._answer(401, {"error": str(error)})
            else:
                self._operate(message_id, message)

    def _operate(self, message_id: str, message: dict[str, Any]) -> None:
        fault = self.shop.next_fault(message["operation"])
        kind = fault["fault"]
        if kind == "busy":
            self._answer(503, {})
            return
        if kind == "slow":
            time.sleep(fault["seconds"])
        answer = {"in_reply_to": message_id, **self._result(message)}
        if kind == "webhook first":
            self.shop.tell(message["key"])
        elif kind in ("late", "silent"):
            time.sleep(fault.get("seconds", _SILENCE))
        if kind in ("cut", "silent"):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif kind == "broken":
            self._answer(500, {})
        elif kind == "nonsense":
            self._answer(200, {"in_reply_to": message_id, "outcome": "perhaps"})
        else:
            for _ in range(2 if kind == "twice" else 1):
                self._answer(200, answer)

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["operation"] == "lookup":
            return self.shop.ledger.lookup(message["key"])
        if message["operation"] == "list":
            return {"operations": self.shop.ledger.of_day(message["day"])}
        return self.shop.ledger.decide(message)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # whoever asked no longer listens

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    Provider(int(sys.argv[1]), sys.argv[2]).serve_forever()
