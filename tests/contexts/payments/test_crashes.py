"""The process dies between any two statements. The next attempt ends with the money moved once, and recorded."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.payments import services
from contexts.payments.adapters.sandbox import SandboxGateway
from contexts.payments.models import OutboxEvent, Payment, PaymentRequest, Refund
from contexts.payments.public.contracts import PaymentUnknown
from eci import db, idempotency
from eci.errors import InvalidTransition
from eci.ids import new_order_id
from tests.contexts.payments.conftest import Killed, authorise, captured, due, make_due, refunds, settle

REFUND = {"amount": "40", "reason": "late"}
MOMENTS = ["die_before", "die_after"]


def kill(faulty: Any, moment: str, kind: str) -> None:
    setattr(faulty, moment, {kind})


@pytest.mark.parametrize("moment", MOMENTS)
def test_authorise_then_repeated(payments: Any, faulty: Any, ledger: Any, moment: str) -> None:
    order_id = new_order_id()
    kill(faulty, moment, "authorise")
    with pytest.raises(Killed):
        authorise(payments, order_id)
    faulty.recover()
    assert authorise(payments, order_id).status == "AUTHORISED"
    assert payments.capture(order_id=order_id).status == "COMPLETED"
    assert ledger.done("authorise") == ledger.done("capture") == [10000]


@pytest.mark.parametrize("moment", MOMENTS)
def test_authorise_then_settled(payments: Any, faulty: Any, ledger: Any, moment: str) -> None:
    order_id = new_order_id()
    kill(faulty, moment, "authorise")
    with pytest.raises(Killed):
        authorise(payments, order_id)
    faulty.recover()
    assert settle() == 1
    assert payments.payments_of(order_ids=[order_id])[0].status == "AUTHORISED"
    assert ledger.done("authorise") == [10000]


@pytest.mark.parametrize("moment", MOMENTS)
def test_authorise_then_cancelled(payments: Any, faulty: Any, ledger: Any, moment: str) -> None:
    order_id = new_order_id()
    kill(faulty, moment, "authorise")
    with pytest.raises(Killed):
        authorise(payments, order_id)
    faulty.recover()
    assert [row.status for row in payments.cancel(order_id=order_id, reason="")] == ["VOIDED"]
    assert len(ledger.done("authorise")) == len(ledger.done("void")) == 1


@pytest.mark.parametrize("moment", MOMENTS)
def test_capture_then_repeated(payments: Any, faulty: Any, ledger: Any, moment: str) -> None:
    order_id = new_order_id()
    authorise(payments, order_id)
    kill(faulty, moment, "capture")
    with pytest.raises(Killed):
        payments.capture(order_id=order_id)
    faulty.recover()
    for _ in range(2):
        assert payments.capture(order_id=order_id).status == "COMPLETED"
    assert ledger.done("capture") == [10000]
    assert captured() == [], "orders has the answer"


def test_capture_then_cancelled_is_recorded_and_refunded(payments: Any, faulty: Any, ledger: Any) -> None:
    order_id = new_order_id()
    authorise(payments, order_id)
    kill(faulty, "die_after", "capture")
    with pytest.raises(Killed):
        payments.capture(order_id=order_id)
    faulty.recover()
    [payment] = payments.cancel(order_id=order_id, reason="")
    assert (payment.status, payment.captured, payment.refunded) == ("REFUNDED", 100, 100)
    assert ledger.done("capture") == ledger.done("refund") == [10000]
    assert ledger.done("void") == []
    assert (captured(), len(refunds())) == ([], 1), "orders has the answer"


def test_void_then_captured_is_recorded_and_refused(payments: Any, faulty: Any, ledger: Any) -> None:
    order_id = new_order_id()
    authorise(payments, order_id)
    kill(faulty, "die_after", "void")
    with pytest.raises(Killed):
        payments.cancel(order_id=order_id, reason="")
    faulty.recover()
    with pytest.raises(InvalidTransition):
        payments.capture(order_id=order_id)
    assert payments.payments_of(order_ids=[order_id])[0].status == "VOIDED"
    assert ledger.done("capture") == []
    assert payments.cancel(order_id=order_id, reason="")[0].status == "VOIDED"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["void", "refund"])
def test_cancel_then_repeated(payments: Any, faulty: Any, ledger: Any, moment: str, kind: str) -> None:
    order_id = new_order_id()
    authorise(payments, order_id)
    if kind == "refund":
        payments.capture(order_id=order_id)
    kill(faulty, moment, kind)
    with pytest.raises(Killed):
        payments.cancel(order_id=order_id, reason="")
    faulty.recover()
    expected = {"void": "VOIDED", "refund": "REFUNDED"}[kind]
    for _ in range(2):
        assert payments.cancel(order_id=order_id, reason="")[0].status == expected
    assert len(ledger.done(kind)) == 1
    assert len(refunds()) == (kind == "refund")


class TestCharge:
    @pytest.mark.parametrize("moment", MOMENTS)
    def test_settles_and_its_key_reports_it(
        self, api: Any, payments: Any, faulty: Any, ledger: Any, moment: str
    ) -> None:
        order_id = due(payments)
        charge = {"order_id": order_id, "amount": "100.00"}
        kill(faulty, moment, "charge")
        with pytest.raises(Killed):
            api.post("/v1/payments/charge", charge, key="K")
        faulty.recover()
        waiting = api.post("/v1/payments/charge", charge, key="K")
        assert (waiting.status, waiting.code) == (409, "idempotency_in_progress")
        assert waiting.headers["Retry-After"]
        assert [settle(), settle()] == [1, 0]
        for _ in range(2):
            answer = api.post("/v1/payments/charge", charge, key="K")
            assert (answer.status, answer.data["status"]) == (200, "COMPLETED")
        assert ledger.done("charge") == [10000]
        assert len(captured()) == 1
        assert PaymentRequest.objects.get(pk=order_id).state == "PAID"

    @pytest.mark.parametrize("moment", MOMENTS)
    def test_is_carried_on_by_its_retry(self, api: Any, faulty: Any, ledger: Any, moment: str) -> None:
        charge = {"order_id": "X", "amount": "100.00"}
        kill(faulty, moment, "charge")
        with pytest.raises(Killed):
            api.post("/v1/payments/charge", charge, key="K")
        faulty.recover()
        make_due()  # the first call's time is over
        assert api.post("/v1/payments/charge", charge, key="K").status == 200
        assert settle() == 0
        assert ledger.done("charge") == [10000]
        assert len(captured()) == 1

    def test_dies_after_its_record_and_before_its_answer_is_kept(
        self, api: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(*args: Any, **kwargs: Any) -> None:
            raise Killed

        charge = {"order_id": "X", "amount": "100.00"}
        with monkeypatch.context() as patch:
            patch.setattr(idempotency, "finish", die)
            with pytest.raises(Killed):
                api.post("/v1/payments/charge", charge, key="K")
        answer = api.post("/v1/payments/charge", charge, key="K")
        assert (answer.status, answer.data["status"]) == (200, "COMPLETED")
        assert ledger.done("charge") == [10000]


@pytest.mark.parametrize("moment", MOMENTS)
def test_refund_settles_and_its_key_reports_it(api: Any, faulty: Any, ledger: Any, moment: str) -> None:
    payment_id = api.post("/v1/payments/charge", {"order_id": "X", "amount": "100.00"}).data["payment_id"]
    kill(faulty, moment, "refund")
    with pytest.raises(Killed):
        api.post(f"/v1/payments/{payment_id}/refund", REFUND, key="R")
    faulty.recover()
    assert api.post(f"/v1/payments/{payment_id}/refund", REFUND, key="R").code == "idempotency_in_progress"
    assert [settle(), settle()] == [1, 0]
    assert api.post(f"/v1/payments/{payment_id}/refund", REFUND, key="R").data["status"] == "COMPLETED"
    assert ledger.done("refund") == [4000]
    assert len(refunds()) == 1


def test_an_outcome_that_two_learn_is_recorded_once(payments: Any, api: Any) -> None:
    api.post("/v1/payments/charge", {"order_id": "X", "amount": "100.00", "token": "tok_timeout"})
    row = Payment.objects.get()
    first = services.record_captured(payment=row, reference="r")
    second = services.record_captured(payment=row, reference="r")
    third = services.record_declined(payment=row, reason="no", reference="r")
    assert (first.status, second.status, third.status) == ("COMPLETED", "COMPLETED", "COMPLETED")
    assert OutboxEvent.objects.filter(consumer="orders").count() == 1
    assert Payment.objects.get().version == first.version


def test_a_refund_that_two_learn_of_is_recorded_once(api: Any, faulty: Any) -> None:
    payment_id = api.post("/v1/payments/charge", {"order_id": "X", "amount": "100.00"}).data["payment_id"]
    kill(faulty, "die_after", "refund")
    with pytest.raises(Killed):
        api.post(f"/v1/payments/{payment_id}/refund", REFUND)
    row = Refund.objects.get()
    ends = [
        services.record_refunded(refund=row),
        services.record_refunded(refund=row),
        services.record_refund_refused(refund=row),
    ]
    assert [end.status for end in ends] == ["COMPLETED"] * 3
    payment = Payment.objects.get()
    assert (payment.status, payment.refunded_minor) == ("PARTIALLY_REFUNDED", 4000)
    assert len(refunds()) == 1


def test_one_row_that_cannot_be_settled_keeps_no_other_waiting(
    payments: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [new_order_id(), new_order_id()]
    for order_id in orders:
        with pytest.raises(PaymentUnknown):
            authorise(payments, order_id, token="tok_timeout")
    real = services.record_authorised

    def broken(*, payment: Any, reference: str) -> Any:
        if payment.order_id == orders[0]:
            raise ValueError(payment)
        return real(payment=payment, reference=reference)

    monkeypatch.setattr(services, "record_authorised", broken)
    assert settle() == 1
    assert payments.payments_of(order_ids=[orders[1]])[0].status == "AUTHORISED"


def test_the_provider_is_never_called_inside_a_transaction() -> None:
    with db.unit_of_work("payments"), pytest.raises(RuntimeError, match="inside a transaction"):
        SandboxGateway().lookup(key="payment-1")
    with db.unit_of_work("catalog"), pytest.raises(RuntimeError, match="inside a transaction"):
        SandboxGateway().void(key="payment-1-void", reference="r")
