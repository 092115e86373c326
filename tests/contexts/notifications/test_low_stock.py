"""The mail about low stock: once a day, to those who want it, and none while nothing is low."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from contexts.inventory.public.events import StockLow
from contexts.notifications import tasks
from contexts.notifications.models import LowStock, Notification
from eci.clock import utcnow
from eci.outbox import Delivery, receive
from tests.support.api import Api

WANT = ["buyer@shop.example", "stock@shop.example"]


@pytest.fixture(autouse=True)
def wanted(settings: Any) -> None:
    settings.ECI_LOW_STOCK_MAIL, settings.ECI_LOW_STOCK_MAIL_HOUR = WANT, 0


def stock(api: Api, sku: str, units: int) -> int:
    product_id = int(api.post("/v1/products", {"sku": sku, "name": "Lamp", "price": "5.00"}).data["product_id"])
    body = {"product_id": product_id, "warehouse": "WH1", "onhand": units}
    return int(api.post("/v1/inventory", body).data["inventory_id"])


def becomes_low(inventory_id: int) -> None:
    event = StockLow(
        version=1, inventory_id=inventory_id, product_id=1, warehouse="WH1", on_hand=1, available=1, reorder_point=10
    )
    receive("notifications", [Delivery(event_id=uuid.uuid4(), name=event.NAME, payload=event.payload(), trace={})])


def test_one_mail_a_day_to_each(api: Api) -> None:
    stock(api, "OLD", 4)
    new = stock(api, "NEW", 9)
    stock(api, "ENOUGH", 10)
    becomes_low(new)
    becomes_low(new)
    for _ in range(2):
        tasks.mail_low_stock()
        tasks.send_due()
    assert [message.to for message in mail.outbox] == [[address] for address in WANT]
    assert mail.outbox[0].subject == "Low stock: 2"
    assert mail.outbox[0].body.strip() == (
        "New since the last mail:\n- NEW Lamp, WH1: 9 on hand, 9 available, reorder point 10\n\n"
        "Still low:\n- OLD Lamp, WH1: 4 on hand, 4 available, reorder point 10"
    )
    assert not LowStock.objects.exists(), "the next mail calls others new"

    for notification in Notification.objects.all():  # the next day
        key = (notification.dedupe_key or "").replace(
            f"{utcnow():%Y-%m-%d}", f"{utcnow() - timedelta(days=1):%Y-%m-%d}"
        )
        Notification.objects.filter(pk=notification.pk).update(dedupe_key=key)
    tasks.mail_low_stock()
    tasks.send_due()
    assert len(mail.outbox) == 4
    assert "New since" not in mail.outbox[-1].body


def test_no_mail_while_nothing_is_low(api: Api) -> None:
    stock(api, "ENOUGH", 10)
    tasks.mail_low_stock()
    assert not Notification.objects.exists()
    stock(api, "LATER", 1)
    tasks.mail_low_stock()
    assert Notification.objects.filter(kind="low_stock", status="QUEUED").count() == 2


def test_no_mail_to_nobody_or_too_early(api: Api, settings: Any) -> None:
    low = stock(api, "OLD", 4)
    settings.ECI_LOW_STOCK_MAIL_HOUR = 24
    tasks.mail_low_stock()
    settings.ECI_LOW_STOCK_MAIL, settings.ECI_LOW_STOCK_MAIL_HOUR = [], 0
    becomes_low(low)
    tasks.mail_low_stock()
    assert not Notification.objects.exists()
    assert not LowStock.objects.exists()


def test_a_shop_with_much_that_is_low(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        stock(api, f"SKU-{number}", number + 1)
    monkeypatch.setattr("contexts.notifications.workflows.LOW_ROWS", 2)
    tasks.mail_low_stock()
    message = Notification.objects.earliest("pk").message
    assert message.endswith("And 1 more.")
    assert [line[:7] for line in message.splitlines() if line.startswith("-")] == ["- SKU-0", "- SKU-1"]
