"""The commands of the orders context: create, send, dispatch, cancel. Each may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connections

from contexts.shipping import models, services
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import ShipmentShort, ShipmentStatus, ShipTo
from eci.db import unit_of_work
from eci.errors import InvalidTransition
from eci.ids import new_order_id

WHERE = {"customer_id": None, "address": "1 Main Street", "city": "Springfield"}


@pytest.fixture
def order_id() -> str:
    return new_order_id()


def events(order_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The events emitted for the order; one that has several consumers counts once."""
    rows = models.OutboxEvent.objects.filter(aggregate_id=order_id).order_by("pk")
    return list({row.event_id: (row.name, row.payload) for row in rows}.values())


@contextmanager
def statements(*, before: Callable[[str], None] = lambda sql: None) -> Iterator[list[str]]:
    """The statements that shipping's database runs, without savepoints."""
    seen: list[str] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(sql)
            before(sql)
        return execute(sql, params, many, context)

    with connections["shipping"].execute_wrapper(record):
        yield seen


def test_create_makes_one_pending_shipment_per_warehouse(order_id: str) -> None:
    made = shipping.create(order_id=order_id, warehouses=("WH2", "WH1"), **WHERE)

    assert [(s.warehouse, s.status, s.dispatched) for s in made] == [
        ("WH1", ShipmentStatus.PENDING, False),
        ("WH2", ShipmentStatus.PENDING, False),
    ]
    assert made == shipping.shipments_of(order_ids=[order_id])
    assert len({s.tracking_no for s in made}) == 2
    assert events(order_id) == []


def test_create_again_answers_the_same_and_adds_only_what_is_missing(order_id: str) -> None:
    first = shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)

    assert shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE) == first
    more = shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE)
    assert more[:1] == first
    assert [s.warehouse for s in more] == ["WH1", "WH2"]
    assert models.Shipment.objects.filter(order_id=order_id).count() == 2


def test_rearranged_shipments_are_where_the_units_are(order_id: str) -> None:
    shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE)
    shipping.withhold(order_id=order_id, warehouse=None, reason="refunded")
    shipping.withhold(order_id=order_id, warehouse="WH2", reason="short")

    def arranged(*warehouses: str) -> list[tuple[str | None, str, tuple[str, ...]]]:
        for _ in range(2):
            rows = shipping.rearrange(order_id=order_id, warehouses=warehouses, **WHERE)
        assert rows == shipping.shipments_of(order_ids=[order_id])
        return [(row.warehouse, row.status, row.withheld) for row in rows]

    kept = ("WH1", "PENDING", ("refunded",))
    assert arranged("WH1", "WH3") == [
        kept,
        ("WH2", "CANCELLED", ("refunded",)),
        ("WH3", "PENDING", ("refunded",)),
    ]
    assert arranged("WH2", "WH1") == [
        kept,
        ("WH2", "PENDING", ("refunded",)),
        ("WH3", "CANCELLED", ("refunded",)),
    ]
    assert events(order_id) == []

    shipping.allow(order_id=order_id, warehouse="WH1", reason="refunded")
    first = shipping.shipments_of(order_ids=[order_id])[0]
    services.change_shipment(shipment_id=first.shipment_id, status=ShipmentStatus.SHIPPED, actor="staff:ann")
    assert [status for _, status, _ in arranged("WH3")] == ["SHIPPED", "CANCELLED", "PENDING"]


def test_what_is_cancelled_is_not_rearranged(order_id: str) -> None:
    shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)
    shipping.cancel(order_id=order_id)
    with pytest.raises(InvalidTransition):
        shipping.rearrange(order_id=order_id, warehouses=("WH1",), **WHERE)
    assert [one.status for one in shipping.shipments_of(order_ids=[order_id])] == [ShipmentStatus.CANCELLED]


def test_create_after_dispatch_leaves_the_shipment_as_it_is(order_id: str) -> None:
    shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)
    shipping.dispatch(order_id=order_id)

    (again,) = shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)

    assert again.status is ShipmentStatus.SHIPPED


def test_dispatch_ships_everything_and_announces_it_once(order_id: str) -> None:
    made = shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE)

    gone = shipping.dispatch(order_id=order_id)
    again = shipping.dispatch(order_id=order_id)

    assert [(s.status, s.dispatched) for s in gone] == [(ShipmentStatus.SHIPPED, True)] * 2
    assert again == gone == shipping.shipments_of(order_ids=[order_id])
    announced = events(order_id)
    assert [name for name, _ in announced] == ["shipping.shipment_dispatched.v1"] * 2
    assert [
        (fact["shipment_id"], fact["warehouse"], fact["tracking_no"], fact["version"]) for _, fact in announced
    ] == [(s.shipment_id, s.warehouse, s.tracking_no, 2) for s in made]
    told = models.OutboxEvent.objects.filter(aggregate_id=order_id).values_list("consumer", flat=True)
    assert set(told) == {"notifications"}, "orders, which commanded it, has the answer"


def test_send_makes_shipments_that_have_left_and_announces_them_once(order_id: str) -> None:
    sent = shipping.send(order_id=order_id, warehouses=("WH2", "WH1"), **WHERE)

    assert [(one.warehouse, one.status, one.dispatched) for one in sent] == [
        ("WH1", ShipmentStatus.SHIPPED, True),
        ("WH2", ShipmentStatus.SHIPPED, True),
    ]
    assert shipping.send(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE) == sent
    assert [(name, payload["warehouse"]) for name, payload in events(order_id)] == [
        ("shipping.shipment_dispatched.v1", "WH1"),
        ("shipping.shipment_dispatched.v1", "WH2"),
    ]
    with pytest.raises(InvalidTransition):
        shipping.cancel(order_id=order_id)


def test_send_lets_what_waits_leave_and_obeys_what_create_and_dispatch_do(order_id: str) -> None:
    shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)
    shipping.withhold(order_id=order_id, warehouse="WH1", reason="short")
    with pytest.raises(ShipmentShort):
        shipping.send(order_id=order_id, warehouses=("WH1",), **WHERE)
    assert events(order_id) == []
    shipping.allow(order_id=order_id, warehouse="WH1", reason="short")
    assert [one.status for one in shipping.send(order_id=order_id, warehouses=("WH1",), **WHERE)] == ["SHIPPED"]

    other = new_order_id()
    shipping.cancel(order_id=other)
    with pytest.raises(InvalidTransition):
        shipping.send(order_id=other, warehouses=("WH1",), **WHERE)


def test_dispatch_leaves_alone_what_has_left_or_was_cancelled(order_id: str, api: Any) -> None:
    first, second = shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE)
    api.patch(f"/v1/shipments/{first.shipment_id}", {"status": "IN_TRANSIT"})

    shipped = shipping.dispatch(order_id=order_id)

    assert [s.status for s in shipped] == [ShipmentStatus.IN_TRANSIT, ShipmentStatus.SHIPPED]
    assert [fact["shipment_id"] for _, fact in events(order_id)] == [first.shipment_id, second.shipment_id]


def test_cancel_cancels_what_waits_and_refuses_a_late_create(order_id: str) -> None:
    shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE)

    cancelled = shipping.cancel(order_id=order_id)

    assert [s.status for s in cancelled] == [ShipmentStatus.CANCELLED] * 2
    assert shipping.cancel(order_id=order_id) == cancelled
    assert shipping.dispatch(order_id=order_id) == cancelled
    assert events(order_id) == []
    with pytest.raises(InvalidTransition):
        shipping.create(order_id=order_id, warehouses=("WH1", "WH3"), **WHERE)
    assert shipping.shipments_of(order_ids=[order_id]) == cancelled


def test_cancel_is_all_or_nothing(order_id: str, api: Any) -> None:
    first, _ = shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE)
    api.patch(f"/v1/shipments/{first.shipment_id}", {"status": "SHIPPED"})

    with pytest.raises(InvalidTransition):
        shipping.cancel(order_id=order_id)

    assert [s.status for s in shipping.shipments_of(order_ids=[order_id])] == ["SHIPPED", "PENDING"]
    assert len(shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **WHERE)) == 2


def test_cancel_before_create_leaves_a_tombstone(order_id: str) -> None:
    assert shipping.cancel(order_id=order_id) == ()

    with pytest.raises(InvalidTransition):
        shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)
    assert shipping.shipments_of(order_ids=[order_id]) == ()
    assert shipping.cancel(order_id=order_id) == ()


def test_shipments_of_several_orders_are_read_at_once() -> None:
    one, other = new_order_id(), new_order_id()
    made = [*shipping.create(order_id=one, warehouses=("WH1",), **WHERE)]
    made += shipping.create(order_id=other, warehouses=("WH1",), **WHERE)

    with statements() as run:
        assert shipping.shipments_of(order_ids=[other, one]) == tuple(made)
    assert len(run) == 1


@pytest.mark.parametrize("warehouses", [("WH1",), tuple(f"WH{number}" for number in range(20))])
def test_the_hot_path_costs_the_same_for_one_warehouse_and_for_twenty(order_id: str, warehouses: Any) -> None:
    with statements() as creating:
        shipping.create(order_id=order_id, warehouses=warehouses, **WHERE)
    with statements() as dispatching:
        shipping.dispatch(order_id=order_id)

    features = connections["shipping"].features
    read_back = [] if features.can_return_rows_from_bulk_insert else ["SELECT"]  # MySQL tells no ids
    assert [sql.split()[0] for sql in creating] == ["INSERT", "INSERT", *read_back, "INSERT"]
    assert [sql.split()[0] for sql in dispatching] == ["SELECT", "UPDATE", "INSERT", "INSERT"]


def test_an_overtaken_caller_reads_again_before_moving_a_shipment(order_id: str) -> None:
    (made,) = shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)
    overtaken: list[str] = []

    def overtake(sql: str) -> None:
        if sql.startswith("UPDATE") and not overtaken:
            overtaken.append(sql)
            models.Shipment.objects.filter(pk=made.shipment_id).update(version=7)

    with statements(before=overtake) as run:
        (shipped,) = shipping.dispatch(order_id=order_id)

    assert [sql.split()[0] for sql in run].count("SELECT") == 2
    assert shipped.status is ShipmentStatus.SHIPPED
    assert len(events(order_id)) == 1


def test_one_that_is_withheld_meanwhile_does_not_leave(order_id: str) -> None:
    """K1"""
    (made,) = shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)
    overtaken: list[str] = []

    def overtake(sql: str) -> None:
        row = models.Shipment.objects.filter(pk=made.shipment_id)
        if sql.startswith("UPDATE") and not overtaken:
            overtaken.append(sql)
            row.update(version=7)
        elif sql.startswith("SELECT") and len(overtaken) == 1:  # what the first write did was undone with the attempt
            overtaken.append(sql)
            row.update(short=True, version=8)

    with statements(before=overtake), pytest.raises(ShipmentShort):
        shipping.dispatch(order_id=order_id)

    assert len(overtaken) == 2
    assert events(order_id) == []


def test_the_database_itself_refuses_a_second_shipment_for_a_warehouse(order_id: str) -> None:
    shipping.create(order_id=order_id, warehouses=("WH1",), **WHERE)

    with pytest.raises(IntegrityError), unit_of_work("shipping"):
        models.Shipment.objects.create(order_id=order_id, warehouse="WH1", tracking_no="X", status="PENDING")


def test_the_database_itself_refuses_a_shipped_shipment_that_never_left() -> None:
    with pytest.raises(IntegrityError), unit_of_work("shipping"):
        models.Shipment.objects.create(order_id="7", tracking_no="X", status="SHIPPED")


def test_an_engine_that_gives_no_keys_back_has_them_read(order_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features = type(connections["shipping"].features)
    monkeypatch.setattr(features, "can_return_rows_from_bulk_insert", False)
    monkeypatch.setattr(features, "can_return_columns_from_insert", False)

    made = shipping.create(order_id=order_id, warehouses=("WH2", "WH1"), **WHERE)

    assert made == shipping.shipments_of(order_ids=[order_id])
    assert models.ShipmentEvent.objects.filter(shipment__order_id=order_id).count() == 2


def test_a_guest_s_shipments_are_erased_and_one_that_waits_after_it_has_left(order_id: str, api: Any) -> None:
    given = WHERE | {"ship_to": {"name": "Ann Lee", "street": "1 Main Street"}}
    first, second = shipping.create(order_id=order_id, warehouses=("WH1", "WH2"), **given)
    api.patch(f"/v1/shipments/{first.shipment_id}", {"status": "SHIPPED", "note": "Ann was out"})

    for _ in range(2):
        shipping.erase(order_ids=[order_id])

    gone, waiting = shipping.shipments_of(order_ids=[order_id])
    assert (gone.address, gone.city, gone.ship_to) == ("", "", ShipTo())
    assert not models.ShipmentEvent.objects.exclude(note="").exists()
    assert waiting.ship_to == second.ship_to

    api.patch(f"/v1/shipments/{second.shipment_id}", {"status": "SHIPPED"})
    services.erase_late()
    assert {one.ship_to for one in shipping.shipments_of(order_ids=[order_id])} == {ShipTo()}
