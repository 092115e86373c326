"""Catalog's rules without a database: how texts are compared, and prices of different currencies."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import cycle

from eci import money
from eci.text import fold

LOWEST_PRICE = timedelta(days=30)
PRICE_PLACES = 3  # the most decimal places that any currency has


NAME_KEY = 600  # characters: an index on every engine takes them, and names that folding makes longer are rare
CATEGORY_KEY = 300


def name_key(name: str) -> str:
    return fold(name)[:NAME_KEY]


def category_key(category: str) -> str:
    return fold(category)[:CATEGORY_KEY]


def search_text(*parts: str) -> str:
    """The text that a full-text query searches."""
    return fold("\n".join(parts))


def price_thousandths(price_minor: int, currency: str) -> int:
    """The price in thousandths, so that products of several currencies sort together."""
    scale: int = 10 ** (PRICE_PLACES - money.places(currency))
    return price_minor * scale


def price_band(price_minor: int, currency: str) -> tuple[str, int, int]:
    """The currency, and in minor units the lowest and the highest price of the band that the price is in: from 0, 10,
    20, 50, 100, 200, … of it to just below the next one."""
    unit = 10 ** money.places(currency)
    lower, upper, steps = 0, 10 * unit, cycle((2, 2.5, 2))
    while price_minor >= upper:
        lower, upper = upper, int(upper * next(steps))
    return currency, lower, upper - 1


ROUNDINGS: dict[str, tuple[Decimal, Decimal]] = {
    "0.05": (Decimal("0.05"), Decimal(0)),
    "0.10": (Decimal("0.10"), Decimal(0)),
    "0.50": (Decimal("0.50"), Decimal(0)),
    "1": (Decimal(1), Decimal(0)),
    "10": (Decimal(10), Decimal(0)),
    ".99": (Decimal(1), Decimal("0.99")),
    ".95": (Decimal(1), Decimal("0.95")),
    ".90": (Decimal(1), Decimal("0.90")),
}
"""How prices may be rounded: to multiples of the first, plus the second."""


def repriced(price: Decimal, currency: str, *, percent: Decimal, rounding: str = "") -> Decimal:
    """The price changed by ``percent``, rounded to the nearest that ``rounding`` allows; halves go up.

    ValueError where that is no price: not more than zero, or finer than the currency; and where the rounding would undo
    more than the percentage does, so that a price to be raised would fall.
    """
    if not price:
        return price
    step, offset = ROUNDINGS.get(rounding, (money.from_minor(1, currency), Decimal(0)))
    for part in (step, offset):
        money.to_minor(part, currency)
    times = ((price * (100 + percent) / 100 - offset) / step).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    new = times * step + offset
    if new <= 0:
        raise ValueError("It would be sold for nothing.")
    if percent > 0 and new < price or percent < 0 and new > price:
        raise ValueError(
            f"Rounded so, it would become {'lower' if percent > 0 else 'higher'}: {money.text(new, currency)}."
        )
    return new
