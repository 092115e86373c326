"""A guard at the door: card numbers and security codes are rejected before anything is logged or stored.

A view asks for the guard with ``refuses_cards``; a single field is one of the two classes here. A card number is 13 to
19 digits that pass the Luhn check, with single spaces or dashes between them. Numbers that begin with 0 or 1 are let
through: no payment card begins so, but a time in milliseconds, used as an id, does.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from rest_framework import serializers

from eci.http.fields import TextField

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_RUN = re.compile(r"(?<![0-9a-z])[0-9](?:[ -]?[0-9]){12,}(?![0-9a-z])", re.IGNORECASE)  # not within a hex digest
_CODES = {"cvv", "cvv2", "cvc", "cvc2", "csc", "cid", "cardnumber", "pan", "securitycode", "cardverificationvalue"}
_PHONES = ("phone", "mobile", "tel")
_REFUSED = "Card numbers and security codes are never accepted. Send the payment provider's token instead."


def refuse_cards(value: Any, path: tuple[str, ...] = ()) -> None:
    """A 400 if the value holds a card number or a security code anywhere. It names the field, never its content."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if holds_card_number(name):
                raise _refusal(path)
            here = (*path, name)
            if _plain(name) in _CODES:
                raise _refusal(here)
            if not (path == ("shipping_address",) and _plain(name).startswith(_PHONES)):
                refuse_cards(inner, here)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            refuse_cards(inner, (*path, str(index)))
    elif value is not None and not isinstance(value, bool) and holds_card_number(str(value)):
        raise _refusal(path)


def _refusal(path: tuple[str, ...]) -> serializers.ValidationError:
    details: Any = [_REFUSED]
    for name in reversed(path or ("non_field_errors",)):
        details = {name: details}
    return serializers.ValidationError(details)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def holds_card_number(text: str) -> bool:
    digits = "".join(_ascii(character) for character in text)
    return any(_is_card_number(re.sub("[ -]", "", run)) for run in _RUN.findall(_UUID.sub("", digits)))


def _ascii(character: str) -> str:
    """The ASCII form of a digit, space or dash of any script."""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if character.isspace():
        return " "
    return "-" if unicodedata.category(character) == "Pd" else character


def _is_card_number(digits: str) -> bool:
    return len(digits) <= 19 and digits[0] not in "01" and _passes_luhn(digits)


def _passes_luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


# -- single fields ----------------------------------------------------------------------------------------------------

_ALL_DIGITS = re.compile(r"[0-9]{12,19}")


class CardlessTextField(TextField):
    """Text, but a 400 for 12 to 19 digits: these may be a card number, even one that fails the Luhn check."""

    default_error_messages = {"card_number": "Card numbers are never accepted."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if _ALL_DIGITS.fullmatch(re.sub(r"[ -]", "", text)):
            self.fail("card_number")
        return text


class CardlessWordField(CardlessTextField):
    """Such a text of up to 40 letters, digits, ``_`` and ``-``."""

    default_error_messages = {"invalid_word": "This must be a word of up to 40 letters, digits, '_' and '-'."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        word = super().to_internal_value(data)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", word):
            self.fail("invalid_word")
        return word
