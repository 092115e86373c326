"""Many callers at once, on real connections: money moves once, and the books agree with the provider's."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import world

pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rush") / "var"


@pytest.fixture(scope="module")
def ends(seed: world.Seed, folder: Path) -> Iterator[dict[str, Any]]:
    with world.world(seed, folder, ECI_LOG_LEVEL="CRITICAL", ECI_GATEWAY_TIMEOUT="0.05", ECI_POOL_SIZE="0") as env:
        rush = [sys.executable, "-m", "tests.contexts.payments.rush"]
        run = subprocess.run(rush, cwd=world.ROOT, env=env, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-3000:]
        yield json.loads(run.stdout)


def done(folder: Path, kind: str, key: str = "%") -> int:
    ledger = sqlite3.connect(folder / "sandbox_gateway.sqlite3")
    query = "SELECT count(*) FROM operations WHERE kind = ? AND key LIKE ? AND outcome = 'done'"
    count: int = ledger.execute(query, (kind, key)).fetchone()[0]
    ledger.close()
    return count


def test_an_order_is_paid_once(ends: dict[str, Any]) -> None:
    end = ends["one_order"]
    assert (end["answers"].pop("COMPLETED"), end["rows"]) == (1, 1)
    assert set(end["answers"]) <= {"already_paid", "payment_in_progress"}


def test_no_more_is_refunded_than_was_captured(ends: dict[str, Any]) -> None:
    end = ends["refunds"]
    assert end["answers"] == {"COMPLETED": 10, "refund_exceeds_captured": 10}
    assert (end["refunded"], end["status"], end["rows"]) == (10000, "REFUNDED", 10)


def test_capture_and_cancel_end_as_the_provider_decided(ends: dict[str, Any], folder: Path) -> None:
    for end in ends["capture_and_cancel"]:
        key = f"payment-{end['payment']}-%"
        voided, captured = done(folder, "void", key), done(folder, "capture", key)
        assert voided + captured == 1, end
        expected = ("VOIDED", 0, 0) if voided else ("REFUNDED", 10000, 10000)
        assert (end["status"], end["captured"], end["refunded"]) == expected, end
        told = [name for name in end["events"] if name != "payments.payment_captured.v1"]  # by the cancel alone
        assert told == ([] if voided else ["payments.refund_completed.v1"]), end
        assert len(end["events"]) - len(told) <= captured, end
        captures, cancels = set(end["answers"][::2]), set(end["answers"][1::2])
        assert captures <= ({"invalid_transition"} if voided else {"COMPLETED", "REFUNDED"}), end
        assert cancels <= ({"VOIDED"} if voided else {"REFUNDED", "PaymentUnknown"}), end


def test_a_charge_and_a_close_have_one_winner(ends: dict[str, Any]) -> None:
    for end in ends["charge_and_close"]:
        if end["charged"] == "COMPLETED":
            assert (end["request"], end["paid"]) == ("PAID", 1)
            assert end["closed"] in ("PAYING", "PAID")
        else:
            assert end == {"charged": "reservation_expired", "closed": "CLOSED", "request": "CLOSED", "paid": 0}


def test_one_order_is_authorised_once(ends: dict[str, Any]) -> None:
    assert ends["same_authorise"] == {"answers": {"AUTHORISED": 10}, "rows": 1}


def test_what_is_unknown_is_settled_once(ends: dict[str, Any]) -> None:
    end = ends["settling"]
    assert end == {"answers": {"PENDING": 10}, "settled": 10, "unsettled": 0, "events": 10}


def test_the_provider_charged_what_the_answers_say(ends: dict[str, Any], folder: Path) -> None:
    closed_late = sum(end["paid"] for end in ends["charge_and_close"])
    assert done(folder, "charge") == 1 + 1 + closed_late + 10
