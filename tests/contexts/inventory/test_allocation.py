"""The rules that choose warehouses for a demand, and a reservation's status, without a database."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.inventory.domain import StockRow, allocate, settled
from contexts.inventory.public.contracts import AllocationState, InsufficientStock, ReservationStatus

pytestmark = pytest.mark.no_database

Units = dict[str, dict[int, int]]  # warehouse -> product -> available


def stock_rows(units: Units, priorities: dict[str, int] | None = None) -> list[StockRow]:
    numbered = [(code, product) for code, products in units.items() for product in products]
    return [
        StockRow(
            stock_id=number,
            product_id=product,
            warehouse=code,
            priority=(priorities or {}).get(code, 100),
            available=units[code][product],
        )
        for number, (code, product) in enumerate(numbered, 1)
    ]


def chosen(demand: dict[int, int], units: Units, priorities: dict[str, int] | None = None) -> dict[str, dict[int, int]]:
    picks, _ = allocate(demand, stock_rows(units, priorities))
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for pick in picks:
        found[pick.warehouse][pick.product_id] = pick.quantity
    return dict(found)


def enough(demand: dict[int, int], units: Units, codes: tuple[str, ...]) -> bool:
    return all(sum(units[code].get(product, 0) for code in codes) >= wanted for product, wanted in demand.items())


demands = st.dictionaries(st.integers(1, 4), st.integers(1, 12), min_size=1)
stocks = st.dictionaries(
    st.sampled_from("ABCDEF"), st.dictionaries(st.integers(1, 4), st.integers(0, 12), min_size=1), max_size=6
)


@given(demand=demands, units=stocks)
def test_exactly_the_demand_from_the_fewest_warehouses(demand: dict[int, int], units: Units) -> None:
    sizes = [
        size
        for size in range(1, len(units) + 1)
        if any(enough(demand, units, codes) for codes in combinations(sorted(units), size))
    ]
    if not sizes:
        with pytest.raises(InsufficientStock) as refusal:
            allocate(demand, stock_rows(units))
        assert refusal.value.details["items"] == [
            {"product_id": product, "requested": wanted, "available": sum(p.get(product, 0) for p in units.values())}
            for product, wanted in demand.items()
            if sum(p.get(product, 0) for p in units.values()) < wanted
        ]
        return
    found = chosen(demand, units)
    for product, wanted in demand.items():
        assert sum(picked.get(product, 0) for picked in found.values()) == wanted
    for code, picked in found.items():
        assert all(0 < quantity <= units[code][product] for product, quantity in picked.items())
    assert len(found) == sizes[0]


@given(demand=demands, units=stocks, order=st.permutations("ABCDEF"))
def test_the_first_warehouse_that_can_fill_everything(demand: dict[int, int], units: Units, order: list[str]) -> None:
    able = [code for code in order if code in units and enough(demand, units, (code,))]
    if able:
        assert list(chosen(demand, units, {code: rank for rank, code in enumerate(order)})) == [able[0]]


def test_equal_priorities_go_by_code() -> None:
    assert chosen({1: 2}, {"B": {1: 9}, "A": {1: 2}}) == {"A": {1: 2}}


def test_the_fewest_of_many_warehouses() -> None:
    """Of twelve warehouses only three certain ones can fill the demand together. Largest first would need four."""
    units: Units = {f"W{number:02}": {1: 1, 2: 1} for number in range(8)}
    units |= {"big": {1: 5, 2: 5}, "x": {1: 7}, "y": {2: 7}, "z": {3: 1}}
    assert set(chosen({1: 7, 2: 7, 3: 1}, units)) == {"x", "y", "z"}


def test_a_hundred_warehouses_end_soon() -> None:
    units: Units = {f"W{number:03}": {1: 1} for number in range(100)}
    assert len(chosen({1: 60}, units)) == 60


def test_every_chosen_warehouse_gives_units() -> None:
    assert chosen({1: 13}, {"A": {1: 10}, "B": {1: 13 - 1}}) == {"A": {1: 10}, "B": {1: 3}}


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ("OPEN SHIPPED", None),
        ("SHORT SHIPPED", None),
        ("SHIPPED RELEASED", ReservationStatus.SHIPPED),
        ("SHIPPED EXPIRED", ReservationStatus.SHIPPED),
        ("RELEASED EXPIRED", ReservationStatus.EXPIRED),
        ("RELEASED RELEASED", ReservationStatus.RELEASED),
        ("", ReservationStatus.RELEASED),
    ],
)
def test_the_status_that_follows_from_the_allocations(states: str, status: ReservationStatus | None) -> None:
    assert settled(AllocationState(state) for state in states.split()) == status
