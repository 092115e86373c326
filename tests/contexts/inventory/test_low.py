"""Which stock rows are low: an index finds them, exactly those with less available than their reorder point."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext

from contexts.inventory import selectors
from contexts.inventory.models import Allocation, Reservation, Stock, Warehouse
from contexts.inventory.public.contracts import AllocationState
from eci.clock import utcnow
from tests.support.api import Api
from tests.support.world import ON_SERVERS


@pytest.fixture(autouse=True)
def books_agree() -> None:
    """These rows are made without a ledger."""


def any_stock(chance: random.Random, *, products: int) -> None:
    """Rows in open and closed warehouses: held, expired, owed here or elsewhere, about their reorder point."""
    places = [Warehouse.objects.create(code=code, is_active=code != "C") for code in "ABC"]
    reservations = [
        Reservation.objects.create(key=key, fingerprint=key, expires_at=utcnow() + timedelta(seconds=seconds))
        for key, seconds in (("expired", -1), ("alive", 900))
    ]
    for product_id in range(1, products + 1):
        owes = chance.random() < 0.1
        for place in places:
            held = [chance.choice((0, 0, 3)) for _ in reservations]
            owed = chance.choice((0, 4)) if owes else 0
            row = Stock.objects.create(
                product_id=product_id,
                warehouse=place,
                on_hand=sum(held) + chance.randint(0, 20),
                reserved=sum(held),
                owed=owed,
                reorder_point=chance.choice((0, 5, 10)),
            )
            for reservation, units in zip(reservations, held, strict=True):
                if units:
                    Allocation.objects.create(
                        reservation=reservation, stock=row, quantity=units, lapses_at=reservation.expires_at
                    )


def is_low(row: Stock) -> bool:
    return row.warehouse.is_active and row.available < row.reorder_point


def test_the_low_rows_are_those_and_no_others(api: Api) -> None:
    any_stock(random.Random(5), products=60)
    rows = list(selectors.with_available(rows=Stock.objects.select_related("warehouse")))
    low = {row.pk for row in rows if is_low(row)}
    assert len(selectors.low_rows(limit=1000)) == len(low)
    assert 20 < len(low) < len(rows) - 20
    found = selectors.low(rows=selectors.with_available(rows=Stock.objects.all()))
    assert {row.pk for row in found} == low
    for wanted, ids in (("true", low), ("false", {row.pk for row in rows} - low)):
        listed, path = set(), f"/v1/inventory?low_stock={wanted}&limit=100"
        while path:
            page = api.get(path)
            listed |= {row["inventory_id"] for row in page.data}
            path = (page.json["meta"]["next"] or "").partition("testserver")[2]
        assert listed == ids
    counted = selectors.statistics()
    assert counted.low == sum(is_low(row) for row in rows)
    assert counted.owed == sum(row.owed for row in rows)


def test_the_lowest_come_first_and_others_fill_up() -> None:
    place = Warehouse.objects.create(code="A")
    Stock.objects.bulk_create(Stock(product_id=n, warehouse=place, on_hand=n) for n in range(1, 231))
    levels = [level.available for level in selectors.statistics().lowest]
    assert levels == list(range(1, 201)), "nine are low"


def test_the_database_keeps_the_mark_and_finds_by_it() -> None:
    place = Warehouse.objects.create(code="A")
    Stock.objects.bulk_create(Stock(product_id=n, warehouse=place, on_hand=50) for n in range(1, 2001))
    assert not Stock.objects.filter(runs_low=True).exists()
    Stock.objects.filter(product_id=7).update(reserved=41)
    assert [row.product_id for row in Stock.objects.filter(runs_low=True)] == [7]
    Stock.objects.filter(product_id=7).update(reorder_point=9)
    assert not Stock.objects.filter(runs_low=True).exists()
    connection = connections["inventory"]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inventory_stock")
    low = selectors.low(rows=selectors.with_available(rows=Stock.objects.all())).order_by("-created_at", "-id")[:21]
    with CaptureQueriesContext(connection) as asked:
        list(low)
    statement = asked[-1]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'' if ON_SERVERS else 'QUERY PLAN '}{statement}")
        plan = " ".join(str(line) for line in cursor.fetchall())
    assert "inventory_stock_low" in plan, plan


def test_staff_finds_them(admin_client: Client) -> None:
    place = Warehouse.objects.create(code="A")
    Stock.objects.bulk_create(Stock(product_id=n, warehouse=place, on_hand=n) for n in (3, 30))
    page = admin_client.get("/admin/inventory/stock/?low=1")
    assert [row.product_id for row in page.context["cl"].result_list] == [3]


def test_an_allocation_s_state_decides() -> None:
    """What was shipped or released lifts nothing, though its time is past."""
    place = Warehouse.objects.create(code="A")
    row = Stock.objects.create(product_id=1, warehouse=place, on_hand=12, reserved=3)
    past = Reservation.objects.create(key="k", fingerprint="f", expires_at=utcnow() - timedelta(seconds=1))
    held = Allocation.objects.create(reservation=past, stock=row, quantity=3, lapses_at=past.expires_at)
    assert selectors.statistics().low == 0
    Allocation.objects.filter(pk=held.pk).update(state=AllocationState.SHIPPED, lapses_at=None)
    assert selectors.statistics().low == Stock.objects.filter(Q(runs_low=True)).count() == 1


def test_what_is_owed_is_found_by_an_index_in_a_plan_that_knows_no_values() -> None:
    """PostgreSQL makes such a plan of a statement that is repeated."""
    place = Warehouse.objects.create(code="A")
    Stock.objects.bulk_create(Stock(product_id=n, warehouse=place, on_hand=50) for n in range(1, 2001))
    owing = Stock.objects.filter(selectors.OWING).values_list("pk")[:1]
    statement, values = owing.query.sql_with_params()
    assert values == ()
    with connections["inventory"].cursor() as cursor:
        cursor.execute("ANALYZE inventory_stock")
        cursor.execute(f"EXPLAIN {'' if ON_SERVERS else 'QUERY PLAN '}{statement}")
        plan = " ".join(str(line) for line in cursor.fetchall())
    assert "inventory_stock_owing" in plan, plan
