"""``manage.py orders stop``: no new orders; everything else goes on."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from config.staff import groups
from contexts.orders.workflows import admission
from tests.support.pages import Browser
from tests.support.shop import Shop


def test_new_orders_are_refused_in_words(shop: Shop, manage: Any) -> None:
    assert "New orders are rejected" in manage("orders", "stop", "The warehouse floods.")[1]
    before = shop.stock()
    refused = shop.order(key="late")
    assert (refused.status, refused.code) == (503, "orders_stopped")
    assert refused.error == "No new orders are taken just now: The warehouse floods."
    assert refused.headers["Retry-After"] == "60"
    assert shop.stock() == before
    assert "The warehouse floods." in manage("orders", "status")[1]
    assert manage("orders", "start") == (0, "New orders are taken.\n")
    assert shop.order(key="late").status == 201  # the refusal was not kept for the key


@pytest.mark.parametrize(
    "reason", ["a\u202eb", "\u200b", "", "   ", "a\nb", "4111 1111 1111 1111", "x" * 301, "a\udc80"], ids=ascii
)
def test_a_reason_is_one_line_that_customers_may_read(manage: Any, reason: str) -> None:
    code, said = manage("orders", "stop", reason)
    assert code, said
    assert manage("orders", "status")[1] == "New orders are taken.\n"


def test_running_orders_and_everything_else_go_on(shop: Shop, manage: Any) -> None:
    done = shop.order(key="done").data
    waiting = shop.order(pay_later=True).data
    manage("orders", "stop", "stop")
    again = shop.order(key="done")
    assert (again.status, again.data["order_id"], again.headers["Idempotent-Replayed"]) == (
        201,
        done["order_id"],
        "true",
    )
    charge = {"order_id": waiting["order_id"], "amount": waiting["order_total"]}
    assert shop.api.post("/v1/payments/charge", charge).status == 200
    assert shop.read(waiting["order_id"])["status"] == "SHIPPED"
    items = [{"product_id": shop.product_id, "quantity": 1}]
    taken_back = shop.api.post(f"/v1/orders/{done['order_id']}/returns", {"items": items, "reason": "broken"})
    assert taken_back.status == 201
    assert shop.api.post("/v1/orders/quote", {"customer_id": shop.customer_id, "items": items}).status == 200


def test_it_costs_no_statement_per_order(shop: Shop, statements: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission.last_switch, "seconds", 3600)
    shop.order(1)
    with statements() as counted:
        shop.order(1)
    assert not [sql for _, sql in counted.log if "orders_switch" in sql], counted.report()


def test_the_page_is_for_staff_and_the_switch_for_superusers(shop: Shop) -> None:
    users = get_user_model().objects
    groups.make_groups()
    helper = users.create_user("helper", password="a-long-pass-1", is_staff=True)
    helper.groups.add(Group.objects.get(name="support staff"))
    boss = users.create_superuser("boss", password="a-long-pass-1")
    page, switch = "/staff/reconcile", "/staff/reconcile/orders"
    assert Client().get(page).status_code == 302
    client = Browser()
    client.force_login(helper)
    assert client.get(page).status_code == 200
    assert client.post(switch, {"reason": "no"}).status_code == 403
    assert shop.order(1).status == 201
    client.force_login(boss)
    assert client.post(switch, {"reason": "The provider is down."}).status_code == 302
    assert "by staff:boss: The provider is down." in client.get(page).content.decode()
    assert shop.order(1).code == "orders_stopped"
    client.post(switch, {"taking": "yes"})
    assert shop.order(1).status == 201
