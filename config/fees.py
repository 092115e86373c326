"""Fees and limits by currency, and what a round sum in dollars is in a currency whose amounts look otherwise."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from django.core.exceptions import ImproperlyConfigured

from eci import money

_OF_A_DOLLAR = {0: Decimal(150), 2: Decimal(1), 3: Decimal("0.3")}  # by decimal places; no rates, only of a likely size
_USUAL = Decimal("10.00")


def likely(dollars: Decimal, currency: str) -> Decimal:
    """A price of likely size in the currency, for demos and defaults: 10.00 in USD, 1500 in JPY, 3.000 in KWD."""
    places = money.places(currency)
    return money.from_minor(money.half_up((dollars * _OF_A_DOLLAR[places]).scaleb(places)), currency)


def parse(
    text: str, *, currency: str, setting: str = "ECI_SHIPPING_FEE", usual: Decimal = _USUAL
) -> dict[str, Decimal]:
    """Amounts by currency from text like ``10.00,JPY:1500``, where a bare number is in ``currency``; from none, one of
    about ``usual`` dollars. ImproperlyConfigured, naming the ``setting``.
    """
    if not money.is_currency(currency):
        raise ImproperlyConfigured("ECI_CURRENCY is not an ISO 4217 code.")
    if not text.strip():
        return {currency: likely(usual, currency)}
    amounts: dict[str, Decimal] = {}
    for entry in (part.strip() for part in text.split(",")):
        code, colon, number = entry.rpartition(":")
        code = code.strip() if colon else currency
        if not money.is_currency(code):
            raise ImproperlyConfigured(f"{setting}: '{entry}': {code} is not an ISO 4217 code.")
        if code in amounts:
            raise ImproperlyConfigured(f"{setting} gives two amounts in {code}.")
        amounts[code] = _amount(setting, entry, number.strip(), code)
    return amounts


def _amount(setting: str, entry: str, number: str, currency: str) -> Decimal:
    try:
        amount = Decimal(number)
        money.to_minor(amount, currency)
    except InvalidOperation:
        raise ImproperlyConfigured(
            f"{setting}: '{entry}' is not an amount such as 10.00, nor a currency with one such as JPY:1500."
        ) from None
    except ValueError as error:
        raise ImproperlyConfigured(f"{setting}: '{entry}': {error}") from None
    if amount < 0:
        raise ImproperlyConfigured(f"{setting} must not be negative.")
    return amount
