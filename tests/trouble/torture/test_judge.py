"""The judge sees each defect that is planted in books that were sound."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.world import ROOT, seed, world
from tests.trouble.torture.judge import Books, Row, connect, findings, judge, ledger_of, read

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.first(0)]

_TRADE = """
import django
django.setup()
from tests.support.api import Api
from tests.trouble.torture import recovery
from tests.trouble.torture.scenarios import SCENARIOS, open_warehouses
api = Api()
open_warehouses(api)
for scenario in SCENARIOS:
    if scenario.name in ("place", "place, shipped by staff", "place, declined", "pay later: place", "cancel", "return"):
        scenario.act(api, scenario.begin(api, scenario.name))
recovery.do_everything()
"""


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[dict[str, str]]:
    """A shop after a few orders of all kinds."""
    own = tmp_path_factory.getbasetemp()
    empty = seed(own if worker_id == "master" else own.parent)
    with world(empty, tmp_path_factory.mktemp("judged") / "var") as environment:
        settings = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
        subprocess.run([sys.executable, "-c", _TRADE], cwd=ROOT, env=environment | settings, check=True)
        yield environment


def test_sound_books_are_found_sound(traded: dict[str, str]) -> None:
    books = read(traded)
    assert {row["status"] for row in books.orders} == {
        "SHIPPED",
        "CONFIRMED",
        "CANCELLED",
        "AWAITING_PAYMENT",
        "RETURNED",
    }
    assert {row["kind"] for row in books.operations} == {"authorise", "capture", "charge", "refund"}
    assert judge(traded) == []


def test_a_defect_in_the_databases_is_found(traded: dict[str, str]) -> None:
    with closing(connect(traded, "shipping")) as connection:
        connection.cursor().execute("UPDATE shipping_shipment SET status = 'PENDING' WHERE status = 'CANCELLED'")
        assert any("has a parcel that isn't cancelled" in finding for finding in judge(traded))
        connection.cursor().execute("UPDATE shipping_shipment SET status = 'CANCELLED' WHERE status = 'PENDING'")


def test_a_second_capture_in_the_provider_s_ledger_is_found(traded: dict[str, str]) -> None:
    with closing(sqlite3.connect(ledger_of(traded), isolation_level=None)) as ledger:
        ledger.execute(
            "INSERT INTO operations (key, kind, reference, amount_minor, currency, outcome, reason, at)"
            " SELECT 'again', kind, reference, amount_minor, currency, outcome, reason, at FROM operations"
            " WHERE kind = 'capture' LIMIT 1"
        )
        assert any("by the provider's ledger (10396, 0)" in finding for finding in judge(traded))
        ledger.execute("DELETE FROM operations WHERE key = 'again'")


def of(books: Books, status: str) -> Row:
    """An order of this status."""
    return next(row for row in books.orders if row["status"] == status)


def row(rows: list[Row], **values: Any) -> Row:
    return next(row for row in rows if all(row[name] == value for name, value in values.items()))


def oversold(books: Books) -> None:
    books.stock[0]["reserved"] = books.stock[0]["on_hand"] + 1


def unexplained(books: Books) -> None:
    books.movements.pop()


def miscounted(books: Books) -> None:
    row(books.allocations, state="OPEN")["quantity"] += 1


def leaked(books: Books) -> None:
    row(books.allocations, order_id=of(books, "CANCELLED")["order_id"])["state"] = "OPEN"


def orphaned(books: Books) -> None:
    row(books.allocations, state="OPEN")["order_id"] = "ORD-NOBODY"


def stockless(books: Books) -> None:
    row(books.allocations, order_id=of(books, "CONFIRMED")["order_id"])["state"] = "RELEASED"


def stuck(books: Books) -> None:
    of(books, "AWAITING_PAYMENT")["status"] = "PAYMENT_PENDING"


def leased(books: Books) -> None:
    of(books, "SHIPPED")["lease_owner"] = "somebody"


def unreturned(books: Books) -> None:
    books.returns[0]["done_at"] = None


def unknown(books: Books) -> None:
    books.payments[0]["status"] = "PENDING"


def undelivered(books: Books) -> None:
    books.outbox[0]["delivered_at"] = None


def unrecorded(books: Books) -> None:
    books.inbox.pop()


def charged_twice(books: Books) -> None:
    first = row(books.payments, order_id=of(books, "SHIPPED")["order_id"])
    books.payments.append(first | {"id": 0, "reference": "another"})
    books.operations.extend(
        done | {"reference": "another"} for done in list(books.operations) if done["reference"] == first["reference"]
    )


def charged_by_nobody(books: Books) -> None:
    books.operations.append(books.operations[0] | {"reference": "another"})


def unvoided(books: Books) -> None:
    reference = row(books.payments, order_id=of(books, "CONFIRMED")["order_id"])["reference"]
    books.operations.remove(row(books.operations, reference=reference, kind="capture"))


def not_refunded(books: Books) -> None:
    books.operations.remove(row(books.operations, kind="refund"))


def kept_parcel(books: Books) -> None:
    row(books.shipments, order_id=of(books, "SHIPPED")["order_id"])["dispatched_at"] = None


def silent(books: Books) -> None:
    books.notices.remove(row(books.notices, kind="order_confirmation"))


def talkative(books: Books) -> None:
    books.notices.append(row(books.notices, kind="refund") | {"id": 0})


def unsent(books: Books) -> None:
    books.notices[0]["status"] = "QUEUED"


def sent_twice(books: Books) -> None:
    books.attempts.append(dict(books.attempts[0]))


def confirmed_twice(books: Books) -> None:
    books.timeline.append(row(books.timeline, event="confirmed"))


def announced_twice(books: Books) -> None:
    books.outbox.append(row(books.outbox, name="orders.order_confirmed.v1"))


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        (oversold, "is oversold"),
        (unexplained, "its movements add up to"),
        (miscounted, "its open holds add up to"),
        (leaked, "is CANCELLED and still holds stock"),
        (orphaned, "ORD-NOBODY holds stock and isn't there"),
        (stockless, "is CONFIRMED with {} allocated"),
        (stuck, "neither at its end nor waiting for its payment"),
        (leased, "its workflow has not ended"),
        (unreturned, "is unfinished"),
        (unknown, "is PENDING"),
        (undelivered, "has not been delivered"),
        (unrecorded, "has no record of it"),
        (charged_twice, "was charged 2 times"),
        (charged_by_nobody, "of which payments knows nothing"),
        (unvoided, "was neither captured nor voided"),
        (not_refunded, "by the provider's ledger"),
        (kept_parcel, "has a parcel that hasn't left"),
        (silent, "a notice is lost"),
        (talkative, "a notice is double"),
        (unsent, "is QUEUED"),
        (sent_twice, "was sent more than once"),
        (confirmed_twice, "was confirmed 2 times"),
        (announced_twice, "was announced to notifications 2 times"),
    ],
)
def test_a_defect_is_found(traded: dict[str, str], defect: Callable[[Books], None], words: str) -> None:
    books = read(traded)
    defect(books)
    assert any(words in finding for finding in findings(books)), findings(books)
