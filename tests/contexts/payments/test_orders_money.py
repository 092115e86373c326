"""The commands of the orders context: authorise, capture, charge, cancel, refund. Each may be repeated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from contexts.payments.models import PaymentRequest
from contexts.payments.public.contracts import (
    PaymentDeclined,
    PaymentNotFound,
    PaymentUnknown,
    RefundExceedsCaptured,
)
from eci.clock import utcnow
from eci.errors import InvalidTransition
from eci.ids import new_order_id
from tests.contexts.payments.conftest import authorise, captured, due, refunds, settle


def state(order_id: str) -> str:
    return PaymentRequest.objects.get(pk=order_id).state


class TestOpening:
    def test_returns_a_deadline_and_returns_it_again(self, payments: Any) -> None:
        order_id = new_order_id()
        asked = {"order_id": order_id, "amount": Decimal("10.00"), "currency": "USD", "customer_id": None}
        first = payments.open_request(**asked, seconds=900)
        assert abs((first - utcnow()).total_seconds() - 900) < 60
        assert payments.open_request(**asked, seconds=5) == first

    def test_finds_the_tombstone_of_an_early_close(self, payments: Any) -> None:
        order_id = new_order_id()
        assert payments.close(order_id=order_id, reason="expired") == "CLOSED"
        with pytest.raises(InvalidTransition):
            payments.open_request(order_id=order_id, amount=Decimal(1), currency="USD", customer_id=None, seconds=900)
        with pytest.raises(InvalidTransition):
            authorise(payments, order_id)
        assert payments.payments_of(order_ids=[order_id]) == ()

    def test_close_may_be_repeated(self, payments: Any) -> None:
        order_id = due(payments)
        assert [payments.close(order_id=order_id, reason="expired") for _ in range(2)] == ["CLOSED", "CLOSED"]


class TestAuthorising:
    def test_sets_aside_and_takes_nothing(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        payment = authorise(payments, order_id)
        assert (payment.status, payment.captured) == ("AUTHORISED", Decimal(0))
        assert authorise(payments, order_id) == payment == payments.payments_of(order_ids=[order_id])[0]
        assert [kind for _, kind, _, _ in ledger.operations()] == ["authorise"]
        assert captured() == []
        assert payments.statistics().unknown == 0

    def test_a_decline_is_final(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        for _ in range(2):
            with pytest.raises(PaymentDeclined) as declined:
                authorise(payments, order_id, token="tok_declined")
            assert declined.value.details["order_id"] == order_id
        assert [outcome for _, _, _, outcome in ledger.operations()] == ["declined"]
        assert state(order_id) == "CLOSED"
        assert payments.cancel(order_id=order_id, reason="")[0].status == "FAILED"

    def test_no_answer_is_unknown_until_it_is_asked_for(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        with pytest.raises(PaymentUnknown):
            authorise(payments, order_id, token="tok_timeout")
        assert payments.statistics().unknown == 1
        assert authorise(payments, order_id, token="tok_timeout").status == "AUTHORISED"
        assert payments.capture(order_id=order_id).status == "COMPLETED"
        assert payments.statistics().unknown == 0
        assert ledger.done("authorise") == ledger.done("capture") == [10000]

    def test_no_answer_that_turns_out_declined(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        with pytest.raises(PaymentUnknown):
            authorise(payments, order_id, token="tok_timeout_declined")
        assert settle() == 1
        with pytest.raises(PaymentDeclined):
            authorise(payments, order_id, token="tok_timeout_declined")
        assert ledger.done("authorise") == []

    def test_an_order_that_waits_for_a_charge_is_not_authorised(self, payments: Any, ledger: Any) -> None:
        with pytest.raises(InvalidTransition):
            authorise(payments, due(payments))
        assert ledger.operations() == []


class TestCapturing:
    def test_takes_the_money_once(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        payment = payments.capture(order_id=order_id)
        assert (payment.status, payment.captured) == ("COMPLETED", Decimal("100.00"))
        assert payments.capture(order_id=order_id) == payment
        assert authorise(payments, order_id) == payment
        assert ledger.done("capture") == [10000]
        assert captured() == [], "orders has the answer"
        assert state(order_id) == "PAID"

    def test_of_nothing(self, payments: Any) -> None:
        with pytest.raises(PaymentNotFound):
            payments.capture(order_id=new_order_id())

    def test_after_a_void_is_refused(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        payments.cancel(order_id=order_id, reason="")
        for command in (lambda: payments.capture(order_id=order_id), lambda: authorise(payments, order_id)):
            with pytest.raises(InvalidTransition):
                command()
        assert ledger.done("capture") == []

    def test_no_answer_means_asking_again(self, payments: Any, ledger: Any, faulty: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        faulty.silent = {"capture"}
        with pytest.raises(PaymentUnknown):
            payments.capture(order_id=order_id)
        faulty.recover()
        assert payments.capture(order_id=order_id).status == "COMPLETED"
        assert ledger.done("capture") == [10000]


class TestCancelling:
    def test_nothing_leaves_a_tombstone(self, payments: Any) -> None:
        order_id = new_order_id()
        assert payments.cancel(order_id=order_id, reason="") == ()
        with pytest.raises(InvalidTransition):
            authorise(payments, order_id)

    def test_voids_an_authorisation(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        for _ in range(2):
            assert [row.status for row in payments.cancel(order_id=order_id, reason="")] == ["VOIDED"]
        assert len(ledger.done("void")) == 1
        assert state(order_id) == "CLOSED"

    def test_refunds_what_is_left_of_a_capture(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        payments.capture(order_id=order_id)
        payments.refund(order_id=order_id, amount=Decimal("30.00"), reason="", key="return-1")
        for _ in range(2):
            [payment] = payments.cancel(order_id=order_id, reason="cancelled")
            assert (payment.status, payment.refunded) == ("REFUNDED", Decimal("100.00"))
        assert ledger.done("refund") == [3000, 7000]
        assert [event["amount"] for event in refunds()] == ["30.00", "70.00"]

    def test_an_unknown_authorisation_is_asked_for_first(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        with pytest.raises(PaymentUnknown):
            authorise(payments, order_id, token="tok_timeout")
        assert [row.status for row in payments.cancel(order_id=order_id, reason="")] == ["VOIDED"]
        assert len(ledger.done("void")) == 1

    def test_waits_for_a_silent_provider(self, payments: Any, outage: Any) -> None:
        order_id = new_order_id()
        with pytest.raises(PaymentUnknown):
            authorise(payments, order_id, token="tok_timeout")
        outage.begin()
        with pytest.raises(PaymentUnknown):
            payments.cancel(order_id=order_id, reason="")
        outage.end()
        assert [row.status for row in payments.cancel(order_id=order_id, reason="")] == ["VOIDED"]

    def test_of_a_paid_later_order(self, api: Any, payments: Any, ledger: Any) -> None:
        order_id = due(payments)
        api.post("/v1/payments/charge", {"order_id": order_id, "amount": "100.00"})
        assert [row.status for row in payments.cancel(order_id=order_id, reason="")] == ["REFUNDED"]
        assert ledger.done("refund") == [10000]
        assert api.post("/v1/payments/charge", {"order_id": order_id, "amount": "100.00"}).code == "already_paid"

    def test_settles_an_unknown_refund_before_refunding_the_rest(self, payments: Any, ledger: Any, faulty: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        payments.capture(order_id=order_id)
        faulty.silent = {"refund", "lookup"}
        with pytest.raises(PaymentUnknown):
            payments.refund(order_id=order_id, amount=Decimal("30.00"), reason="", key="return-1")
        with pytest.raises(PaymentUnknown):
            payments.cancel(order_id=order_id, reason="")
        faulty.recover()
        assert [row.status for row in payments.cancel(order_id=order_id, reason="")] == ["REFUNDED"]
        assert ledger.done("refund") == [3000, 7000]


class TestRefunding:
    def test_once_per_key(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        payments.capture(order_id=order_id)
        first = payments.refund(order_id=order_id, amount=Decimal("40.00"), reason="broken", key="return-1")
        assert (first.status, first.amount, first.reason) == ("COMPLETED", Decimal("40.00"), "broken")
        assert payments.refund(order_id=order_id, amount=Decimal("40.00"), reason="broken", key="return-1") == first
        rest = payments.refund(order_id=order_id, amount=None, reason="", key="return-2")
        assert rest.amount == Decimal("60.00")
        assert payments.refund(order_id=order_id, amount=None, reason="", key="return-2") == rest
        assert payments.refund(order_id=order_id, amount=None, reason="", key="return-3") is None
        with pytest.raises(RefundExceedsCaptured):
            payments.refund(order_id=order_id, amount=Decimal("0.01"), reason="", key="return-4")
        assert ledger.done("refund") == [4000, 6000]
        assert [(event["refunded"], event["captured"]) for event in refunds()] == [
            ("40.00", "100.00"),
            ("100.00", "100.00"),
        ]
        assert refunds()[0]["version"] < refunds()[1]["version"]

    def test_of_money_not_taken(self, payments: Any) -> None:
        with pytest.raises(PaymentNotFound):
            payments.refund(order_id=new_order_id(), amount=None, reason="", key="k")
        order_id = new_order_id()
        authorise(payments, order_id)
        with pytest.raises(InvalidTransition):
            payments.refund(order_id=order_id, amount=None, reason="", key="k")


class TestCharging:
    def _charge(self, payments: Any, order_id: str, **more: Any) -> Any:
        asked = {"amount": Decimal("10.00"), "currency": "USD", "customer_id": None, "method": "card", "token": ""}
        return payments.charge(order_id=order_id, **asked | more)

    def test_takes_the_money_in_one_call(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        payment = self._charge(payments, order_id)
        assert (payment.status, payment.captured) == ("COMPLETED", Decimal("10.00"))
        assert self._charge(payments, order_id) == payment
        assert [kind for _, kind, _, _ in ledger.operations()] == ["charge"]
        assert state(order_id) == "PAID"
        assert captured() == [], "orders has the answer"

    def test_captures_what_was_authorised_before(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        assert self._charge(payments, order_id).status == "COMPLETED"
        assert [kind for _, kind, _, _ in ledger.operations()] == ["authorise", "capture"]

    def test_declined_it_closes_the_request(self, payments: Any) -> None:
        order_id = new_order_id()
        for _ in range(2):
            with pytest.raises(PaymentDeclined):
                self._charge(payments, order_id, token="tok_declined")
        assert state(order_id) == "CLOSED"

    def test_unanswered_it_is_asked_what_became_of_it(self, payments: Any, ledger: Any) -> None:
        order_id = new_order_id()
        with pytest.raises(PaymentUnknown):
            self._charge(payments, order_id, token="tok_timeout")
        assert self._charge(payments, order_id, token="tok_timeout").status == "COMPLETED"
        assert [kind for _, kind, _, _ in ledger.operations()] == ["charge"]

    def test_cancelled_it_is_refunded(self, payments: Any) -> None:
        order_id = new_order_id()
        self._charge(payments, order_id)
        [payment] = payments.cancel(order_id=order_id, reason="cancelled")
        assert (payment.status, payment.refunded) == ("REFUNDED", Decimal("10.00"))
        with pytest.raises(InvalidTransition):
            self._charge(payments, order_id)


def test_what_is_held_and_counted(api: Any, payments: Any) -> None:
    authorised, captured_, declined, voided, refunded, unknown = (new_order_id() for _ in range(6))
    for order_id in (authorised, captured_, voided, refunded):
        authorise(payments, order_id)
    with pytest.raises(PaymentDeclined):
        authorise(payments, declined, token="tok_declined")
    with pytest.raises(PaymentUnknown):
        authorise(payments, unknown, token="tok_timeout")
    for order_id in (captured_, refunded):
        payments.capture(order_id=order_id)
    for order_id in (voided, refunded):
        payments.cancel(order_id=order_id, reason="")
    payments.refund(order_id=captured_, amount=Decimal("1.00"), reason="", key="k")
    api.post("/v1/payments/charge", {"order_id": "FOREIGN", "amount": "1"})
    assert set(payments.orders_with_money()) == {authorised, captured_}
    counted = payments.statistics()
    assert (counted.completed, counted.failed, counted.unknown) == (3, 1, 1)


def test_an_order_of_nothing_can_be_paid_and_cancelled(payments: Any) -> None:
    order_id = new_order_id()
    authorise(payments, order_id, amount="0.00")
    assert payments.capture(order_id=order_id).status == "COMPLETED"
    assert payments.cancel(order_id=order_id, reason="")[0].refunded == 0


def test_the_way_of_an_order_is_short(payments: Any) -> None:
    """Two inserts and an update to authorise; a read, two updates and an event to capture; three commits in all."""
    order_id = new_order_id()
    with CaptureQueriesContext(connections["payments"]) as asked:
        authorise(payments, order_id)
        payments.capture(order_id=order_id)
    statements = [query["sql"].split()[0] for query in asked if "SAVEPOINT" not in query["sql"]]
    assert statements == ["INSERT", "INSERT", "UPDATE", "SELECT", "UPDATE", "UPDATE"]
    assert sum(query["sql"].startswith("RELEASE") for query in asked) == 3
