"""Card numbers and security codes are refused wherever they might be sent, before anything is logged or kept.

A card number is 13 to 19 digits, single spaces or dashes between them, that pass the Luhn check. Those that begin with
0 or 1 are no payment card's, but may well be the time in milliseconds that somebody uses as an id.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from rest_framework import serializers

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_RUN = re.compile(r"(?<![0-9a-z])[0-9](?:[ -]?[0-9]){12,}(?![0-9a-z])", re.IGNORECASE)  # not within a hex digest
_CODES = {"cvv", "cvv2", "cvc", "cvc2", "csc", "cid", "cardnumber", "pan", "securitycode", "cardverificationvalue"}
_PHONES = ("phone", "mobile", "tel")
_REFUSED = "Card numbers and security codes are never accepted: send the payment provider's token."


def refuse_cards(value: Any, path: tuple[str, ...] = ()) -> None:
    """400 naming the field, and never what was in it, if a card number or a security code is anywhere in the value."""
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
    """Digits, spaces and dashes of any script as ASCII has them."""
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
