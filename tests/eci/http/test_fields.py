"""The strict fields: each takes its values, and every other value is a validation error, never a crash."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework import serializers

from eci.http import cards, fields

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)

ACCEPTED: list[tuple[serializers.Field, Any, Any]] = [
    (fields.QuantityField(), 1, 1),
    (fields.QuantityField(), 1_000_000, 1_000_000),
    (fields.IdField(), fields.MAX_ID, fields.MAX_ID),
    (fields.StrictIntegerField(), -5, -5),
    (fields.StrictBooleanField(), False, False),
    (fields.TextField(max_length=3), "abc", "abc"),
    (fields.AmountField(), Decimal("1299.99"), Decimal("1299.99")),
    (fields.AmountField(), "1299.99", Decimal("1299.99")),
    (fields.AmountField(), 5, Decimal(5)),
    (fields.AmountField(), 0, Decimal(0)),
    (fields.AmountField(), "999999999999", Decimal(999999999999)),
    (fields.CurrencyField(), "EUR", "EUR"),
    (fields.OrderIdField(), 12345, "12345"),
    (fields.OrderIdField(), "ORDER-1", "ORDER-1"),
    (fields.OrderIdField(), "x" * 64, "x" * 64),
    (fields.IdempotencyKeyField(), "k" * 255, "k" * 255),
    (fields.IdempotencyKeyField(), " k ", "k"),
    (cards.CardlessWordField(), "credit_card", "credit_card"),
    (cards.CardlessTextField(max_length=100), "tok_ok", "tok_ok"),
]

REFUSED: list[tuple[serializers.Field, list[Any]]] = [
    (fields.QuantityField(), [0, -1, 1_000_001, 10**400, True, "1", Decimal("1.0"), Decimal(2), None, [], {}]),
    (fields.IdField(), [0, -1, fields.MAX_ID + 1, True, "1", Decimal(1), None]),
    (fields.StrictBooleanField(), [0, 1, "true", None, []]),
    (fields.TextField(max_length=3), [1, True, Decimal(1), None, [], {}, "", "  ", "abcd"]),
    (
        fields.AmountField(),
        [True, None, [], {}, "", " ", "1,5", "1e3", "0x1", "NaN", "Infinity", "١", "1_000", " 1", "--1", ".5", "5."]
        + [-1, "-0.01", Decimal("-1"), 10**12, "1000000000000", Decimal("1E+12"), Decimal("NaN"), Decimal("Infinity")]
        + [Decimal("1E-41"), Decimal("1E+400000"), "1." + "0" * 41, 10**4000, 1.5],
    ),
    (fields.AmountField(allow_zero=False), [0, "0.00", Decimal("0.0")]),
    (fields.CurrencyField(), ["usd", "XXX", "", 840, None]),
    (fields.OrderIdField(), ["", "  ", "x" * 65, "a\nb", True, None, Decimal(1), [], 10**64, -(10**64), 10**5000]),
    (fields.IdempotencyKeyField(), ["", "k" * 256, "a\tb", 5, None, []]),
    (cards.CardlessWordField(), ["", "a b", "x" * 41, "4242424242424242", "4242-4242-4242-4242", 5, None]),
    (cards.CardlessTextField(max_length=100), ["4242424242424242", "4242 4242 4242 4242", "x" * 101, 5, None]),
]


@pytest.mark.parametrize(("field", "given_value", "value"), ACCEPTED)
def test_accepted(field: serializers.Field, given_value: Any, value: Any) -> None:
    found = field.run_validation(given_value)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("field", "bad"), REFUSED, ids=lambda item: type(item).__name__)
def test_refused(field: serializers.Field, bad: list[Any]) -> None:
    for value in bad:
        with pytest.raises(serializers.ValidationError):
            field.run_validation(value)
            pytest.fail(f"{value!r} was accepted")


@pytest.mark.parametrize("field", [field for field, _ in REFUSED], ids=lambda field: type(field).__name__)
@settings(max_examples=40)
@given(JSON)
def test_any_json_is_taken_or_refused(field: serializers.Field, value: Any) -> None:
    with suppress(serializers.ValidationError):
        field.run_validation(value)


def test_an_amount_takes_its_currency_s_places() -> None:
    assert fields.minor_units(Decimal("12.5"), "USD", "price") == 1250
    assert str(fields.exact(Decimal("12.5"), "USD", "price")) == "12.50"
    with pytest.raises(serializers.ValidationError) as refused:
        fields.minor_units(Decimal("12.5"), "JPY", "price")
    assert set(refused.value.detail) == {"price"}  # type: ignore[arg-type]
