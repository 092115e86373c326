"""Sales by day: rolled up from orders, today's once a minute, an earlier day's when an event says that it changed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from contexts.orders import services, tasks
from contexts.orders.models import Order, OutboxEvent, SalesDay, StaleDay
from contexts.orders.public.api import orders
from contexts.orders.public.events import OrderCancelled, OrderConfirmed
from eci import outbox
from eci.clock import utcnow
from tests.support.shop import Shop
from tests.support.statements import Counted


def told() -> list[tuple[int, int, str, int, str]]:
    """Orders, units, value, cancelled, refunded of each day."""
    days = orders.sales_by_day(since=date(2000, 1, 1))
    return [(one.orders, one.units, str(one.value), one.cancelled, str(one.refunded)) for one in days]


def settle(shop: Shop) -> None:
    shop.api.settle()
    tasks.roll_up()


def test_a_day_is_what_its_orders_say(shop: Shop) -> None:
    shop.order(2)
    shop.order(3, product_id=shop.other_id)
    shop.order(1, payment={"token": "tok_declined"})
    shop.order(1, pay_later=True)
    settle(shop)
    assert told() == [(2, 5, "261.48", 0, "0.00")]
    [day] = orders.sales_by_day(since=utcnow().date())
    assert (day.day, day.currency) == (utcnow().date(), "USD")
    assert orders.sales_by_day(since=utcnow().date() + timedelta(days=1)) == ()


def test_what_was_cancelled_and_refunded_is_said(shop: Shop) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    other = shop.order(1).data
    settle(shop)
    assert shop.api.post(f"/v1/orders/{order['order_id']}/cancel", {"reason": "no"}).status == 200
    payment_id = shop.read(other["order_id"])["payments"][0]["payment_id"]
    body = {"amount": "5.00", "reason": "scratch"}
    assert shop.api.post(f"/v1/payments/{payment_id}/refund", body).status == 200
    settle(shop)
    assert told() == [(2, 3, "334.97", 1, "224.98")]


def test_events_that_come_twice_or_in_another_order_change_nothing(shop: Shop) -> None:
    order_id = shop.order(2).data["order_id"]
    settle(shop)
    before = told()
    facts = {"order_total": "1.00", "currency": "USD"}
    for event in (
        OrderCancelled(order_id=order_id, reason="cancelled", version=9),
        OrderConfirmed(order_id=order_id, version=1, **facts),
        OrderConfirmed(order_id=order_id, version=1, **facts),
        OrderConfirmed(order_id="ORD-NONE", version=1, **facts),
    ):
        for event_id in [uuid.uuid4()] * 2:
            delivery = outbox.Delivery(event_id=event_id, name=event.NAME, payload=event.payload(), trace={})
            outbox.receive("orders", [delivery])
    assert StaleDay.objects.count() == 1
    tasks.roll_up()
    assert told() == before


def test_what_becomes_stale_while_it_is_rolled_up_is_rolled_up_again(shop: Shop, monkeypatch: Any) -> None:
    order_id = shop.order(2).data["order_id"]
    shop.api.settle()
    read = services.selectors.sales_of

    def slowly(*, day: date) -> list[SalesDay]:
        found = read(day=day)
        if not SalesDay.objects.exists():
            services.note_stale_day(order_id=order_id)
        return found

    monkeypatch.setattr(services.selectors, "sales_of", slowly)
    tasks.roll_up()
    assert StaleDay.objects.count() == 1


class TestAnOrderTellsOrders:
    @staticmethod
    def told_of() -> list[str]:
        return list(OutboxEvent.objects.filter(consumer="orders").values_list("name", flat=True))

    @staticmethod
    def at(monkeypatch: Any, hour: time, *, days: int = 0) -> None:
        now = datetime.combine(utcnow().date() + timedelta(days=days), hour, UTC)
        monkeypatch.setattr(services, "utcnow", lambda: now)

    def test_nothing_on_the_day_that_it_was_placed(self, shop: Shop, monkeypatch: Any) -> None:
        self.at(monkeypatch, time(12))
        shop.order(1)
        assert self.told_of() == []
        tasks.roll_up()
        shop.order(1)
        tasks.roll_up()
        assert [one[0] for one in told()] == [2]

    def test_when_it_is_confirmed_on_a_later_day_which_is_rolled_up_then(self, shop: Shop) -> None:
        order_id = shop.order(1, pay_later=True).data["order_id"]
        Order.objects.filter(pk=order_id).update(created_at=F("created_at") - timedelta(days=1))
        settle(shop)
        assert told() == []
        body = {"order_id": order_id, "amount": str(Order.objects.get(pk=order_id).total_minor / 100)}
        assert shop.api.post("/v1/payments/charge", body).status == 200
        shop.api.settle()
        assert self.told_of() == [OrderConfirmed.NAME]
        tasks.roll_up()
        [day] = orders.sales_by_day(since=date(2000, 1, 1))
        assert (day.day, day.orders) == (utcnow().date() - timedelta(days=1), 1)

    def test_around_midnight(self, shop: Shop, monkeypatch: Any) -> None:
        """Placed before, and recorded after the day was rolled up for the last time."""
        self.at(monkeypatch, time(23, 59))
        shop.order(1)
        assert self.told_of() == [OrderConfirmed.NAME]

    def test_and_a_day_that_is_over_is_rolled_up_once_more(self, shop: Shop, monkeypatch: Any) -> None:
        self.at(monkeypatch, time(12))
        shop.order(1)
        tasks.roll_up()
        shop.order(1)
        self.at(monkeypatch, time(0), days=1)
        tasks.roll_up()
        assert [one[0] for one in told()] == [2]
        assert [one.day for one in StaleDay.objects.all()] == [utcnow().date() + timedelta(days=1)]


def test_lately_is_rolled_up_where_nothing_ever_was(shop: Shop) -> None:
    for days in (0, 10, 31, 40):
        order_id = shop.order(1).data["order_id"]
        Order.objects.filter(pk=order_id).update(created_at=F("created_at") - timedelta(days=days))
    shop.api.settle()
    StaleDay.objects.all().delete()
    tasks.roll_up()
    assert len(told()) == 3
    tasks.roll_up()
    assert len(told()) == 3


class TestTheCommand:
    def test_rolls_up_everything_anew(self, shop: Shop, capsys: Any) -> None:
        old = shop.order(1).data["order_id"]
        Order.objects.filter(pk=old).update(created_at=F("created_at") - timedelta(days=100))
        shop.order(2)
        settle(shop)
        SalesDay.objects.update(orders=77)
        call_command("roll_up_sales")
        assert "101 days" in capsys.readouterr().out
        assert [one[0] for one in told()] == [1, 1]
        SalesDay.objects.update(orders=77)
        call_command("roll_up_sales", since=f"{utcnow():%Y-%m-%d}")
        assert [one[0] for one in told()] == [77, 1]

    def test_refuses_what_is_no_day(self) -> None:
        with pytest.raises(CommandError, match="YYYY-MM-DD"):
            call_command("roll_up_sales", since="tomorrow")

    def test_needs_no_orders(self) -> None:
        call_command("roll_up_sales")
        assert told() == []


def test_a_day_costs_the_same_however_many_orders_it_has(shop: Shop, statements: Callable[..., Any]) -> None:
    def cost() -> int:
        services.mark_days()
        with statements() as counted:
            services.roll_up()
        found: Counted = counted
        return found.total

    shop.order(1)
    settle(shop)
    one = cost()
    for _ in range(5):
        shop.order(1)
    shop.api.settle()
    assert cost() == one
