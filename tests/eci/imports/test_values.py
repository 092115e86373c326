"""What people write for an amount."""

from __future__ import annotations

import pytest

from eci.imports import values
from eci.imports.values import DecimalSign, Reading

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize(
    ("cell", "decimal", "price", "currency"),
    [
        *(("19.99 EUR", ".", "19.99", "EUR"), ("19.99EUR", ".", "19.99", "EUR"), ("EUR 19.99", ".", "19.99", "EUR")),
        *(("20 Euro", ".", "20", "EUR"), ("20 ETB", ".", "20", "ETB")),
        *(("20.-", ".", "20", ""), ("20,-", ",", "20", ""), ("20,– €", ",", "20", "EUR"), ("20,--", ",", "20", "")),
        *(("١٢٫٥٠", ".", "12.50", ""), ("١٬٢٩٩٫٥", ".", "1299.5", ""), ("€ １２", ".", "12", "EUR")),
        *(("1 234.50", ".", "1234.50", ""), ("12’345", ".", "12345", ""), ("CHF 1'234 567.5", ".", "1234567.5", "CHF")),
    ],
)
def test_an_amount_and_its_currency(cell: str, decimal: DecimalSign, price: str, currency: str) -> None:
    found, named = values.amount(cell, Reading(decimal=decimal, currency="USD"))
    assert (f"{found:f}", named) == (price, currency)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        *(("20 20", "'20 20' is not a price"), ("1 2345", "is not a price"), ("2024 01 05", "is not a price")),
        *(("−5", "must not be negative"), ("5-", "must not be negative"), ("(5.00)", "must not be negative")),
        *(("$20 EUR", "'\\$EUR' is not a currency"), ("20 USD USD", "is not a currency"), ("1E", "'E' is not a cur")),
        *(("10%", "A percentage is not a price"), ("=12.50", "'=12.50' is not a price")),
        *(("1'299.5.0", '"1\'299.5.0" is not a number in which'),),
        *(("1\xa0299,0,0", "^'1\xa0299,0,0' is not a number"), ("5 \x00Ω", "^'\ufffdΩ' is not a currency")),
        *(("1e3", "has shortened"), ("1.2E+3 EUR", "has shortened")),
    ],
)
def test_what_is_no_amount(cell: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        values.amount(cell, Reading(currency="USD"))


@pytest.mark.parametrize(
    ("cell", "sign"), [("20.-", "."), ("20,-", ","), ("19,99 EUR", ","), ("5 EUR", ""), ("1.000", "?")]
)
def test_what_an_amount_tells_of_the_decimal_sign(cell: str, sign: str) -> None:
    assert values.decimal_sign(cell) == sign
