"""``manage.py settle DAY``: every kind of difference with the provider's own list is named."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from contexts.payments.models import Payment
from eci.clock import utcnow
from tests.support.shop import Shop


@pytest.fixture
def today() -> str:
    return utcnow().date().isoformat()


def doctor(statement: str, *values: Any) -> None:
    """Change the provider's books behind our back."""
    ledger = sqlite3.connect(settings.ECI_SANDBOX_LEDGER)
    with ledger:
        assert ledger.execute(statement, values).rowcount > 0
    ledger.close()


def paid(shop: Shop, **more: Any) -> Payment:
    order = shop.order(1, **more)
    assert order.status == 201
    return Payment.objects.get(order_id=order.data["order_id"])


def test_a_day_that_agrees(shop: Shop, manage: Any, today: str) -> None:
    paid(shop)
    refunded = paid(shop)
    shop.order(1, payment={"token": "tok_declined"})
    shop.api.post(f"/v1/payments/{refunded.pk}/refund", {"amount": "10.00", "reason": "late"})
    code, said = manage("settle", today)
    assert code == 0, said
    assert "taken      USD  ours         229.98 in 2" in said
    assert "refunded   USD  ours          10.00 in 1" in said
    assert said.count("agree") == 3


def test_each_difference_is_named(shop: Shop, manage: Any, today: str) -> None:
    lost, cheap, twice, forgotten = (paid(shop, fulfilment="warehouse") for _ in range(4))
    doctor("DELETE FROM operations WHERE key = ?", f"payment-{lost.pk}-{lost.nonce}-capture")
    doctor("UPDATE operations SET amount_minor = 100 WHERE key = ?", f"payment-{cheap.pk}-{cheap.nonce}-capture")
    copy = (
        "INSERT INTO operations (key, kind, reference, amount_minor, currency, outcome, reason, at)"
        " SELECT ?, kind, ?, amount_minor, currency, outcome, reason, at FROM operations WHERE key = ?"
    )
    key = f"payment-{twice.pk}-{twice.nonce}-capture"
    doctor(copy, f"{key}-again", twice.reference, key)
    doctor(copy, "payment-999999-abc-capture", "sbx_unheard_of", key)
    Payment.objects.filter(pk=forgotten.pk).update(status="AUTHORISED", captured_minor=0, captured_at=None)

    code, said = manage("settle", today)
    assert code == 1
    assert f"MISSING AT THE PROVIDER  Payment {lost.pk} for {lost.order_id}: we booked 114.99 USD as taken" in said
    assert (
        f"AMOUNTS DIFFER  Payment {cheap.pk} for {cheap.order_id}: the provider took 1.00 USD; we booked 114.99" in said
    )
    assert "TAKEN TWICE  the provider took money 2 times under one reference" in said
    assert twice.reference in said
    assert "MISSING HERE  the provider took 114.99 USD; we have no such row" in said
    assert "sbx_unheard_of" in said
    assert f"STATES DIFFER  Payment {forgotten.pk} for {forgotten.order_id}: the provider took 114.99 USD" in said
    assert said.endswith("6 differences with the provider.")
    assert "DIFFER\n" in said


def test_midnight_is_no_difference(shop: Shop, manage: Any, today: str) -> None:
    """The provider wrote it down on the day after we did."""
    payment = paid(shop, fulfilment="warehouse")
    tomorrow = (utcnow() + timedelta(days=1)).date().isoformat()
    doctor("UPDATE operations SET at = ? WHERE kind = 'capture'", f"{tomorrow}T00:00:00.001Z")
    code, said = manage("settle", today)
    assert (code, str(payment.order_id) in said) == (0, False), said
    assert manage("settle", tomorrow)[0] == 0


def test_the_provider_out_of_reach(shop: Shop, manage: Any, today: str, tmp_path: Any) -> None:
    settings.ECI_SANDBOX_LEDGER = tmp_path / "nowhere" / "ledger.sqlite3"
    assert manage("settle", today) == (1, "The payment provider cannot be asked for its list just now.")
