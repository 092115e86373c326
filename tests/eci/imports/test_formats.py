"""What a workbook shows beside its numbers is read with them."""

from __future__ import annotations

import pytest

from eci.imports import formats
from eci.imports.formats import code_of, form_of
from eci.imports.values import Number, Reading, amount, amount_shown, in_currency

pytestmark = pytest.mark.no_database


def shown(number_format: str, number: str = "12.5") -> Number:
    form = form_of(number_format)
    return formats.shown(Number(number), form) if form else Number(number)


@pytest.mark.parametrize(
    ("number_format", "currency"),
    [
        *(("General", ""), ("#,##0.00", ""), ("#,##0.00;[Red]-#,##0.00", ""), ("[$-407]0.00", ""), ("0000", "")),
        *(('#,##0.00",-"', ""), ("0.00E+00", "")),
        *(("#,##0.00 [$€-407]", "EUR"), ("[$£-809]#,##0.00", "GBP"), ('"£"#,##0.00', "GBP"), ("€#,##0.00", "EUR")),
        *(("[$EUR]\\ #,##0.00", "EUR"), ("[$€-x-euro2] 0.00", "EUR"), ('0.00 "CHF"', "CHF"), ("[$SFr.-807] 0", "CHF")),
        *(('_-* #,##0.00 "€"_-;-* #,##0.00 "€"_-;_-* "-"?? "€"_-;_-@_-', "EUR"), ('#,##0.00\\ "zł"', "PLN")),
        *(('_("$"* #,##0.00_)_("$"* \\(#,##0.00\\)_("$"* "-"??_)_(@_)', "USD"), ('"$"#,##0_);("$"#,##0)', "USD")),
        *(("[$$-C09]#,##0", "AUD"), ("[$$-en-CA]0.00", "CAD"), ("[$kr-414] 0", "NOK"), ("[$kr.-406] 0", "DKK")),
        *(("[$¥-411]0", "JPY"), ("[$￥-804]0", "CNY"), ("[>=1000]#,##0 [$€-1];0.00 [$€-1]", "EUR")),
    ],
)
def test_a_format_says_the_currency(number_format: str, currency: str) -> None:
    price, named = amount(shown(number_format, "12"), Reading(currency="USD"))
    assert (f"{price:f}", named) == ("12", currency)


@pytest.mark.parametrize(
    ("number_format", "reads", "sentence"),
    [
        *(("0%", "1250%", "A percentage is not a price"), ("0.00%", "1250%", "A percentage is not a price")),
        *(("# ?/?", "12 1/2", "is not a price"), ("# ?/4", "12 1/2", "is not a price")),
        *(('0.00 "Punkte"', "12.5", "'Punkte' is not a currency"), ('0.0,,"M"', "12.5", "'M' is not a currency")),
        *(("[$$-409]0.00", "12.5", "The price is in USD, but the currency is EUR"),),
    ],
)
def test_what_is_shown_as_no_price_is_none(number_format: str, reads: str, sentence: str) -> None:
    cell = shown(number_format)
    assert cell == reads
    with pytest.raises(ValueError, match=sentence):
        amount(cell, Reading(), currency="EUR")


def test_whole_numbers_are_shown_alike_by_fractions() -> None:
    assert [shown("# ??/??", number) for number in ("3", "0.5", "-0.25", "-1.75")] == ["3", "1/2", "-1/4", "-1 3/4"]


@pytest.mark.parametrize(
    ("number_format", "number", "code"),
    [
        *(("General", "42", "42"), ("@", "42", "42"), ("0", "42", "42"), ("General", "90.75", "90.75")),
        *(("00000", "42", "00042"), ("0000", "17", "0017"), ("000", "12345", "12345"), ("00000", "0", "00000")),
        *(('"ART-"0000', "42", "ART-0042"), ("000-000", "17", "000-017"), ("000-000", "1234567", "1234-567")),
        *((r"\A\R\T000", "7", "ART007"), (r"00\.00\.00", "1234", "00.12.34"), ('0000"/"00', "202601", "2026/01")),
        *(('"ART-"General', "42", "ART-42"), ('0000" B"', "42", "0042 B"), ("[Red]000;-000", "7", "007")),
        *(("[$-407]0000", "7", "0007"), ('#"-"00', "5", "-05"), ("0.000", "90.75", "90.750"), ("#,##0", "420", "420")),
        *(("0.00E+00", "4006381333931", "4006381333931"),),
        *(("#,##0", "4200", None), ("0.00", "42", None), ("0", "90.75", None), ("00000", "-5", None)),
        *(('"€" 0', "42", None), ("[$EUR-407] 0", "42", None), ("[<100]00;0", "5", None), ("0,", "42000", None)),
    ],
)
def test_a_format_says_what_a_code_is(number_format: str, number: str, code: str | None) -> None:
    assert code_of(shown(number_format, number)) == code


@pytest.mark.parametrize(
    ("number_format", "number", "price"),
    [
        *(("0.00", "14.875", "14.88"), ("#,##0.00", "1.005", "1.01"), ('0.00 "€"', "14.875", "14.88")),
        *(('_-* #,##0.00 "€"_-;-* #,##0.00 "€"_-', "0.125", "0.13"), ("0.##", "14.875", "14.88"), ("0", "14.5", "15")),
        *(("General", "14.875", "14.875"), ("0.000", "14.875", "14.875"), ("0.00", "14.5", "14.5")),
        *(("[>=10]0.0;0.00", "14.875", "14.875"), ("0.00E+00", "14.875", "14.875"), ("0.00,", "14.875", "14.875")),
    ],
)
def test_a_price_has_the_places_that_are_shown(number_format: str, number: str, price: str) -> None:
    cell = shown(number_format, number)
    assert f"{amount(cell, Reading(currency='EUR'))[0]:f}" == amount_shown(cell) == price
    assert f"{amount(in_currency(cell, 'EUR'), Reading())[0]:f}" == price


def test_a_price_that_is_shown_with_fewer_places_than_its_currency_has_is_told() -> None:
    reading = Reading(currency="EUR")
    amount(shown("0.00", "14.875"), reading)
    assert reading.warnings == []
    amount(shown("0", "14.5"), reading)
    assert reading.warnings == ["price: The workbook has 14.5 here, and shows 15, which is taken."]
