"""Stock and money in a process of their own: the workflows' own tests again, over HTTP, and what such a cut must do."""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from eci.identity import keys
from tests.contexts.orders.workflows.test_backward import (  # noqa: F401
    test_cancel_refunds_only_what_is_left,
    test_cancelling_a_paid_order_gives_stock_and_money_back,
    test_cancelling_while_the_provider_is_silent_ends_cancelled,
)
from tests.contexts.orders.workflows.test_forward import (  # noqa: F401
    test_a_declined_charge_leaves_the_order_waiting_for_another,
    test_pay_later_refuses_a_wrong_amount_and_a_second_charge,
    test_pay_later_waits_and_a_charge_carries_it_on,
    test_stock_and_parcels_of_an_order_change_only_through_it,
    test_warehouse_fulfilment_ships_what_staff_dispatches,
)
from tests.contexts.orders.workflows.test_placing import (  # noqa: F401
    test_a_declined_payment_cancels_and_frees_the_stock,
    test_a_refusal_is_kept_for_its_key,
    test_a_split_order_sends_one_shipping_notice_for_each_parcel,
    test_an_inactive_product_is_not_sold,
    test_an_order_is_paid_shipped_and_both_notices_are_sent,
    test_no_answer_and_nothing_done_is_a_decline_once_asked,
    test_no_answer_from_the_provider_settles_by_itself,
    test_the_answer_is_what_a_read_gives,
    test_the_same_key_gives_the_same_order,
    test_too_many_units_leave_no_trace,
    test_two_lines_of_one_product_are_one_demand,
)
from tests.contexts.orders.workflows.test_returning import (  # noqa: F401
    test_a_refund_by_staff_shows_on_the_order,
    test_returns_restock_refund_and_end_returned,
)
from tests.support import world
from tests.support.cut import PARTS, Cut, Service, cut
from tests.support.product import wait_until
from tests.support.shop import Shop

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.first(10)]


@pytest.fixture(scope="module")
def running(seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cut]:
    with cut(seed, tmp_path_factory.mktemp("two"), PARTS) as started:
        yield started


@pytest.fixture
def api(running: Cut) -> Iterator[Cut]:
    running.clear()
    yield running


def require_sound_books(cut: Cut, orders: int) -> None:
    """As ``manage.py audit`` sees them from the process of orders."""
    told = cut.of("orders").run(
        "from config.books.audit import look; seen = look(); print(seen.orders, seen.in_flight, seen.findings)"
    )
    assert told.stdout.strip() == f"{orders} 0 ()", told.stdout + told.stderr


def freeze_while_an_order_waits(cut: Cut, called: Service) -> set[str]:
    """Freeze the called process until it is seen that an order stays recorded and unfinished. The ids seen so."""
    file = Path(cut.of("orders").environment["ECI_DATA_DIR"]) / "orders.sqlite3"
    looks: Counter[str] = Counter()

    def waits() -> bool:
        with closing(sqlite3.connect(file)) as orders:
            looks.update(row[0] for row in orders.execute("SELECT order_id FROM orders_order WHERE status = 'PENDING'"))
        if not looks:
            called.thaw()
            called.freeze()
        return max(looks.values(), default=0) > 20

    called.freeze()
    wait_until(waits, 60, "an order waits")
    return set(looks)


def test_kill_9_of_the_called_process_under_load_loses_nothing_and_doubles_nothing(api: Cut, shop: Shop) -> None:
    back = api.services["back"]
    names = [uuid.uuid4().hex for _ in range(24)]
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(shop.order, 1, key=name) for name in names]
        wait_until(lambda: sum(future.done() for future in futures) >= 4, 60, "some orders are placed")
        under_way = freeze_while_an_order_waits(api, back)
        back.kill()
        first = [future.result() for future in futures]
    statuses = {answer.status for answer in first}
    assert {201} <= statuses <= {201, 202, 503}, Counter(answer.status for answer in first)
    refused = [answer for answer in first if answer.status == 503]
    assert {(answer.code, answer.headers["Retry-After"]) for answer in refused} <= {("context_unavailable", "2")}

    back.start()
    back.wait()
    api.hasten()
    api.settle()
    again = [shop.order(1, key=name) for name in names]
    assert {answer.status for answer in again} == {201}
    ids = [answer.data["order_id"] for answer in again]
    assert len(set(ids)) == len(names)
    acknowledged = {name: one.data["order_id"] for name, one in zip(names, first, strict=True) if one.status != 503}
    assert under_way <= set(acknowledged.values()), "what was recorded is told as an order, not refused"
    assert acknowledged.items() <= dict(zip(names, ids, strict=True)).items(), "what was acknowledged stands"
    assert shop.stock() == (76, 0, 76)
    assert shop.notices(ids[0]) == ["order_confirmation", "shipping_confirmation"]
    require_sound_books(api, len(names))


def test_while_the_called_process_is_away_reads_and_other_contexts_go_on(api: Cut, shop: Shop) -> None:
    order_id = shop.order().data["order_id"]
    back = api.services["back"]
    back.kill()
    try:
        assert api.get("/v1/products").status == 200
        assert shop.order(key="waits").status in (202, 503)
        assert api.get(f"/v1/orders/{order_id}").data["unavailable"] == ["inventory", "payments"]
        assert api.get("/v1/orders").status == 200
    finally:
        back.start()
        back.wait()
    api.hasten()
    assert shop.order().status == 201


def test_an_event_waits_for_a_consumer_that_is_away(api: Cut, shop: Shop) -> None:
    """A charge at the back while the front is away: the money is taken, the order goes on when it is there again."""
    order = shop.order(pay_later=True).data
    front = api.services["front"]
    front.kill()
    try:
        body = {"order_id": order["order_id"], "amount": order["order_total"]}
        assert api.post("/v1/payments/charge", body).status == 200
    finally:
        front.start()
        front.wait()
    assert shop.read(order["order_id"])["status"] == "AWAITING_PAYMENT"
    api.hasten()
    api.settle()
    assert shop.read(order["order_id"])["status"] == "SHIPPED"
    assert shop.notices(order["order_id"]) == ["order_confirmation", "shipping_confirmation"]
    require_sound_books(api, 1)


def test_access_tokens_are_verified_where_none_are_signed(api: Cut, shop: Shop) -> None:
    def bearer() -> dict[str, str]:
        login = api.post("/v1/users/login", {"email": "ann@example.com", "password": "pass123"}).data
        return {"Authorization": f"Bearer {login['access']}"}

    before = bearer()
    assert api.get("/v1/payments", **before).status == 200
    assert api.get("/v1/inventory", **before).status == 403
    rotated = api.of("customers").run("from django.core.management import call_command; call_command('rotate_keys')")
    assert rotated.returncode == 0, rotated.stderr
    after = bearer()
    assert after != before
    assert [api.get("/v1/payments", **login).status for login in (after, before)] == [200, 200]
    assert api.get("/v1/payments", Authorization="Bearer forged").status == 401
    refused = api.services["back"].run("from django.core.management import call_command; call_command('rotate_keys')")
    assert "signed where customers runs" in refused.stderr
    assert api.services["back"].api.page("/.well-known/jwks.json").status_code == 404


def test_a_process_whose_key_was_taken_away_calls_nobody(api: Cut, shop: Shop, running: Cut) -> None:
    known = running.callers / "front.pem"
    key = known.read_bytes()
    known.write_bytes(keys.public_pem(keys.new().public_key()))
    try:
        assert (shop.order().status, shop.stock()) == (202, (100, 0, 100))
    finally:
        known.write_bytes(key)
    api.hasten()
    api.settle()
    assert shop.stock() == (98, 0, 98), "the order was under way, and came to its end"
    require_sound_books(api, 1)
