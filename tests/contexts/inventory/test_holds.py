"""Reservations over HTTP: reserve, confirm, release, ship, and what happens when they expire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contexts.inventory import tasks
from contexts.inventory.models import Idempotency, Movement, Reservation, Stock
from contexts.inventory.services import holds, sweeping
from tests.support.api import Answer, Api

OURS = "ORD-0000000000ABCDEFGHJKMNPQRS"


def reserve(api: Api, product_id: int, quantity: int, key: str = "hold", **more: Any) -> Answer:
    body = {"product_id": product_id, "quantity": quantity, "order_id": "X-1", **more}
    return api.post("/v1/inventory/reserve", body, key=key)


def command(api: Api, verb: str, reservation: str = "hold", **more: Any) -> Answer:
    return api.post(f"/v1/inventory/{verb}", {"idempotency_key": reservation, "order_id": "X-1", **more})


def rows() -> list[tuple[str, int, int]]:
    return [(row.warehouse_id, row.on_hand, row.reserved) for row in Stock.objects.order_by("pk")]


# -- reserve ----------------------------------------------------------------------------------------------------------


def test_a_reservation(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10, B=10)
    answer = reserve(api, product_id, 4)
    assert answer.status == 200
    data = answer.data
    assert data["expires_at"].endswith("Z")
    assert {name: data[name] for name in ("order_id", "idempotency_key", "status", "warehouse", "paying")} == {
        "order_id": "X-1",
        "idempotency_key": "hold",
        "status": "RESERVED",
        "warehouse": "A",
        "paying": False,
    }
    assert data["allocations"] == [{"product_id": product_id, "warehouse": "A", "quantity": 4, "state": "OPEN"}]
    assert rows() == [("A", 10, 4), ("B", 10, 0)]
    assert api.get(f"/v1/inventory/reservations/{data['reservation_id']}").data == data


def test_reserve_makes_a_key_and_keeps_number_order_ids(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    body = {"product_id": product_id, "quantity": 1}
    first, second = (api.post("/v1/inventory/reserve", body).data for _ in range(2))
    assert first["idempotency_key"] != second["idempotency_key"]
    assert first["order_id"] is None
    assert api.post("/v1/inventory/reserve", body | {"order_id": 17}).data["order_id"] == "17"
    confirmed = api.post("/v1/inventory/confirm", {"idempotency_key": first["idempotency_key"]})
    assert confirmed.data["status"] == "CONFIRMED"


def test_a_reservation_lives_fifteen_minutes_or_as_asked(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    for minutes, more in ((15, {}), (1, {"reservation_minutes": 1}), (1440, {"reservation_minutes": 1440})):
        reserve(api, product_id, 1, key=f"k{minutes}", **more)
        row = Reservation.objects.get(key=f"k{minutes}")
        assert row.expires_at - row.created_at == timedelta(minutes=minutes)
        assert row.allocations.get().lapses_at == row.expires_at


def test_several_warehouses_together(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=4, B=10, C=3)
    data = reserve(api, product_id, 13).data
    assert data["warehouse"] is None
    assert [(one["warehouse"], one["quantity"]) for one in data["allocations"]] == [("A", 4), ("B", 9)]
    assert rows() == [("A", 4, 4), ("B", 10, 9), ("C", 3, 0)]


def test_only_from_the_warehouse_that_was_asked_for(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=4, B=10)
    assert reserve(api, product_id, 2, warehouse="B").data["warehouse"] == "B"
    refused = reserve(api, product_id, 5, key="other", warehouse="A")
    assert refused.details["items"] == [{"product_id": product_id, "requested": 5, "available": 4}]
    assert reserve(api, product_id, 5, key="third", warehouse="NOPE").status == 404


def test_two_lines_of_one_product_are_one_demand(api: Api, stocked: Callable[..., int]) -> None:
    product_id, other = stocked(A=4), stocked(A=9)
    lines = [{"product_id": product_id, "quantity": 2}, {"product_id": other, "quantity": 1}]
    lines.append({"product_id": product_id, "quantity": 3})
    refused = api.post("/v1/inventory/reserve", {"items": lines})
    assert (refused.status, refused.code) == (409, "insufficient_stock")
    assert refused.details["items"] == [{"product_id": product_id, "requested": 5, "available": 4}]
    lines[2]["quantity"] = 2
    allocations = api.post("/v1/inventory/reserve", {"items": lines}).data["allocations"]
    assert [(one["product_id"], one["quantity"]) for one in allocations] == [(product_id, 4), (other, 1)]


def test_too_little_holds_nothing(api: Api, stocked: Callable[..., int], product: Callable[[], int]) -> None:
    plenty, little, none = stocked(A=10), stocked(A=1, B=1), product()
    lines = [{"product_id": product_id, "quantity": 3} for product_id in (plenty, little, none)]
    refused = api.post("/v1/inventory/reserve", {"items": lines}, key="k")
    assert (refused.status, refused.code) == (409, "insufficient_stock")
    assert refused.details["items"] == [
        {"product_id": little, "requested": 3, "available": 2},
        {"product_id": none, "requested": 3, "available": 0},
    ]
    assert api.get("/v1/inventory/reservations").data == []
    assert {reserved for _, _, reserved in rows()} == {0}
    assert reserve(api, none, 1, key="l").details["items"] == [{"product_id": none, "requested": 1, "available": 0}]


def test_unknown_things_are_404(api: Api, stocked: Callable[..., int]) -> None:
    lines = [{"product_id": stocked(A=4), "quantity": 1}, {"product_id": 987654321, "quantity": 1}]
    unknown = api.post("/v1/inventory/reserve", {"items": lines})
    assert (unknown.status, unknown.code, unknown.details) == (404, "not_found", {"product_id": 987654321})
    assert reserve(api, 2**53, 1).status == 404


def test_a_key_reserves_once(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    first = reserve(api, product_id, 4)
    again = reserve(api, product_id, 4)
    assert (again.status, again.data, again.headers["Idempotent-Replayed"]) == (200, first.data, "true")
    in_body = {"product_id": product_id, "quantity": 4, "order_id": "X-1", "idempotency_key": "hold"}
    assert api.post("/v1/inventory/reserve", in_body).data == first.data
    for change in ({"quantity": 5}, {"reservation_minutes": 3}, {"order_id": "X-2"}):
        other = api.post("/v1/inventory/reserve", in_body | change)
        assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert api.post("/v1/inventory/reserve", in_body, key="different").status == 400
    assert rows() == [("A", 10, 4)]


def test_a_key_reserves_once_even_when_its_answer_is_forgotten(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    first = reserve(api, product_id, 4)
    Idempotency.objects.all().delete()
    assert reserve(api, product_id, 4).data == first.data
    Idempotency.objects.all().delete()
    assert reserve(api, product_id, 5).status == 422
    command(api, "release")
    assert reserve(api, product_id, 5, key="hold").status == 422
    assert reserve(api, product_id, 4).code == "invalid_transition"
    assert rows() == [("A", 10, 0)]


def test_a_refusal_is_remembered(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=1)
    refused = reserve(api, product_id, 4)
    api.post("/v1/inventory", {"product_id": product_id, "warehouse": "A", "onhand": 10})
    again = reserve(api, product_id, 4)
    assert (again.status, again.code, again.details) == (409, refused.code, refused.details)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert reserve(api, product_id, 4, key="new").status == 200


def test_a_thousand_lines(api: Api, stocked: Callable[..., int]) -> None:
    """A request with as many products as it may have, each with its own quantity."""
    stocked(A=1)
    products = range(1_000_001, 1_001_001)
    stocked_units = [(product_id, product_id - 1_000_000) for product_id in products]
    Stock.objects.bulk_create([Stock(product_id=p, warehouse_id="A", on_hand=units) for p, units in stocked_units])
    Movement.objects.bulk_create(
        [
            Movement(product_id=p, warehouse_id="A", delta=units, on_hand=units, actor="test")
            for p, units in stocked_units
        ]
    )
    lines = [{"product_id": product_id, "quantity": product_id - 1_000_000} for product_id in products]
    assert reserve_lines(api, lines).data["warehouse"] == "A"
    assert command(api, "confirm").data["status"] == "CONFIRMED"
    assert command(api, "ship").data["shipped_quantity"] == sum(range(1, 1001))
    assert command(api, "ship").data["status"] == "SHIPPED"
    assert not Stock.objects.filter(product_id__in=products, on_hand__gt=0).exists()


def reserve_lines(api: Api, lines: list[dict[str, int]]) -> Answer:
    return api.post("/v1/inventory/reserve", {"items": lines, "order_id": "X-1"}, key="hold")


# -- confirm, release, ship -------------------------------------------------------------------------------------------


def test_from_reserve_to_ship(api: Api, stocked: Callable[..., int], available: Callable[[int], int]) -> None:
    product_id = stocked(A=10)
    reserve(api, product_id, 4)
    confirmed = command(api, "confirm")
    assert (confirmed.status, confirmed.data["status"], confirmed.data["expires_at"]) == (200, "CONFIRMED", None)
    shipped = command(api, "ship")
    assert (shipped.status, shipped.data["status"], shipped.data["shipped_quantity"]) == (200, "SHIPPED", 4)
    assert rows() == [("A", 6, 0)]
    assert available(product_id) == 6
    [line] = api.get("/v1/inventory/movements?order_id=X-1").data
    assert (line["delta"], line["on_hand"], line["reason"], line["actor"]) == (-4, 6, "shipment", "open")


def test_a_confirmed_reservation_never_expires(
    api: Api, stocked: Callable[..., int], available: Callable[[int], int], run_out: Callable[[str], None]
) -> None:
    product_id = stocked(A=10)
    reserve(api, product_id, 4)
    command(api, "confirm")
    run_out("hold")
    tasks.sweep_holds()
    assert available(product_id) == 6
    assert command(api, "ship").data["status"] == "SHIPPED"


def test_a_reservation_may_ship_at_once(api: Api, stocked: Callable[..., int]) -> None:
    reserve(api, stocked(A=10), 4)
    assert command(api, "ship").data["status"] == "SHIPPED"
    assert command(api, "confirm").data["status"] == "SHIPPED"


def test_a_release_gives_everything_back(
    api: Api, stocked: Callable[..., int], available: Callable[[int], int]
) -> None:
    product_id = stocked(A=10)
    reserve(api, product_id, 4)
    released = command(api, "release")
    assert (released.status, released.data["status"], released.data["released_quantity"]) == (200, "RELEASED", 4)
    assert available(product_id) == 10
    assert len(api.get("/v1/inventory/movements").data) == 1


@pytest.mark.parametrize("verb", ["confirm", "release", "ship"])
def test_done_already_is_the_same_answer(api: Api, stocked: Callable[..., int], verb: str) -> None:
    reserve(api, stocked(A=10), 4)
    first = command(api, verb)
    before = rows()
    again = command(api, verb)
    assert (first.status, again.status, again.data) == (200, 200, first.data)
    assert rows() == before


@pytest.mark.parametrize(
    ("first", "then"), [("release", "ship"), ("release", "confirm"), ("ship", "release"), ("confirm+ship", "release")]
)
def test_a_forbidden_change(api: Api, stocked: Callable[..., int], first: str, then: str) -> None:
    reserve(api, stocked(A=10), 4)
    for verb in first.split("+"):
        assert command(api, verb).status == 200
    before = rows()
    refused = command(api, then)
    assert (refused.status, refused.code) == (409, "invalid_transition")
    assert rows() == before


def test_by_warehouse(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=4, B=10)
    reserve(api, product_id, 12)
    first = command(api, "ship", warehouse="A")
    assert (first.data["status"], first.data["shipped_quantity"]) == ("RESERVED", 4)
    assert command(api, "ship", warehouse="A").data == first.data
    assert rows() == [("A", 0, 0), ("B", 10, 8)]
    refused = command(api, "release", warehouse="A")
    assert (refused.status, refused.code) == (409, "invalid_transition")
    assert command(api, "ship", warehouse="C").status == 404
    last = command(api, "ship")
    assert (last.data["status"], last.data["shipped_quantity"]) == ("SHIPPED", 12)


@pytest.mark.parametrize("order", ["ship first", "release first"])
def test_a_reservation_partly_released_and_partly_shipped_is_shipped(
    api: Api, stocked: Callable[..., int], order: str
) -> None:
    reserve(api, stocked(A=4, B=10), 12)
    steps = [("ship", "A", "RESERVED"), ("release", "B", "SHIPPED")]
    if order == "release first":
        steps = [("release", "B", "RESERVED"), ("ship", "A", "SHIPPED")]
    for verb, warehouse, status in steps:
        assert command(api, verb, warehouse=warehouse).data["status"] == status
    assert command(api, "release").data["released_quantity"] == 8
    assert command(api, "ship").data["shipped_quantity"] == 4
    assert command(api, "ship", warehouse="B").code == "invalid_transition"
    assert rows() == [("A", 0, 0), ("B", 10, 0)]


def test_naming_a_reservation(api: Api, stocked: Callable[..., int]) -> None:
    reserved = reserve(api, stocked(A=10), 4).data
    for wrong in (
        {"idempotency_key": "hold", "order_id": "X-2"},
        {"idempotency_key": "other"},
        {"reservation_id": reserved["reservation_id"] + 1},
        {"reservation_id": 2**53},
        {"reservation_id": reserved["reservation_id"], "order_id": "X-2"},
        {"reservation_id": reserved["reservation_id"], "idempotency_key": "other"},
    ):
        for verb in ("confirm", "release", "ship"):
            answer = api.post(f"/v1/inventory/{verb}", wrong)
            assert (answer.status, answer.code) == (404, "not_found")
    assert api.post("/v1/inventory/confirm", {"order_id": "X-1"}).status == 400
    by_id = api.post("/v1/inventory/confirm", {"reservation_id": reserved["reservation_id"]})
    assert by_id.data["status"] == "CONFIRMED"


def test_the_headers_key_is_the_commands_own(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    reserve(api, product_id, 4)
    body = {"idempotency_key": "hold", "order_id": "X-1"}
    first = api.post("/v1/inventory/ship", body, key="ship-1")
    again = api.post("/v1/inventory/ship", body, key="ship-1")
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
    reserve(api, product_id, 1, key="second")
    other = api.post("/v1/inventory/ship", body | {"idempotency_key": "second"}, key="ship-1")
    assert (other.status, other.code) == (422, "idempotency_key_reused")


def test_reservations_of_our_orders_change_only_through_them(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    ours = holds.reserve(key="ours", order_id=OURS, demand={product_id: 2}, seconds=60)
    for verb in ("confirm", "release", "ship"):
        for body in ({"idempotency_key": "ours", "order_id": OURS}, {"reservation_id": ours.reservation.pk}):
            refused = api.post(f"/v1/inventory/{verb}", body)
            assert (refused.status, refused.code) == (409, "owned_by_order")
    assert reserve(api, product_id, 1, order_id=OURS).code == "owned_by_order"
    unknown = reserve(api, product_id, 1, key="more", order_id=OURS.replace("0", "1"))
    assert (unknown.status, unknown.code) == (404, "not_found")
    assert rows() == [("A", 10, 2)]


# -- time -------------------------------------------------------------------------------------------------------------


def test_an_expired_reservation_counts_for_nothing(
    api: Api, stocked: Callable[..., int], available: Callable[[int], int], run_out: Callable[[str], None]
) -> None:
    product_id = stocked(A=10)
    reserved = reserve(api, product_id, 8).data
    run_out("hold")
    assert available(product_id) == 10
    [row] = api.get("/v1/inventory").data
    assert (row["reserved"], row["available"]) == (0, 10)
    found = api.get(f"/v1/inventory/reservations/{reserved['reservation_id']}").data
    assert (found["status"], found["allocations"][0]["state"]) == ("EXPIRED", "EXPIRED")
    assert len(api.get("/v1/inventory/reservations?status=EXPIRED").data) == 1
    assert api.get("/v1/inventory/reservations?status=RESERVED").data == []
    assert rows() == [("A", 10, 8)]  # the sweeper has not run yet


def test_a_reserve_reclaims_expired_units(
    api: Api, stocked: Callable[..., int], run_out: Callable[[str], None]
) -> None:
    product_id = stocked(A=10, B=2)
    reserve(api, product_id, 11)
    run_out("hold")
    assert reserve(api, product_id, 12, key="next").status == 200
    assert [row["idempotency_key"] for row in api.get("/v1/inventory/reservations?status=EXPIRED").data] == ["hold"]
    assert rows() == [("A", 10, 10), ("B", 2, 2)]


@pytest.mark.parametrize("swept", [False, True])
def test_too_late(api: Api, stocked: Callable[..., int], run_out: Callable[[str], None], swept: bool) -> None:
    reserve(api, stocked(A=10), 8)
    run_out("hold")
    if swept:
        tasks.sweep_holds()
    for verb in ("confirm", "ship", "ship", "confirm"):
        refused = command(api, verb)
        assert (refused.status, refused.code) == (409, "reservation_expired")
    for _ in range(2):
        released = command(api, "release")
        assert (released.status, released.data["status"], released.data["released_quantity"]) == (200, "EXPIRED", 0)


@pytest.mark.parametrize("swept", [False, True])
def test_partly_shipped_when_it_expires(
    api: Api, stocked: Callable[..., int], available: Callable[[int], int], run_out: Callable[[str], None], swept: bool
) -> None:
    product_id = stocked(A=4, B=10)
    reserved = reserve(api, product_id, 12).data
    shipped = command(api, "ship", warehouse="A").data
    run_out("hold")
    if swept:
        tasks.sweep_holds()
    found = api.get(f"/v1/inventory/reservations/{reserved['reservation_id']}").data
    assert (found["status"], [one["state"] for one in found["allocations"]]) == ("SHIPPED", ["SHIPPED", "EXPIRED"])
    for status, number in (("SHIPPED", 1), ("EXPIRED", 0), ("RESERVED", 0)):
        assert len(api.get(f"/v1/inventory/reservations?status={status}").data) == number
    assert command(api, "ship", warehouse="A").data["shipped_quantity"] == shipped["shipped_quantity"]
    assert command(api, "ship", warehouse="B").code == "reservation_expired"
    assert command(api, "ship").code == "reservation_expired"
    assert command(api, "confirm").code == "reservation_expired"
    assert command(api, "release").data["released_quantity"] == 0
    assert command(api, "release", warehouse="A").code == "invalid_transition"
    assert available(product_id) == 10
    assert reserve(api, product_id, 10, key="next").status == 200


@pytest.mark.parametrize("swept", [False, True])
def test_partly_released_when_it_expires(
    api: Api, stocked: Callable[..., int], run_out: Callable[[str], None], swept: bool
) -> None:
    reserved = reserve(api, stocked(A=4, B=10), 12).data
    command(api, "release", warehouse="A")
    run_out("hold")
    if swept:
        tasks.sweep_holds()
    assert command(api, "release").data["status"] == "EXPIRED"
    assert api.get(f"/v1/inventory/reservations/{reserved['reservation_id']}").data["status"] == "EXPIRED"
    assert command(api, "ship", warehouse="B").code == "reservation_expired"
    assert command(api, "ship", warehouse="A").code == "invalid_transition"


def test_the_sweeper_tidies_up_and_records_when(
    api: Api, stocked: Callable[..., int], run_out: Callable[[str], None]
) -> None:
    product_id = stocked(A=10, B=3)
    for key in ("one", "two", "three", "four", "five", "six"):
        reserve(api, product_id, 2, key=key)
    run_out("one")
    run_out("six")
    command(api, "confirm", "three")
    command(api, "ship", "four")
    command(api, "release", "five")
    expected = {"active": 1, "confirmed": 1, "expired": 2, "shipped": 1, "released": 1}
    before = api.get("/v1/inventory/reservations/status").data
    assert before["reservation_stats"] == {f"{name}_reservations": units for name, units in expected.items()}
    assert (before["expiring_in_1_hour"], before["cleanup_active"], before["last_cleanup_at"]) == (1, False, None)
    tasks.sweep_holds()
    after = api.get("/v1/inventory/reservations/status").data
    assert after["reservation_stats"] == before["reservation_stats"]
    assert after["cleanup_active"] is True
    assert after["last_cleanup_at"].endswith("Z")
    assert rows() == [("A", 8, 4), ("B", 3, 0)]
    tasks.sweep_holds()


def test_the_sweeper_works_in_batches(
    stocked: Callable[..., int], run_out: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = stocked(A=10)
    monkeypatch.setattr(sweeping, "SWEEP_BATCH", 2)
    for number in range(5):
        holds.reserve(key=f"h{number}", order_id="X", demand={product_id: 1}, seconds=60)
        run_out(f"h{number}")
    tasks.sweep_holds()
    assert rows() == [("A", 10, 0)]


def test_lists_of_reservations(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=10)
    reserve(api, product_id, 1, key="a")
    reserve(api, product_id, 1, key="b", order_id="X-2")
    command(api, "confirm", "a")
    assert [row["idempotency_key"] for row in api.get("/v1/inventory/reservations").data] == ["b", "a"]
    assert [row["idempotency_key"] for row in api.get("/v1/inventory/reservations?order_id=X-2").data] == ["b"]
    assert [row["idempotency_key"] for row in api.get("/v1/inventory/reservations?status=CONFIRMED").data] == ["a"]
    for identity in ("4711", "9" * 20, "abc"):
        assert api.get(f"/v1/inventory/reservations/{identity}").status == 404
