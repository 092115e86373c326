"""Refunds over HTTP: partial, all that is left, never more than was captured."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.payments.adapters.sandbox import SandboxGateway
from contexts.payments.models import Payment, Refund, Trail
from eci.ids import new_order_id
from tests.contexts.payments.conftest import authorise, refunds, settle
from tests.support.people import staff

BOSS = "staff:p@shop.example"


@pytest.fixture
def payment_id(api: Any) -> int:
    return int(api.post("/v1/payments/charge", {"order_id": "X-1", "amount": "100.00"}).data["payment_id"])


def refund(api: Any, payment_id: int, amount: Any = None, key: str | None = None, **more: Any) -> Any:
    given = {"reason": "late"} if amount is None else {"amount": amount, "reason": "late"}
    return api.post(f"/v1/payments/{payment_id}/refund", given | more, key=key)


def status(api: Any, payment_id: int) -> tuple[str, str]:
    data = api.get(f"/v1/payments/{payment_id}").data
    return data["status"], data["refunded"]


def test_in_parts_until_nothing_is_left(api: Any, payment_id: int, ledger: Any) -> None:
    first = refund(api, payment_id, "30.10", reason="late")
    assert first.status == 200
    assert {key: first.data[key] for key in first.data if key not in ("refund_id", "created_at")} == {
        "payment_id": payment_id,
        "order_id": "X-1",
        "amount": "30.10",
        "currency": "USD",
        "reason": "late",
        "status": "COMPLETED",
        "actor": "open",
    }
    assert status(api, payment_id) == ("PARTIALLY_REFUNDED", "30.10")
    too_much = refund(api, payment_id, "69.91")
    assert (too_much.status, too_much.code, too_much.details["refundable"]) == (
        409,
        "refund_exceeds_captured",
        "69.90",
    )
    assert refund(api, payment_id).data["amount"] == "69.90"
    assert status(api, payment_id) == ("REFUNDED", "100.00")
    for amount in (None, "0.01"):
        answer = refund(api, payment_id, amount)
        assert (answer.code, answer.details["refundable"]) == ("refund_exceeds_captured", "0.00")
    assert ledger.done("refund") == [3010, 6990]
    assert [(event["amount"], event["refunded"]) for event in refunds()] == [("30.10", "30.10"), ("69.90", "100.00")]


@pytest.mark.parametrize("token", ["tok_declined", "tok_timeout"])
def test_nothing_captured_is_nothing_to_refund(api: Any, ledger: Any, token: str) -> None:
    api.post("/v1/payments/charge", {"order_id": "X-2", "amount": "5", "token": token})
    answer = refund(api, Payment.objects.get().pk)
    assert (answer.status, answer.code) == (409, "invalid_transition")
    assert ledger.done("refund") == []


def test_an_authorisation_is_not_refunded(api: Any, payments: Any) -> None:
    payment = authorise(payments, new_order_id())
    assert refund(api, payment.payment_id).code == "invalid_transition"


def test_null_is_no_amount(api: Any, payment_id: int, ledger: Any) -> None:
    """JSON of a number that is none: not "all that is left"."""
    answer = api.post(f"/v1/payments/{payment_id}/refund", {"amount": None, "reason": "late"})
    assert (answer.status, list(answer.details)) == (400, ["amount"])
    assert ledger.done("refund") == []


@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": " \u200b"}, {"reason": None}])
def test_a_refund_has_a_reason(api: Any, payment_id: int, ledger: Any, reason: Any) -> None:
    """So the browsable API's form, sent untouched, refunds nothing."""
    answer = api.post(f"/v1/payments/{payment_id}/refund", {"amount": "1.00"} | reason)
    assert (answer.status, list(answer.details)) == (400, ["reason"])
    assert ledger.done("refund") == []


def test_an_amount_is_never_read_in_another_currency(api: Any, payment_id: int, ledger: Any) -> None:
    answer = refund(api, payment_id, "1.00", currency="EUR")
    assert (answer.status, list(answer.details)) == (400, ["currency"])
    assert ledger.done("refund") == []
    assert refund(api, payment_id, "1.00", currency="USD").data["currency"] == "USD"


def test_it_keeps_who_asked_for_it(closed: None, payments: Any) -> None:
    boss = staff("P")
    charge = {"order_id": "X-1", "amount": "100.00", "customer_id": 7}
    payment_id = boss.post("/v1/payments/charge", charge).data["payment_id"]
    assert boss.post(f"/v1/payments/{payment_id}/refund", {"amount": "40", "reason": "late"}).data["actor"] == BOSS
    payments.refund(order_id="X-1", amount=None, reason="returned", key="return-1", actor="staff:bob")
    assert [row.actor for row in Refund.objects.order_by("pk")] == [BOSS, "staff:bob"]
    assert [event["actor"] for event in refunds()] == [BOSS, "staff:bob"]
    charged, *refunded = Trail.objects.order_by("pk")
    assert (charged.action, charged.actor, charged.after["amount"]) == ("charge", BOSS, "100.00")
    assert [(one.actor, one.before["refunded"], one.after["refunded"]) for one in refunded] == [
        (BOSS, "0.00", "40.00"),
        ("staff:bob", "40.00", "100.00"),
    ]


@pytest.mark.parametrize("amount", ["0", "-1", "1.001", "abc", True])
def test_bad_amounts_are_400(api: Any, payment_id: int, amount: Any, ledger: Any) -> None:
    answer = refund(api, payment_id, amount)
    assert (answer.status, list(answer.details)) == (400, ["amount"])
    assert ledger.done("refund") == []


def test_a_key_refunds_once(api: Any, payment_id: int, ledger: Any) -> None:
    first = refund(api, payment_id, "10.00", key="R")
    again = refund(api, payment_id, 10, key="R")
    assert (again.status, again.data, again.headers["Idempotent-Replayed"]) == (200, first.data, "true")
    assert refund(api, payment_id, "11.00", key="R").status == 422
    assert ledger.done("refund") == [1000]


def test_a_refusal_is_kept(api: Any, payment_id: int) -> None:
    assert refund(api, payment_id, "100.01", key="R").status == 409
    again = refund(api, payment_id, "100.01", key="R")
    assert (again.code, again.headers["Idempotent-Replayed"]) == ("refund_exceeds_captured", "true")


def test_no_answer_is_202_and_the_amount_is_taken_out_of_reach(
    api: Any, payment_id: int, ledger: Any, outage: Any
) -> None:
    outage.begin()
    first = refund(api, payment_id, "60.00", key="R")
    assert (first.status, first.data["status"]) == (202, "PENDING")
    assert status(api, payment_id) == ("COMPLETED", "60.00")
    assert refund(api, payment_id, "60.00").code == "refund_exceeds_captured"
    assert refund(api, payment_id, "60.00", key="R").status == 202
    outage.end()
    assert [settle(), settle()] == [1, 0]
    again = refund(api, payment_id, "60.00", key="R")
    assert (again.status, again.data["status"], again.data["refund_id"]) == (200, "COMPLETED", first.data["refund_id"])
    assert status(api, payment_id) == ("PARTIALLY_REFUNDED", "60.00")
    assert ledger.done("refund") == [6000]
    assert len(refunds()) == 1


def test_the_amount_of_a_refund_that_the_provider_refuses_can_be_refunded_again(
    api: Any, payment_id: int, ledger: Any
) -> None:
    reference = Payment.objects.get(pk=payment_id).reference
    elsewhere = SandboxGateway().refund(
        key="made at the provider's desk", reference=reference, amount_minor=9000, currency="USD"
    )
    assert elsewhere.done
    answer = refund(api, payment_id, "20.00", key="R")
    assert (answer.status, answer.code) == (409, "refund_refused")
    assert refund(api, payment_id, "20.00", key="R").code == "refund_refused"
    assert status(api, payment_id) == ("COMPLETED", "0.00")
    assert refund(api, payment_id, "10.00").status == 200
    assert ledger.done("refund") == [9000, 1000]
