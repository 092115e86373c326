"""Catalog's rules without a database: how texts are compared, and prices of different currencies."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from eci import money

PRICE_PLACES = 3  # the most decimal places that any currency has


def fold(text: str) -> str:
    """The form in which names and categories are compared. Done here because SQLite folds only ASCII letters."""
    return text.casefold()


def search_text(*parts: str) -> str:
    """The text that a full-text query searches."""
    return fold("\n".join(parts))


def words(query: str) -> tuple[str, ...]:
    """The distinct words of a full-text query, folded."""
    return tuple(dict.fromkeys(fold(query).split()))


def thousandths(amount: Decimal) -> int:
    """The amount in thousandths of the major unit, which every currency can express. ValueError when it isn't whole."""
    scaled = Fraction(amount) * 10**PRICE_PLACES
    if scaled.denominator != 1:
        raise ValueError(f"A price has at most {PRICE_PLACES} decimal places.")
    return int(scaled)


def price_thousandths(price_minor: int, currency: str) -> int:
    """The price in thousandths, so that products of several currencies sort together."""
    scale: int = 10 ** (PRICE_PLACES - money.places(currency))
    return price_minor * scale
