"""Whatever is logged about an order names it and a request, in web and in worker, so that one search finds it all."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from contexts.orders.public.events import OrderConfirmed
from contexts.payments import workflows
from contexts.payments.models import Payment
from eci import events
from eci.calls import rpc
from eci.watch.logs import logging_config
from tests.support.crashes import later
from tests.support.shop import Shop

pytestmark = pytest.mark.any_engine

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What has been logged since one asked last, as it stands in the file."""
    config = logging_config()["formatters"]["json"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(config["()"](**{name: value for name, value in config.items() if name != "()"}))
    root, access = logging.getLogger(), logging.getLogger("eci.access")
    before = root.level, access.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    access.setLevel(logging.INFO)  # tests are quieter than a shop

    def read() -> list[dict[str, Any]]:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in text.splitlines()]

    yield read
    root.setLevel(before[0])
    access.setLevel(before[1])
    root.removeHandler(handler)


class Failing:
    """Stands before inventory, which is broken where it ships."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def ship(self, **asked: Any) -> Any:
        raise RuntimeError("no")


def test_every_request_about_an_order_names_it(shop: Shop, lines: Lines) -> None:
    placed = shop.order(key="once")
    order_id = placed.data["order_id"]
    payment_id = shop.api.get(f"/v1/payments?order_id={order_id}").data[0]["payment_id"]
    shipment_id = shop.api.get(f"/v1/shipments?order_id={order_id}").data[0]["shipment_id"]
    shop.api.settle()
    notification_id = shop.api.get(f"/v1/notifications?order_id={order_id}").data[0]["notification_id"]
    reservation_id = shop.api.get(f"/v1/inventory/reservations?order_id={order_id}").data[0]["reservation_id"]
    browser = Client()
    browser.force_login(User.objects.create_superuser("boss@shop.example", "", "a long enough secret"))
    before = lines()
    assert [line["route"] for line in before if line["event"] == "request" and line.get("order_id") != order_id] == []
    asked = [
        lambda: shop.order(key="once"),
        lambda: shop.api.get(f"/v1/orders/{order_id}"),
        lambda: shop.api.get(f"/v1/payments/{payment_id}"),
        lambda: shop.api.post(f"/v1/payments/{payment_id}/refund", {"amount": "1.00", "reason": "r"}, key="back"),
        lambda: shop.api.post(f"/v1/payments/{payment_id}/refund", {"amount": "1.00", "reason": "r"}, key="back"),
        lambda: shop.api.post(f"/v1/payments/{payment_id}/refund", {"amount": "9999.00", "reason": "r"}),
        lambda: shop.api.get(f"/v1/shipments/{shipment_id}"),
        lambda: shop.api.patch(f"/v1/shipments/{shipment_id}", {"status": "DELIVERED"}),
        lambda: shop.api.get(f"/v1/notifications/{notification_id}"),
        lambda: shop.api.get(f"/v1/inventory/reservations/{reservation_id}"),
        lambda: shop.api.post("/v1/payments/charge", {"order_id": order_id, "amount": "5.00"}),
        lambda: shop.api.post(f"/v1/orders/{order_id}/cancel", {}),
        lambda: browser.get(f"/admin/orders/order/{order_id}/change/"),
        lambda: browser.get(f"/admin/payments/payment/{payment_id}/change/"),
    ]
    for call in asked:
        call()
        found = lines()
        assert [line for line in found if line["event"] == "request"], "it was logged"
        assert [line for line in found if line.get("order_id") != order_id or not line.get("request_id")] == []
    shop.api.get("/v1/orders")
    assert all("order_id" not in line for line in lines()), "a list is about none"


def test_another_system_s_id_is_not_written_from_a_request(shop: Shop, lines: Lines) -> None:
    shop.api.post("/v1/payments/charge", {"order_id": "Ann-Smith", "amount": "5.00"})
    (line,) = [line for line in lines() if line["event"] == "request"]
    assert "Ann-Smith" not in str(line)


def test_what_is_carried_on_later_names_the_order_and_the_first_request(shop: Shop, lines: Lines) -> None:
    with rpc.replaced("inventory", Failing(rpc.served("inventory")[1])):
        placed = shop.api.post(
            "/v1/orders",
            {"customer_id": shop.customer_id, "items": [{"product_id": shop.product_id, "quantity": 1}]},
            **{"X-Request-ID": "the-first"},
        )
        lines()
        later()
    found = [line for line in lines() if line["event"] == "order_step_failed"]
    assert found, "it failed again"
    assert {(line["order_id"], line["request_id"]) for line in found} == {(placed.data["order_id"], "the-first")}


def test_an_event_that_is_not_handled_names_the_order_and_the_first_request(shop: Shop, lines: Lines) -> None:
    def fail(event: OrderConfirmed) -> None:
        raise RuntimeError("no")

    with events.replaced({("notifications", OrderConfirmed.NAME): (OrderConfirmed, fail)}):
        placed = shop.order(1)
        shop.api.settle()
    found = [line for line in lines() if line["event"] == "event_not_handled"]
    assert {(line["order_id"], line["event_name"]) for line in found} >= {
        (placed.data["order_id"], OrderConfirmed.NAME)
    }
    assert all(line["request_id"] == placed.headers["X-Request-ID"] for line in found)


def test_a_payment_that_cannot_be_settled_names_its_order(
    shop: Shop, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = shop.order(1, payment={"method": "card", "token": "tok_timeout"})
    Payment.objects.update(next_at=Now(), status="PENDING")

    class Away:
        def lookup(self, **asked: Any) -> Any:
            raise workflows.GatewayUnavailable

    monkeypatch.setattr(workflows, "gateway", Away())
    lines()
    workflows.settle_unknown()
    (line,) = [line for line in lines() if line["event"] == "gateway_unavailable"]
    assert line["order_id"] == placed.data["order_id"]
    assert line["request_id"], "an id of its own"
