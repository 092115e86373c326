"""The body of an order is taken in quickly, with the values and the refusals that DRF's machinery would have."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from contexts.orders.http.serializers import MAX_LINES, OrderIn
from eci.http.fields import MAX_ID, MAX_QUANTITY, QuickSerializer

pytestmark = pytest.mark.no_database

LINE = {"product_id": 1, "quantity": 2}
GOOD: list[Any] = [
    {"customer_id": 1, "items": [LINE]},
    {"items": [LINE, {**LINE, "price": "1.50"}, {**LINE, "unit_price": 3}], "customer_id": None},
    {"email": " Ann@Example.com ", "items": [LINE], "fulfilment": "warehouse", "pay_later": True, "reference": 7},
    {"customer_id": 1, "items": [LINE], "payment": {}, "shipping_address": "Main St 1", "metadata": {"a": "b"}},
    {"customer_id": 1, "items": [{**LINE, "unknown": "is ignored"}], "unknown": 1, "idempotency_key": "k"},
    {"customer_id": MAX_ID, "items": [{"product_id": 1, "quantity": MAX_QUANTITY}] * MAX_LINES},
]
BAD: list[Any] = [
    None,
    [],
    "text",
    {},
    {"customer_id": 1},
    {"customer_id": 1, "items": None},
    {"customer_id": 1, "items": {}},
    {"customer_id": 1, "items": []},
    {"customer_id": 1, "items": [LINE] * (MAX_LINES + 1)},
    {"customer_id": 1, "items": [LINE, 1, None, {"product_id": 1}, {**LINE, "quantity": 0}]},
    *({"customer_id": 1, "items": [{**LINE, "quantity": odd}]} for odd in (True, 1.0, "1", None, MAX_QUANTITY + 1, -1)),
    *({"customer_id": odd, "items": [LINE]} for odd in (True, 0, MAX_ID + 1, "1", 1.5, [1])),
    {"customer_id": 1, "items": [{**LINE, "price": 1.5}, {**LINE, "unit_price": "x"}]},
    {"customer_id": 1, "items": [LINE], "pay_later": 1, "fulfilment": "?", "email": "no", "payment": 1},
]


def _outcome(body: Any) -> Any:
    try:
        return OrderIn().run_validation(body)
    except serializers.ValidationError as refusal:
        return "refused", refusal.get_full_details()


@pytest.mark.parametrize(("bodies", "refused"), [(GOOD, False), (BAD, True)], ids=["good", "bad"])
def test_it_is_taken_in_as_ever(bodies: list[Any], refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    quickly = [_outcome(body) for body in bodies]
    monkeypatch.setattr(QuickSerializer, "_is_partial", True)
    for body, quick in zip(bodies, quickly, strict=True):
        usual = _outcome(body)
        assert (quick, list(quick)) == (usual, list(usual)), body
        assert ("refused" in quick) == refused, body


def test_what_may_be_left_out_may_be_left_out_of_a_partial_body() -> None:
    assert OrderIn(partial=True).run_validation({"items": [{"quantity": 3}]}) == {"items": [{"quantity": 3}]}
