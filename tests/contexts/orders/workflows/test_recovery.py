"""A runner that dies between any two calls: recovery carries the order to the end it would have had, once.

In one process, for daily work; tests/trouble/torture kills real ones, at every statement of every command.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings

from config.books.audit import audit
from contexts.orders import services
from contexts.orders.models import OutboxEvent
from contexts.orders.workflows import recovery
from contexts.payments.models import Payment
from eci.calls import rpc
from eci.errors import ContextUnavailable
from tests.support.crashes import Crash, dying_after, later
from tests.support.shop import Shop, charge


def boundaries(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], Any], *, at_least: int) -> Iterator[int]:
    """Act again and again, dying one boundary later each time, until nothing is left to die at."""
    for boundary in itertools.count():
        try:
            with dying_after(boundary, monkeypatch):
                act(boundary)
        except Crash:
            later()
            yield boundary
        else:
            assert boundary >= at_least, f"only {boundary} boundaries: the fuse no longer stands where calls are made"
            return


@pytest.mark.long
def test_placing_dies_anywhere(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def place(number: int) -> Any:
        return shop.order(2, key=f"mine-{number}")

    on_hand = 100
    for number in boundaries(monkeypatch, place, at_least=12):
        assert place(number).status == 201
        later()
        listed = shop.api.get("/v1/orders?limit=100").data
        assert len(listed) == number + 1
        order = listed[0]
        assert order["status"] == "SHIPPED"
        on_hand -= 2
        assert shop.stock() == (on_hand, 0, on_hand)
        assert shop.notices(order["order_id"]) == ["order_confirmation", "shipping_confirmation"]
        assert len([payment for payment in order["payments"] if payment["captured"] != "0.00"]) == 1
        assert captures_at_the_provider(order["order_id"]) == 1
    assert audit().findings == ()


def captures_at_the_provider(order_id: str) -> int:
    """How often the provider itself says it took money for the order."""
    payments = list(Payment.objects.filter(order_id=order_id).values_list("pk", flat=True))
    with sqlite3.connect(settings.ECI_SANDBOX_LEDGER) as ledger:
        done = ledger.execute("SELECT key FROM operations WHERE kind IN ('capture', 'charge') AND outcome = 'done'")
        ours = tuple(f"payment-{pk}-" for pk in payments)
        return sum(key.startswith(ours) for (key,) in done.fetchall())


@pytest.mark.long
def test_returning_dies_anywhere(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"items": [{"product_id": shop.product_id, "quantity": 2}], "reason": "r"}
    ready = [shop.order(2).data["order_id"] for _ in range(20)]

    def give_back(number: int) -> Any:
        return shop.api.post(f"/v1/orders/{ready[number]}/returns", body, key=f"back-{number}")

    on_hand = 60
    for number in boundaries(monkeypatch, give_back, at_least=4):
        answer = give_back(number)
        assert (answer.status, answer.data["refund"]) == (201, "209.98")
        later()
        order = shop.read(ready[number])
        assert (order["status"], order["refunded_amount"]) == ("RETURNED", "209.98")
        on_hand += 2
        assert shop.stock() == (on_hand, 0, on_hand)
    assert audit().findings == ()


@contextmanager
def away(context: str, command: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The participant does not answer this command."""

    def unanswered(**arguments: Any) -> Any:
        raise ContextUnavailable(f"{context} is away")

    with monkeypatch.context() as patch:
        patch.setattr(rpc.served(context)[1], command, unanswered)
        yield


def test_an_order_that_ended_meanwhile_is_not_undone_again(shop: Shop) -> None:
    order_id = shop.order(2, fulfilment="warehouse").data["order_id"]
    assert shop.api.post(f"/v1/orders/{order_id}/cancel", {}).status == 200

    assert not recovery.advance(order_id=order_id), "a runner that saw it due before another one had ended it"

    assert [entry["event"] for entry in shop.read(order_id)["timeline"]].count("cancelled") == 1
    cancelled = OutboxEvent.objects.filter(aggregate_id=order_id, name="orders.order_cancelled.v1")
    assert cancelled.values("event_id").distinct().count() == 1


def test_an_order_that_rests_until_its_deadline_meanwhile_is_not_ended_early(shop: Shop) -> None:
    order = shop.order(2, pay_later=True).data

    assert not recovery.advance(order_id=order["order_id"]), "a runner that saw it due before another carried it on"

    assert shop.read(order["order_id"])["status"] == "AWAITING_PAYMENT"
    assert charge(shop, order).status == 200


def test_a_return_that_cannot_go_on_needs_attention_and_ends_once_it_can(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = shop.order(2).data["order_id"]
    body = {"items": [{"product_id": shop.product_id, "quantity": 2}], "reason": "r"}
    with away("inventory", "restock", monkeypatch):
        assert shop.api.post(f"/v1/orders/{order_id}/returns", body, key="back").status == 202
        assert not shop.read(order_id)["needs_attention"]
        for _ in range(services.ATTENTION_AFTER + 1):
            later()
        order = shop.read(order_id)
        assert (order["status"], order["needs_attention"]) == ("SHIPPED", True)
        assert [entry["event"] for entry in order["timeline"]].count("needs_attention") == 1
    later()
    assert shop.read(order_id)["status"] == "RETURNED"
    assert shop.api.post(f"/v1/orders/{order_id}/returns", body, key="back").status == 201


def test_the_absence_of_a_participant_is_not_the_answer_that_a_key_keeps(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with away("payments", "charge", monkeypatch):
        assert shop.order(2, key="mine").status == 202
        assert shop.order(2, key="mine").status == 202
    answer = shop.order(2, key="mine")
    assert (answer.status, answer.data["status"]) == (201, "SHIPPED")
