"""What people write into cells: numbers with either decimal sign, amounts, flags, text gone through spreadsheets."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal

from django.conf import settings

from eci import money, text

DecimalSign = Literal[".", ","]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a workbook shows a number.

    - ``written``: the format itself.
    - ``sign``: the currency, or whatever else stands beside the number.
    - ``largest``: the denominator of fractions, or 0.
    - ``places``: how many decimal places it shows at most, or None if all there are.
    - ``parts``: of a code, as the format has them: ``0``, ``#`` or ``?`` for a digit, ``.``, ``,``, ``General``; other
      text after a ``'``. Empty for the number as it is, None for what is no code.
    - ``least``: how many decimal places it shows at least.
    """

    written: str = ""
    sign: str = ""
    is_percent: bool = False
    largest: int = 0
    places: int | None = None
    parts: tuple[str, ...] | None = ()
    least: int = 0


class Number(str):
    """A number of a workbook. It has a point, whatever sign the texts beside it have."""

    form = Form()


class NoText(str):
    """A cell of a workbook that is no text and no number, as it is shown. ``what`` it is."""

    what = ""


class Flag(NoText):
    what = "TRUE or FALSE"


class Day(NoText):
    what = "a date or a time"


class Text(str):
    """What an apostrophe says is text, whatever it looks like."""


ERRORS = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"}
# The first two answer what the column is called; the others say how the thing is, whatever the column is called.
_YES = {
    *("1", "-1", "true", "t", "yes", "y", "on", "x", "wahr", "vrai", "verdadero", "vero", "prawda"),
    *("igaz", "ja", "oui", "si", "sí", "sì", "tak", "igen"),
}
_NO = {
    *("0", "false", "f", "no", "n", "off", "falsch", "faux", "falso", "fałsz", "hamis", "nein", "non"),
    *("nee", "nie", "nem"),
}
_ON = {
    *("enabled", "visible", "active", "published", "publish", "instock", "online", "available", "both"),
    *("everywhere", "catalog", "search", "catalog,search", "aktiv", "actif", "activo", "attivo"),
    *("actief", "aktywny", "aktív"),
}
_OFF = {
    *("2", "disabled", "hidden", "inactive", "draft", "archived", "private", "inaktiv", "inactif"),
    *("inactivo", "inattivo", "deleted", "trash", "pending", "discontinued", "retired", "obsolete"),
    *("unpublished", "deactivated", "suspended", "blocked", "offline", "unavailable", "none", "nowhere"),
    *("notvisibleindividually", "inactief", "nieaktywny"),
}
_SIGNS = {
    "€": ("EUR",),
    "euro": ("EUR",),
    "euros": ("EUR",),
    "£": ("GBP",),
    "₹": ("INR",),
    "₽": ("RUB",),
    "₩": ("KRW",),
    "₺": ("TRY",),
    "₴": ("UAH",),
    "₪": ("ILS",),
    "฿": ("THB",),
    "₫": ("VND",),
    "₱": ("PHP",),
    "₦": ("NGN",),
    "₸": ("KZT",),
    "₾": ("GEL",),
    "zł": ("PLN",),
    "złoty": ("PLN",),
    "forint": ("HUF",),
    "franken": ("CHF",),
    "yen": ("JPY",),
    "ft": ("HUF",),
    "kč": ("CZK",),
    "lei": ("RON",),
    "лв": ("BGN",),
    "грн": ("UAH",),
    "руб": ("RUB",),
    "fr": ("CHF",),
    "sfr": ("CHF",),
    "$": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "TWD"),
    "us$": ("USD",),
    "ca$": ("CAD",),
    "a$": ("AUD",),
    "nz$": ("NZD",),
    "s$": ("SGD",),
    "hk$": ("HKD",),
    "nt$": ("TWD",),
    "mx$": ("MXN",),
    "r$": ("BRL",),
    "¥": ("JPY", "CNY"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
}
_SIGNS["dollar"] = _SIGNS["dollars"] = _SIGNS["$"]
_COMMON = {code for codes in _SIGNS.values() for code in codes}
_SPACE = "[\\s\xa0\u2007\u2009\u202f'’\u066c]+"
_SPACES = re.compile(rf"(?<!\d){_SPACE}|{_SPACE}(?!\d)|{_SPACE}(?=\d{{3}}(?!\d))")  # of thousands, or beside a number
_PLAIN_SIGNS = str.maketrans("−–—٫", "---.")  # of minus, and the Arabic one of decimals
_AMOUNT = re.compile(r"(?P<before>[^\d.,+()-]*)(?P<number>[(+-]*[\d.,]+(?:[eE][+-]?\d+)?\)?-{0,2})(?P<after>[^\d.,]*)")
_WORDS = re.compile(r"[^\W_]*\$|[^\W_]+|[€£₹₽₩₺₴₪฿₫₱₦₸₾¥]")
_CENTS = re.compile(r"\d[.,]\d\d?(?!\d)")
_NO_CENTS = re.compile(r"[.,]-{1,2}$")  # 20.- and 20,--
_PLAIN: dict[DecimalSign, re.Pattern[str]] = {
    ".": re.compile(r"[+-]?(?=[.\d])(?:\d+|[1-9]\d{0,2}(?:,\d{2,3})*,\d{3})?(?:\.\d*)?"),
    ",": re.compile(r"[+-]?(?=[,\d])(?:\d+|[1-9]\d{0,2}(?:\.\d{2,3})*\.\d{3})?(?:,\d*)?"),
}
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d{1,3}")
_DUST = Decimal("0.00000001")  # what computers with binary fractions leave behind


@dataclass
class Reading:
    """How the cells of one file are read, and what is said of the row that is being read.

    ``as_written``: its texts are the shop's own, so nothing in them is decoded. ``unnamed``: the currency of amounts
    that name none, where somebody has said it.
    """

    decimal: DecimalSign = "."
    currency: str = field(default_factory=lambda: settings.ECI_CURRENCY)
    unnamed: str = ""
    as_written: bool = False
    warnings: list[str] = field(default_factory=list)
    cells: dict[str, str] = field(default_factory=dict)  # of the row, by field

    def warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


_UNSTORED = re.compile("[\x00\ud800-\udfff]")  # by PostgreSQL


def stored(cell: str) -> str:
    """The text as every database keeps it."""
    return _UNSTORED.sub("\ufffd", cell)


def quoted(cell: str, limit: int = 40) -> str:
    """As it stands in the file, for messages."""
    mark = '"' if "'" in cell else "'"
    return f"{mark}{stored(cell[:limit])}{mark}"


# -- numbers ----------------------------------------------------------------------------------------------------------


def decimal_sign(cell: str) -> str:
    """What the cell tells of the decimal sign: ``.``, ``,``, ``?`` if it may be either, or nothing."""
    number = _digits_of(cell) or ""
    if not number or number.isdigit():
        return ""
    either = [sign for sign, plain in _PLAIN.items() if plain.fullmatch(number)]
    return "?" if len(either) > 1 else "".join(either)


def _digits_of(cell: str) -> str | None:
    found = _AMOUNT.fullmatch(_closed_up(cell))
    return found["number"].strip("()-+") if found else None


def _closed_up(cell: str) -> str:
    return _SPACES.sub("", cell).translate(_PLAIN_SIGNS)


def number(cell: str, decimal: DecimalSign) -> Decimal:
    """ValueError."""
    return _number(type(cell)(_closed_up(cell)), decimal, written=cell)


def _number(cell: str, decimal: DecimalSign, *, written: str) -> Decimal:
    is_of_workbook = isinstance(cell, Number)
    decimal = "." if is_of_workbook else decimal
    cell = _NO_CENTS.sub("", cell)
    if cell.startswith("(") and cell.endswith(")"):  # as accountants write what is negative
        cell = f"-{cell[1:-1]}"
    elif cell.endswith("-"):
        cell = f"-{cell[:-1]}"
    if _SCIENTIFIC.fullmatch(cell):
        if is_of_workbook:
            return Decimal(cell)
        raise ValueError(f"{quoted(written)} is a number that a spreadsheet has shortened. Write all its digits.")
    if not _PLAIN[decimal].fullmatch(cell):
        raise ValueError(f"{quoted(written)} is not a number in which {quoted(decimal)} is the decimal sign.")
    thousands = "," if decimal == "." else "."
    try:
        return Decimal(cell.replace(thousands, "").replace(",", "."))
    except InvalidOperation:
        raise ValueError(f"{quoted(written)} is not a number.") from None


def whole(cell: str, reading: Reading) -> int:
    """A number of units. ValueError."""
    found = number(cell, reading.decimal)
    if found != found.to_integral_value():
        raise ValueError("Units are counted whole.")
    if abs(found) > 10**12:
        raise ValueError("That is too many.")
    return int(found)


def amount(cell: str, reading: Reading, *, currency: str = "") -> tuple[Decimal, str]:
    """A price, and the currency that the cell names, or else the given one. ValueError."""
    found = _AMOUNT.fullmatch(_closed_up(cell))
    if not found or "=" in found["before"]:
        raise ValueError(f"{quoted(cell)} is not a price.")
    named = _named_currency(found["before"] + found["after"] or _sign_of(cell), currency or reading.currency)
    if currency and named and named != currency:
        raise ValueError(f"The price is in {named}, but the currency is {currency}.")
    price = _number(type(cell)(found["number"]), reading.decimal, written=cell)
    if price < 0:
        raise ValueError("A price must not be negative.")
    code = named or currency or reading.unnamed
    if isinstance(cell, Number) and (rounded := _rounded(price, cell.form)) != price:
        if (cell.form.places or 0) < money.places(code or reading.currency):
            reading.warn(f"price: The workbook has {price:f} here, and shows {rounded:f}, which is taken.")
        price = rounded
    return price, code


def column_in(name: str) -> tuple[str, str]:
    """The name of a column without the currency that it says, and that: ``Price (EUR)``, ``Price in €``, ``price_eur``,
    ``USD Price``, ``EUR``. A sign that several currencies have stays a sign."""
    words = _WORDS.findall(name)
    codes = {at: code for at, word in enumerate(words) if (code := _currency_called(word, name))}
    if len(codes) != 1:
        return name, ""
    ((at, code),) = codes.items()
    before = words[:at]
    if before and before[-1].lower() == "in":
        before.pop()
    rest = " ".join([*before, *words[at + 1 :]])
    is_a_word = not rest and words[at] != words[at].upper() and words[at].lower() not in _SIGNS  # Try
    return (name, "") if is_a_word else (rest, code)


def _currency_called(word: str, column: str) -> str:
    """The currency that a word of a column's name is: of words such as TOP or ALL, which are codes too, only where it
    alone is in capitals."""
    code = word.upper()
    if code in _COMMON or (word == code and column != column.upper() and money.is_currency(code)):
        return code
    meant = _SIGNS.get(word.lower(), ())
    is_sign = len(word) > 3 or not (word.isalpha() and word.isascii())  # Ft and fr are too short to be sure
    return "" if not meant or not is_sign else meant[0] if len(meant) == 1 else "$" if "$" in word else word.lower()


def sign_of(cell: str) -> str | None:
    """What stands beside the number; None if this is no amount."""
    if cell[:1].isdigit() and cell[-1:].isdigit() and type(cell) is str:
        return ""
    found = _AMOUNT.fullmatch(_closed_up(cell))
    return (found["before"] + found["after"] or _sign_of(cell)) if found else None


def may_be_amount(cell: str) -> bool:
    """Whether this is a number, alone or beside a currency."""
    sign = sign_of(cell)
    digits = _digits_of(cell) or ""
    is_number = digits.isdigit() or any(plain.fullmatch(digits) for plain in _PLAIN.values())
    return sign is not None and is_number and (not sign or bool(currencies_of(sign)))


def has_cents(cell: str) -> bool:
    """Whether an amount is more than a number: it has cents, or a currency."""
    return bool(sign_of(cell) or _CENTS.search(_closed_up(cell)))


def currencies_of(sign: str) -> tuple[str, ...]:
    """Those that a sign or a code may be."""
    return (sign.upper(),) if money.is_currency(sign.upper()) else _SIGNS.get(plain_sign(sign), ())


def in_currency(cell: str, code: str) -> str:
    """The amount with its column's currency, unless it has its own."""
    found = _AMOUNT.fullmatch(_closed_up(cell))
    if not found or found["before"] + found["after"] + _sign_of(cell):
        return cell
    named = type(cell)(f"{cell} {code}")
    if isinstance(cell, Number) and isinstance(named, Number):
        named.form = cell.form
    return named


def _sign_of(cell: str) -> str:
    return cell.form.sign if isinstance(cell, Number) else ""


def amount_shown(cell: Number) -> str:
    """The amount as the workbook shows it, with a point."""
    try:
        return f"{_rounded(Decimal(cell), cell.form):f}"
    except InvalidOperation:
        return str(cell)


def _rounded(price: Decimal, form: Form) -> Decimal:
    """As a spreadsheet does. What has no more places than are shown stays as it is."""
    exponent = price.as_tuple().exponent
    if form.places is None or not isinstance(exponent, int) or -exponent <= form.places:
        return price
    return price.quantize(Decimal(1).scaleb(-form.places), ROUND_HALF_UP)


def plain_sign(sign: str) -> str:
    """``Kr.`` and ``￥`` as they are known."""
    return unicodedata.normalize("NFKC", sign).strip().lower().rstrip(".")


def exact(price: Decimal, currency: str) -> Decimal:
    """The price in the currency's own places, if it has no more. ValueError."""
    return money.from_minor(exact_minor(price, currency), currency)


def exact_minor(price: Decimal, currency: str) -> int:
    """The same in minor units. ValueError."""
    if not price.is_finite() or price.adjusted() >= money.MAX_DIGITS:  # which cannot be rounded
        return money.to_minor(price, currency)
    rounded = round(price, money.places(currency))
    return money.to_minor(rounded if abs(price - rounded) < _DUST else price, currency)


def _named_currency(sign: str, usual: str) -> str:
    if not sign:
        return ""
    if "%" in sign:
        raise ValueError("A percentage is not a price.")
    meant = currencies_of(sign)
    if not meant:
        raise ValueError(f"{quoted(sign, 20)} is not a currency.")
    if len(meant) == 1:
        return meant[0]
    if usual not in meant:
        raise ValueError(f"{quoted(sign)} does not say which currency it is. Write its code, such as {meant[0]}.")
    return usual


class Denied(str):
    """A cell of a column that asks for the opposite of its field."""


def flag(cell: str) -> bool:
    word = "".join(cell.lower().split())
    if word in _YES or word in _NO:
        return (word in _YES) != isinstance(cell, Denied)
    if word in _ON or word in _OFF:
        return word in _ON
    raise ValueError(f"{quoted(cell)} is neither yes nor no.")


def is_yes(cell: str) -> bool:
    try:
        return flag(cell)
    except ValueError:
        return False


# -- text -------------------------------------------------------------------------------------------------------------

_EXCEL_TEXT = re.compile(r'="(.*)"', re.DOTALL)
_MARKS = "='"  # with which such a cell begins
_ERROR = "|".join(map(re.escape, sorted(ERRORS)))
_GUARDED = re.compile(rf"'+(?:[=+\-@\t\r]|(?:{_ERROR})\Z)")
_GUARDED_CODE = re.compile(rf"'+(?:[=+\-@\t\r0-9]|(?:{_ERROR})\Z)")
_LINES = re.compile(r"[ ]*[\t\r\n\x0b\x0c\x85\u2028\u2029]+[ ]*")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_ENTITY = re.compile(
    r"&(?!(?:lt|gt|amp|quot|#60|#62|#38|#34|#x3c|#x3e|#x26|#x22);)(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});"
)
_BROKEN = re.compile("[\xc2-\xf4](?:[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ])+")


def bare(cell: str, *, is_code: bool = False) -> str:
    """The cell without what spreadsheets put before text that they would read as a number or a formula."""
    cell = text.trim(cell)
    if not cell or cell[0] not in _MARKS:
        return cell
    if found := _EXCEL_TEXT.fullmatch(cell):
        return text.trim(found[1].replace('""', '"'))
    guarded = (_GUARDED_CODE if is_code else _GUARDED).match(cell)
    return Text(cell[1:]) if guarded else cell


def guarded(value: str, *, is_code: bool = False) -> str:
    """The text as no spreadsheet takes it for a formula, nor a code for a number; ``bare`` gives it back unchanged."""
    if value in ERRORS or _EXCEL_TEXT.fullmatch(value):
        return f"'{value}"
    first = value[:1]
    if (first and first in "=+-@\t\r") or (_GUARDED_CODE if is_code else _GUARDED).match(value):
        return f"'{value}"
    return value


def _unescaped(cell: str) -> str:
    try:
        return html.unescape(cell)
    except ValueError:  # a number of more digits than Python reads
        return cell


def line(cell: str, reading: Reading, *, limit: int) -> str:
    """Text in one line: breaks become spaces, and entities of HTML the letters that they stand for. ValueError."""
    if not reading.as_written:
        cell = _LINES.sub(" ", _unescaped(cell) if "&" in cell else cell)
    _warn_of_broken(cell, reading)
    return text.clean(cell, limit=limit)


def lines(cell: str, reading: Reading, *, limit: int) -> str:
    """Text in several lines, with or without HTML, whose tags stay. ValueError."""
    if not reading.as_written:
        cell = cell.replace("\t", " ").replace("\x0b", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
        if "&" in cell:
            is_html = _TAG.search(cell)
            cell = _ENTITY.sub(lambda one: _unescaped(one[0]), cell) if is_html else _unescaped(cell)
    _warn_of_broken(cell, reading)
    return text.clean(cell, limit=limit, lines=True)


_WAS_A_NUMBER = re.compile(r"\d(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_WAS_A_DATE = re.compile(
    r"\d{1,2}[-. /](?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*(?:[-. /]\d{2,4})?"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*-\d{2,4}|\d{4}-\d{2}-\d{2}(?: 00:00:00)?",
    re.IGNORECASE,
)


def was_a_number(code: str) -> bool:
    """Whether a spreadsheet has shortened it: ``1.23457E+12``."""
    return bool(_WAS_A_NUMBER.fullmatch(code))


def warn_of_excel(code: str, reading: Reading) -> None:
    """Spreadsheets make numbers and dates of codes."""
    if was_a_number(code):
        reading.warn(f"{quoted(code)} looks like a number that a spreadsheet has shortened. Is this the code?")
    elif _WAS_A_DATE.fullmatch(code):
        reading.warn(f"{quoted(code)} looks like a code that a spreadsheet has made a date. Is this the code?")


def _warn_of_broken(cell: str, reading: Reading) -> None:
    """Text that was UTF-8, was read as something else, and was saved like that."""
    if cell.isascii():
        return
    if "\ufffd" in cell:
        raise ValueError("Some characters here were lost before: they are question marks in the file.")
    found = _BROKEN.search(cell)
    if not found:
        return
    for encoding in ("cp1252", "latin-1"):
        try:
            meant = found[0].encode(encoding).decode()
        except UnicodeError:
            continue
        reading.warn(f"{quoted(cell, 60)} looks broken: {quoted(found[0])} was probably {quoted(meant)}.")
        return
