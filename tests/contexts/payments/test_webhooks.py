"""The provider's webhook: who may send it, and that nothing it says is believed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.conf import settings

from contexts.payments import workflows
from contexts.payments.adapters import sandbox, signing
from contexts.payments.adapters.sandbox import SandboxGateway
from contexts.payments.domain import Outcome, payment_key, refund_key
from contexts.payments.models import Payment, Refund
from tests.support.api import Answer, Api
from tests.support.shop import Shop, expire

URL = "/v1/payments/webhooks/sandbox"
OLD, NEW = "the secret until yesterday", "the secret from today"


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ECI_WEBHOOK_SECRETS", [NEW, OLD])


def send(api: Api, body: bytes, headers: dict[str, str]) -> Answer:
    return api.post(URL, body, **headers)


def tell(api: Api, key: str, *, secret: str = NEW, at: int | None = None, message_id: str = "msg_1") -> Answer:
    body = json.dumps({"type": "charge.done", "key": key}).encode()
    return send(api, body, signing.signed(body, message_id=message_id, secret=secret, at=at))


def unanswered(api: Api, token: str = "tok_timeout") -> Payment:
    """A charge whose call got no answer."""
    charge = api.post("/v1/payments/charge", {"order_id": "FOREIGN-1", "amount": "5.00", "token": token})
    assert (charge.status, charge.data["status"]) == (202, "PENDING")
    return Payment.objects.get(pk=charge.data["payment_id"])


def key_of(payment: Payment) -> str:
    return payment_key(payment.pk, payment.nonce)


def status(payment: Payment) -> str:
    return str(Payment.objects.get(pk=payment.pk).status)


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_a_signed_message_has_the_provider_asked(api: Api, secret: str) -> None:
    payment = unanswered(api)
    headers, body = sandbox.webhook(key_of(payment), secret=secret)
    answer = send(api, body, headers)
    assert (answer.status, answer.data) == (200, {"received": True})
    assert status(payment) == "COMPLETED"


def test_the_provider_is_believed_and_not_the_message(api: Api) -> None:
    payment = unanswered(api, "tok_timeout_declined")
    assert tell(api, key_of(payment)).status == 200
    assert status(payment) == "FAILED"


@pytest.mark.parametrize("away", [-signing.TOLERANCE - 5, signing.TOLERANCE + 5])
def test_a_message_from_another_time_is_refused(api: Api, away: int) -> None:
    payment = unanswered(api)
    refused = tell(api, key_of(payment), at=int(time.time()) + away)
    assert (refused.status, refused.code) == (400, "validation_error")
    assert tell(api, key_of(payment), at=int(time.time()) - signing.TOLERANCE + 20).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,Zm9yZ2Vk"},
        {"webhook-signature": "é"},
        {"webhook-id": "another"},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "٣"},
    ],
)
def test_a_bad_signature_is_refused(api: Api, headers: dict[str, str]) -> None:
    payment = unanswered(api)
    body = json.dumps({"key": key_of(payment)}).encode()
    good = signing.signed(body, message_id="msg_1", secret=NEW)
    refused = send(api, body, {**good, **headers} if headers else {})
    assert (refused.status, refused.code) == (400, "validation_error")
    assert status(payment) == "PENDING"


def test_a_changed_body_and_a_retired_secret_are_refused(api: Api) -> None:
    payment = unanswered(api)
    headers, body = sandbox.webhook(key_of(payment), secret=NEW)
    assert send(api, body + b" ", headers).status == 400
    settings.ECI_WEBHOOK_SECRETS = [NEW]
    assert tell(api, key_of(payment), secret=OLD).status == 400
    settings.ECI_WEBHOOK_SECRETS = []
    assert tell(api, key_of(payment), secret="").status == 400
    assert status(payment) == "PENDING"


def test_one_good_signature_of_several_is_enough(api: Api) -> None:
    payment = unanswered(api)
    headers, body = sandbox.webhook(key_of(payment), secret=OLD)
    headers["webhook-signature"] = f"v1,Zm9yZ2Vk {headers['webhook-signature']}"
    assert send(api, body, headers).status == 200


def test_a_replay_is_harmless_and_remembered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    payment = unanswered(api)
    headers, body = sandbox.webhook(key_of(payment), secret=NEW)
    first = send(api, body, headers)
    asked: list[str] = []

    class Counting(SandboxGateway):
        def lookup(self, *, key: str) -> Outcome | None:
            asked.append(key)
            return super().lookup(key=key)

    monkeypatch.setattr(workflows, "gateway", Counting())
    Payment.objects.filter(pk=payment.pk).update(status="PENDING")  # as if it waited: a replay must not even ask
    assert send(api, body, headers).data == first.data
    assert asked == []
    assert tell(api, key_of(payment), message_id="msg_2").status == 200
    assert asked == [key_of(payment)]


@pytest.mark.parametrize("key", ["payment-99999999", "payment-x", "refund-1-abc", "payment", "", "-" * 99, "payment-٣"])
def test_what_is_not_ours_changes_nothing(api: Api, key: str) -> None:
    payment = unanswered(api)
    answer = tell(api, key)
    assert answer.status == (200 if key else 400)
    assert status(payment) == "PENDING"


def test_only_the_configured_provider_has_an_address(api: Api) -> None:
    body = b'{"key": "payment-1"}'
    headers = signing.signed(body, message_id="msg_1", secret=NEW)
    assert api.post("/v1/payments/webhooks/somebody", body, **headers).status == 404


def test_a_forged_key_of_a_call_that_never_arrived_makes_no_call(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    ledger = settings.ECI_SANDBOX_LEDGER
    settings.ECI_SANDBOX_LEDGER = tmp_path / "nowhere" / "sandbox.sqlite3"
    payment = unanswered(api, "")
    unreachable = tell(api, key_of(payment))
    assert (unreachable.status, unreachable.code) == (503, "context_unavailable")
    assert unreachable.headers["Retry-After"]
    settings.ECI_SANDBOX_LEDGER = ledger
    assert tell(api, key_of(payment)).status == 200, "what was answered 503 is not remembered"
    assert status(payment) == "PENDING"
    assert SandboxGateway().lookup(key=key_of(payment)) is None


def test_a_refund_is_settled_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(SandboxGateway):
        def refund(self, **operation: Any) -> Outcome:
            super().refund(**operation)
            raise sandbox.GatewayTimeout("no answer")

    paid = api.post("/v1/payments/charge", {"order_id": "FOREIGN-1", "amount": "5.00"}).data["payment_id"]
    monkeypatch.setattr(workflows, "gateway", Mute())
    asked = api.post(f"/v1/payments/{paid}/refund", {"amount": "2.00", "reason": "broken"})
    assert asked.status == 202
    refund = Refund.objects.get(pk=asked.data["refund_id"])
    headers, body = sandbox.webhook(refund_key(refund.pk, refund.nonce, payment_id=refund.payment_id), secret=NEW)
    assert send(api, body, headers).status == 200
    assert api.get(f"/v1/payments/{paid}").data["status"] == "PARTIALLY_REFUNDED"


@pytest.mark.parametrize(("token", "answered", "ends"), [("tok_ok", 200, "SHIPPED"), ("tok_declined", 402, "EXPIRED")])
def test_the_webhook_may_come_before_the_response(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, token: str, answered: int, ends: str
) -> None:
    """Of a charge on an order of ours: it is paid once, the order goes on, and the response finds it so."""

    class Hasty(SandboxGateway):
        def charge(self, **operation: Any) -> Outcome:
            outcome = super().charge(**operation)
            headers, body = sandbox.webhook(operation["key"], secret=NEW)
            assert send(shop.api, body, headers).status == 200
            return outcome

    order = shop.order(pay_later=True).data
    monkeypatch.setattr(workflows, "gateway", Hasty())
    asked = {"order_id": order["order_id"], "amount": order["order_total"], "token": token}
    charge = shop.api.post("/v1/payments/charge", asked, key="pay")
    again = shop.api.post("/v1/payments/charge", asked, key="pay")
    assert charge.status == again.status == answered
    assert again.headers["Idempotent-Replayed"] == "true"
    if ends == "EXPIRED":
        expire(order["order_id"])
    notices = shop.notices(order["order_id"])
    assert shop.read(order["order_id"])["status"] == ends
    assert notices == (["order_confirmation", "shipping_confirmation"] if ends == "SHIPPED" else ["order_expired"])
    assert shop.stock() == ((98, 0, 98) if ends == "SHIPPED" else (100, 0, 100))


def test_the_webhook_may_come_before_the_response_of_an_order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(SandboxGateway):
        def authorise(self, **operation: Any) -> Outcome:
            outcome = super().authorise(**operation)
            headers, body = sandbox.webhook(operation["key"], secret=NEW)
            assert send(shop.api, body, headers).status == 200
            return outcome

    monkeypatch.setattr(workflows, "gateway", Hasty())
    placed = shop.order()
    assert (placed.status, placed.data["status"], placed.data["payment_status"]) == (201, "SHIPPED", "PAID")
    assert [payment["status"] for payment in placed.data["payments"]] == ["COMPLETED"]
