"""A state that every door knows: units that come in go first to what is owed to paid reservations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.db import connections

from contexts.inventory import selectors, tasks
from contexts.inventory.models import Allocation, Movement, OutboxEvent, Reservation, Stock, Trail, Warehouse
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Demand, InsufficientStock, ReservationStatus
from contexts.inventory.public.events import AllocationCovered, AllocationShort, HoldNeedsAttention
from contexts.inventory.services import stock
from eci import events
from eci.clock import utcnow
from eci.errors import InvalidTransition
from tests.support.api import Answer, Api

OURS = "ORD-0000000000ABCDEFGHJKMNPQRS"


def reserve(product_id: int, quantity: int, key: str = "hold", **more: Any) -> Any:
    items = (Demand(product_id=product_id, quantity=quantity),)
    asked = {"order_id": OURS, "key": key, "items": items, "seconds": 60, "paying": True}
    return inventory.reserve(**asked | more)


def count(on_hand: int, **more: Any) -> None:
    row = Stock.objects.get(warehouse="A")
    asked: dict[str, Any] = {"reorder_point": None, "reason": "count", "force": True, "actor": "test"}
    stock.count(inventory_id=row.pk, on_hand=on_hand, **asked | more)


def receive(product_id: int, quantity: int, warehouse: str = "A") -> None:
    stock.receive(
        product_id=product_id,
        warehouse=warehouse,
        quantity=quantity,
        reorder_point=None,
        actor="t",
        create_warehouse=False,
    )


def states(*keys: str) -> list[str]:
    rows = Allocation.objects.filter(reservation__key__in=keys)
    return list(rows.order_by("reservation", "stock").values_list("state", flat=True))


def row(api: Api, product_id: int, warehouse: str = "A") -> tuple[int, int, int, int]:
    """On hand, reserved, owed, available."""
    [shown] = api.get(f"/v1/inventory?product_id={product_id}&warehouse={warehouse}").data
    return shown["onhand"], shown["reserved"], shown["owed"], shown["available"]


@pytest.fixture
def owed(stocked: Callable[..., int]) -> int:
    """A product of which 2 units are owed to a paid order, and none is there."""
    product_id = stocked(A=2, B=0)
    reserve(product_id, 2)
    inventory.confirm(key="hold")
    count(0)
    return product_id


@pytest.fixture
def told(settings: LazySettings) -> Callable[[], list[tuple[str, str, int]]]:
    """The events of allocations that were written for the orders context from here on: name, warehouse, units."""
    before = OutboxEvent.objects.order_by("pk").values_list("pk", flat=True).last() or 0
    names = ("inventory.allocation_short.v1", "inventory.allocation_covered.v1")
    settings.ECI_SUBSCRIPTIONS = settings.ECI_SUBSCRIPTIONS | dict.fromkeys(names, ("orders",))

    def read() -> list[tuple[str, str, int]]:
        rows = OutboxEvent.objects.filter(name__in=names, pk__gt=before).order_by("pk")
        return [(row.name.split("_")[1][:-3], row.payload["warehouse"], row.payload["quantity"]) for row in rows]

    return read


# -- every door -------------------------------------------------------------------------------------------------------


def by_receipt(api: Api, product_id: int) -> Answer:
    return api.post("/v1/inventory", {"product_id": product_id, "warehouse": "A", "onhand": 2})


def by_count(api: Api, product_id: int) -> Answer:
    return api.patch(f"/v1/inventory/{Stock.objects.get(warehouse='A').pk}", {"onhand": 2, "reason": "found"})


def by_late_count(api: Api, product_id: int) -> Answer:
    path = f"/v1/inventory/{Stock.objects.get(warehouse='A').pk}"
    return api.patch(path, {"onhand": 2, "reason": "found", "counted_at": utcnow().isoformat()})


def by_adjustment(api: Api, product_id: int) -> Answer:
    body = {"product_id": product_id, "warehouse": "A", "delta": 2, "reason": "found"}
    return api.post("/v1/inventory/adjustments", body)


def by_transfer(api: Api, product_id: int) -> Answer:
    Warehouse.objects.filter(code="B").update(is_active=False)
    receive(product_id, 2, "B")
    assert row(api, product_id) == (0, 0, 2, 0)
    body = {"product_id": product_id, "from_warehouse": "B", "to_warehouse": "A", "quantity": 2}
    return api.post("/v1/inventory/transfers", body)


@pytest.mark.parametrize("door", [by_receipt, by_count, by_late_count, by_adjustment, by_transfer])
def test_units_that_come_in_go_to_the_paid_order(
    api: Api, owed: int, told: Callable[[], list[Any]], door: Callable[[Api, int], Answer]
) -> None:
    assert row(api, owed) == (0, 0, 2, 0)
    assert door(api, owed).status in (200, 201)
    assert row(api, owed) == (2, 2, 0, 0)
    with pytest.raises(InsufficientStock):
        inventory.require_available(items=(Demand(product_id=owed, quantity=1),))
    assert api.post("/v1/inventory/reserve", {"product_id": owed, "quantity": 1}).code == "insufficient_stock"
    assert told() == [("covered", "A", 2)]
    held = inventory.reservations(keys=["hold"])["hold"]
    assert (held.needs_attention, held.why) == (False, "")
    assert inventory.ship(key="hold").status == ReservationStatus.SHIPPED


def test_returned_units_go_to_the_paid_order(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=5)
    reserve(product_id, 3, key="gone")
    inventory.ship(key="gone")
    reserve(product_id, 2)
    count(0)
    items = (Demand(product_id=product_id, quantity=2),)
    inventory.restock(order_id=OURS, reference="r0", items=items, disposition="damaged")
    assert row(api, product_id) == (0, 0, 2, 0)
    back = (Demand(product_id=product_id, quantity=1),)
    inventory.restock(order_id=OURS, reference="r1", items=back, disposition="resell")
    assert row(api, product_id) == (1, 0, 2, 0)
    receive(product_id, 1)
    assert row(api, product_id) == (2, 2, 0, 0)


@pytest.mark.parametrize("how", ["released", "expired", "reclaimed", "forced"])
def test_units_that_become_free_go_to_the_paid_order(
    stocked: Callable[..., int], api: Api, run_out: Callable[[str], None], how: str
) -> None:
    """An older cart has the only unit; the younger paid order lacks one."""
    product_id = stocked(A=3)
    reserve(product_id, 1, key="cart", paying=False)
    reserve(product_id, 2)
    Reservation.objects.filter(key="cart").update(paying=True)  # so that the count takes the units of the other
    count(2)
    Reservation.objects.filter(key="cart").update(paying=False)
    assert row(api, product_id) == (2, 1, 2, 0)
    if how == "released":
        inventory.release(key="cart", order_id=OURS)
    elif how == "expired":
        run_out("cart")
        assert row(api, product_id) == (2, 0, 2, 0)
        tasks.sweep_holds()
    elif how == "reclaimed":
        run_out("cart")
        inventory.ship(key="hold")
        assert row(api, product_id) == (0, 0, 0, 0)
        return
    else:
        count(3)
        count(2)
    assert row(api, product_id) == (2, 2, 0, 0)


def test_a_cancelled_order_leaves_its_units_to_the_next(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=10)
    reserve(product_id, 8, key="first")
    reserve(product_id, 2, key="second")
    count(5)
    assert (states("first", "second"), row(api, product_id)) == (["SHORT", "SHORT"], (5, 0, 10, 0))
    inventory.release(key="first", order_id=OURS)
    assert (states("first", "second"), row(api, product_id)) == (["RELEASED", "OPEN"], (5, 2, 0, 3))


def test_the_oldest_gets_its_units_first(stocked: Callable[..., int], api: Api, told: Callable[[], list[Any]]) -> None:
    product_id = stocked(A=10)
    for key, units in (("first", 4), ("second", 1), ("third", 5)):
        reserve(product_id, units, key=key)
    count(0)
    assert [units for _, _, units in told()] == [5, 1, 4]
    receive(product_id, 3)  # would do for the second
    assert (states("first", "second", "third"), row(api, product_id)) == (["SHORT"] * 3, (3, 0, 10, 0))
    with pytest.raises(InsufficientStock) as refusal:
        inventory.ship(key="second")
    assert refusal.value.details["items"] == [{"product_id": product_id, "requested": 1, "available": 0}]
    receive(product_id, 2)
    assert (states("first", "second", "third"), row(api, product_id)) == (["OPEN", "OPEN", "SHORT"], (5, 5, 5, 0))
    receive(product_id, 7)
    assert row(api, product_id) == (12, 10, 0, 2)
    assert [what for what, _, _ in told()] == ["short"] * 3 + ["covered"] * 3


def test_the_order_is_told_at_once(stocked: Callable[..., int], told: Callable[[], list[Any]]) -> None:
    """Before the answer: whoever dispatches next must know."""
    product_id = stocked(A=2)
    heard: list[Any] = []
    handlers: dict[tuple[str, str], Any] = {
        ("orders", event.NAME): (event, heard.append) for event in (AllocationShort, AllocationCovered)
    }
    handlers["orders", HoldNeedsAttention.NAME] = (HoldNeedsAttention, lambda event: None)
    with events.replaced(handlers):
        held = reserve(product_id, 2)
        count(0)
        facts: dict[str, Any] = {
            "order_id": OURS,
            "reservation_id": held.reservation_id,
            "warehouse": "A",
            "product_id": product_id,
            "quantity": 2,
        }
        assert heard == [AllocationShort(**facts, version=2)]
        receive(product_id, 2)
        assert heard[1:] == [AllocationCovered(**facts, version=3)]
    assert [what for what, _, _ in told()] == ["short", "covered"]


def test_every_order_is_told_at_once(stocked: Callable[..., int], told: Callable[[], list[Any]]) -> None:
    product_id = stocked(A=25)
    for number in range(25):
        reserve(product_id, 1, key=f"k{number}", order_id=f"{OURS}{number}")
    heard: list[str] = []
    with events.replaced(
        {("orders", AllocationShort.NAME): (AllocationShort, lambda event: heard.append(event.order_id))}
    ):
        count(0)
    assert sorted(heard) == sorted(f"{OURS}{number}" for number in range(25))


# -- another warehouse ------------------------------------------------------------------------------------------------


def receive_elsewhere(product_id: int, api: Api) -> None:
    receive(product_id, 2, "B")


def count_elsewhere(product_id: int, api: Api) -> None:
    api.patch(f"/v1/inventory/{Stock.objects.get(warehouse='B').pk}", {"onhand": 2, "reason": "found"})


def adjust_elsewhere(product_id: int, api: Api) -> None:
    api.post("/v1/inventory/adjustments", {"product_id": product_id, "warehouse": "B", "delta": 2, "reason": "found"})


def transfer_elsewhere(product_id: int, api: Api) -> None:
    api.post("/v1/warehouses", {"code": "C", "name": "C", "is_active": False})
    receive(product_id, 2, "C")
    assert row(api, product_id) == (0, 0, 2, 0), "nothing leaves a warehouse that is closed"
    body = {"product_id": product_id, "from_warehouse": "C", "to_warehouse": "B", "quantity": 2}
    api.post("/v1/inventory/transfers", body)


def open_elsewhere(product_id: int, api: Api) -> None:
    api.patch("/v1/warehouses/B", {"is_active": False})
    receive(product_id, 2, "B")
    assert row(api, product_id) == (0, 0, 2, 0)
    api.patch("/v1/warehouses/B", {"is_active": True})


@pytest.mark.parametrize(
    "door", [receive_elsewhere, count_elsewhere, adjust_elsewhere, transfer_elsewhere, open_elsewhere]
)
def test_units_that_come_in_elsewhere_go_to_the_paid_order(
    api: Api, owed: int, told: Callable[[], list[Any]], door: Callable[[int, Api], None]
) -> None:
    receive(owed, 1, "B")
    adjustment = {"product_id": owed, "warehouse": "B", "delta": -1, "reason": "broken"}
    assert api.post("/v1/inventory/adjustments", adjustment).status == 200  # there is a row by now
    door(owed, api)
    assert (row(api, owed), row(api, owed, "B")) == ((0, 0, 0, 0), (2, 2, 0, 0))
    assert told() == [("covered", "B", 2)]
    assert api.post("/v1/inventory/reserve", {"product_id": owed, "quantity": 1}).code == "insufficient_stock"
    held = inventory.reservations(keys=["hold"])["hold"]
    assert (held.warehouse, held.needs_attention, held.why) == ("B", False, "")
    assert inventory.ship(key="hold").status == ReservationStatus.SHIPPED


@pytest.mark.parametrize("how", ["returned", "released", "expired", "left"])
def test_units_that_become_free_elsewhere_go_to_the_paid_order(
    stocked: Callable[..., int], api: Api, run_out: Callable[[str], None], how: str
) -> None:
    product_id = stocked(A=2, B=2)
    reserve(product_id, 2, key="paid")
    reserve(product_id, 2, key="cart", order_id="X", paying=how in ("returned", "left"))
    if how == "returned":
        inventory.ship(key="cart")
    count(0)
    assert row(api, product_id) == (0, 0, 2, 0)
    if how == "returned":
        items = (Demand(product_id=product_id, quantity=2),)
        inventory.restock(order_id="X", reference="r", items=items, disposition="resell")
    elif how == "released":
        inventory.release(key="cart", order_id="X")
    elif how == "expired":
        run_out("cart")
        tasks.sweep_holds()
    else:  # the other order's shipment was on its way when its units were not found
        row_of_b = Stock.objects.get(warehouse="B")
        stock.count(inventory_id=row_of_b.pk, on_hand=2, reorder_point=None, reason="c", force=True, actor="t")
        stock.count(inventory_id=row_of_b.pk, on_hand=1, reorder_point=None, reason="c", force=True, actor="t")
        assert inventory.ship(key="cart", warehouse="B", left=True).status == ReservationStatus.SHIPPED
        assert (row(api, product_id), row(api, product_id, "B")) == ((0, 0, 2, 0), (1, 0, 0, 0))
        receive(product_id, 1, "B")
    assert (row(api, product_id), row(api, product_id, "B")) == ((0, 0, 0, 0), (2, 2, 0, 0))


def test_elsewhere_too_the_oldest_gets_its_units_first(
    stocked: Callable[..., int], api: Api, told: Callable[[], list[Any]]
) -> None:
    product_id = stocked(A=10, B=0)
    for key, units in (("first", 4), ("second", 1), ("third", 5)):
        reserve(product_id, units, key=key)
    count(0)
    receive(product_id, 3, "B")  # would do for the second
    assert (states("first", "second", "third"), row(api, product_id, "B")) == (["SHORT"] * 3, (3, 0, 0, 0))
    assert api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 1}).code == "insufficient_stock"
    receive(product_id, 2, "B")
    assert (states("first", "second", "third"), row(api, product_id, "B")) == (["OPEN", "OPEN", "SHORT"], (5, 5, 0, 0))
    receive(product_id, 1)  # its own warehouse gives to it, but has too little
    receive(product_id, 7, "B")
    assert (row(api, product_id), row(api, product_id, "B")) == ((1, 0, 0, 1), (12, 10, 0, 2))
    assert [(what, where) for what, where, _ in told()] == [("short", "A")] * 3 + [("covered", "B")] * 3


def test_parts_of_one_order_meet_in_one_warehouse(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=3, B=2, C=4)
    reserve(product_id, 8, key=OURS)
    assert [row(api, product_id, code)[1] for code in "ABC"] == [3, 2, 3]
    for code in "AB":
        found = Stock.objects.get(warehouse=code)
        stock.count(inventory_id=found.pk, on_hand=0, reorder_point=None, reason="c", force=True, actor="t")
    receive(product_id, 3, "C")
    assert [row(api, product_id, code) for code in "ABC"] == [(0, 0, 0, 0), (0, 0, 2, 0), (7, 6, 0, 0)]
    inventory.accept_moves(key=OURS)
    receive(product_id, 9, "C")
    held = inventory.reservations(keys=[OURS])[OURS]
    assert [(one.warehouse, one.quantity, one.state, one.moved_from) for one in held.allocations] == [
        ("C", 8, "OPEN", ("B",))
    ]
    assert inventory.ship(key=OURS, warehouse="C", left=True).status == ReservationStatus.RESERVED
    assert [row(api, product_id, code) for code in "ABC"] == [(0, 0, 0, 0), (0, 0, 2, 0), (10, 0, 0, 8)]


def test_parts_of_one_order_move_together(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=3, B=2, C=0)
    reserve(product_id, 5, key=OURS)
    for code in "AB":
        found = Stock.objects.get(warehouse=code)
        stock.count(inventory_id=found.pk, on_hand=0, reorder_point=None, reason="c", force=True, actor="t")
    receive(product_id, 5, "C")
    [part] = inventory.reservations(keys=[OURS])[OURS].allocations
    assert (part.warehouse, part.quantity, part.state, part.moved_from) == ("C", 5, "OPEN", ("A", "B"))
    assert [row(api, product_id, code) for code in "ABC"] == [(0, 0, 0, 0), (0, 0, 0, 0), (5, 5, 0, 0)]
    inventory.ship(key=OURS, warehouse="A", left=True)
    assert [row(api, product_id, code) for code in "ABC"] == [(0, 0, 0, 0), (0, 0, 0, 0), (5, 2, 0, 3)]
    assert states(OURS) == ["SHIPPED", "OPEN"]


def test_what_was_asked_from_one_warehouse_stays_there(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=2, B=0)
    body = {"product_id": product_id, "quantity": 2, "warehouse": "A"}
    assert api.post("/v1/inventory/reserve", body, key="there").status == 200
    inventory.confirm(key="there")
    count(0)
    receive(product_id, 3, "B")
    assert (row(api, product_id), row(api, product_id, "B")) == ((0, 0, 2, 0), (3, 0, 0, 1))
    transfer = {"product_id": product_id, "from_warehouse": "B", "to_warehouse": "A", "quantity": 2}
    assert api.post("/v1/inventory/transfers", transfer).status == 200
    assert (row(api, product_id), row(api, product_id, "B")) == ((2, 2, 0, 0), (1, 0, 0, 1))


def test_a_name_that_came_in_another_form(stocked: Callable[..., int]) -> None:
    stocked(A=1)
    Warehouse.objects.update(name=" Cafe\u0301 ")
    migration = import_module("contexts.inventory.migrations.0006_text_taken_in")
    migration.take_in(apps, SimpleNamespace(connection=connections["inventory"]))
    assert Warehouse.objects.values_list("name", "version").get() == ("Caf\u00e9", 2)


# -- what is owed is not there ----------------------------------------------------------------------------------------


def test_what_is_owed_is_never_available(stocked: Callable[..., int], api: Api) -> None:
    """Five units lie there for an order of eight: nobody else gets them, by no door."""
    product_id = stocked(A=10, B=0)
    reserve(product_id, 8)
    count(5)
    assert row(api, product_id) == (5, 0, 8, 0)
    assert api.get(f"/v1/inventory/availability/{product_id}").data["total_available"] == 0
    assert api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 1}).code == "insufficient_stock"
    body = {"product_id": product_id, "from_warehouse": "A", "to_warehouse": "B", "quantity": 1}
    refused = api.post("/v1/inventory/transfers", body)
    assert (refused.code, refused.details["items"][0]["available"]) == ("insufficient_stock", 0)
    with pytest.raises(InsufficientStock):
        inventory.require_available(items=(Demand(product_id=product_id, quantity=1),))
    assert [one["product_id"] for one in api.get("/v1/inventory?low_stock=true&warehouse=A").data] == [product_id]
    assert {level.available for level in inventory.statistics().lowest} == {0}
    assert inventory.orders_holding() == (OURS,)


def test_a_short_reservation_is_not_shipped(owed: int, api: Api) -> None:
    before = Movement.objects.count()
    for _ in range(2):
        with pytest.raises(InsufficientStock) as refusal:
            inventory.ship(key="hold")
        assert refusal.value.details["items"] == [{"product_id": owed, "requested": 2, "available": 0}]
    assert (states("hold"), row(api, owed), Movement.objects.count()) == (["SHORT"], (0, 0, 2, 0), before)


def test_it_says_why(owed: int, api: Api, told: Callable[[], list[Any]]) -> None:
    [shown] = api.get(f"/v1/inventory/reservations?product_id={owed}&warehouse=A").data
    assert (shown["needs_attention"], shown["why"]) == (True, f"a stock count left too little of product {owed}")
    assert api.get(f"/v1/inventory/reservations?product_id={owed}&warehouse=B").data == []


def test_a_hold_that_a_count_released_says_why(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=2)
    api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 2}, key="cart")
    count(1)
    [shown] = api.get("/v1/inventory/reservations").data
    assert (shown["status"], shown["actor"]) == ("RELEASED", "test")
    assert shown["why"] == "a stock count left too little for it"


def test_audit_knows_what_is_owed(owed: int) -> None:
    Stock.objects.filter(warehouse="A").update(owed=1)
    [finding] = inventory.audit()
    assert finding.problem == "owed is 1, short allocations sum up to 2"
    Stock.objects.filter(warehouse="A").update(owed=2)


def test_what_earlier_versions_left_owed_is_written_as_such(owed: int) -> None:

    Stock.objects.update(owed=0)
    migration = import_module("contexts.inventory.migrations.0004_units_owed_by_now")
    migration.write_owed(apps, SimpleNamespace(connection=connections["inventory"]))
    assert dict(Stock.objects.values_list("warehouse", "owed")) == {"A": 2}


# -- a payment that waits ---------------------------------------------------------------------------------------------


def test_a_payment_that_waits_does_not_hold_for_ever(
    stocked: Callable[..., int], available: Callable[[int], int], run_out: Callable[[str], None]
) -> None:
    product_id = stocked(A=10)
    reserve(product_id, 8)
    waiting = inventory.stop_paying(key="hold", seconds=60)
    assert (waiting.status, waiting.paying) == (ReservationStatus.RESERVED, False)
    assert waiting.expires_at is not None
    assert timedelta(seconds=50) < waiting.expires_at - utcnow() <= timedelta(seconds=61)
    assert inventory.stop_paying(key="hold", seconds=600) == waiting
    run_out("hold")
    assert available(product_id) == 10
    assert inventory.stop_paying(key="hold", seconds=60).status == ReservationStatus.EXPIRED


@pytest.mark.parametrize("swept", [False, True])
def test_what_ran_out_is_taken_again(
    stocked: Callable[..., int], available: Callable[[int], int], run_out: Callable[[str], None], swept: bool
) -> None:
    product_id = stocked(A=6, B=6)
    first = reserve(product_id, 8)
    assert reserve(product_id, 8, again=True) == first
    inventory.stop_paying(key="hold", seconds=60)
    run_out("hold")
    if swept:
        tasks.sweep_holds()
    assert reserve(product_id, 8).status == ReservationStatus.EXPIRED
    again = reserve(product_id, 8, again=True)
    assert (again.status, again.paying) == (ReservationStatus.RESERVED, True)
    assert again.reservation_id == first.reservation_id
    assert again == reserve(product_id, 8, again=True)
    assert available(product_id) == 4
    inventory.confirm(key="hold")
    assert inventory.ship(key="hold").status == ReservationStatus.SHIPPED


def test_what_has_not_run_out_yet_is_kept(stocked: Callable[..., int], run_out: Callable[[str], None]) -> None:
    product_id = stocked(A=6)
    reserve(product_id, 4)
    inventory.stop_paying(key="hold", seconds=60)
    assert reserve(product_id, 4, again=True).paying
    run_out("hold")
    assert inventory.reservations(keys=["hold"])["hold"].status == ReservationStatus.RESERVED


def test_what_others_have_by_now_is_theirs(stocked: Callable[..., int], run_out: Callable[[str], None]) -> None:
    product_id = stocked(A=10)
    reserve(product_id, 8)
    inventory.stop_paying(key="hold", seconds=60)
    run_out("hold")
    reserve(product_id, 5, key="next")
    with pytest.raises(InsufficientStock):
        reserve(product_id, 8, again=True)
    assert inventory.reservations(keys=["hold"])["hold"].status == ReservationStatus.EXPIRED
    inventory.release(key="next", order_id=OURS)
    with pytest.raises(InvalidTransition):
        reserve(product_id, 5, key="next", again=True)


def test_nothing_is_owed_to_what_is_not_paid(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=10)
    reserve(product_id, 8, key="waiting")
    count(5)
    assert row(api, product_id) == (5, 0, 8, 0)
    waiting = inventory.stop_paying(key="waiting", seconds=60)
    assert (waiting.status, waiting.needs_attention) == (ReservationStatus.EXPIRED, False)
    assert row(api, product_id) == (5, 0, 0, 5)


def test_stop_paying_leaves_what_is_firm(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    reserve(product_id, 2)
    firm = inventory.confirm(key="hold")
    assert inventory.stop_paying(key="hold", seconds=1) == firm


def test_who_confirmed_and_released(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=10)
    api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 1, "order_id": "X"}, key="k")
    Reservation.objects.update(actor="")
    for verb, status in (("confirm", "CONFIRMED"), ("release", "RELEASED")):
        shown = api.post(f"/v1/inventory/{verb}", {"idempotency_key": "k"}).data
        assert (shown["actor"], shown["status"]) == ("open", status)
    lines = (
        Trail.objects.filter(thing__startswith="reservation:").order_by("pk").values_list("actor", "before", "after")
    )
    assert list(lines) == [
        ("open", {"status": "RESERVED"}, {"status": "CONFIRMED"}),
        ("open", {"status": "CONFIRMED"}, {"status": "RELEASED", "released": 1}),
    ]
    firm = reserve(product_id, 1)
    assert inventory.release(key=firm.key, order_id=OURS, actor="staff:ann").actor == "staff:ann"


def test_staff_s_writes_to_stock_leave_a_trail(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=5, B=0)
    path = f"/v1/inventory/{Stock.objects.get(warehouse='A').pk}"
    api.patch(path, {"onhand": 4, "reorder_point": 2, "reason": "count"})
    body = {"product_id": product_id, "from_warehouse": "A", "to_warehouse": "B", "quantity": 1}
    api.post("/v1/inventory/transfers", body)
    api.patch("/v1/warehouses/A", {"is_active": False})
    lines = Trail.objects.order_by("pk").values_list("action", "before", "after")
    assert list(lines)[-4:] == [
        ("stock.count", {"on_hand": 5, "reorder_point": 10}, {"on_hand": 4, "reorder_point": 2}),
        ("stock.transfer", {"on_hand": 4}, {"on_hand": 3}),
        ("stock.transfer", {"on_hand": 0}, {"on_hand": 1}),
        ("warehouse.update", {"is_active": True}, {"is_active": False}),
    ]


# -- units at the border ----------------------------------------------------------------------------------------------


def test_what_can_be_is_countable(stocked: Callable[..., int], api: Api) -> None:
    product_id = stocked(A=1, B=1)
    most = 1_000_000_000
    path = f"/v1/inventory/{Stock.objects.get(warehouse='A').pk}"
    receipt = {"product_id": product_id, "warehouse": "A", "onhand": 2_000_000}
    assert api.post("/v1/inventory", receipt).data["onhand"] == 2_000_001
    assert api.patch(path, {"onhand": 2_000_000, "reason": "count"}).data["onhand"] == 2_000_000
    assert api.patch(path, {"onhand": most, "reason": "count"}).data["available"] == most
    assert api.patch(path, {"onhand": most + 1, "reason": "count"}).status == 400
    adjustment = {"product_id": product_id, "warehouse": "A", "delta": 1, "reason": "found"}
    transfer = {"product_id": product_id, "from_warehouse": "B", "to_warehouse": "A", "quantity": 1}
    for path, body in (
        ("/v1/inventory", receipt),
        ("/v1/inventory/adjustments", adjustment),
        ("/v1/inventory/transfers", transfer),
    ):
        refused = api.post(path, body)
        assert (refused.status, refused.code, refused.details) == (
            409,
            "too_many_units",
            {"on_hand": most, "limit": most},
        )
    back = transfer | {"from_warehouse": "A", "to_warehouse": "B", "quantity": most}
    assert api.post("/v1/inventory/transfers", back).code == "too_many_units"
    assert api.post("/v1/inventory/transfers", back | {"quantity": most - 1}).status == 200
    assert api.post("/v1/inventory/adjustments", adjustment | {"delta": -1}).data["onhand"] == 0
    assert selectors.audit() == ()


# -- from before ------------------------------------------------------------------------------------------------------


def test_orders_are_told_what_earlier_versions_left_short(stocked: Callable[..., int]) -> None:
    order_id = "ORD-0000000000SHORT"
    reserve(stocked(A=2), 2, key="old", order_id=order_id)
    inventory.confirm(key="old")
    count(0)
    OutboxEvent.objects.all().delete()  # earlier versions had no such event
    migration = import_module("contexts.inventory.migrations.0007_orders_told_what_is_short")
    migration.tell_orders(apps, SimpleNamespace(connection=connections["inventory"]))
    [event] = OutboxEvent.objects.all()
    assert (event.name, event.consumer, event.aggregate_id) == ("inventory.allocation_short.v1", "orders", order_id)
    told = AllocationShort.from_payload(event.payload)
    assert (told.warehouse, told.quantity, told.order_id) == ("A", 2, order_id)
