"""The check-up that beat takes, the metrics it leaves, and what is pruned."""

from __future__ import annotations

import re
from datetime import timedelta

from django.contrib.sessions.models import Session
from django.test import Client

from config.books import checkup, tasks
from config.books.models import CheckUp
from config.operations import tasks as operations_tasks
from contexts.inventory import tasks as inventory_tasks
from contexts.inventory.models import Movement, Stock
from contexts.inventory.services import proof
from contexts.orders.models import Order
from eci.clock import utcnow
from tests.support.shop import Shop


def metric(name: str) -> float | None:
    said = Client().get("/metrics").content.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", said, re.MULTILINE)
    return float(found[1]) if found else None


def test_findings_and_lags_are_metrics(shop: Shop) -> None:
    assert metric("audit_findings") is None
    order_id = shop.order(1, fulfilment="warehouse").data["order_id"]
    checkup.check_up()
    assert (metric("audit_findings"), metric("orders_lag_seconds")) == (0, 0)
    assert abs(utcnow().timestamp() - (metric("audit_last_run_timestamp_seconds") or 0)) < 60

    Stock.objects.filter(product_id=shop.product_id).update(on_hand=98)
    past = utcnow() - timedelta(hours=1)
    Order.objects.filter(pk=order_id).update(next_at=past, lease_until=None)
    assert metric("audit_findings") == 0, "a scrape looks at nothing itself"
    checkup.check_up()
    assert metric("audit_findings") == 1
    assert metric('reconcile_items{kind="stock"}') == 1
    assert metric('reconcile_items{kind="overdue"}') == 1
    assert 3600 <= (metric("orders_lag_seconds") or 0) < 4000
    assert metric('orders_stuck{reason="overdue"}') == 1


def test_a_movement_that_was_changed_is_a_finding(shop: Shop) -> None:
    inventory_tasks.seal_ledger()
    inventory_tasks.verify_ledger()
    checkup.check_up()
    assert (metric("audit_findings"), metric("inventory_ledger_sealed")) == (0, 3)
    for moment in ("sealed", "verified"):
        assert abs(utcnow().timestamp() - (metric(f"inventory_ledger_{moment}_timestamp_seconds") or 0)) < 60

    Movement.objects.filter(product_id=shop.product_id).update(reason="gift")
    proof.check()
    checkup.check_up()
    assert (metric("audit_findings"), metric('reconcile_items{kind="ledger"}')) == (1, 1)


def test_a_check_up_that_took_long_is_followed_by_a_pause() -> None:
    tasks.check_up()
    CheckUp.objects.update(at=utcnow() - timedelta(seconds=990), milliseconds=100_000)
    tasks.check_up()
    assert CheckUp.objects.count() == 1
    CheckUp.objects.update(at=utcnow() - timedelta(seconds=1010))
    tasks.check_up()
    assert CheckUp.objects.count() == 2
    assert (metric("audit_duration_seconds") or 0) < 100


def test_orders_stopped_is_a_metric(shop: Shop) -> None:
    from contexts.orders.public.api import orders

    assert metric("orders_stopped") == 0
    orders.stop(reason="flood", actor="test")
    assert metric("orders_stopped") == 1


def test_prune_forgets_old_sessions_and_check_ups() -> None:
    now = utcnow()
    for key, expires in (("old", now - timedelta(days=1)), ("new", now + timedelta(days=1))):
        Session.objects.create(session_key=key, session_data="", expire_date=expires)
    for days in (31, 29):
        CheckUp.objects.create(at=now - timedelta(days=days), milliseconds=1, orders=0, in_flight=0, items=[], lags={})
    operations_tasks.prune()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
    assert CheckUp.objects.count() == 1
