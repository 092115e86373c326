"""Which warehouses fill a demand, and what a hold's parts make of the whole. Pure: no database is needed to test it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from contexts.inventory.public.contracts import AllocationState, InsufficientStock, ReservationStatus

# Combinations of one size that are tried before the largest shelves win: all up to 14 warehouses, pairs up to 100.
EXHAUSTIVE_LIMIT = 5_000


def settled(states: Iterable[str]) -> ReservationStatus | None:
    """The status of a hold whose parts have these states; None while one of them still claims units."""
    found = set(states)
    if found & {AllocationState.OPEN, AllocationState.SHORT}:
        return None
    if AllocationState.SHIPPED in found:
        return ReservationStatus.SHIPPED
    return ReservationStatus.EXPIRED if AllocationState.EXPIRED in found else ReservationStatus.RELEASED


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """What one warehouse has of one product. A lower ``priority`` is preferred, then the code."""

    stock_id: int
    product_id: int
    warehouse: str
    priority: int
    available: int


@dataclass(frozen=True, kw_only=True)
class Pick:
    """``quantity`` units to take from one shelf."""

    stock_id: int
    product_id: int
    warehouse: str
    quantity: int


def allocate(demand: Mapping[int, int], shelves: Sequence[Shelf]) -> tuple[list[Pick], str]:
    """Picks that sum up to the demand exactly, and in words why these warehouses.

    The first warehouse, by priority and code, that can fill everything; else the fewest that can together, the
    preferred ones first. InsufficientStock, naming every product that falls short, when all together cannot.
    """
    by_warehouse: dict[str, dict[int, Shelf]] = defaultdict(dict)
    for shelf in sorted(shelves, key=lambda shelf: (shelf.priority, shelf.warehouse)):
        if shelf.available > 0:
            by_warehouse[shelf.warehouse][shelf.product_id] = shelf
    require_enough(demand, shelves)
    chosen = _fewest(demand, by_warehouse)
    reason = "first single warehouse" if len(chosen) == 1 else f"fewest warehouses: {len(chosen)}"
    return _picks(demand, [by_warehouse[code] for code in chosen]), reason


def require_enough(demand: Mapping[int, int], shelves: Iterable[Shelf]) -> None:
    """InsufficientStock, naming every product of which the shelves together have too little."""
    available: dict[int, int] = defaultdict(int)
    for shelf in shelves:
        available[shelf.product_id] += max(0, shelf.available)
    short = [
        {"product_id": product_id, "requested": wanted, "available": available[product_id]}
        for product_id, wanted in demand.items()
        if available[product_id] < wanted
    ]
    if short:
        raise InsufficientStock("There is not enough stock.", items=short)


def _fewest(demand: Mapping[int, int], by_warehouse: Mapping[str, Mapping[int, Shelf]]) -> list[str]:
    codes = list(by_warehouse)
    needs = [
        (wanted, {code: by_warehouse[code][product].available for code in codes if product in by_warehouse[code]})
        for product, wanted in demand.items()
    ]
    needs.sort(key=lambda need: len(need[1]))  # what few warehouses have rules out most combinations at once
    for size in range(1, len(codes) + 1):
        if comb(len(codes), size) > EXHAUSTIVE_LIMIT:
            break
        for chosen in combinations(codes, size):
            if all(sum(units.get(code, 0) for code in chosen) >= wanted for wanted, units in needs):
                return list(chosen)
    return _greedy(demand, by_warehouse)


def _greedy(demand: Mapping[int, int], by_warehouse: Mapping[str, Mapping[int, Shelf]]) -> list[str]:
    missing = dict(demand)
    chosen: list[str] = []
    while any(missing.values()):
        remaining = [code for code in by_warehouse if code not in chosen]
        best = max(
            remaining,
            key=lambda code: sum(
                min(missing[product_id], shelf.available)
                for product_id, shelf in by_warehouse[code].items()
                if product_id in missing
            ),
        )
        chosen.append(best)
        for product_id, shelf in by_warehouse[best].items():
            if product_id in missing:
                missing[product_id] -= min(missing[product_id], shelf.available)
    return [code for code in by_warehouse if code in chosen]


def _picks(demand: Mapping[int, int], warehouses: Sequence[Mapping[int, Shelf]]) -> list[Pick]:
    picks = []
    for product_id, wanted in demand.items():
        shelves = [shelves[product_id] for shelves in warehouses if product_id in shelves]
        whole = next((shelf for shelf in shelves if shelf.available >= wanted), None)
        for shelf in [whole] if whole else shelves:
            taken = min(wanted, shelf.available)
            if taken:
                picks.append(
                    Pick(stock_id=shelf.stock_id, product_id=product_id, warehouse=shelf.warehouse, quantity=taken)
                )
            wanted -= taken
    return sorted(picks, key=lambda pick: pick.stock_id)
