"""What a workbook's number formats put beside a number: a currency, a per cent sign, a fraction."""

from __future__ import annotations

import locale
import math
import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from eci.imports import values
from eci.imports.values import Form, Number

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<sign>.*?)(?:-(?P<place>[\w-]+))?\]|(?P<ignored>[_*].|\[[^\]]*\]|@)'
    r"|(?P<percent>%)|(?P<number>General|E[+-]|[0#?.,/])|(?P<section>;)|(?P<other>.)",
    re.DOTALL,
)
_FRACTION = re.compile(r"/[ ]*(?:(?P<fixed>[1-9]\d*)|(?P<digits>[?#0]+))")
_CONDITION = re.compile(r"\[[<>=].*\]")
_PLACES = re.compile(r"[0#?]*(?:,[0#?]+)*(?:\.([0#?]*))?")
_SCIENTIFIC = re.compile(r"[0#?.]+E[+-][0#?]+")
_BLANK = {"0": "0", "#": "", "?": " "}  # what stands in the place of no digit
_GROUP = 3  # digits between signs of thousands
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


def shown(number: Number, form: Form) -> Number:
    """The number as a person reads it, if it is a percentage or a fraction; else with its form."""
    try:
        whole = float(number)
    except OverflowError:
        whole = math.inf
    if form.is_percent:
        return Number(f"{whole * 100:.15g}%")
    if form.largest and math.isfinite(whole) and whole != int(whole):
        part = Fraction(abs(whole) % 1).limit_denominator(form.largest)
        return Number(f"{int(whole)} {part}" if int(whole) else f"{'-' * (whole < 0)}{part}")
    number.form = form
    return number


def code_of(number: Number) -> str | None:
    """The number as a code, with what its cell shows of it; None if that is shown in a way that no code has."""
    form, parts = number.form, number.form.parts
    if not parts:
        return None if parts is None else str(number)
    if parts.count("General"):
        return "".join(str(number) if part == "General" else part[1:] for part in parts).strip()
    whole, _, rest = number.partition(".")
    is_grouped = "," in parts and len(whole) > _GROUP
    if not whole.isdecimal() or len(rest) > (form.places or 0) or (form.least and not rest) or is_grouped:
        return None
    return _filled(parts, whole.lstrip("0"), f".{rest.ljust(form.least, '0')}" if rest else "")


def _filled(parts: tuple[str, ...], digits: str, rest: str) -> str | None:
    """The last digit stands in the last place before the point, and in the first place whatever is left."""
    point = parts.index(".") if "." in parts else len(parts)
    places = sum(part in _BLANK for part in parts[:point])
    said = [rest, *(part[1:] for part in parts[point:] if part[0] == "'")]
    for part in parts[:point][::-1]:
        if part in _BLANK:
            places -= 1
            here, digits = (digits[-1:], digits[:-1]) if places else (digits, "")
            said.insert(0, here or _BLANK[part])
        elif part[0] == "'":
            said.insert(0, part[1:])
    return None if digits else "".join(said).strip() or None


@lru_cache(1_000)
def form_of(number_format: str) -> Form | None:
    """None for one that shows the number as it is."""
    sections = _sections(number_format.replace("_)_(", "_);_("))  # openpyxl has 44 without its semicolons
    for section in sections:
        numbers = "".join(one["number"] or "" for one in section)
        if not numbers:
            continue
        said = "".join(_beside(one) for one in section).strip(_BESIDE)
        over = _FRACTION.search("".join(one["number"] or one["other"] or " " for one in section))
        largest = (int(over["fixed"]) if over["fixed"] else 10 ** min(len(over["digits"]), 4) - 1) if over else 0
        is_for_all = not any(_CONDITION.fullmatch(one[0]) for one in section)
        places = _PLACES.fullmatch(numbers) if is_for_all else None
        form = Form(
            written=number_format,
            sign="" if over else said,
            is_percent=any(one["percent"] for one in section),
            largest=largest,
            places=len(places[1] or "") if places else None,
            least=(places[1] or "").count("0") if places else 0,
            parts=_parts(section, numbers) if is_for_all and section is sections[0] else None,
        )
        return None if form == Form(written=number_format) else form
    return None


def _parts(section: list[re.Match[str]], numbers: str) -> tuple[str, ...] | None:
    if any(_is_money(one) for one in section):
        return None
    parts = tuple(one["number"] or f"'{_beside(one)}" for one in section if one["number"] or _beside(one))
    if parts == ("General",) or _SCIENTIFIC.fullmatch("".join(parts)):
        return ()  # all its digits are there, however few of them are shown
    return parts if numbers == "General" or _PLACES.fullmatch(numbers) else None


def _is_money(one: re.Match[str]) -> bool:
    sign = one["sign"] or ""
    return bool(sign and values.currencies_of(sign)) or any(
        unicodedata.category(letter) == "Sc" for letter in _beside(one)
    )


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
