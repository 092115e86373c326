"""Card numbers and security codes are rejected wherever a payment could carry them, and stored nowhere."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from rest_framework import serializers

from eci.http.cards import holds_card_number, refuse_cards
from eci.http.fields import AmountField, IdempotencyKeyField, IdField, OrderIdField, TextField
from tests.support.api import Answer, Api

pytestmark = pytest.mark.any_engine

CHARGE = {"order_id": "X-1", "amount": "5.00"}
ORDER = {"email": "ann@example.com", "items": [{"product_id": 1, "quantity": 1}]}

# The issuers' and providers' own test numbers.
CARDS = [
    *("4111111111111111", "4242424242424242", "4012888888881881", "4917610000000000"),  # Visa
    *("5555555555554444", "5105105105105100", "2223003122003222", "2720990000000007"),  # Mastercard
    *("378282246310005", "371449635398431"),  # American Express
    *("6011111111111117", "6011000990139424", "6445644564456445"),  # Discover
    *("30569309025904", "38520000023237", "36227206271667", "3056930009020004"),  # Diners Club
    *("3530111333300000", "3566002020360505"),  # JCB
    *("6200000000000005", "6205500000000000004"),  # UnionPay
    *("6759649826438453", "6799990100000000019", "6304000000000000"),  # Maestro
    *("2200000000000053", "9792030000000000", "5019717010103742", "6362970000457013"),  # Mir, Troy, Dankort, Elo
    *("5066991111111118", "5060990580000217499"),  # Verve
]
NUMBERS = ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011000990139424"]
COUNT = 20_000


def grouped(number: str, by: str) -> str:
    sizes = {14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 19: (4, 4, 4, 4, 3)}[len(number)]
    digits = iter(number)
    return by.join("".join(islice(digits, size)) for size in sizes)


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "spaces": lambda number: grouped(number, " "),
    "dashes": lambda number: grouped(number, "-"),
    "en dashes": lambda number: grouped(number, "\u2013"),
    "thin spaces": lambda number: grouped(number, "\u2009"),
    "full width": lambda number: number.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)}),
    "Arabic digits": lambda number: number.translate({ord("0") + digit: 0x660 + digit for digit in range(10)}),
    "circled": lambda number: number.translate(
        {ord("0"): "⓪"} | {ord("0") + digit: 0x245F + digit for digit in range(1, 10)}
    ),
    "under marks": lambda number: "\u0331".join(number),
    "minuses": lambda number: grouped(number, "\u2212"),
    "Braille's blanks": lambda number: grouped(number, "\u2800"),
    "in a sentence": lambda number: f"my card is {number}, thanks",
    "with its end": lambda number: f"{grouped(number, ' ')} 12/28 123",
    "with its end, plain": lambda number: f"{number} 1228",
    "in a token": lambda number: f"tok_{number}",
    "after a word": lambda number: f"card:{number}.",
}


@pytest.mark.no_database
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", CARDS)
def test_a_card_number_is_one_in_any_form(number: str, form: str) -> None:
    assert holds_card_number(FORMS[form](number))
    other = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not holds_card_number(FORMS[form](other)), "it fails Luhn's check"


UNSEEN = [
    *"\x07\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200f\u202e\u2061\u2064\u206a\u2800\u3164\ufe0f",
    *"\ufeff\uffa0\ufff9\ufffc\u0378\ufdd0\ue000\U0001bca0\U0001d173\U000e0041\U000e0100\U000f0000\U0010ffff",
]


@pytest.mark.no_database
@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_nothing_unseen_hides_one(unseen: str) -> None:
    for number in ("4111111111111111", "378282246310005", "6205500000000000004"):
        wide = unseen in "\u115f\u2800\u3164\uffa0"  # a blank, which parts digits as a space does
        if not wide:
            assert holds_card_number(f"{number[0]}{unseen}{number[1:]}")
            assert holds_card_number(f"x {unseen.join(number)} y")
            assert holds_card_number(grouped(number, f" {unseen}"))
        assert holds_card_number(grouped(number, unseen))
        assert holds_card_number(f"ab{unseen}{number}{unseen}12"), "it ends a word, or parts it"


# -- what must pass ---------------------------------------------------------------------------------------------------


def digits(count: int) -> str:
    return f"{random.randrange(10**count):0{count}}"


def with_luhn(number: str) -> str:
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(number))]
    return number + str(-sum(number - 9 if number > 9 else number for number in doubled) % 10)


def with_gtin_check(number: str) -> str:
    total = sum(int(digit) * (3 - 2 * (place % 2)) for place, digit in enumerate(number))
    return number + str(-total % 10)


def moment() -> float:
    return random.uniform(1_000_000_000, 2_000_000_000)


PASS: dict[str, Callable[[], str]] = {
    "Amazon": lambda: f"{digits(3)}-{digits(7)}-{digits(7)}",
    "eBay": lambda: f"{digits(2)}-{digits(5)}-{digits(5)}",
    "Etsy": lambda: digits(10),
    "Shopify": lambda: f"#{random.randint(1000, 99999)} gid://shopify/Order/{random.randint(4, 7)}{digits(12)}",
    "Walmart": lambda: f"2000{digits(11)} {digits(13)}",
    "AliExpress": lambda: f"81{digits(14)}",
    "IMEI": lambda: with_luhn(random.choice(("01", "35", "86", "99")) + digits(12)),
    "IMEI, grouped": lambda: f"{random.choice(('01', '35', '86', '99'))}-{digits(6)}-{digits(6)}-{digits(1)}",
    "GTIN-14": lambda: with_gtin_check(digits(13)),
    "GTIN-13": lambda: with_gtin_check("0" + digits(12))[1:],
    "seconds": lambda: str(int(moment())),
    "milliseconds": lambda: str(int(moment() * 10**3)),
    "microseconds": lambda: str(int(moment() * 10**6)),
    "nanoseconds": lambda: str(int(moment() * 10**9)),
    "a time": lambda: datetime.fromtimestamp(moment(), UTC).strftime("%Y%m%d%H%M%S"),
    "UUID": lambda: str(uuid.UUID(int=random.getrandbits(128), version=4)),
    "UUID, all digits": lambda: f"{digits(8)}-{digits(4)}-4{digits(3)}-8{digits(3)}-{digits(12)}",
    "MD5": lambda: random.randbytes(16).hex(),
    "SHA-256": lambda: random.randbytes(32).hex(),
    "a fraction": lambda: f"{random.randrange(1000)}.{digits(15)}",
    "phone": lambda: f"{random.choice(('49', '385', '36', '34'))}{digits(10)}"[:13],
    "licence": lambda: "-".join(digits(4) for _ in range(5)),
}


@pytest.mark.no_database
@pytest.mark.parametrize("kind", PASS)
def test_what_has_another_form_passes_as_text(kind: str) -> None:
    random.seed(kind)
    refused = [text for text in (PASS[kind]() for _ in range(COUNT)) if holds_card_number(f"for {text}")]
    assert refused == []


# -- which fields are looked at ---------------------------------------------------------------------------------------


class Deep(serializers.Serializer):
    note = TextField()
    reference = TextField()


class Body(serializers.Serializer):
    """One field of every sort."""

    order_id = OrderIdField()
    reference = TextField()
    customer_id = IdField()
    amount = AmountField()
    method = serializers.ChoiceField(choices=["a"])
    idempotency_key = IdempotencyKeyField()
    reason = TextField()
    metadata = serializers.DictField()
    items = Deep(many=True)


CARD = NUMBERS[0]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"reason": CARD}, ["reason"]),
        ({"metadata": {"gift": CARD}}, ["metadata", "gift"]),
        ({"metadata": {"gift": [{"a": CARD}]}}, ["metadata", "gift", "0", "a"]),
        ({"metadata": {CARD: "x"}}, ["metadata"]),
        ({"items": [{"note": "x"}, {"note": CARD}]}, ["items", "1", "note"]),
        ({"unknown": {"CVV": "123"}}, ["unknown", "CVV"]),
        ({"metadata": {"card-number": "x"}}, ["metadata", "card-number"]),
    ],
)
def test_texts_are_looked_at(body: dict[str, Any], path: list[str]) -> None:
    with pytest.raises(serializers.ValidationError) as refusal:
        refuse_cards(Body(), body)
    found: Any = refusal.value.detail
    for name in path:
        assert list(found) == [name]
        found = found[name]


@pytest.mark.no_database
@pytest.mark.parametrize("number", [*CARDS, "19.990000000000002"])
def test_ids_keys_numbers_and_what_is_ignored_are_not(number: str) -> None:
    as_number = Decimal(number)
    refuse_cards(
        Body(),
        {
            "order_id": number,
            "reference": number,
            "idempotency_key": number,
            "customer_id": int(as_number),
            "amount": as_number,
            "method": number,
            "unknown": {"deep": [number]},
            number: "x",
            "reason": as_number,
            "metadata": {"amazon_order_id": number, "reference": number, "n": as_number},
            "items": [{"reference": number, "unknown": number}],
        },
    )


# -- at the endpoints -------------------------------------------------------------------------------------------------


def refused(answer: Answer, field: str) -> bool:
    """A 400 whose details stand under the field, each part of its dotted path one level deeper."""
    details = answer.details
    for name in field.split("."):
        details = details.get(name, {})
    return (answer.status, answer.code) == (400, "validation_error") and len(details) == 1


@pytest.mark.parametrize("number", [*NUMBERS, 4111111111111111])
@pytest.mark.parametrize("field", ["token", "method"])
def test_a_charge_with_a_card_number_as_means_of_payment(api: Api, field: str, number: Any) -> None:
    answer = api.post("/v1/payments/charge", CHARGE | {field: number})
    assert refused(answer, field)
    assert str(number) not in str(answer.json)
    assert api.get("/v1/payments").data == []


def test_a_charge_for_an_id_that_could_be_one(api: Api) -> None:
    """A foreign order id of 16 digits, as its key too, and a field that charge does not know."""
    for number in ("408-6907439-1500080", *CARDS):
        answer = api.post("/v1/payments/charge", CHARGE | {"order_id": number, "note": number}, key=number)
        assert (answer.status, answer.data["order_id"]) == (200, number)


@pytest.mark.parametrize("field", ["cvv", "CVC", "card_number", "securityCode"])
def test_a_charge_with_a_security_code(api: Api, field: str) -> None:
    assert refused(api.post("/v1/payments", CHARGE | {field: "123"}), field)


def test_a_float_is_told_about_its_places_not_about_cards(api: Api) -> None:
    answer = api.post("/v1/payments", b'{"order_id": "X-1", "amount": 19.990000000000002}')
    assert (answer.status, "decimal places" in answer.error) == (400, True)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"payment": {"token": "tok_4111111111111111"}}, "payment.token"),
        ({"payment": {"method": "credit_card", "cvc": "123"}}, "payment.cvc"),
        ({"shipping_address": f"1 Main St, {NUMBERS[0]}"}, "shipping_address"),
        ({"shipping_address": {"line1": NUMBERS[1]}}, "shipping_address.line1"),
        ({"shipping_address": {NUMBERS[1]: "x"}}, "shipping_address"),
        ({"shipping_address": {"full_name": "4\u034f111111111111111"}}, "shipping_address.full_name"),
        ({"shipping_address": {"line1": "４１１１１１１１１１１１１１１１"}}, "shipping_address.line1"),
    ],
)
@pytest.mark.parametrize("url", ["/v1/orders", "/v1/orders/quote"])
def test_an_order_with_one(api: Api, url: str, more: dict[str, Any], field: str) -> None:
    assert refused(api.post(url, ORDER | more), field)


def test_metadata_with_one_that_something_unseen_parts(api: Api) -> None:
    for unseen in ("\xad", "\u200d", "\u2064", "\U0010ffff"):
        body = {"metadata": {"z": f"4{unseen}111111111111111"}}
        answer = api.patch("/v1/orders/E-1", body)
        assert (answer.status, list(answer.details)) == (400, ["metadata"])


def test_a_refund_with_one(api: Api) -> None:
    payment_id = api.post("/v1/payments", CHARGE).data["payment_id"]
    body = {"reason": f"back to {NUMBERS[0]}"}
    assert refused(api.post(f"/v1/payments/{payment_id}/refund", body), "reason")


def test_nothing_of_it_is_kept(api: Api) -> None:
    for number in NUMBERS:
        api.post("/v1/payments", CHARGE | {"token": number}, key="k1")
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
    ["4111111111111112", "411111111111", "41111111111111111", "41111111111111111111", "4222222222222", "ORD-01JQ4XKZ8W"]
    + ["4111-1111-1111-1111-2222", "411-1111-111-111-111", "a4111111111111111", "4111111111111111b", ""],
)
def test_other_numbers_are_none(text: str) -> None:
    assert not holds_card_number(text)


def test_a_phone_number_in_an_address_is_none(api: Api) -> None:
    address = {"line1": "1 Main St", "phone": "4917612345679"}
    assert api.post("/v1/orders/quote", ORDER | {"shipping_address": address}).status == 404, "there is no such product"
