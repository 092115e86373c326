"""What other contexts ask of inventory, and the sums that hold behind it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models import Sum

from contexts.inventory import selectors, tasks
from contexts.inventory.models import Allocation, Movement, OutboxEvent, Reservation, Restocking, Stock, Warehouse
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import (
    AllocationState,
    Demand,
    InsufficientStock,
    ReservationExpired,
    ReservationNotFound,
    ReservationStatus,
)
from contexts.inventory.services import holds, stock, sweeping
from eci.clock import utcnow
from eci.db import Stale, unit_of_work, writes
from eci.errors import EciError, IdempotencyKeyReused, InvalidTransition

OURS = "ORD-0000000000ABCDEFGHJKMNPQRS"


def reserve(product_id: int, quantity: int, key: str = "hold", **more: Any) -> Any:
    items = (Demand(product_id=product_id, quantity=quantity),)
    return inventory.reserve(**{"order_id": OURS, "key": key, "items": items, "seconds": 60, **more})


def states(key: str = "hold") -> list[str]:
    return list(Allocation.objects.filter(reservation__key=key).order_by("stock").values_list("state", flat=True))


def on_hand(product_id: int) -> dict[str, int]:
    return dict(Stock.objects.filter(product_id=product_id).values_list("warehouse", "on_hand"))


def back(product_id: int, quantity: int, reference: str, disposition: str = "resell", order_id: str = OURS) -> None:
    items = (Demand(product_id=product_id, quantity=quantity),)
    inventory.restock(order_id=order_id, reference=reference, items=items, disposition=disposition)


# -- repeated commands ------------------------------------------------------------------------------------------------


def test_lines_of_one_product_are_one_demand(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=3)
    line = Demand(product_id=product_id, quantity=2)
    with pytest.raises(InsufficientStock):
        reserve(product_id, 0, items=(line, line))
    assert not Reservation.objects.exists()


def test_every_command_may_be_repeated(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    for command in (
        lambda: reserve(product_id, 4, paying=True),
        lambda: inventory.mark_paying(key="hold"),
        lambda: inventory.confirm(key="hold"),
        lambda: inventory.ship(key="hold"),
        lambda: inventory.ship(key="hold", warehouse="A"),
    ):
        assert command() == command()
    assert on_hand(product_id) == {"A": 6}
    assert inventory.reservations(keys=["hold", "none"])["hold"].status == ReservationStatus.SHIPPED
    reserve(product_id, 1, key="second")
    assert inventory.release(key="second", order_id=OURS) == inventory.release(key="second", order_id=OURS)


def test_a_repeated_reserve_finds_its_own_when_that_holds_all_there_is(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    first = reserve(product_id, 10)
    assert reserve(product_id, 10) == first
    with pytest.raises(IdempotencyKeyReused):
        reserve(product_id, 9)
    with pytest.raises(InsufficientStock):
        reserve(product_id, 1, key="other")


def test_a_release_that_comes_first_refuses_the_late_reserve(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    first = inventory.release(key="hold", order_id=OURS)
    assert (first.status, first.allocations) == (ReservationStatus.RELEASED, ())
    assert inventory.release(key="hold", order_id=OURS) == first
    with pytest.raises(InvalidTransition):
        reserve(product_id, 1)
    for late in (inventory.confirm, inventory.mark_paying, inventory.ship):
        with pytest.raises(InvalidTransition):
            late(key="hold")
    assert Stock.objects.get().reserved == 0


def test_commands_on_nothing(stocked: Callable[..., int]) -> None:
    for late in (inventory.confirm, inventory.mark_paying, inventory.ship):
        with pytest.raises(ReservationNotFound):
            late(key="none")
    assert not Reservation.objects.exists()


def test_a_shipped_reservation_cannot_be_released(stocked: Callable[..., int]) -> None:
    reserve(stocked(A=10), 4)
    inventory.ship(key="hold")
    with pytest.raises(InvalidTransition):
        inventory.release(key="hold", order_id=OURS)


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marked", ["at once", "later"])
def test_a_paying_reservation_does_not_expire(
    stocked: Callable[..., int], available: Callable[[int], int], run_out: Callable[[str], None], marked: str
) -> None:
    product_id = stocked(A=10)
    reserve(product_id, 8, paying=marked == "at once")
    if marked == "later":
        inventory.mark_paying(key="hold")
    run_out("hold")
    tasks.sweep_holds()
    assert available(product_id) == 2
    with pytest.raises(InsufficientStock):
        reserve(product_id, 3, key="next")
    assert inventory.reservations(keys=["hold"])["hold"].paying
    assert inventory.confirm(key="hold").status == ReservationStatus.CONFIRMED


@pytest.mark.parametrize("swept", [False, True])
def test_an_expired_reservation_cannot_be_paid(
    stocked: Callable[..., int], run_out: Callable[[str], None], swept: bool
) -> None:
    reserve(stocked(A=10), 8)
    run_out("hold")
    if swept:
        tasks.sweep_holds()
    for late in (inventory.mark_paying, inventory.confirm, inventory.ship):
        with pytest.raises(ReservationExpired):
            late(key="hold")
    assert inventory.release(key="hold", order_id=OURS).status == ReservationStatus.EXPIRED


def test_a_day_of_paying_needs_attention_once(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    for key, age in (("old", timedelta(hours=24, seconds=1)), ("young", timedelta(hours=23, minutes=59))):
        reserve(product_id, 1, key=key, paying=True)
        Reservation.objects.filter(key=key).update(paying_since=utcnow() - age)
    for _ in range(2):
        tasks.sweep_holds()
    found = inventory.reservations(keys=["old", "young"])
    assert (found["old"].needs_attention, found["young"].needs_attention) == (True, False)
    [event] = OutboxEvent.objects.filter(name="inventory.hold_needs_attention.v1")
    assert event.payload["order_id"] == OURS
    assert event.payload["version"] == Reservation.objects.get(key="old").version
    assert not inventory.confirm(key="old").paying


@pytest.mark.parametrize("swept", [False, True])
def test_reclaiming_one_allocation_ends_the_whole_reservation(
    stocked: Callable[..., int], available: Callable[[int], int], run_out: Callable[[str], None], swept: bool
) -> None:
    """A reservation of two products expires, and a reserve takes one of them. The other stays available too."""
    first, second = stocked(A=5), stocked(A=5)
    items = tuple(Demand(product_id=product_id, quantity=4) for product_id in (first, second))
    reserve(first, 0, items=items)
    run_out("hold")
    reserve(second, 5, key="next")
    if swept:
        tasks.sweep_holds()
        assert Reservation.objects.get(key="hold").status == ReservationStatus.EXPIRED
        assert dict(Stock.objects.values_list("product_id", "reserved")) == {first: 0, second: 5}
    assert (available(first), available(second)) == (5, 0)
    found = inventory.reservations(keys=["hold"])["hold"]
    assert (found.status, {allocation.state for allocation in found.allocations}) == (
        ReservationStatus.EXPIRED,
        {AllocationState.EXPIRED},
    )
    for late in (inventory.mark_paying, inventory.confirm, inventory.ship):
        with pytest.raises(ReservationExpired):
            late(key="hold")
    assert inventory.release(key="hold", order_id=OURS).status == ReservationStatus.EXPIRED
    reserve(first, 5, key="last")
    assert inventory.release(key="hold", order_id=OURS).status == ReservationStatus.EXPIRED
    tasks.sweep_holds()
    assert Reservation.objects.get(key="hold").status == ReservationStatus.EXPIRED


# -- counts that find too little --------------------------------------------------------------------------------------


def short_reservation(product_id: int) -> None:
    """A paid reservation of 8 units, which a count then found missing."""
    reserve(product_id, 8, paying=True)
    row = Stock.objects.get(product_id=product_id)
    stock.count(inventory_id=row.pk, on_hand=5, reorder_point=None, reason="count", force=True, actor="test")
    assert states() == [AllocationState.SHORT]


def test_a_short_reservation_ships_when_its_units_are_there_again(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    short_reservation(product_id)
    assert OutboxEvent.objects.filter(name="inventory.allocation_short.v1").count() == 1
    assert inventory.confirm(key="hold").needs_attention
    with pytest.raises(InsufficientStock) as refusal:
        inventory.ship(key="hold")
    assert refusal.value.details["items"] == [{"product_id": product_id, "requested": 8, "available": 5}]
    assert (states(), on_hand(product_id)) == (["SHORT"], {"A": 5})
    stock.receive(
        product_id=product_id, warehouse="A", quantity=3, reorder_point=None, actor="t", create_warehouse=False
    )
    assert not inventory.reservations(keys=["hold"])["hold"].needs_attention
    shipped = inventory.ship(key="hold")
    assert (shipped.status, shipped.needs_attention) == (ReservationStatus.SHIPPED, False)
    assert on_hand(product_id) == {"A": 0}


def test_a_short_reservation_can_be_released(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    short_reservation(product_id)
    assert inventory.release(key="hold", order_id=OURS).status == ReservationStatus.RELEASED
    assert Stock.objects.get().reserved == 0


def test_an_allocation_ships_alone(stocked: Callable[..., int]) -> None:
    product_id = stocked(A=4, B=10)
    reserve(product_id, 12, paying=True)
    row = Stock.objects.get(warehouse="A")
    stock.count(inventory_id=row.pk, on_hand=1, reorder_point=None, reason="count", force=True, actor="test")
    with pytest.raises(InsufficientStock):
        inventory.ship(key="hold")
    assert states() == ["SHORT", "OPEN"]
    shipped = inventory.ship(key="hold", warehouse="B")
    assert (shipped.status, shipped.needs_attention, states()) == (
        ReservationStatus.RESERVED,
        True,
        ["SHORT", "SHIPPED"],
    )
    assert inventory.release(key="hold", order_id=OURS).status == ReservationStatus.SHIPPED
    assert on_hand(product_id) == {"A": 1, "B": 2}


# -- returns ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def split(stocked: Callable[..., int]) -> int:
    """A product of which the order shipped 3 from A and 2 from B; nothing is left."""
    product_id = stocked(A=3, B=2)
    reserve(product_id, 5)
    inventory.ship(key="hold")
    return product_id


def test_units_come_back_to_the_warehouse_they_left(split: int) -> None:
    back(split, 2, "r1")
    back(split, 2, "r2")
    assert on_hand(split) == {"A": 3, "B": 1}
    back(split, 2, "r2")  # repeated
    back(split, 1, "r3")
    assert on_hand(split) == {"A": 3, "B": 2}
    for order_id in (OURS, "other"):
        with pytest.raises(InvalidTransition):
            back(split, 1, "r4", order_id=order_id)
    assert not Restocking.objects.filter(reference="r4").exists()


@pytest.mark.parametrize("disposition", ["damaged", "lost"])
def test_units_written_off_are_in_the_ledger(split: int, disposition: str) -> None:
    back(split, 4, "r1", disposition)
    assert on_hand(split) == {"A": 0, "B": 0}
    lines = (
        Movement.objects.filter(reference="r1").order_by("pk").values_list("warehouse", "delta", "on_hand", "reason")
    )
    assert list(lines) == [
        ("A", 3, 3, "return"),
        ("B", 1, 1, "return"),
        ("A", -3, 0, disposition),
        ("B", -1, 0, disposition),
    ]
    with pytest.raises(InvalidTransition):
        back(split, 2, "r2")
    back(split, 1, "r3")
    assert on_hand(split) == {"A": 0, "B": 1}


# -- the sums --------------------------------------------------------------------------------------------------------


def test_audit_finds_what_was_planted(stocked: Callable[..., int]) -> None:
    product_id, other = stocked(A=10), stocked(A=10)
    reserve(product_id, 4)
    assert inventory.audit() == ()
    rows = Stock.objects.filter(product_id=product_id)
    rows.update(on_hand=11, reserved=5)
    findings = [(finding.subject, finding.problem) for finding in inventory.audit()]
    subject = f"product {product_id} in A"
    assert findings == [
        (subject, "on hand is 11, the ledger sums up to 10"),
        (subject, "reserved is 5, open allocations sum up to 4"),
    ]
    rows.update(on_hand=10, reserved=4)
    Stock.objects.filter(product_id=other).delete()
    [orphan] = inventory.audit()
    assert (orphan.subject, orphan.problem) == (
        f"product {other} in A",
        "the ledger sums up to 10, there is no stock row",
    )
    Movement.objects.filter(product_id=other).delete()


@pytest.mark.parametrize("change", [{"reserved": -1}, {"reserved": 11}, {"on_hand": 3}])
def test_the_database_rejects_impossible_stock_rows(stocked: Callable[..., int], change: dict[str, int]) -> None:
    reserve(stocked(A=10), 4)
    with pytest.raises(IntegrityError), unit_of_work("inventory"):
        Stock.objects.update(**change)


def test_a_write_that_lost_a_race_is_run_again_as_a_whole(stocked: Callable[..., int]) -> None:
    """Even when it is nested: the outermost unit of work is repeated."""
    product_id, lost = stocked(A=10), []

    @writes("inventory")
    def inner() -> None:
        holds.reserve(key="k", order_id="X", demand={product_id: 11}, seconds=60)
        if len(lost) < 2:
            lost.append(1)
            raise Stale

    @writes("inventory")
    def outer() -> None:
        stock.adjust(product_id=product_id, warehouse="A", delta=1, reason="found", actor="test")
        inner()

    outer()
    assert (Stock.objects.get().on_hand, Stock.objects.get().reserved, len(lost)) == (11, 11, 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_the_sums_hold_after_any_sequence_of_commands(seed: int, run_out: Callable[[str], None]) -> None:
    """After every command: 0 <= reserved <= on hand = the ledger, and reserved = the open allocations."""
    chance = random.Random(seed)
    products, codes, keys = (1, 2, 3), ("A", "B", "C"), [f"k{number}" for number in range(12)]
    for priority, code in enumerate(codes):
        stock.create_warehouse(code=code, name=code, priority=priority, address="", is_active=True, actor="t")

    def any_of(*values: Any) -> Any:
        return chance.choice(values)

    def units() -> int:
        return chance.randint(1, 12)

    def stock_row() -> dict[str, Any]:
        return {"product_id": any_of(*products), "warehouse": any_of(*codes)}

    def count() -> None:
        row = Stock.objects.filter(**stock_row()).first()
        if row:
            stock.count(
                inventory_id=row.pk, on_hand=units(), reorder_point=None, reason="c", force=any_of(0, 1), actor="t"
            )

    def transfer() -> None:
        source, target = chance.sample(codes, 2)
        stock.transfer(
            product_id=any_of(*products), from_warehouse=source, to_warehouse=target, quantity=units(), actor="t"
        )

    def hold() -> None:
        demand = {product_id: units() for product_id in chance.sample(products, chance.randint(1, 3))}
        holds.reserve(key=any_of(*keys), order_id=OURS, demand=demand, seconds=60, paying=any_of(True, False))

    def restock() -> None:
        returned = {any_of(*products): any_of(1, 2)}
        disposition = any_of("resell", "damaged", "lost")
        stock.restock(order_id=OURS, reference=f"r{units()}", returned=returned, disposition=disposition, actor="t")

    def expire() -> None:
        key = any_of(*keys)
        if Reservation.objects.filter(key=key, status="RESERVED", paying=False).exists():
            run_out(key)

    commands: list[Callable[[], Any]] = [
        lambda: stock.receive(**stock_row(), quantity=units(), reorder_point=None, actor="t", create_warehouse=False),
        lambda: stock.adjust(**stock_row(), delta=any_of(-1, 1) * units(), reason="a", actor="t"),
        count,
        transfer,
        hold,
        hold,
        restock,
        expire,
        lambda: holds.confirm(key=any_of(*keys)),
        lambda: holds.mark_paying(key=any_of(*keys)),
        lambda: holds.release(
            key=any_of(*keys), warehouse=any_of(None, *codes), tombstone_for=any_of(None, None, OURS)
        ),
        lambda: holds.ship(key=any_of(*keys), warehouse=any_of(None, None, *codes), actor="t"),
        sweeping.sweep_batch,
    ]
    done = 0
    for _ in range(150):
        try:
            chance.choice(commands)()
            done += 1
        except EciError:
            pass
        assert selectors.audit() == ()
        owed = dict(Stock.objects.values_list("product_id").annotate(units=Sum("owed")))
        for row in selectors.with_available(rows=Stock.objects.all()):
            assert 0 <= row.held <= row.reserved <= row.on_hand
            assert row.available == max(0, row.on_hand - row.held - owed[row.product_id])
    assert done > 50
    ledger = Movement.objects.values_list("product_id", "warehouse").annotate(total=Sum("delta")).order_by()
    on_hands = {(row.product_id, row.warehouse_id): row.on_hand for row in Stock.objects.exclude(on_hand=0)}
    assert {(product, code): total for product, code, total in ledger if total} == on_hands
    for line in Movement.objects.order_by("pk"):
        assert line.on_hand >= 0
    for reservation in Reservation.objects.exclude(status="RESERVED").exclude(status="CONFIRMED"):
        assert not reservation.allocations.filter(state__in=("OPEN", "SHORT")).exists()


# -- the budget -------------------------------------------------------------------------------------------------------


def verbs(counted: Any) -> list[str]:
    return [f"{verb} {table}".strip() for verb, table in map(_verb_and_table, counted.log)]


def _verb_and_table(entry: tuple[str, str]) -> tuple[str, str]:
    words = entry[1].replace('"', "").replace("`", "").split()
    after = {"SELECT": "FROM", "INSERT": "INTO", "UPDATE": "UPDATE", "DELETE": "FROM"}.get(words[0])
    table = words[words.index(after) + 1] if after else ""
    return words[0], table.removeprefix("inventory_")


def test_statements_of_an_order_of_one_line(stocked: Callable[..., int], statements: Any) -> None:
    product_id = stocked(A=20, B=20)
    with statements() as counted:
        reserve(product_id, 2, paying=True)
    allocatable, *rest = verbs(counted)
    assert allocatable.split()[0] == "SELECT"
    assert rest == ["UPDATE stock", "INSERT reservation", "INSERT allocation", "COMMIT"]
    with statements() as counted:
        inventory.confirm(key="hold")
    assert verbs(counted) == ["SELECT allocation", "UPDATE reservation", "COMMIT"]
    with statements() as counted:
        inventory.ship(key="hold")
    ship = ["SELECT allocation", "UPDATE allocation", "UPDATE stock", "INSERT movement", "UPDATE reservation", "COMMIT"]
    assert verbs(counted) == ship


def test_many_lines_cost_about_as_much_as_one(stocked: Callable[..., int], statements: Any) -> None:
    Warehouse.objects.create(code="A", name="A")
    products = range(1, 676)
    Stock.objects.bulk_create([Stock(product_id=p, warehouse_id="A", on_hand=p, reorder_point=0) for p in products])
    Movement.objects.bulk_create(
        [Movement(product_id=p, warehouse_id="A", delta=p, on_hand=p, actor="test") for p in products]
    )
    items = tuple(Demand(product_id=p, quantity=p) for p in products)
    with statements() as counted:
        reserve(1, 0, items=items)
        inventory.confirm(key="hold")
        inventory.ship(key="hold")
        inventory.restock(order_id=OURS, reference="r", items=items, disposition="resell")
    assert counted.total < 45, counted.report()
    assert counted.commits == 4
