"""A guard at the door: card numbers and security codes are rejected before anything is logged or stored.

A view asks for the guard with ``refuses_cards``; a single field is one of the two classes here. A guard that is too
wide refuses other systems' ids, so a card number is only what can be one: the prefix and a length of an issuer, Luhn's
check, and grouped as cards are or not at all. It is looked for in the texts that an endpoint takes: not in numbers, in
ids (``order_id``, ``reference``, other names that end in ``_id``) and idempotency keys, nor in fields that are ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from eci.http.fields import AmountField, TextField
from eci.text import unseen as is_unseen

# Issuers' prefixes and the lengths they issue. 13 digits, Visa's once, are left to today's ids.
_ISSUED = re.compile(
    r"(?=4) (.{16}|.{19})"  # Visa
    r"| (?=5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720) .{16}"  # Mastercard
    r"| (?=34|37) .{15}"  # American Express
    r"| (?=30[0-5]|3095|36|38|39) (.{14}|.{16,19})"  # Diners Club
    r"| (?=6011|64[4-9]|65|35(2[89]|[3-8])|62) .{16,19}"  # Discover, JCB, UnionPay
    r"| (?=5018|5020|5038|5893|6304|6390|67) .{16,19}"  # Maestro
    r"| (?=506|507[89]) (.{16}|.{18,19})"  # Verve, Elo
    r"| (?=60|508|220[0-4]|9792|5019|509|636) .{16}",  # RuPay, Mir, Troy, Dankort, Elo, InterPayment
    re.VERBOSE,
)
_GROUPINGS = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)}
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
# Numbers with single spaces or dashes between them: no part of a word, a hex digest or a decimal fraction.
_NUMBERS = re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.,])[0-9]+(?:[\s-][0-9]+)*(?![0-9A-Za-z])(?![.,][0-9])")
_BLANK = "\u115f\u2800\u3164\uffa0\U0001d159"  # as wide as a letter
_LONG = re.compile(r"[0-9](?:[\s-]?[0-9]){13}")
_NO_LETTER = re.compile(r"[^a-z0-9]")
_CODES = {"cvv", "cvv2", "cvc", "cvc2", "cardnumber", "securitycode", "cardverificationvalue"}
_NO_TEXT = (AmountField, serializers.IntegerField, serializers.BooleanField, serializers.ChoiceField)
_REFUSED = "Card numbers and security codes are never accepted. Send the payment provider's token instead."


def refuse_cards(serializer: serializers.BaseSerializer[Any], data: Any) -> None:
    """A 400 if a text that the serializer takes holds a card number, or if any field is named as a security code.

    It names the field, never its content.
    """
    _refuse_codes(data, ())
    _refuse_numbers(serializer, data, ())


def _refuse_codes(value: Any, path: tuple[str, ...]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if _NO_LETTER.sub("", name.lower()) in _CODES:
                raise _refusal((*path, name))
            _refuse_codes(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_codes(inner, (*path, str(index)))


def _refuse_numbers(field: Any, value: Any, path: tuple[str, ...]) -> None:
    """``field`` is the serializer's for this value; None inside a value that may have any names, such as an address."""
    if isinstance(field, _NO_TEXT):
        return
    if isinstance(value, str):
        if holds_card_number(value):
            raise _refusal(path)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_numbers(getattr(field, "child", None), inner, (*path, str(index)))
    elif isinstance(value, dict):
        known = field.fields if isinstance(field, serializers.Serializer) else None
        for name, inner in value.items():
            if known is None and holds_card_number(name):
                raise _refusal(path)
            if (known is None or name in known) and not _is_id(name):
                _refuse_numbers(known[name] if known else None, inner, (*path, name))


def _is_id(name: str) -> bool:
    return name in ("reference", "idempotency_key") or name.lower().endswith("_id")


def _refusal(path: tuple[str, ...]) -> serializers.ValidationError:
    details: Any = [_REFUSED]
    for name in reversed(path or ("non_field_errors",)):
        details = {name: details}
    return serializers.ValidationError(details)


def holds_card_number(text: str) -> bool:
    """What is invisible may stand in a number, and between numbers."""
    if text.isascii() and text.isprintable():
        return _holds_one(text)
    return any(_holds_one("".join(_ascii(character, unseen) for character in text)) for unseen in ("", " "))


def _holds_one(plain: str) -> bool:
    if not _LONG.search(plain):
        return False
    runs = _NUMBERS.findall(_UUID.sub("x", plain))
    return any(_is_card_number(digits) for run in runs for digits in _candidates(re.split(r"\s", run)))


def _ascii(character: str, unseen: str) -> str:
    """The ASCII form of a digit, space or dash of any script; ``unseen`` for what nobody sees, and marks at digits."""
    if character.isascii() and character.isprintable():
        return character
    if character.isdigit():
        return str(unicodedata.digit(character))
    if character.isspace() or character in _BLANK:
        return " "
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cc" or is_unseen(character):
        return unseen
    return "-" if category == "Pd" or character == "\u2212" else character


def _candidates(words: list[str]) -> Iterator[str]:
    """What is one number to people: a word of digits, one with dashes at the right places, or several such groups.

    Other numbers may stand before and after, as when somebody writes when the card ends. Dashes keep a number together:
    nothing is cut out of one.
    """
    for start, word in enumerate(words):
        if "-" not in word or tuple(map(len, word.split("-"))) in _GROUPINGS:
            yield word.replace("-", "")
        for grouping in _GROUPINGS:
            groups = words[start : start + len(grouping)]
            if tuple(map(len, groups)) == grouping:
                yield "".join(groups)


def _is_card_number(digits: str) -> bool:
    return bool(_ISSUED.fullmatch(digits)) and _passes_luhn(digits) and not _is_gtin(digits)


def _passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _is_gtin(digits: str) -> bool:
    """A trade item's number of 14 digits, by its own check digit: the digits weigh 3 and 1 in turn."""
    return len(digits) == 14 and sum(int(digit) * (3 - 2 * (index % 2)) for index, digit in enumerate(digits)) % 10 == 0


# -- single fields ----------------------------------------------------------------------------------------------------

_ALL_DIGITS = re.compile(r"[0-9]{12,19}")


class CardlessTextField(TextField):
    """Text, but a 400 for a card number."""

    default_error_messages = {"card_number": "Card numbers are never accepted."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if holds_card_number(text):
            self.fail("card_number")
        return text


class CardlessWordField(CardlessTextField):
    """Such a text of up to 40 letters, digits, ``_`` and ``-``, and no 12 to 19 digits alone."""

    default_error_messages = {"invalid_word": "This must be a word of up to 40 letters, digits, '_' and '-'."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        word = super().to_internal_value(data)
        if _ALL_DIGITS.fullmatch(word.replace("-", "")):
            self.fail("card_number")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", word):
            self.fail("invalid_word")
        return word
