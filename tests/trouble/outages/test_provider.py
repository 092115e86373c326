"""A provider that misbehaves: takes the money and says nothing, says it late, twice, or in tongues, or isn't there.

It is a process with a ledger of its own, over real HTTP. Whatever it does: one capture there, and once it answers again
everything is as if it had always answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from contexts.payments import workflows
from contexts.payments.adapters.signed_http import SignedHttpGateway
from tests.support.api import due_now, settle
from tests.support.provider_process import SECRET, ProviderProcess
from tests.support.shop import Shop, charge

TIMEOUT = 1.0  # seconds: long enough for an answer on a busy machine
DONE = ["silent", "late", "cut", "broken", "nonsense"]  # it acts, and the answer is lost
UNDONE = ["busy", "slow"]  # it has not acted when the call is given up
SECONDS = {"late": 1.5, "slow": 1.5}


pytestmark = [pytest.mark.long, pytest.mark.any_engine, pytest.mark.first(9)]


@pytest.fixture(autouse=True)
def gateway(provider: ProviderProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "ECI_GATEWAY_TIMEOUT", TIMEOUT)
    made = SignedHttpGateway(url=provider.url, secret=SECRET)
    monkeypatch.setattr(workflows, "gateway", made)
    yield
    made.close()


def script(provider: ProviderProcess, operation: str, fault: str, times: int = 1) -> None:
    provider.script(operation, fault, times=times, seconds=SECONDS.get(fault, 5))


def until_settled(rounds: int = 4) -> None:
    """Beat's tasks, with the pauses between their rounds left out."""
    for _ in range(rounds):
        due_now()
        settle()


@pytest.mark.parametrize("fault", [*DONE, *UNDONE])
def test_an_order_is_charged_once(shop: Shop, provider: ProviderProcess, fault: str) -> None:
    script(provider, "charge", fault)
    placed = shop.order(key="buy")
    assert (placed.status, placed.data["status"]) == (202, "PAYMENT_PENDING")
    until_settled()
    again = shop.order(key="buy")
    assert (again.status, again.data["status"], again.data["payment_status"]) == (201, "SHIPPED", "PAID")
    assert again.data["order_id"] == placed.data["order_id"]
    assert provider.done() == {"charge": 1}
    assert shop.notices(placed.data["order_id"]) == ["order_confirmation", "shipping_confirmation"]


@pytest.mark.parametrize("fault", [*DONE, *UNDONE])
@pytest.mark.parametrize("operation", ["authorise", "capture"])
def test_an_order_that_staff_dispatches_is_paid_once(
    shop: Shop, provider: ProviderProcess, operation: str, fault: str
) -> None:
    script(provider, operation, fault)
    placed = shop.order(key="buy", fulfilment="warehouse")
    assert (placed.status, placed.data["status"]) == (202, "PAYMENT_PENDING")
    until_settled()
    again = shop.order(key="buy", fulfilment="warehouse")
    assert (again.status, again.data["status"], again.data["payment_status"]) == (201, "CONFIRMED", "PAID")
    assert again.data["order_id"] == placed.data["order_id"]
    assert provider.done() == {"authorise": 1, "capture": 1}
    assert shop.notices(placed.data["order_id"]) == ["order_confirmation"]


@pytest.mark.parametrize("fault", [*DONE, *UNDONE])
def test_a_charge_is_taken_once(shop: Shop, provider: ProviderProcess, fault: str) -> None:
    order = shop.order(pay_later=True).data
    script(provider, "charge", fault)
    assert charge(shop, order, key="pay").status == 202
    until_settled()
    again = charge(shop, order, key="pay")
    assert (again.status, again.data["status"]) == (200, "COMPLETED")
    assert provider.done() == {"charge": 1}
    assert shop.read(order["order_id"])["status"] == "SHIPPED"


@pytest.mark.parametrize("fault", DONE)
def test_a_decline_that_is_not_heard_undoes_the_order(shop: Shop, provider: ProviderProcess, fault: str) -> None:
    script(provider, "charge", fault)
    placed = shop.order(key="buy", payment={"token": "tok_declined"})
    assert placed.status == 202
    until_settled()
    again = shop.order(key="buy", payment={"token": "tok_declined"})
    assert (again.status, again.code) == (402, "payment_declined")
    assert provider.done() == {}
    assert shop.stock() == (100, 0, 100)


@pytest.mark.parametrize("fault", [*DONE, *UNDONE])
def test_an_order_cancelled_while_its_payment_is_pending_gives_all_back(
    shop: Shop, provider: ProviderProcess, fault: str
) -> None:
    """Authorised unheard, cancelled, and the void unheard as well."""
    script(provider, "authorise", fault)
    script(provider, "void", fault)
    order_id = shop.order(fulfilment="warehouse").data["order_id"]
    cancelled = shop.api.post(f"/v1/orders/{order_id}/cancel", {})
    assert (cancelled.status, cancelled.data["status"]) == (202, "PAYMENT_PENDING")
    until_settled()
    after = shop.read(order_id)
    assert (after["status"], after["payment_status"]) == ("CANCELLED", "VOIDED")
    assert provider.done() == {"authorise": 1, "void": 1}
    assert shop.stock() == (100, 0, 100)
    assert shop.notices(order_id) == ["order_cancellation"]


@pytest.mark.parametrize("fault", [*DONE, *UNDONE])
def test_an_order_cancelled_while_its_capture_is_unknown_is_paid_back(
    shop: Shop, provider: ProviderProcess, fault: str
) -> None:
    script(provider, "capture", fault)
    order_id = shop.order(fulfilment="warehouse").data["order_id"]
    assert shop.api.post(f"/v1/orders/{order_id}/cancel", {}).status == 202
    until_settled()
    after = shop.read(order_id)
    assert after["status"] == "CANCELLED"
    done = provider.done()
    assert after["payment_status"] == ("REFUNDED" if done["capture"] else "VOIDED")  # a slow one may be overtaken
    assert done["capture"] == done["refund"] and done["authorise"] == done["refund"] + done["void"] == 1
    assert shop.stock() == (100, 0, 100)


@pytest.mark.parametrize("fault", [*DONE, *UNDONE])
def test_an_order_cancelled_while_its_charge_is_unknown_is_paid_back(
    shop: Shop, provider: ProviderProcess, fault: str
) -> None:
    script(provider, "charge", fault)
    order_id = shop.order().data["order_id"]
    assert shop.api.post(f"/v1/orders/{order_id}/cancel", {}).status == 202
    until_settled()
    after = shop.read(order_id)
    assert (after["status"], after["payment_status"]) == ("CANCELLED", "REFUNDED")
    assert provider.done() == {"charge": 1, "refund": 1}
    assert shop.stock() == (100, 0, 100)


@pytest.mark.parametrize("fault", [*DONE, *UNDONE])
def test_a_refund_is_given_once(shop: Shop, provider: ProviderProcess, fault: str) -> None:
    order = shop.order().data
    script(provider, "refund", fault)
    back = {"amount": "20.00", "reason": "broken"}
    payment_id = order["payments"][0]["payment_id"]
    asked = shop.api.post(f"/v1/payments/{payment_id}/refund", back, key="refund")
    assert (asked.status, asked.data["status"]) == (202, "PENDING")
    until_settled()
    again = shop.api.post(f"/v1/payments/{payment_id}/refund", back, key="refund")
    assert (again.status, again.data["status"]) == (200, "COMPLETED")
    assert provider.done()["refund"] == 1
    assert shop.read(order["order_id"])["refunded_amount"] == "20.00"


@pytest.mark.parametrize("operation", ["authorise", "capture", "charge", "void", "refund"])
def test_what_is_answered_twice_disturbs_nothing(shop: Shop, provider: ProviderProcess, operation: str) -> None:
    """The second answer lies in the connection when the next call is made, and must not be taken for its own."""
    script(provider, operation, "twice", times=9)
    bought, later, waiting = shop.order().data, shop.order(pay_later=True).data, shop.order(fulfilment="warehouse").data
    charge(shop, later)
    until_settled()
    shop.api.post(f"/v1/orders/{waiting['order_id']}/cancel", {})
    until_settled()
    after = [shop.read(order["order_id"]) for order in (bought, later, waiting)]
    assert [order["payment_status"] for order in after] == ["PAID", "PAID", "REFUNDED"]
    assert [order["status"] for order in after] == ["SHIPPED", "SHIPPED", "CANCELLED"]
    assert provider.done() == {"authorise": 1, "capture": 1, "charge": 2, "refund": 1}


@pytest.mark.parametrize("fault", [*DONE, "busy", "slow"])
def test_one_that_does_not_say_what_became_of_it_is_asked_again(
    shop: Shop, provider: ProviderProcess, fault: str
) -> None:
    script(provider, "charge", "silent")
    script(provider, "lookup", fault, times=2)
    order_id = shop.order().data["order_id"]
    until_settled(1)
    assert shop.read(order_id)["status"] == "PAYMENT_PENDING"
    until_settled()
    assert shop.read(order_id)["status"] == "SHIPPED"
    assert provider.done() == {"charge": 1}


def test_one_that_is_down_takes_orders_in_and_settles_them_when_it_is_back(
    shop: Shop, provider: ProviderProcess
) -> None:
    first = shop.order().data
    script(provider, "charge", "cut")
    taken = shop.order().data["order_id"]
    provider.kill()
    down = [shop.order(key="down"), shop.order(pay_later=True)]
    assert [answer.status for answer in down] == [202, 201]
    assert charge(shop, down[1].data, key="pay").status == 202
    cancelled = shop.api.post(f"/v1/orders/{taken}/cancel", {})
    assert cancelled.status == 202
    until_settled(2)
    assert shop.read(taken)["status"] == "PAYMENT_PENDING"
    provider.start()
    provider.begin(provider.ledger)
    until_settled()
    ids = [first["order_id"], taken, *(answer.data["order_id"] for answer in down)]
    assert [shop.read(order_id)["status"] for order_id in ids] == ["SHIPPED", "CANCELLED", "SHIPPED", "SHIPPED"]
    assert provider.done() == {"charge": 4, "refund": 1}
    assert shop.stock() == (94, 0, 94)


def test_a_provider_that_knows_another_secret_is_no_answer(
    shop: Shop, provider: ProviderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = SignedHttpGateway(url=provider.url, secret="not the secret")
    with monkeypatch.context() as wrong:
        wrong.setattr(workflows, "gateway", stranger)
        order_id = shop.order().data["order_id"]
        until_settled(1)
        assert shop.read(order_id)["status"] == "PAYMENT_PENDING"
    stranger.close()
    until_settled()
    assert shop.read(order_id)["status"] == "SHIPPED"


def test_its_list_of_a_day_is_read(shop: Shop, provider: ProviderProcess) -> None:
    from eci.clock import utcnow

    reference = shop.order().data["payments"][0]["reference"]
    listed: list[Any] = workflows.gateway.operations(day=utcnow().date())  # type: ignore[assignment]
    assert [(one.kind, one.outcome, one.reference) for one in listed] == [
        ("charge", "done", reference),
    ]
