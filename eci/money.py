"""Money: an integer of minor units in the database, a Decimal in Python, a string in JSON, and never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

MAX_DIGITS = 12

_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD "
    "RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG"
)
_WITHOUT_PLACES = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_WITH_THREE_PLACES = "BHD IQD JOD KWD LYD OMR TND"
_PLACES = (
    dict.fromkeys(_CODES.split(), 2)
    | dict.fromkeys(_WITHOUT_PLACES.split(), 0)
    | dict.fromkeys(_WITH_THREE_PLACES.split(), 3)
)


def is_currency(code: str) -> bool:
    return code in _PLACES


def places(currency: str) -> int:
    """The currency's decimal places, from ISO 4217."""
    return _PLACES[currency]


def to_minor(amount: Decimal, currency: str) -> int:
    """The amount in minor units, exactly.

    ValueError for NaN, infinity, more than 12 digits, or more decimal places than the currency has.
    """
    if not amount.is_finite():
        raise ValueError("An amount must be a finite number.")
    if amount.adjusted() >= MAX_DIGITS:
        raise ValueError(f"An amount has at most {MAX_DIGITS} digits.")
    _, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    beyond = -exponent - places(currency)  # compared digit by digit, because scaling may round
    if beyond > 0 and any(digits[-beyond:]):
        raise ValueError(f"An amount in {currency} has at most {places(currency)} decimal places.")
    scaled = amount.scaleb(places(currency)) if amount else Decimal(0)
    if abs(scaled) >= 10**MAX_DIGITS:
        raise ValueError(f"An amount has at most {MAX_DIGITS} digits.")
    return int(scaled)


@lru_cache(4096)
def from_minor(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-places(currency))


@lru_cache(4096)  # the same prices stand in many answers
def text_of(minor: int, currency: str) -> str:
    """``text(from_minor(minor, currency), currency)``, which answers with many amounts would pay for dearly."""
    decimals = _PLACES[currency]
    if not decimals:
        return str(minor)
    digits = f"{abs(minor):0{decimals + 1}d}"
    return f"{'-' if minor < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


def step(currency: str) -> str:
    """The smallest amount of the currency."""
    return text(from_minor(1, currency), currency)


def text(amount: Decimal, currency: str) -> str:
    """The amount as JSON shows it, with exactly the currency's decimal places."""
    return f"{amount:.{_PLACES[currency]}f}"


def half_up(value: Decimal) -> int:
    """The nearest whole minor unit. Halves are rounded away from zero."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))
