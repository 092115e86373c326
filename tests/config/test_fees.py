"""``ECI_SHIPPING_FEE``: an amount for each currency, never one of another."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.fees import parse
from tests.config.test_settings import told

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


@pytest.mark.parametrize(
    ("text", "currency", "fees"),
    [
        ("", "USD", {"USD": "10.00"}),
        ("", "JPY", {"JPY": "1500"}),
        ("", "KWD", {"KWD": "3.000"}),
        ("10.00,JPY:1500", "USD", {"USD": "10.00", "JPY": "1500"}),
        ("10", "JPY", {"JPY": "10"}),
        (" EUR:4.90 , 0 ", "USD", {"EUR": "4.90", "USD": "0"}),
        ("EUR:4.90", "USD", {"EUR": "4.90"}),
        ("KWD:1.250", "USD", {"KWD": "1.250"}),
    ],
)
def test_fees_by_currency(text: str, currency: str, fees: dict[str, str]) -> None:
    assert parse(text, currency=currency) == {code: Decimal(fee) for code, fee in fees.items()}


@pytest.mark.parametrize(
    ("text", "currency", "why"),
    [
        ("10.50", "JPY", "at most 0 decimal places"),
        ("JPY:10.5", "USD", "at most 0 decimal places"),
        ("1.001", "USD", "at most 2 decimal places"),
        ("ten", "USD", "not an amount"),
        ("USD:", "USD", "not an amount"),
        (",10", "USD", "not an amount"),
        ("NaN", "USD", "finite"),
        ("XXX:1", "USD", "XXX is not an ISO 4217 code"),
        ("10.00,USD:9.00", "USD", "two amounts in USD"),
        (":5", "USD", "is not an ISO 4217 code"),
        ("-1", "USD", "must not be negative"),
        ("1000000000000", "USD", "12 digits"),
        ("10", "DOLLAR", "ECI_CURRENCY is not an ISO 4217 code"),
    ],
)
def test_what_is_none_is_said_in_words(text: str, currency: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=why):
        parse(text, currency=currency)


def test_the_process_says_so_at_its_start(tmp_path: Path) -> None:
    wrong = [{"ECI_CURRENCY": "JPY", "ECI_SHIPPING_FEE": "9.99"}, {"ECI_UNPAID_VALUE": "much"}]
    names = ("ECI_UNPAID_VALUE", "ECI_MAX_UNITS_PER_LINE", "ECI_RETURN_DAYS")
    fee, unpaid, made = told(tmp_path, *names, of=[*wrong, {}])
    assert "decimal places" in fee
    assert "ECI_UNPAID_VALUE" in unpaid
    assert made == [None, 1000, 30]
