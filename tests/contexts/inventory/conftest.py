"""Inventory's fixtures: products of the real catalog, stock, and an audit that finds nothing after every test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from contexts.inventory import selectors
from contexts.inventory.models import Allocation, Reservation
from eci.clock import utcnow
from tests.support.api import Api


@pytest.fixture(autouse=True)
def books_agree(request: pytest.FixtureRequest) -> Iterator[None]:
    if {"no_database", "e2e"} & set(request.keywords):
        yield
        return
    request.getfixturevalue("db")
    yield
    assert selectors.audit() == ()


@pytest.fixture
def product(api: Api) -> Callable[[], int]:
    """Creates a product in the catalog; returns its id."""
    numbers = itertools.count(1)

    def create() -> int:
        body = {"sku": f"SKU-{next(numbers)}", "name": "Lamp", "price": "5.00"}
        return int(api.post("/v1/products", body).data["product_id"])

    return create


@pytest.fixture
def stocked(api: Api, product: Callable[[], int]) -> Callable[..., int]:
    """Creates a product with units in warehouses, the preferred ones first; returns the product's id."""
    made: list[str] = []

    def create(**units: int) -> int:
        product_id = product()
        for code, quantity in units.items():
            if code not in made:
                made.append(code)
                api.post("/v1/warehouses", {"code": code, "name": code, "priority": len(made)})
            body = {"product_id": product_id, "warehouse": code, "onhand": quantity}
            assert quantity == 0 or api.post("/v1/inventory", body).status == 201
        return product_id

    return create


@pytest.fixture
def available(api: Api) -> Callable[[int], int]:
    return lambda product_id: int(api.get(f"/v1/inventory/availability/{product_id}").data["total_available"])


@pytest.fixture
def run_out() -> Callable[[str], None]:
    """Makes a reservation expire."""

    def back_date(key: str) -> None:
        past = utcnow() - timedelta(seconds=1)
        Reservation.objects.filter(key=key).update(expires_at=past)
        Allocation.objects.filter(reservation__key=key, lapses_at__isnull=False).update(lapses_at=past)

    return back_date
