"""Charges: of other systems' orders, of our orders that wait for their money, and each answer of the provider."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contexts.payments import workflows
from contexts.payments.models import Idempotency, Payment, PaymentRequest, Trail
from contexts.payments.tasks import prune
from eci.clock import utcnow
from eci.ids import new_order_id
from tests.contexts.payments.conftest import authorise, captured, due, make_due, settle
from tests.support.people import customer, staff

CHARGE = "/v1/payments/charge"


def body(order_id: str = "ORDER-1", amount: Any = "100.00", **more: Any) -> dict[str, Any]:
    return {"order_id": order_id, "amount": amount, **more}


@pytest.mark.parametrize("path", [CHARGE, "/v1/payments"])
def test_a_foreign_order_is_charged_at_once(api: Any, ledger: Any, path: str) -> None:
    answer = api.post(path, body(amount=1299.99, customer_id=5))
    assert answer.status == 200
    data = answer.data
    assert data["reference"]
    assert {key: data[key] for key in data if key not in ("payment_id", "reference", "created_at", "updated_at")} == {
        "order_id": "ORDER-1",
        "customer_id": 5,
        "amount": "1299.99",
        "currency": "USD",
        "method": "credit_card",
        "status": "COMPLETED",
        "captured": "1299.99",
        "refunded": "0.00",
        "decline_reason": "",
        "actor": "open",
        "under_review": False,
        "reviewed_by": "",
    }
    ((key, *operation),) = ledger.operations()
    assert key.startswith(f"payment-{data['payment_id']}-")
    assert operation == ["charge", 129999, "done"]
    assert api.get(f"/v1/payments/{data['payment_id']}").data == data
    assert [event["amount"] for event in captured()] == ["1299.99"]


@pytest.mark.parametrize("token", ["tok_declined", "made up"])
def test_a_decline_is_402_and_takes_nothing(api: Any, ledger: Any, token: str) -> None:
    answer = api.post(CHARGE, body(token=token))
    assert (answer.status, answer.code) == (402, "payment_declined")
    payment = api.get(f"/v1/payments/{answer.details['payment_id']}").data
    assert (payment["status"], payment["captured"]) == ("FAILED", "0.00")
    assert payment["decline_reason"]
    assert answer.details["order_id"] == "ORDER-1"
    assert ledger.operations("charge")[0][3] == "declined"
    assert captured() == []


def test_no_answer_is_202_and_settles_once(api: Any, ledger: Any) -> None:
    answer = api.post(CHARGE, body(token="tok_timeout"))
    assert (answer.status, answer.data["status"], answer.data["captured"]) == (202, "PENDING", "0.00")
    assert [settle(), settle()] == [1, 0]
    payment = api.get(f"/v1/payments/{answer.data['payment_id']}").data
    assert (payment["status"], payment["captured"]) == ("COMPLETED", "100.00")
    assert ledger.done("charge") == [10000]
    assert len(captured()) == 1


def test_no_answer_that_turns_out_declined(api: Any, ledger: Any) -> None:
    answer = api.post(CHARGE, body(token="tok_timeout_declined"))
    assert (answer.status, answer.data["status"]) == (202, "PENDING")
    assert settle() == 1
    assert api.get(f"/v1/payments/{answer.data['payment_id']}").data["status"] == "FAILED"
    assert ledger.done("charge") == []


def test_an_outage_is_202_and_the_call_is_made_when_it_ends(api: Any, ledger: Any, outage: Any) -> None:
    outage.begin()
    answer = api.post(CHARGE, body())
    assert (answer.status, answer.data["status"]) == (202, "PENDING")
    assert settle() == 0
    outage.end()
    assert settle() == 1
    assert ledger.done("charge") == [10000]
    assert api.get(f"/v1/payments/{answer.data['payment_id']}").data["status"] == "COMPLETED"


def test_the_settling_task_leaves_the_first_call_its_time_and_waits_longer_each_time(
    api: Any, outage: Any, ledger: Any
) -> None:
    outage.begin()
    payment_id = api.post(CHARGE, body()).data["payment_id"]
    waits = []
    for _ in range(6):
        make_due()
        workflows.settle_unknown()
        assert workflows.settle_unknown() == 0
        row = Payment.objects.get(pk=payment_id)
        waits.append(round((row.next_at - utcnow()).total_seconds()))
    assert waits == [2, 4, 8, 10, 10, 10]
    assert Payment.objects.get(pk=payment_id).attempts == 7


class TestOurOrders:
    def test_are_charged_what_is_due_once(self, api: Any, payments: Any, ledger: Any) -> None:
        order_id = due(payments)
        answer = api.post(CHARGE, body(order_id, "100"))
        assert (answer.status, answer.data["status"], answer.data["customer_id"]) == (200, "COMPLETED", 7)
        again = api.post(CHARGE, body(order_id))
        assert (again.status, again.code) == (409, "already_paid")
        assert ledger.done("charge") == [10000]
        assert [event["order_id"] for event in captured()] == [order_id]
        assert payments.close(order_id=order_id, reason="expired") == "PAID"

    def test_unknown_is_404(self, api: Any, ledger: Any) -> None:
        assert api.post(CHARGE, body(new_order_id())).status == 404
        assert ledger.operations() == []

    @pytest.mark.parametrize("more", [{"amount": "99.99"}, {"amount": "100.01"}, {"currency": "EUR"}])
    def test_another_amount_or_currency_is_refused(self, api: Any, payments: Any, ledger: Any, more: Any) -> None:
        answer = api.post(CHARGE, body(due(payments)) | more)
        assert (answer.status, answer.code, answer.details["due"]) == (409, "amount_mismatch", "100.00")
        assert ledger.operations() == []

    def test_a_declined_one_can_be_tried_again(self, api: Any, payments: Any, ledger: Any) -> None:
        order_id = due(payments)
        assert api.post(CHARGE, body(order_id, token="tok_declined")).status == 402
        assert api.post(CHARGE, body(order_id)).status == 200
        assert ledger.done("charge") == [10000]
        listed = api.get(f"/v1/payments?order_id={order_id}").data
        assert [row["status"] for row in listed] == ["COMPLETED", "FAILED"]

    def test_one_under_way_stands_in_the_way_until_it_is_settled(self, api: Any, payments: Any) -> None:
        order_id = due(payments)
        assert api.post(CHARGE, body(order_id, token="tok_timeout_declined")).status == 202
        answer = api.post(CHARGE, body(order_id))
        assert (answer.status, answer.code) == (409, "payment_in_progress")
        assert payments.close(order_id=order_id, reason="expired") == "PAYING"
        settle()
        assert api.post(CHARGE, body(order_id)).status == 200

    def test_after_the_deadline_it_is_too_late(self, api: Any, payments: Any, ledger: Any) -> None:
        order_id = due(payments, seconds=-1)
        for _ in range(2):
            answer = api.post(CHARGE, body(order_id))
            assert (answer.status, answer.code) == (409, "reservation_expired")
            assert payments.close(order_id=order_id, reason="expired") == "CLOSED"
        assert ledger.operations() == []

    def test_a_cancelled_one_takes_no_money(self, api: Any, payments: Any) -> None:
        order_id = due(payments)
        payments.cancel(order_id=order_id, reason="changed my mind")
        answer = api.post(CHARGE, body(order_id))
        assert (answer.status, answer.code) == (409, "invalid_transition")

    def test_one_cancelled_during_a_charge_that_is_declined_stays_closed(self, api: Any, payments: Any) -> None:
        order_id = due(payments)
        api.post(CHARGE, body(order_id, token="tok_timeout_declined"))
        assert payments.close(order_id=order_id, reason="cancelled") == "PAYING"
        settle()
        assert PaymentRequest.objects.get(pk=order_id).state == "CLOSED"
        assert api.post(CHARGE, body(order_id)).code == "invalid_transition"

    def test_paid_at_once_by_the_order_itself(self, api: Any, payments: Any) -> None:
        order_id = new_order_id()
        authorise(payments, order_id)
        assert api.post(CHARGE, body(order_id)).code == "payment_in_progress"
        payments.capture(order_id=order_id)
        assert api.post(CHARGE, body(order_id)).code == "already_paid"


class TestKeys:
    def test_the_first_answer_again(self, api: Any, ledger: Any) -> None:
        first = api.post(CHARGE, body(amount="100"), key="K")
        again = api.post("/v1/payments", body(amount="100.00", idempotency_key="K"))
        assert (first.status, again.status) == (200, 200)
        assert again.data == first.data
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"
        assert ledger.done("charge") == [10000]

    def test_the_first_answer_even_after_a_refund(self, api: Any) -> None:
        first = api.post(CHARGE, body(), key="K")
        api.post(f"/v1/payments/{first.data['payment_id']}/refund", {"reason": "late"})
        assert api.post(CHARGE, body(), key="K").data == first.data

    def test_another_request_is_422(self, api: Any, ledger: Any) -> None:
        api.post(CHARGE, body(), key="K")
        answer = api.post(CHARGE, body(amount="100.01"), key="K")
        assert (answer.status, answer.code) == (422, "idempotency_key_reused")
        assert len(ledger.operations()) == 1

    def test_a_decline_is_kept(self, api: Any, ledger: Any) -> None:
        first = api.post(CHARGE, body(token="tok_declined"), key="K")
        again = api.post(CHARGE, body(token="tok_declined"), key="K")
        assert (again.status, again.details) == (402, first.details)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert len(ledger.operations()) == 1

    def test_a_conflict_is_kept(self, api: Any, payments: Any) -> None:
        order_id = due(payments)
        assert api.post(CHARGE, body(order_id, "1"), key="K").code == "amount_mismatch"
        assert api.post(CHARGE, body(order_id), key="L").status == 200
        again = api.post(CHARGE, body(order_id, "1"), key="K")
        assert (again.code, again.headers["Idempotent-Replayed"]) == ("amount_mismatch", "true")

    @pytest.mark.parametrize(("token", "settled"), [("tok_timeout", 200), ("tok_timeout_declined", 402)])
    def test_a_202_replays_as_what_became_of_it(self, api: Any, ledger: Any, token: str, settled: int) -> None:
        assert api.post(CHARGE, body(token=token), key="K").status == 202
        settle()
        for _ in range(2):
            again = api.post(CHARGE, body(token=token), key="K")
            assert (again.status, again.headers["Idempotent-Replayed"]) == (settled, "true")
        assert len(ledger.operations()) == 1

    def test_a_202_replays_as_202_while_nothing_is_known(self, api: Any, ledger: Any, outage: Any) -> None:
        outage.begin()
        first = api.post(CHARGE, body(), key="K")
        again = api.post(CHARGE, body(), key="K")
        assert (first.status, again.status) == (202, 202)
        assert again.data["payment_id"] == first.data["payment_id"]
        outage.end()
        assert api.post(CHARGE, body(), key="K").status == 200
        assert len(ledger.operations()) == 1

    def test_outlive_the_answers_kept_for_them(self, api: Any, ledger: Any) -> None:
        first = api.post(CHARGE, body(), key="K")
        Idempotency.objects.update(created_at="2020-01-01T00:00:00Z")
        prune()
        assert Idempotency.objects.count() == 0
        assert api.post(CHARGE, body(), key="K").data["payment_id"] == first.data["payment_id"]
        assert api.post(CHARGE, body(amount="1"), key="K").status == 422
        assert len(ledger.operations()) == 1

    def test_header_and_body_must_agree(self, api: Any, ledger: Any) -> None:
        assert api.post(CHARGE, body(idempotency_key="A"), key="B").status == 400
        assert ledger.operations() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "1.001"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": "1000000000000"}, "amount"),
        ({"amount": "100.5", "currency": "JPY"}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"order_id": ""}, "order_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"customer_id": "5"}, "customer_id"),
        ({"customer_id": 0}, "customer_id"),
        ({"method": "4111111111111111"}, "method"),
        ({"method": "a card"}, "method"),
        ({"token": "4111 1111 1111 1111"}, "token"),
        ({"token": "t" * 101}, "token"),
        ({"idempotency_key": ""}, "idempotency_key"),
    ],
)
def test_bad_input_is_400_naming_the_field(api: Any, ledger: Any, change: dict[str, Any], field: str) -> None:
    answer = api.post(CHARGE, body() | change)
    assert (answer.status, answer.code) == (400, "validation_error")
    assert list(answer.details) == [field]
    assert Payment.objects.count() == 0
    assert ledger.operations() == []


@pytest.mark.parametrize(
    "given",
    [
        {"order_id": "408-6907439-1500080"},
        {"order_id": "490154203237518"},
        {"order_id": 4111111111111111},
        {"idempotency_key": "4111111111111111"},
        {"token": "490154203237518", "method": "gift-card_2"},
        {"note": "4111111111111111"},
        {"amount": 99999999.99},
    ],
)
def test_what_is_no_card_number_passes(api: Any, given: dict[str, Any]) -> None:
    answer = api.post(CHARGE, body() | given)
    assert answer.status in (200, 402), answer.json


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "100"), ("KWD", "1.001"), ("USD", "1.50")])
def test_amounts_have_their_currencys_places(api: Any, currency: str, amount: str) -> None:
    data = api.post(CHARGE, body(amount=amount, currency=currency)).data
    assert (data["amount"], data["captured"]) == (amount, amount)


def test_a_bare_amount_is_in_the_shops_currency(api: Any, payments: Any, ledger: Any) -> None:
    order_id = due(payments, "1500", currency="JPY")
    bare = api.post(CHARGE, body(order_id, "1500"))
    assert (bare.status, bare.code) == (409, "amount_mismatch")
    assert (bare.details["due"], bare.details["currency"]) == ("1500", "JPY")
    assert ledger.operations() == []
    assert api.post(CHARGE, body(order_id, "1500", currency="JPY")).data["amount"] == "1500"


def test_it_keeps_who_asked_for_it_and_tells_staff(closed: None, payments: Any) -> None:
    ann, boss = customer("ann@example.com"), staff("P")
    order_id = new_order_id()
    amount = {"amount": Decimal("100.00"), "currency": "USD"}
    payments.open_request(order_id=order_id, customer_id=ann.customer_id, seconds=900, **amount)
    hers = ann.post(CHARGE, body(order_id))
    assert not {"actor", "reviewed_by"} & set(hers.data)
    shown = boss.get(f"/v1/payments/{hers.data['payment_id']}").data
    assert (shown["actor"], shown["reviewed_by"]) == (f"customer:{ann.customer_id}", "")
    assert boss.post(CHARGE, body("FOREIGN")).data["actor"] == "staff:p@shop.example"
    assert not {"actor", "reviewed_by"} & set(ann.get("/v1/payments").data[0])
    assert [line.actor for line in Trail.objects.all()] == ["staff:p@shop.example"]


def test_the_token_is_neither_shown_nor_kept(api: Any) -> None:
    answer = api.post(CHARGE, body(token="tok_ok"))
    assert "tok_ok" not in str(answer.json)
    assert Payment.objects.get().token == ""


def test_unknown_payments_are_404(api: Any) -> None:
    for payment_id in ("1", "999999999999999", "99999999999999999999", "abc"):
        assert api.get(f"/v1/payments/{payment_id}").status == 404
    assert api.post("/v1/payments/1/refund", {"reason": "late"}).status == 404


def test_lists_are_paged_newest_first(api: Any) -> None:
    ids = [api.post(CHARGE, body("A" if n % 2 else "B")).data["payment_id"] for n in range(5)]
    page = api.get("/v1/payments?limit=3")
    assert [row["payment_id"] for row in page.data] == ids[:1:-1]
    rest = api.get(page.json["meta"]["next"])
    assert [row["payment_id"] for row in rest.data] == ids[1::-1]
    assert rest.json["meta"]["next"] is None
    assert [row["payment_id"] for row in api.get("/v1/payments?order_id=A").data] == [ids[3], ids[1]]
    assert [row["payment_id"] for row in api.get("/v1/payments?ordering=created_at").data] == ids
    for query in ("limit=0", "limit=101", "cursor=x", "ordering=amount", "colour=red"):
        assert api.get(f"/v1/payments?{query}").status == 400
