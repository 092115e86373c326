"""A process whose clock is twenty minutes wrong, behind or ahead: nothing runs out early, nothing late.

The databases' servers keep the right time, and theirs is the one that counts. Whatever is made here is made by a wrong
clock; its end then comes by moving the row's times, as the servers' clock would.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from config.celery import app
from contexts.inventory.models import Allocation, Reservation
from contexts.inventory.services import holds, sweeping
from contexts.notifications import services as notifications
from contexts.notifications.domain import Kind
from contexts.notifications.models import Notification
from contexts.orders import services as orders
from contexts.orders.domain import Came
from contexts.orders.models import Order, Return
from contexts.orders.workflows import recovery
from contexts.payments import services as payments
from contexts.payments.domain import ChargeAsked
from contexts.payments.models import Payment, PaymentRequest
from eci import idempotency, outbox
from tests.support.api import settle
from tests.support.shop import Shop
from tests.support.world import ON_SERVERS

WRONG = timedelta(minutes=20)
SECOND = timedelta(seconds=1)
# Shown to people; no decision and no day of settlement hangs on them. Nothing else may come from a process's clock.
ONLY_SHOWN = {
    *("catalog.product", "catalog.pricechange", "customers.customer", "inventory.movement", "inventory.stock"),
    *("inventory.allocation", "inventory.pasthold"),  # what they were when, for stock as of an instant
    *("inventory.warehouse", "orders.order", "orders.timelineentry", "payments.payment", "payments.refund"),
    *("payments.paymentrequest", "shipping.shipment", "shipping.shipmentevent", "notifications.notification"),
}
SHOWN = ("created_at", "updated_at", "at", "dispatched_at", "confirmed_at", "since", "until")


@pytest.fixture(params=[-WRONG, WRONG], ids=["behind", "ahead"], autouse=True)
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[timedelta]:
    with time_machine.travel(datetime.now(UTC) + request.param, tick=True):
        yield request.param


on_servers = pytest.mark.skipif(not ON_SERVERS, reason="SQLite's clock is the process's")


def server_time(model: type[models.Model]) -> datetime:
    """By the clock of the model's database."""
    return model._default_manager.annotate(now=Now()).values_list("now", flat=True)[0]


def later(model: type[models.Model], by: timedelta, *fields: str) -> None:
    """Let so much time pass for the table's rows."""
    model._default_manager.update(**{field: F(field) - by for field in fields})


def hold(shop: Shop, quantity: int, key: str) -> Any:
    return shop.api.post("/v1/inventory/reserve", {"product_id": shop.product_id, "quantity": quantity}, key=key)


@on_servers
def test_no_time_that_decides_comes_from_the_process(shop: Shop, wrong_clock: timedelta) -> None:
    shop.order(1, key="one")
    sold = shop.order(1, fulfilment="warehouse").data["order_id"]
    shop.api.post(f"/v1/orders/{sold}/cancel", {})
    waits = shop.order(1, pay_later=True).data
    shop.api.post("/v1/payments/charge", {"order_id": waits["order_id"], "amount": waits["order_total"]}, key="two")
    shop.order(1, pay_later=True)
    shop.order(1, payment={"token": "tok_timeout"})
    settle()
    items = [{"product_id": shop.product_id, "quantity": 1}]
    shop.api.post(f"/v1/orders/{waits['order_id']}/returns", {"items": items, "reason": "blue"}, key="three")
    hold(shop, 1, "hold")
    holds.release(key="never made", tombstone_for="never made")
    sweeping.sweep_batch()
    settle()

    # Real deadlines are 15 and 17 minutes ahead at most: what lies around the wrong time was read from the wrong clock.
    seen = set()
    for name in settings.ECI_CONTEXTS:
        for model in apps.get_app_config(name).get_models():
            for field in model._meta.fields:
                if not isinstance(field, models.DateTimeField):
                    continue
                for value in model._default_manager.exclude(**{field.name: None}).values_list(field.name, flat=True):
                    column = f"{model._meta.label_lower}.{field.name}"
                    seen.add(column)
                    if model._meta.label_lower in ONLY_SHOWN and field.name in SHOWN:
                        continue
                    off = value - (server_time(model) + wrong_clock)
                    assert abs(off) > timedelta(minutes=2), f"{column} is the process's time"
    assert {"inventory.sweep.at", "orders.return.created_at", "payments.payment.captured_at"} <= seen


@on_servers
def test_a_hold_ends_when_the_database_says(shop: Shop) -> None:
    assert hold(shop, 100, "first").status == 200
    row = Reservation.objects.get()
    left = row.expires_at - server_time(Reservation)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert hold(shop, 1, "second").code == "insufficient_stock"
    assert shop.order(1).code == "insufficient_stock"
    assert sweeping.sweep_batch() == 0

    later(Reservation, left + SECOND, "expires_at")
    later(Allocation, left + SECOND, "lapses_at")

    assert shop.stock() == (100, 0, 100)
    assert shop.api.post("/v1/inventory/confirm", {"idempotency_key": "first"}).code == "reservation_expired"
    assert shop.order(1).status == 201
    assert sweeping.sweep_batch() == 1


@on_servers
def test_an_order_awaits_its_payment_until_the_database_says(shop: Shop) -> None:
    first, second = (shop.order(1, pay_later=True).data for _ in range(2))
    settle()
    assert shop.read(first["order_id"])["status"] == "AWAITING_PAYMENT"
    charge = {"order_id": first["order_id"], "amount": first["order_total"]}
    assert shop.api.post("/v1/payments/charge", charge).status == 200

    later(PaymentRequest, timedelta(minutes=15), "deadline")
    late = {"order_id": second["order_id"], "amount": second["order_total"]}
    assert shop.api.post("/v1/payments/charge", late).code == "reservation_expired"
    later(Order, timedelta(minutes=15), "next_at")
    settle()
    assert shop.read(first["order_id"])["status"] == "SHIPPED"
    assert shop.read(second["order_id"])["status"] == "EXPIRED"


@on_servers
def test_a_lease_on_an_order_runs_by_the_database(shop: Shop) -> None:
    order_id = shop.order(1, pay_later=True).data["order_id"]
    assert orders.claim(order_id=order_id) is None, "its deadline is ahead"
    later(Order, timedelta(hours=1), "next_at")
    assert orders.claim(order_id=order_id) is not None
    assert orders.claim(order_id=order_id) is None
    later(Order, orders.LEASE, "lease_until")
    assert orders.claim(order_id=order_id) is not None


@on_servers
def test_a_return_under_way_is_left_to_its_request(shop: Shop) -> None:
    order_id = shop.order(1).data["order_id"]
    opened = orders.open_return(
        order_id=order_id, came=[Came(product_id=shop.product_id, quantity=1)], reason="", actor="test", key=None
    )
    assert recovery.recover() == 0
    later(Return, orders.LEASE, "next_at")
    assert recovery.recover() == 1
    assert Return.objects.get(pk=opened.pk).done_at is not None


@on_servers
def test_a_call_to_the_provider_under_way_is_left_to_its_request(shop: Shop) -> None:
    asked = ChargeAsked(order_id="FOREIGN", amount_minor=100, currency="USD", customer_id=None, method="card", token="")
    payment = payments.begin_charge(asked=asked, key=None)
    assert not payments.claim_due(row=payment)
    later(Payment, timedelta(seconds=settings.ECI_GATEWAY_TIMEOUT + 3), "next_at")
    assert payments.claim_due(row=payment)
    assert not payments.claim_due(row=payment)


@on_servers
def test_events_and_notices_are_due_and_leased_by_the_database(shop: Shop) -> None:
    shop.order(1)
    due = apps.get_model("orders", "OutboxEvent").objects.filter(delivered_at=None)
    told = due.count()
    assert told > 0
    assert len(outbox._claim("orders", "somebody", None)) == told
    assert outbox.deliver_due("orders") == 0
    later(due.model, outbox.LEASE, "next_at")
    assert outbox.deliver_due("orders") == told

    notifications.queue_shop_notification(kind=Kind.ORDER_EXPIRED, order_id="ORD-1", reference="ORD-1", facts={})
    count = len(notifications.begin_due(owner="somebody"))
    assert count >= 1
    assert notifications.begin_due(owner="somebody else") == []
    later(Notification, notifications.LEASE, "lease_until")
    assert len(notifications.begin_due(owner="somebody else")) == count


@on_servers
def test_answers_and_events_are_kept_as_long_as_promised(shop: Shop) -> None:
    shop.order(1, key="kept")
    settle()
    answers = apps.get_model("orders", "Idempotency")
    keep = timedelta(hours=48)
    later(answers, keep - timedelta(minutes=1), "created_at")
    later(apps.get_model("shipping", "OutboxEvent"), keep - timedelta(minutes=1), "delivered_at")
    assert (idempotency.prune("orders", keep_for=keep), outbox.prune("shipping", keep=keep)) == (0, 0)
    assert shop.order(1, key="kept").headers["Idempotent-Replayed"] == "true"
    later(answers, timedelta(minutes=2), "created_at")
    later(apps.get_model("shipping", "OutboxEvent"), timedelta(minutes=2), "delivered_at")
    assert (idempotency.prune("orders", keep_for=keep), outbox.prune("shipping", keep=keep) > 0) == (1, True)


@on_servers
def test_what_the_operators_are_shown(shop: Shop) -> None:
    sweeping.sweep_batch()
    assert shop.api.get("/v1/inventory/reservations/status").data["cleanup_active"] is True
    shop.order(1)
    assert outbox.lag("orders") < WRONG.total_seconds() / 2


@pytest.mark.no_database
def test_no_wake_up_from_a_machine_with_another_clock_is_thrown_away(wrong_clock: timedelta) -> None:
    """Beat writes the end of each message by its clock; the worker compares it with its own."""
    ends = {}
    for name, entry in app.conf.beat_schedule.items():
        message = app.amqp.create_task_message("id", entry["task"], expires=entry["options"]["expires"])
        ends[name] = datetime.fromisoformat(message.headers["expires"])
    with time_machine.travel(datetime.now(UTC) - wrong_clock, tick=True):
        assert [name for name, end in ends.items() if end < datetime.now(UTC)] == []
