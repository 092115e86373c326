"""Lines of figures over time, as SVG that needs neither a script nor a style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

WIDTH, HEIGHT = 600, 120
_EDGE = 4  # so that no line is cut


@dataclass(frozen=True, kw_only=True)
class Chart:
    """``points``: of a polyline. ``words`` says what it shows to those who do not see it."""

    title: str
    points: str
    low: str
    high: str
    first: str
    last: str
    words: str
    width: int = WIDTH
    height: int = HEIGHT


def chart(
    title: str,
    values: Sequence[tuple[datetime, Decimal]],
    *,
    say: Callable[[Decimal], str] = str,
    steps: bool = False,
    from_zero: bool = False,
) -> Chart | None:
    """The values over time, the oldest first; None where fewer than two are known. With ``steps`` a value holds until
    the next one."""
    if len(values) < 2:
        return None
    began, ended = values[0][0], values[-1][0]
    seconds = (ended - began).total_seconds() or 1.0
    amounts = [amount for _, amount in values]
    low = min(Decimal(0), *amounts) if from_zero else min(amounts)
    high = max(amounts)
    span = float(high - low) or 1.0

    def place(at: datetime, amount: Decimal) -> tuple[float, float]:
        across = _EDGE + (at - began).total_seconds() / seconds * (WIDTH - 2 * _EDGE)
        up = float(amount - low) / span if high != low else 0.5
        return round(across, 1), round(HEIGHT - _EDGE - up * (HEIGHT - 2 * _EDGE), 1)

    found: list[tuple[float, float]] = []
    for at, amount in values:
        x, y = place(at, amount)
        if steps and found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    told = [f"{at:%Y-%m-%d}" for at in (began, ended)]
    return Chart(
        title=title,
        points=" ".join(f"{x},{y}" for x, y in found),
        low=say(low),
        high=say(high),
        first=told[0],
        last=told[1],
        words=f"{title}, {told[0]} to {told[1]}: from {say(amounts[0])} to {say(amounts[-1])}, at least"
        f" {say(min(amounts))}, at most {say(high)}.",
    )
