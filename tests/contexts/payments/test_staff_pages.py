"""The admin shows money and does not change it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from contexts.payments.models import Payment
from tests.contexts.payments.conftest import due


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", password="not-used-here"))
    return client


def test_lists_are_searchable_and_read_only(api: Any, payments: Any, staff: Client) -> None:
    order_id = due(payments)
    paid = api.post("/v1/payments/charge", {"order_id": order_id, "amount": "100.00"}).data
    api.post(f"/v1/payments/{paid['payment_id']}/refund", {"amount": "40", "reason": "dented"})
    api.post("/v1/payments/charge", {"order_id": "FOREIGN-9", "amount": "5.00"})
    payments.close(order_id="ORD-LATE", reason="expired")
    for page, found in (("payment", "100.00"), ("paymentrequest", "100.00"), ("refund", "40.00")):
        shown = staff.get(f"/admin/payments/{page}/?q={order_id}").content.decode()
        assert found in shown
        assert "FOREIGN-9" not in shown
        assert staff.get(f"/admin/payments/{page}/").status_code == 200
        assert staff.get(f"/admin/payments/{page}/add/").status_code == 403
    assert staff.post(f"/admin/payments/payment/{paid['payment_id']}/delete/", {"post": "yes"}).status_code == 403


def test_a_token_is_never_shown(api: Any, staff: Client) -> None:
    api.post("/v1/payments/charge", {"order_id": "X", "amount": "5.00", "token": "tok_timeout"})
    row = Payment.objects.get()
    assert row.token == "tok_timeout"
    assert "tok_timeout" not in staff.get(f"/admin/payments/payment/{row.pk}/change/").content.decode()
