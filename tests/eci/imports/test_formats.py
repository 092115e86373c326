"""What a workbook shows beside its numbers is read with them."""

from __future__ import annotations

import pytest

from eci.imports.formats import form_of
from eci.imports.values import Number, Reading, amount

pytestmark = pytest.mark.no_database


def shown(number_format: str, number: str = "12.5") -> Number:
    form = form_of(number_format)
    return form.shown(Number(number)) if form else Number(number)


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
    price, named = amount(shown(number_format), Reading(currency="USD"))
    assert (f"{price:f}", named) == ("12.5", currency)


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
