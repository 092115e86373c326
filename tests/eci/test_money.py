"""Amounts are exact in every currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eci import money

pytestmark = pytest.mark.no_database

CURRENCIES = ["USD", "JPY", "KWD"]
MOST = 10**money.MAX_DIGITS - 1


@given(st.integers(-MOST, MOST), st.sampled_from(CURRENCIES))
@example(MOST, "KWD")
@example(-1, "USD")
def test_minor_units_survive_the_way_there_and_back(minor: int, currency: str) -> None:
    amount = money.from_minor(minor, currency)
    assert money.to_minor(amount, currency) == minor
    text = money.text(amount, currency)
    assert money.to_minor(Decimal(text), currency) == minor
    assert len(text.partition(".")[2]) == money.places(currency)
    assert money.text_of(minor, currency) == text


@given(st.decimals(allow_nan=True, allow_infinity=True), st.sampled_from(CURRENCIES))
@example(Decimal("1E-37"), "USD")
@example(Decimal("1." + "0" * 36 + "1"), "USD")
def test_an_amount_is_exact_or_refused(amount: Decimal, currency: str) -> None:
    try:
        minor = money.to_minor(amount, currency)
    except ValueError:
        return
    assert money.from_minor(minor, currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("NaN", "USD"),
        ("sNaN", "USD"),
        ("Infinity", "USD"),
        ("-Infinity", "USD"),
        ("0.001", "USD"),
        ("0.5", "JPY"),
        ("0.0001", "KWD"),
        ("10000000000.00", "USD"),
        ("-10000000000.00", "USD"),
        ("1000000000000", "JPY"),
        ("1E+12", "JPY"),
        ("1E+999999", "USD"),
        ("1." + "0" * 36 + "1", "USD"),
        ("1." + "0" * 120 + "1", "USD"),
        ("1E-2000000", "USD"),
    ],
)
def test_refused_amounts(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="An amount"):
        money.to_minor(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("1299.99", "USD", 129999),
        ("1.5", "USD", 150),
        ("1.500000000000000000000000000000000000", "USD", 150),
        ("1E+3", "USD", 100000),
        ("9999999999.99", "USD", MOST),
        ("500", "JPY", 500),
        ("0.001", "KWD", 1),
        ("-0.00", "USD", 0),
    ],
)
def test_accepted_amounts(amount: str, currency: str, minor: int) -> None:
    assert money.to_minor(Decimal(amount), currency) == minor


@pytest.mark.parametrize(
    ("value", "nearest"),
    [("0.4", 0), ("0.5", 1), ("1.5", 2), ("2.5", 3), ("2.49", 2), ("-2.5", -3), ("104999.9895", 105000)],
)
def test_halves_go_up(value: str, nearest: int) -> None:
    assert money.half_up(Decimal(value)) == nearest


def test_currencies() -> None:
    assert [money.places(code) for code in ("USD", "EUR", "JPY", "KWD")] == [2, 2, 0, 3]
    assert not any(money.is_currency(code) for code in ("usd", "XXX", "US", "", "USDT"))
