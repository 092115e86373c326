"""A payment provider for development and tests, with a ledger of its own.

The ledger stands for another company's database: a separate SQLite file that no Django alias knows and that survives
our crashes. It has one row for every operation that was answered, refusals included, under the caller's key.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings

from contexts.payments.adapters import signing
from contexts.payments.adapters.gateway import GatewayTimeout, GatewayUnavailable, asked
from contexts.payments.domain import Operation, Outcome
from eci.clock import iso, utcnow
from eci.db import require_no_unit_of_work

_DECISIONS = {
    "": "",
    "tok_ok": "",
    "tok_timeout": "",
    "tok_refund_refused": "",
    "tok_declined": "declined",
    "tok_timeout_declined": "declined",
}
_REFUSING = "sbx_refusing_"
_PREFIXES = {"tok_refund_refused": _REFUSING}  # the reference marks a payment whose first refund is refused
_SILENT = ("tok_timeout", "tok_timeout_declined")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS operations (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'declined', 'refused')),
    reason TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS operations_reference ON operations (reference);
"""

_open = threading.local()


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The sums of one payment in the ledger, in minor units. ``taken``: it was captured, even if the amount is zero.
    ``refused``: one of its refunds was refused."""

    authorised: int
    captured: int
    refunded: int
    taken: bool
    voided: bool
    refused: bool


class SandboxGateway:
    """See ``Gateway``. The token decides:

    - none, ``tok_ok``: the payment succeeds.
    - ``tok_declined``, and tokens that are not listed here: it is declined.
    - ``tok_timeout``: it succeeds, but this call gets no answer.
    - ``tok_timeout_declined``: it is declined, but this call gets no answer.
    - ``tok_refund_refused``: it succeeds, and its first refund is refused.
    """

    @asked("authorise")
    def authorise(self, *, key: str, amount_minor: int, currency: str, token: str) -> Outcome:
        return self._pay("authorise", key, amount_minor, currency, token)

    @asked("charge")
    def charge(self, *, key: str, amount_minor: int, currency: str, token: str) -> Outcome:
        return self._pay("charge", key, amount_minor, currency, token)

    def _pay(self, kind: str, key: str, amount_minor: int, currency: str, token: str) -> Outcome:
        reference = f"{_PREFIXES.get(token, 'sbx_')}{secrets.token_hex(12)}"
        decision = _DECISIONS.get(token, "unknown token")
        outcome, repeated = self._operate(kind, key, reference, amount_minor, currency, lambda _: decision)
        if token in _SILENT and not repeated:
            time.sleep(settings.ECI_GATEWAY_TIMEOUT)
            raise GatewayTimeout(f"No answer within {settings.ECI_GATEWAY_TIMEOUT} s.")
        return outcome

    @asked("capture")
    def capture(self, *, key: str, reference: str, amount_minor: int, currency: str) -> Outcome:
        def refusal(balance: Balance) -> str:
            if balance.voided:
                return "voided"
            return "more than authorised" if balance.captured + amount_minor > balance.authorised else ""

        return self._operate("capture", key, reference, amount_minor, currency, refusal)[0]

    @asked("void")
    def void(self, *, key: str, reference: str) -> Outcome:
        def refusal(balance: Balance) -> str:
            return "already captured" if balance.taken else ""

        return self._operate("void", key, reference, 0, "", refusal)[0]

    @asked("refund")
    def refund(self, *, key: str, reference: str, amount_minor: int, currency: str) -> Outcome:
        def refusal(balance: Balance) -> str:
            if reference.startswith(_REFUSING) and not balance.refused:
                return "refused by the bank"
            return "more than captured" if balance.refunded + amount_minor > balance.captured else ""

        return self._operate("refund", key, reference, amount_minor, currency, refusal)[0]

    @asked("lookup")
    def lookup(self, *, key: str) -> Outcome | None:
        require_no_unit_of_work("The payment provider was called")
        with _transaction("BEGIN") as ledger:
            return _find(ledger, key)

    def operations(self, *, day: date) -> list[Operation]:
        require_no_unit_of_work("The payment provider was called")
        with _transaction("BEGIN") as ledger:
            rows = ledger.execute(
                "SELECT key, kind, outcome, amount_minor, currency, reference, at FROM operations"
                " WHERE at >= ? AND at < ? ORDER BY id",
                (day.isoformat(), (day + timedelta(days=1)).isoformat()),
            ).fetchall()
        return [
            Operation(
                key=key,
                kind=kind,
                outcome=outcome,
                amount_minor=amount_minor,
                currency=currency,
                reference=reference,
                at=datetime.fromisoformat(at),
            )
            for key, kind, outcome, amount_minor, currency, reference, at in rows
        ]

    def _operate(
        self,
        kind: str,
        key: str,
        reference: str,
        amount_minor: int,
        currency: str,
        refusal: Callable[[Balance], str],
    ) -> tuple[Outcome, bool]:
        """Do and record the operation, or repeat the answer that its key had.

        Returns the outcome, and whether it is a repeat.
        """
        require_no_unit_of_work("The payment provider was called")
        with _transaction("BEGIN IMMEDIATE") as ledger:
            used = ledger.execute(
                "SELECT kind, amount_minor, currency FROM operations WHERE key = ?", (key,)
            ).fetchone()
            if used is not None and used != (kind, amount_minor, currency):
                return Outcome(done=False, reference="", reason="key used for another operation"), True
            found = _find(ledger, key)
            if found is not None:
                return found, True
            reason = refusal(_balance(ledger, reference))
            outcome = "done" if not reason else "declined" if kind in ("authorise", "charge") else "refused"
            ledger.execute(
                "INSERT INTO operations (key, kind, reference, amount_minor, currency, outcome, reason, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key, kind, reference, amount_minor, currency, outcome, reason, iso(utcnow())),
            )
        return Outcome(done=not reason, reference=reference, reason=reason), False


def webhook(key: str, *, secret: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of the message that reports one of the sandbox's operations. LookupError."""
    with _transaction("BEGIN") as ledger:
        row = ledger.execute("SELECT id, kind, outcome, reference FROM operations WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise LookupError(key)
    number, kind, outcome, reference = row
    body = json.dumps({"type": f"{kind}.{outcome}", "key": key, "reference": reference}).encode()
    return signing.signed(body, message_id=f"sbx_msg_{number}", secret=secret), body


def _find(ledger: sqlite3.Connection, key: str) -> Outcome | None:
    row = ledger.execute("SELECT outcome, reference, reason FROM operations WHERE key = ?", (key,)).fetchone()
    return None if row is None else Outcome(done=row[0] == "done", reference=row[1], reason=row[2])


def _balance(ledger: sqlite3.Connection, reference: str) -> Balance:
    rows = ledger.execute(
        "SELECT kind, outcome, sum(amount_minor) FROM operations WHERE reference = ? GROUP BY kind, outcome",
        (reference,),
    ).fetchall()
    sums: dict[str, int] = {kind: amount for kind, outcome, amount in rows if outcome == "done"}
    charged = sums.get("charge", 0)
    return Balance(
        authorised=sums.get("authorise", 0) + charged,
        captured=sums.get("capture", 0) + charged,
        refunded=sums.get("refund", 0),
        taken="capture" in sums or "charge" in sums,
        voided="void" in sums,
        refused=any(row[:2] == ("refund", "refused") for row in rows),
    )


@contextmanager
def _transaction(begin: str) -> Iterator[sqlite3.Connection]:
    try:
        ledger = _connection()
        ledger.execute(begin)
        try:
            yield ledger
            ledger.execute("COMMIT")
        except BaseException:
            if ledger.in_transaction:
                ledger.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise GatewayUnavailable(f"The sandbox's ledger cannot be reached: {error}") from error


def _connection() -> sqlite3.Connection:
    """This thread's connection. It stays open, because opening one costs more than using it."""
    place = (str(settings.ECI_SANDBOX_LEDGER), os.getpid())  # a connection must not be used across a fork
    if getattr(_open, "place", None) != place:
        ledger = sqlite3.connect(place[0], timeout=20, isolation_level=None)
        ledger.execute("PRAGMA journal_mode=WAL")
        ledger.execute("PRAGMA synchronous=NORMAL")
        ledger.executescript(_SCHEMA)
        _open.place, _open.connection = place, ledger
    connection: sqlite3.Connection = _open.connection
    return connection
