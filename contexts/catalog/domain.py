"""Catalog's rules without a database: how texts are compared, and prices of different currencies."""

from __future__ import annotations

from datetime import timedelta
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
    """The currency, and the bounds in minor units between which the price is: 0, 10, 20, 50, 100, 200, … of it.

    The upper one is not included.
    """
    unit = 10 ** money.places(currency)
    lower, upper, steps = 0, 10 * unit, cycle((2, 2.5, 2))
    while price_minor >= upper:
        lower, upper = upper, int(upper * next(steps))
    return currency, lower, upper
