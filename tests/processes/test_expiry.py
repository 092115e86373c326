"""Holds and deadlines that run out, with workers and without."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.support.api import Answer
from tests.support.product import DemoShop, Product, moment, running, wait_until
from tests.support.world import Seed

pytestmark = pytest.mark.e2e

SECONDS = 8
MARGIN = 0.05  # seconds after its end in which a hold may still count


@pytest.fixture(scope="module")
def hasty(demo_seed: Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product whose holds live for seconds."""
    data_dir = tmp_path_factory.mktemp("hasty") / "var"
    with running(demo_seed, data_dir, ECI_RESERVATION_SECONDS=str(SECONDS)) as started:
        yield started


@pytest.fixture(scope="module")
def abandoned(hasty: Product) -> Product:
    """The same product once worker and beat are dead: the test that uses it stands last."""
    hasty.kill_workers()
    return hasty


@pytest.fixture
def demo(hasty: Product) -> DemoShop:
    return DemoShop(hasty.api)


def pause_until(when: float) -> None:
    time.sleep(max(0.0, when - time.time()))


def check_that_units_can_be_had_again(demo: DemoShop, name: str) -> None:
    """A hold over two warehouses holds until its end, and nothing back from that instant."""
    product_id = demo.sell(f"HOLD-{name}", WH001=6, WH002=4)
    named = {"order_id": f"FIRST-{name}", "idempotency_key": f"first-{name}"}

    first = demo.api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 10, **named})
    assert first.status == 200
    end = moment(first.data["expires_at"])
    assert moment(first.json["timestamp"]) < end <= moment(first.json["timestamp"]) + SECONDS

    assert demo.api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 10}).status == 409
    pause_until(end - 1)
    while True:
        asked = time.time()
        second = demo.api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 10})
        answered = time.time()
        if second.status == 200:
            break
        assert second.code == "insufficient_stock"
        assert asked < end + MARGIN, f"refused {asked - end:.3f} s after the hold had run out"
    assert answered > end, "sold while it was held"
    assert demo.stock(product_id)[1:] == (10, 0)

    for command in ("ship", "confirm"):
        late = demo.api.post(f"/v1/inventory/{command}", named)
        assert (late.status, late.code) == (409, "reservation_expired")
    assert demo.stock(product_id)[0] == 10
    hold = demo.api.get(f"/v1/inventory/reservations/{first.data['reservation_id']}")
    assert hold.data["status"] == "EXPIRED"


def check_that_an_order_can_buy_them_too(demo: DemoShop, name: str) -> None:
    product_id = demo.sell(f"BUY-{name}", WH001=5)
    held = demo.api.post("/v1/inventory/reserve", {"product_id": product_id, "quantity": 5})
    assert demo.order(product_id, 1).code == "insufficient_stock"
    check_that_units_can_be_had_again(demo, name)  # which takes as long as a hold
    pause_until(moment(held.data["expires_at"]) + MARGIN)
    assert demo.order(product_id, 5).status == 201
    assert demo.stock(product_id) == (0, 0, 0)


def test_a_hold_that_has_run_out_is_sellable_at_once(demo: DemoShop) -> None:
    check_that_an_order_can_buy_them_too(demo, "workers")


def test_a_pay_later_order_nobody_pays_expires(hasty: Product, demo: DemoShop) -> None:
    product_id = demo.sell("UNPAID", price="20.00", WH001=5)

    placed = demo.order(product_id, 5, pay_later=True)

    assert placed.status == 201
    order_id, due = placed.data["order_id"], placed.data["order_total"]
    assert (placed.data["status"], placed.data["payment_status"]) == ("AWAITING_PAYMENT", "UNPAID")
    assert moment(placed.data["expires_at"]) <= moment(placed.json["timestamp"]) + SECONDS
    assert demo.stock(product_id) == (5, 5, 0)

    wait_until(lambda: demo.read(order_id)["status"] == "EXPIRED", SECONDS + 60, "the order expires")
    assert demo.stock(product_id) == (5, 0, 5)
    late = demo.api.post("/v1/payments/charge", {"order_id": order_id, "amount": due})
    assert (late.status, late.code) == (409, "reservation_expired")
    assert demo.read(order_id)["payments"] == []
    wait_until(lambda: demo.notices(order_id) == [("order_expired", "SENT")], 60, "one notice")


def test_a_pay_later_order_paid_in_time_is_shipped(hasty: Product, demo: DemoShop) -> None:
    product_id = demo.sell("PAID", price="20.00", WH001=5)
    placed = demo.order(product_id, 2, pay_later=True).data

    wrong = demo.api.post("/v1/payments/charge", {"order_id": placed["order_id"], "amount": "1.00"})
    assert (wrong.status, wrong.code) == (409, "amount_mismatch")
    charge = {"order_id": placed["order_id"], "amount": placed["order_total"]}
    charged = demo.api.post("/v1/payments/charge", charge)
    assert (charged.status, charged.data["status"]) == (200, "COMPLETED")

    wait_until(lambda: demo.read(placed["order_id"])["status"] == "SHIPPED", 60, "the order goes on")
    assert demo.read(placed["order_id"])["payment_status"] == "PAID"
    assert demo.stock(product_id) == (3, 0, 3)
    twice = demo.api.post("/v1/payments/charge", charge)
    assert (twice.status, twice.code) == (409, "already_paid")
    both = [("order_confirmation", "SENT"), ("shipping_confirmation", "SENT")]
    wait_until(lambda: demo.notices(placed["order_id"]) == both, 60, "both notices")


def test_charges_in_the_last_moment_either_pay_or_are_refused(hasty: Product, demo: DemoShop) -> None:
    product_id = demo.sell("RACE", price="20.00", WH001=20)
    orders = [demo.order(product_id, 1, pay_later=True).data for _ in range(12)]

    def charge(number: int) -> Answer:
        order = orders[number]
        pause_until(moment(order["expires_at"]) + (number - 6) * 0.05)
        return demo.api.post(
            "/v1/payments/charge", {"order_id": order["order_id"], "amount": order["order_total"]}, key=f"race-{number}"
        )

    with ThreadPoolExecutor(len(orders)) as pool:
        answers = list(pool.map(partial(charge), range(len(orders))))

    assert {answer.status for answer in answers} <= {200, 409}
    assert {answer.code for answer in answers if answer.status == 409} <= {"reservation_expired"}
    ended = {"SHIPPED", "EXPIRED"}
    wait_until(lambda: {demo.read(order["order_id"])["status"] for order in orders} <= ended, 60, "all have ended")
    for order, answer in zip(orders, answers, strict=True):
        read = demo.read(order["order_id"])
        assert (read["status"], read["payment_status"]) == (
            ("SHIPPED", "PAID") if answer.status == 200 else ("EXPIRED", "UNPAID")
        )
    paid = Counter(answer.status for answer in answers)[200]
    assert demo.stock(product_id) == (20 - paid, 0, 20 - paid)
    hasty.require_sound_books()


def test_without_workers_a_hold_is_sellable_at_once_and_a_charge_after_the_deadline_is_refused(
    abandoned: Product, demo: DemoShop
) -> None:
    product_id = demo.sell("LATE", price="20.00", WH001=5)
    placed = demo.order(product_id, 1, pay_later=True).data
    check_that_an_order_can_buy_them_too(demo, "nobody")
    pause_until(moment(placed["expires_at"]) + MARGIN)

    late = demo.api.post(
        "/v1/payments/charge", {"order_id": placed["order_id"], "amount": placed["order_total"]}, key="late"
    )

    assert (late.status, late.code) == (409, "reservation_expired")
    assert demo.read(placed["order_id"])["payments"] == []
