"""Many at once: nothing is sold twice, nothing is lost, one key has one effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.api import Answer
from tests.support.product import DemoShop, Product, at_once, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

TIMES = 50


def test_a_hundred_buyers_of_fifty_units(product: Product, demo: DemoShop) -> None:
    product_id = demo.sell("CROWD", WH001=50)

    answers = at_once([lambda: demo.order(product_id)] * 100, threads=16)

    assert Counter(answer.status for answer in answers) == {201: 50, 409: 50}
    assert {answer.code for answer in answers if answer.status == 409} == {"insufficient_stock"}
    assert demo.stock(product_id) == (0, 0, 0)
    sold = [answer.data for answer in answers if answer.status == 201]
    assert {(order["status"], order["payment_status"]) for order in sold} == {("SHIPPED", "PAID")}
    assert len({order["order_id"] for order in sold}) == 50
    product.require_sound_books()


def test_orders_that_must_split_over_two_warehouses(product: Product, demo: DemoShop) -> None:
    product_id = demo.sell("SPLIT", WH001=51, WH002=49)

    answers = at_once([lambda: demo.order(product_id, 1, 2)] * 60, threads=16)

    assert Counter(answer.status for answer in answers) == {201: 33, 409: 27}
    assert {answer.code for answer in answers if answer.status == 409} == {"insufficient_stock"}
    assert demo.stock(product_id) == (1, 0, 1)
    for order in (answer.data for answer in answers if answer.status == 201):
        allocations = order["reservation"]["allocations"]
        assert sum(allocation["quantity"] for allocation in allocations) == 3
        assert {shipment["warehouse"] for shipment in order["shipments"]} == {
            allocation["warehouse"] for allocation in allocations
        }
    product.require_sound_books()


def one_effect(send: Callable[[], Answer], success: int) -> Answer:
    """Send it many times at once: one is answered first, the others repeat it or are told to wait. The answer."""
    answers = at_once([send] * TIMES, threads=TIMES)
    done = [answer for answer in answers if answer.status == success]
    waiting = [answer for answer in answers if answer.status != success]
    assert {(answer.status, answer.code) for answer in waiting} <= {(409, "idempotency_in_progress")}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in waiting)
    first = [answer for answer in done if answer.headers.get("Idempotent-Replayed") != "true"]
    assert len(first) == 1
    assert all(answer.data == first[0].data for answer in done)
    again = send()
    assert (again.status, again.headers["Idempotent-Replayed"]) == (success, "true")
    assert again.data == first[0].data
    return first[0]


def test_one_key_places_one_order(demo: DemoShop) -> None:
    product_id = demo.sell("ONE-ORDER", WH001=100)

    placed = one_effect(lambda: demo.order(product_id, 2, key="one-order"), 201)

    assert demo.stock(product_id) == (98, 0, 98)
    assert [payment["status"] for payment in demo.read(placed.data["order_id"])["payments"]] == ["COMPLETED"]
    other = demo.order(product_id, 3, key="one-order")
    assert (other.status, other.code) == (422, "idempotency_key_reused")


def test_one_key_reserves_once(demo: DemoShop) -> None:
    product_id = demo.sell("ONE-HOLD", WH001=100)
    body = {"product_id": product_id, "quantity": 2, "order_id": "ONE-HOLD", "idempotency_key": "one-hold"}

    one_effect(lambda: demo.api.post("/v1/inventory/reserve", body), 200)

    assert demo.stock(product_id) == (100, 2, 98)
    assert len(demo.api.get("/v1/inventory/reservations?order_id=ONE-HOLD").data) == 1


def test_one_key_charges_once_and_refunds_once(demo: DemoShop) -> None:
    charge = {"order_id": "ONE-CHARGE", "amount": 1299.99}
    payment = one_effect(lambda: demo.api.post("/v1/payments/charge", charge, key="one-charge"), 200).data

    assert len(demo.api.get("/v1/payments?order_id=ONE-CHARGE").data) == 1

    refund = {"amount": "100.00", "reason": "scratched"}
    path = f"/v1/payments/{payment['payment_id']}"
    one_effect(lambda: demo.api.post(f"{path}/refund", refund, key="one-refund"), 200)

    refunded = demo.api.get(path).data
    assert (refunded["refunded"], refunded["status"]) == ("100.00", "PARTIALLY_REFUNDED")


def test_one_key_returns_once(demo: DemoShop) -> None:
    product_id = demo.sell("ONE-RETURN", WH001=10)
    order_id = demo.order(product_id, 1).data["order_id"]
    body = {"items": [{"product_id": product_id, "quantity": 1}], "reason": "too small"}

    one_effect(lambda: demo.api.post(f"/v1/orders/{order_id}/returns", body, key="one-return"), 201)

    assert demo.stock(product_id) == (10, 0, 10)
    assert demo.read(order_id)["payments"][0]["refunded"] == "10.50"


def test_one_key_for_a_refused_order_keeps_its_refusal(demo: DemoShop) -> None:
    product_id = demo.sell("ONE-REFUSAL", WH001=5)

    answers = at_once([lambda: demo.order(product_id, 6, key="one-refusal")] * 20, threads=20)

    assert {answer.status for answer in answers} == {409}
    assert {answer.code for answer in answers} <= {"insufficient_stock", "idempotency_in_progress"}
    again = demo.order(product_id, 6, key="one-refusal")
    assert (again.code, again.headers["Idempotent-Replayed"]) == ("insufficient_stock", "true")
    assert demo.stock(product_id) == (5, 0, 5)


def test_a_file_of_a_delivery_is_booked_once(demo: DemoShop) -> None:
    product_id = demo.sell("DELIVERY", WH001=1)
    form = (
        b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\nreceipts\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="delivery.csv"\r\n\r\n'
        b"sku,warehouse,quantity\nDELIVERY,WH001,5\n\r\n--x--\r\n"
    )
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    sent = [demo.api.post("/v1/imports", form, **multipart).data["import_id"] for _ in range(8)]

    def all_are(*statuses: str) -> bool:
        return all(demo.api.get(f"/v1/imports/{one}").data["status"] in statuses for one in sent)

    wait_until(lambda: all_are("READY"), 60)

    answers = at_once([partial(demo.api.post, f"/v1/imports/{one}/apply") for one in sent], threads=8)

    assert Counter(answer.status for answer in answers) == {202: 1, 409: 7}
    assert {answer.code for answer in answers if answer.status == 409} == {"questions_open"}
    wait_until(lambda: all_are("READY", "APPLIED"), 60)
    assert demo.stock(product_id) == (6, 0, 6)


def test_the_race_that_anybody_can_run(product: Product) -> None:
    race = ("drop", "--units", "5", "--buyers", "12", "--at-once", "6", "--url", product.url)
    for warehouse in ("made", "open again"):
        done = product.manage(*race)
        assert done.returncode == 0, (warehouse, done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 buyers for 5 units: 5 sold, 7 refused." in done.stdout
    assert "Units that can still be sold: 0." in done.stdout
    assert "The books agree: " in done.stdout
    assert not product.api.get("/v1/warehouses/DROP").data["is_active"]
