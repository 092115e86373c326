"""What a workbook's number formats put beside a number: a currency, a per cent sign, a fraction."""

from __future__ import annotations

import locale
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from eci.imports import values
from eci.imports.values import Number

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<sign>.*?)(?:-(?P<place>[\w-]+))?\]|(?P<ignored>[_*].|\[[^\]]*\]|@)'
    r"|(?P<percent>%)|(?P<number>General|E[+-]|[0#?.,/])|(?P<section>;)|(?P<other>.)",
    re.DOTALL,
)
_FRACTION = re.compile(r"/[ ]*(?:(?P<fixed>[1-9]\d*)|(?P<digits>[?#0]+))")
_BESIDE = " \xa0\u202f()+-–—.,:/'"
# Where a sign that several currencies have is which of them.
_LOCAL = {
    "$": {
        "US": "USD",
        "CA": "CAD",
        "AU": "AUD",
        "NZ": "NZD",
        "SG": "SGD",
        "HK": "HKD",
        "TW": "TWD",
        "MX": "MXN",
        "AR": "ARS",
        "CL": "CLP",
        "CO": "COP",
    },
    "kr": {"SE": "SEK", "NO": "NOK", "DK": "DKK", "FO": "DKK", "GL": "DKK", "IS": "ISK"},
    "¥": {"JP": "JPY", "CN": "CNY"},
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """``sign``: the currency, or whatever else stands beside the number. ``largest``: denominator, or 0."""

    sign: str = ""
    is_percent: bool = False
    largest: int = 0

    def shown(self, number: Number) -> Number:
        """The number as a person reads it, if it is a percentage or a fraction; else with the sign beside it."""
        if self.is_percent:
            return Number(f"{float(number) * 100:.15g}%")
        if self.largest and (whole := float(number)) != int(whole):
            part = Fraction(abs(whole) % 1).limit_denominator(self.largest)
            return Number(f"{int(whole)} {part}" if int(whole) else f"{'-' * (whole < 0)}{part}")
        number.sign = self.sign
        return number


@lru_cache(1_000)
def form_of(number_format: str) -> Form | None:
    """None for one that shows the number alone."""
    for section in _sections(number_format.replace("_)_(", "_);_(")):  # openpyxl has 44 without its semicolons
        if not any(one["number"] for one in section):
            continue
        said = "".join(_beside(one) for one in section).strip(_BESIDE)
        digits = "".join(one["number"] or one["other"] or " " for one in section)
        over = _FRACTION.search(digits)
        largest = (int(over["fixed"]) if over["fixed"] else 10 ** min(len(over["digits"]), 4) - 1) if over else 0
        is_percent = any(one["percent"] for one in section)
        sign = "" if over else said
        return Form(sign=sign, is_percent=is_percent, largest=largest) if sign or is_percent or largest else None
    return None


def _sections(number_format: str) -> list[list[re.Match[str]]]:
    """Of positive numbers, then of others."""
    found: list[list[re.Match[str]]] = [[]]
    for one in _TOKEN.finditer(number_format):
        if one["section"]:
            found.append([])
        else:
            found[-1].append(one)
    return found


def _beside(one: re.Match[str]) -> str:
    sign = one["sign"]
    if not sign:
        return one["quoted"] or one["escaped"] or one["other"] or ""
    meant = _LOCAL.get(values.plain_sign(sign), {})
    return meant.get(_country(one["place"] or ""), sign)


def _country(place: str) -> str:
    """Of ``409`` and of ``en-US``."""
    if re.fullmatch("[0-9A-Fa-f]{3,8}", place):
        place = locale.windows_locale.get(int(place, 16) & 0xFFFF, "")
    return place.replace("_", "-").rpartition("-")[2].upper()
