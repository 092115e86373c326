"""Which warehouses fill a demand, which status a reservation has, why stock is what it is. Pure: no database."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from math import comb

from contexts.inventory.public.contracts import AllocationState, InsufficientStock, ReservationStatus
from eci.clock import iso
from eci.errors import InvalidTransition

# Above this number of combinations of one size, the warehouses with the most units win. It allows every combination of
# 14 warehouses and every pair of 100.
EXHAUSTIVE_LIMIT = 5_000


def settled(states: Iterable[str]) -> ReservationStatus | None:
    """The final status of a reservation whose allocations have these states; None while one is open or short."""
    found = set(states)
    if found & {AllocationState.OPEN, AllocationState.SHORT}:
        return None
    if AllocationState.SHIPPED in found:
        return ReservationStatus.SHIPPED
    return ReservationStatus.EXPIRED if AllocationState.EXPIRED in found else ReservationStatus.RELEASED


_PLUS_LOST = re.compile(r"(T.*) (\d\d:?\d\d)")  # an unescaped + in a URL is a space
_MICROSECONDS = re.compile(r"[.,]\d{4}")


def past_instant(given: str, *, now: datetime) -> datetime:
    """The instant that a time in ISO 8601 names, in UTC unless it says otherwise; of a date, the first one.

    Answers show times in milliseconds. So a time without microseconds is the end of its millisecond: what is shown as
    having happened then has happened. ValueError with a sentence for people, also for the future.
    """
    try:
        moment = datetime.fromisoformat(_PLUS_LOST.sub(r"\1+\2", given))
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Give a time such as 2026-01-31T20:30:00Z, or a date.") from None
    if moment > now:
        raise ValueError("This is in the future.")
    return moment if _MICROSECONDS.search(given) else moment + timedelta(microseconds=999)


SPAN = 4  # holds that have ended are found by the power of this that their duration in seconds is below
SPANS = 16  # of that many powers: the last one is 34 years


def span_of(durations: Iterable[timedelta]) -> int:
    """The lowest n such that each of the durations is less than ``SPAN ** n`` seconds."""
    seconds = max((one.total_seconds() for one in durations), default=0.0)
    return next((n for n in range(SPANS) if seconds < SPAN**n), SPANS - 1)


@dataclass(frozen=True, kw_only=True)
class StockRow:
    """What one warehouse has of one product. Warehouses with a lower ``priority`` come first, then by code."""

    stock_id: int
    product_id: int
    warehouse: str
    priority: int
    available: int


@dataclass(frozen=True, kw_only=True)
class Pick:
    """``quantity`` units to take from one stock row."""

    stock_id: int
    product_id: int
    warehouse: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Out:
    """Units of an order that left a stock row and have not come back to it; negative where more came than had left."""

    stock_id: int
    product_id: int
    warehouse: str
    units: int


def spread_back(out: Sequence[Out], returned: Mapping[int, int]) -> dict[int, int]:
    """Units by stock row, for units (by product) that come back to where they left. InvalidTransition for too many."""
    left: dict[int, int] = defaultdict(int)
    for row in out:
        left[row.product_id] += row.units
    if any(units > left[product_id] for product_id, units in returned.items()):
        raise InvalidTransition("More units come back than the order shipped.")
    back: dict[int, int] = {}
    missing = dict(returned)
    for row in out:
        units = min(missing.get(row.product_id, 0), max(row.units, 0))
        if units:
            back[row.stock_id] = units
            missing[row.product_id] -= units
    return back


def allocate(demand: Mapping[int, int], stock: Sequence[StockRow]) -> tuple[list[Pick], str]:
    """Choose stock rows for a demand (product id -> units): the picks, which add up to it exactly, and the reason.

    1. InsufficientStock, naming every product that falls short, if all warehouses together have too little.
    2. Choose the first warehouse, by priority and code, that can fill the whole demand.
    3. Otherwise choose the fewest warehouses that can fill it together, preferred ones first.
    """
    by_warehouse: dict[str, dict[int, StockRow]] = defaultdict(dict)
    for row in sorted(stock, key=lambda row: (row.priority, row.warehouse)):
        if row.available > 0:
            by_warehouse[row.warehouse][row.product_id] = row
    require_enough(demand, stock)
    chosen = _fewest(demand, by_warehouse)
    reason = "first single warehouse" if len(chosen) == 1 else f"fewest warehouses: {len(chosen)}"
    return _picks(demand, [by_warehouse[code] for code in chosen]), reason


def require_enough(demand: Mapping[int, int], stock: Iterable[StockRow]) -> None:
    """InsufficientStock, naming every product of which these rows together have too little."""
    available: dict[int, int] = defaultdict(int)
    for row in stock:
        available[row.product_id] += max(0, row.available)
    short = [
        {"product_id": product_id, "requested": wanted, "available": available[product_id]}
        for product_id, wanted in demand.items()
        if available[product_id] < wanted
    ]
    if short:
        raise InsufficientStock("There is not enough stock.", items=short)


def _fewest(demand: Mapping[int, int], by_warehouse: Mapping[str, Mapping[int, StockRow]]) -> list[str]:
    codes = list(by_warehouse)
    needs = [
        (wanted, {code: by_warehouse[code][product].available for code in codes if product in by_warehouse[code]})
        for product, wanted in demand.items()
    ]
    needs.sort(key=lambda need: len(need[1]))  # products in few warehouses rule out the most combinations: check first
    for size in range(1, len(codes) + 1):
        if comb(len(codes), size) > EXHAUSTIVE_LIMIT:
            break
        for chosen in combinations(codes, size):
            if all(sum(units.get(code, 0) for code in chosen) >= wanted for wanted, units in needs):
                return list(chosen)
    return _greedy(demand, by_warehouse)


def _greedy(demand: Mapping[int, int], by_warehouse: Mapping[str, Mapping[int, StockRow]]) -> list[str]:
    missing = dict(demand)
    chosen: list[str] = []
    while any(missing.values()):
        remaining = [code for code in by_warehouse if code not in chosen]
        best = max(
            remaining,
            key=lambda code: sum(
                min(missing[product_id], row.available)
                for product_id, row in by_warehouse[code].items()
                if product_id in missing
            ),
        )
        chosen.append(best)
        for product_id, row in by_warehouse[best].items():
            if product_id in missing:
                missing[product_id] -= min(missing[product_id], row.available)
    return [code for code in by_warehouse if code in chosen]


def _picks(demand: Mapping[int, int], warehouses: Sequence[Mapping[int, StockRow]]) -> list[Pick]:
    picks = []
    for product_id, wanted in demand.items():
        rows = [stock[product_id] for stock in warehouses if product_id in stock]
        whole = next((row for row in rows if row.available >= wanted), None)
        for row in [whole] if whole else rows:
            taken = min(wanted, row.available)
            if taken:
                picks.append(
                    Pick(stock_id=row.stock_id, product_id=product_id, warehouse=row.warehouse, quantity=taken)
                )
            wanted -= taken
    return sorted(picks, key=lambda pick: pick.stock_id)


NAMED = 5  # reservations that a sentence names


@dataclass(frozen=True, kw_only=True)
class Hold:
    """One stock row's part of a reservation. ``expires_at`` is None once it is firm, or while it is paid for."""

    reservation_id: int
    order_id: str
    key: str
    quantity: int
    state: AllocationState
    paying: bool
    expires_at: datetime | None
    why_here: str

    @property
    def in_words(self) -> str:
        """Why it is held, without until when."""
        if self.state == AllocationState.SHORT:
            return "paid, and a stock count did not find them"
        if self.paying:
            return "while its payment is under way"
        return "unpaid" if self.expires_at else "firm"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a stock row's numbers are what they are.

    ``holds``: the oldest first; ``more`` are left out. ``owed_elsewhere``: units of the product that other rows owe.
    """

    warehouse: str
    is_active: bool
    on_hand: int
    reserved: int
    owed: int
    owed_elsewhere: int
    available: int
    holds: tuple[Hold, ...]
    more: int

    @property
    def sentence(self) -> str:
        """``8 on hand - 3 reserved - 0 owed = 5 available. Reserved: 3 for X-1, unpaid, until 2026-01-31T20:30Z.``"""
        told = [self._sums()]
        if self.owed_elsewhere:
            told.append(f"{self.owed_elsewhere} of those owed are owed from other warehouses.")
        for word, state in (("Reserved", AllocationState.OPEN), ("Owed", AllocationState.SHORT)):
            holds = [_in_words(hold) for hold in self.holds if hold.state == state]
            others = len(holds) - NAMED + (self.more if state == AllocationState.OPEN else 0)
            if holds:
                told.append(f"{word}: {'; '.join(holds[:NAMED])}{f'; and {others} more' if others > 0 else ''}.")
        return " ".join(told)

    def _sums(self) -> str:
        owed = self.owed + self.owed_elsewhere
        left = self.on_hand - self.reserved - owed
        sums = f"{self.on_hand} on hand - {self.reserved} reserved - {owed} owed = {left}"
        if not self.is_active:
            return f"{sums}, but nothing is sold from {self.warehouse}: the warehouse is not active."
        return f"{sums} available." if left >= 0 else f"{sums}, so 0 are available."


def _in_words(hold: Hold) -> str:
    until = f", until {iso(hold.expires_at)}" if hold.expires_at else ""
    return f"{hold.quantity} for {hold.order_id or f'reservation {hold.key}'}, {hold.in_words}{until}"
