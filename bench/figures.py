"""The arithmetic of figures: percentiles, spreads over rounds, ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What several rounds gave."""

    median: float
    lowest: float
    highest: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """ValueError for none."""
        if not values:
            raise ValueError("there is no round")
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        if self.rounds == 1 or short(self.lowest) == short(self.highest):
            return short(self.median)
        return f"{short(self.median)} ({short(self.lowest)} to {short(self.highest)})"


def short(value: float) -> str:
    """Three digits that mean something: 0.123, 1.23, 12.3, 123, 1,234."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}".rstrip("0").rstrip(".")


def ratios(values: Sequence[float], others: Sequence[float]) -> Spread:
    """Each round's value over that of the same round, so that a slow minute counts in both."""
    return Spread.of([value / other for value, other in zip(values, others, strict=True) if other])
