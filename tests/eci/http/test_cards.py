"""Card numbers and security codes are rejected wherever a payment could carry them, and stored nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings

from eci.http.cards import holds_card_number
from tests.support.api import Answer, Api

pytestmark = pytest.mark.any_engine

NUMBERS = ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011000990139424"]
CHARGE = {"order_id": "X-1", "amount": "5.00"}


def refused(answer: Answer, field: str) -> bool:
    """A 400 whose details stand under the field, each part of its dotted path one level deeper."""
    details = answer.details
    for name in field.split("."):
        details = details.get(name, {})
    return (answer.status, answer.code) == (400, "validation_error") and len(details) == 1


@pytest.mark.parametrize("number", [*NUMBERS, 4111111111111111])
@pytest.mark.parametrize("field", ["token", "order_id", "idempotency_key", "note"])
def test_a_charge_with_a_card_number_in_any_field(api: Api, field: str, number: Any) -> None:
    answer = api.post("/v1/payments/charge", CHARGE | {field: number})
    assert refused(answer, field)
    assert str(number) not in str(answer.json)
    assert api.get("/v1/payments").data == []


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"metadata": {"card": {"number": NUMBERS[0]}}}, "metadata.card.number"),
        ({"metadata": [{"a": 1}, {"b": f"my card is {NUMBERS[1]}, thanks"}]}, "metadata.1.b"),
        ({"metadata": {NUMBERS[0]: "x"}}, "metadata"),
        ({"metadata": {"CVV": "123"}}, "metadata.CVV"),
        ({"card_number": "1"}, "card_number"),
        ({"metadata": {"x": "４１１１１１１１１１１１１１１１"}}, "metadata.x"),
        ({"metadata": {"x": "4111\u20131111\u20131111\u20131111"}}, "metadata.x"),
    ],
)
def test_however_deep_it_is_hidden(api: Api, more: dict[str, Any], field: str) -> None:
    assert refused(api.post("/v1/payments", CHARGE | more), field)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"payment": {"token": "tok_4111111111111111"}}, "payment.token"),
        ({"payment": {"method": "credit_card", "cvc": "123"}}, "payment.cvc"),
        ({"payment": {"metadata": {"pan": "x"}}}, "payment.metadata.pan"),
        ({"shipping_address": f"1 Main St, {NUMBERS[0]}"}, "shipping_address"),
    ],
)
@pytest.mark.parametrize("url", ["/v1/orders", "/v1/orders/quote"])
def test_an_order_with_one(api: Api, url: str, more: dict[str, Any], field: str) -> None:
    body = {"email": "ann@example.com", "items": [{"product_id": 1, "quantity": 1}]} | more
    assert refused(api.post(url, body), field)


def test_in_the_key_of_a_request(api: Api) -> None:
    assert refused(api.post("/v1/payments", CHARGE, key=NUMBERS[0]), "Idempotency-Key")


def test_a_refund_with_one(api: Api) -> None:
    payment_id = api.post("/v1/payments", CHARGE).data["payment_id"]
    body = {"reason": f"back to {NUMBERS[0]}"}
    assert refused(api.post(f"/v1/payments/{payment_id}/refund", body), "reason")


def test_nothing_of_it_is_kept(api: Api) -> None:
    for number in NUMBERS:
        api.post("/v1/payments", CHARGE | {"note": number}, key="k1")
        api.post("/v1/orders", {"email": "a@example.com", "items": [], "payment": {"token": number}}, key="k2")
    kept = [
        str(row)
        for context in settings.ECI_CONTEXTS
        for model in apps.get_app_config(context).get_models()
        for row in model._default_manager.values()
    ]
    assert not any(number in row for number in NUMBERS for row in kept)
    assert api.post("/v1/payments", CHARGE, key="k1").status == 200, "the key was not used up"


@pytest.mark.no_database
@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # not Luhn's
        "411111111111",  # too short
        "41111111111111111111",  # too long
        "1767139200003",  # a time in milliseconds that passes Luhn
        "550e8400-e29b-4123-8716-446655440000",
        "ORD-01JQ4XKZ8W",
        "+49 176 12345678",
        "",
    ],
)
def test_other_numbers_are_none(text: str) -> None:
    assert not holds_card_number(text)


def test_a_phone_number_in_an_address_is_none(api: Api) -> None:
    address = {"line1": "1 Main St", "phone": "4917612345679"}
    assert holds_card_number(address["phone"])
    body = {"email": "ann@example.com", "items": [{"product_id": 1, "quantity": 1}], "shipping_address": address}
    assert api.post("/v1/orders/quote", body).status == 404, "it is the product that there isn't"
