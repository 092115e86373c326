"""The replay's settings: those of the shop that it plays in."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bench.replay import CannotReplay, Settings

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


@pytest.mark.parametrize(
    ("currency", "fee", "expected"),
    [
        ("", "", "10.00"),
        ("", "7.5", "7.5"),
        ("", "10.00,JPY:1500", "10.00"),
        ("JPY", "USD:10.00,JPY:1500", "1500"),
        ("JPY", "", "1500"),
    ],
)
def test_the_fee_is_the_shop_s_own(monkeypatch: pytest.MonkeyPatch, currency: str, fee: str, expected: str) -> None:
    monkeypatch.setenv("ECI_CURRENCY", currency)
    monkeypatch.setenv("ECI_SHIPPING_FEE", fee)
    assert Settings.from_environment().rules.shipping_fee == Decimal(expected)


@pytest.mark.parametrize(("currency", "fee"), [("USD", "ten"), ("USD", "JPY:1500"), ("XXQ", "1"), ("JPY", "JPY:1.5")])
def test_what_is_no_fee_is_said(monkeypatch: pytest.MonkeyPatch, currency: str, fee: str) -> None:
    monkeypatch.setenv("ECI_CURRENCY", currency)
    monkeypatch.setenv("ECI_SHIPPING_FEE", fee)
    with pytest.raises(CannotReplay, match="ECI_"):
        Settings.from_environment()
