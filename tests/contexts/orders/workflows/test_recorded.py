"""Once an order, a cancellation or a return is recorded, its caller gets a 202 and recovery carries it on: a 503 means
that nothing was done and nothing will be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.models.functions import Now

from contexts.orders import services
from contexts.orders.models import Order
from contexts.orders.workflows import placing
from eci.calls import remote, rpc
from eci.db import CommitUnknown
from eci.errors import ContextUnavailable
from tests.support.crashes import later
from tests.support.shop import Shop

AT_ONCE = [("automatic", "SHIPPED", *command) for command in (("inventory", "reserve"), ("payments", "charge"))]
BY_STAFF = [
    ("warehouse", "CONFIRMED", *command)
    for command in (
        ("inventory", "reserve"),
        ("payments", "authorise"),
        ("inventory", "confirm"),
        ("shipping", "create"),
        ("payments", "capture"),
    )
]


@contextmanager
def failing(context: str, command: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Iterator[None]:
    def fail(**arguments: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(rpc.served(context)[1], command, fail)
        yield


@contextmanager
def lost_after(write: str, monkeypatch: pytest.MonkeyPatch, *, tells: bool = True) -> Iterator[None]:
    """The database of orders answers nothing any more once this write is committed. ``tells``: but to that."""
    lost = False

    def lose(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if lost and sql.split(None, 1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    commit = getattr(services, write)

    def then_lost(**asked: Any) -> Any:
        nonlocal lost
        done = commit(**asked)
        lost = True
        if not tells:
            raise CommitUnknown("server closed the connection unexpectedly")
        return done

    with monkeypatch.context() as patch, connections["orders"].execute_wrapper(lose):
        patch.setattr(services, write, then_lost)
        yield


@pytest.mark.parametrize(("fulfilment", "end", "context", "command"), [*AT_ONCE, *BY_STAFF])
@pytest.mark.parametrize("error", [ContextUnavailable("away"), OperationalError("gone"), RuntimeError("broken")])
@pytest.mark.parametrize("key", [None, "mine"])
def test_an_order_whose_participant_is_away_is_a_202_and_one_order(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    fulfilment: str,
    end: str,
    context: str,
    command: str,
    error: Exception,
    key: str | None,
) -> None:
    with failing(context, command, monkeypatch, error):
        answer = shop.order(2, key=key, fulfilment=fulfilment)
    assert answer.status == 202
    assert answer.data["status"] == "PAYMENT_PENDING"
    assert [item["quantity"] for item in answer.data["items"]] == [2]
    assert [order["order_id"] for order in shop.api.get("/v1/orders").data] == [answer.data["order_id"]]
    later()
    assert shop.read(answer.data["order_id"])["status"] == end
    assert shop.stock() == ((98, 0, 98) if end == "SHIPPED" else (100, 2, 98))
    if key:
        replay = shop.order(2, key=key, fulfilment=fulfilment)
        assert (replay.status, replay.data["status"]) == (201, end)
        assert Order.objects.count() == 1


@pytest.mark.parametrize(("context", "command"), [("shipping", "send"), ("inventory", "ship")])
@pytest.mark.parametrize("error", [ContextUnavailable("away"), OperationalError("gone"), RuntimeError("broken")])
def test_an_order_that_is_paid_is_so_at_once_and_leaves_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, context: str, command: str, error: Exception
) -> None:
    with failing(context, command, monkeypatch, error):
        answer = shop.order(2, key="mine")
    assert (answer.status, answer.data["status"], answer.data["payment_status"]) == (201, "CONFIRMED", "PAID")
    later()
    assert shop.read(answer.data["order_id"])["status"] == "SHIPPED"
    assert shop.stock() == (98, 0, 98)
    assert shop.notices(answer.data["order_id"]) == ["order_confirmation", "shipping_confirmation"]


def test_what_has_left_before_it_was_recorded_is_not_cancelled(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runner died between sending it and recording that, and meanwhile its buyer asks for it to be cancelled."""
    order_id = _died_after("shipping", "send", shop, monkeypatch)
    answer = shop.api.post(f"/v1/orders/{order_id}/cancel", {})
    assert answer.status == 202
    later()
    order = shop.read(order_id)
    assert (order["status"], order["payment_status"]) == ("SHIPPED", "PAID")
    assert [entry["event"] for entry in order["timeline"]] == ["placed", "cancellation_refused", "confirmed", "shipped"]
    assert shop.stock() == (98, 0, 98)


def test_what_was_paid_before_it_was_recorded_is_cancelled_and_refunded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = _died_after("payments", "charge", shop, monkeypatch)
    assert shop.api.post(f"/v1/orders/{order_id}/cancel", {}).status == 202
    later()
    order = shop.read(order_id)
    assert (order["status"], order["payment_status"]) == ("CANCELLED", "REFUNDED")
    assert shop.stock() == (100, 0, 100)


def test_units_that_a_count_takes_from_what_is_paid_keep_it_from_leaving(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runner died after the charge; before it is walked again, a count finds nothing."""
    order_id = _died_after("payments", "charge", shop, monkeypatch)
    [row] = shop.api.get(f"/v1/inventory?product_id={shop.product_id}").data
    count = {"onhand": 0, "reason": "count", "force": True}
    assert shop.api.patch(f"/v1/inventory/{row['inventory_id']}", count).status == 200
    later()
    order = shop.read(order_id)
    assert (order["status"], order["payment_status"]) == ("CONFIRMED", "PAID")
    assert [parcel["withheld"] for parcel in order["shipments"]] == [["short"]]
    assert shop.api.patch(f"/v1/inventory/{row['inventory_id']}", {"onhand": 5, "reason": "found"}).status == 200
    later()
    assert shop.read(order_id)["status"] == "SHIPPED"
    assert shop.stock() == (3, 0, 3)


class _Killed(BaseException):
    pass


def _died_after(context: str, command: str, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> str:
    """Place an order whose runner dies as soon as this command is done, and let its lease run out."""
    served = rpc.served(context)[1]
    done = getattr(served, command)

    def then_killed(**asked: Any) -> Any:
        done(**asked)
        raise _Killed

    with monkeypatch.context() as patch, pytest.raises(_Killed):
        patch.setattr(served, command, then_killed)
        shop.order(2)
    Order.objects.update(lease_until=Now())
    return str(Order.objects.get().pk)


def test_four_answers_of_an_order_that_waits_are_one_order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with failing("payments", "charge", monkeypatch, ContextUnavailable("away")):
        answers = [shop.order(2, key="mine") for _ in range(4)]
    assert [answer.status for answer in answers] == [202] * 4
    assert len({answer.data["order_id"] for answer in answers}) == 1


@pytest.mark.parametrize(("write", "fulfilment"), [("create_order", "automatic"), ("record_confirmed", "warehouse")])
def test_an_order_is_a_202_though_its_own_database_is_lost(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, write: str, fulfilment: str
) -> None:
    with lost_after(write, monkeypatch):
        answer = shop.order(2, key="mine", fulfilment=fulfilment)
    assert answer.status == (202 if write == "create_order" else 201)
    assert answer.data["status"] == ("PENDING" if write == "create_order" else "CONFIRMED")
    later()
    replay = shop.order(2, key="mine", fulfilment=fulfilment)
    assert (replay.status, replay.data["status"]) == (201, "SHIPPED" if fulfilment == "automatic" else "CONFIRMED")
    assert replay.data["order_id"] == answer.data["order_id"]
    assert shop.stock() == ((98, 0, 98) if fulfilment == "automatic" else (100, 2, 98))


def test_an_order_that_somebody_was_told_of_does_not_vanish_for_want_of_stock(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing("inventory", "reserve", monkeypatch, ContextUnavailable("away")):
        told = shop.order(60, key="late")
    assert told.status == 202
    assert shop.order(60).status == 201
    later()
    order = shop.read(told.data["order_id"])
    assert (order["status"], order["payment_status"]) == ("CANCELLED", "UNPAID")
    assert shop.notices(order["order_id"]) == ["order_cancellation"]
    replay = shop.order(60, key="late")
    assert (replay.status, replay.code) == (409, "insufficient_stock")
    assert replay.details["order_id"] == told.data["order_id"]


def test_an_order_of_which_nobody_could_record_that_somebody_was_told_does_not_vanish(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = failing("inventory", "reserve", monkeypatch, ContextUnavailable("away"))
    with lost_after("create_order", monkeypatch), away:
        told = shop.order(60, key="late")
    assert told.status == 202
    assert shop.order(60).status == 201
    later()
    assert shop.read(told.data["order_id"])["status"] == "CANCELLED"
    replay = shop.order(60, key="late")
    assert (replay.status, replay.code) == (409, "insufficient_stock")
    assert replay.details["order_id"] == told.data["order_id"]


@contextmanager
def unknown(
    committed: bool, monkeypatch: pytest.MonkeyPatch, *, meanwhile: Callable[[], Any] = tuple, times: int = 1
) -> Iterator[None]:
    """The first COMMITs of an order tell nothing. ``meanwhile``: what happens before anybody asks again. ``committed``:
    the last of them was done."""
    create = services.create_order
    told = 0

    def tell_nothing_at_first(**asked: Any) -> Any:
        nonlocal told
        told += 1
        if told > times:
            return create(**asked)
        if committed and told == times:
            create(**asked)
        meanwhile()
        raise CommitUnknown("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(services, "create_order", tell_nothing_at_first)
        yield


@pytest.mark.parametrize("key", [None, "mine"])
@pytest.mark.parametrize(("committed", "times"), [(True, 1), (False, 1), (True, 3)])
def test_a_commit_that_tells_nothing_is_an_order_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, committed: bool, times: int, key: str | None
) -> None:
    with unknown(committed, monkeypatch, times=times):
        answer = shop.order(2, key=key)
    assert (answer.status, answer.data["status"]) == (201, "SHIPPED")
    assert [order["order_id"] for order in shop.api.get("/v1/orders").data] == [answer.data["order_id"]]
    assert shop.stock() == (98, 0, 98)
    assert shop.read(answer.data["order_id"])["items"] == answer.data["items"]
    if key:
        assert shop.order(2, key=key).data["order_id"] == answer.data["order_id"]


def test_after_a_commit_that_told_nothing_a_key_or_reference_may_be_anothers(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unknown(False, monkeypatch, meanwhile=lambda: shop.order(1, key="mine")):
        assert shop.order(1, key="mine").status == 201
    assert Order.objects.count() == 1
    with unknown(False, monkeypatch, meanwhile=lambda: shop.order(1, reference="PO-1")):
        assert shop.order(1, reference="PO-1").code == "duplicate_reference"
    assert shop.stock() == (98, 0, 98)


@pytest.mark.parametrize("key", [None, "mine"])
def test_of_what_nobody_knows_nobody_says_that_it_is_not_there(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """The database of orders is lost at COMMIT, and stays away."""
    monkeypatch.setattr(placing.time, "sleep", lambda seconds: None)
    with lost_after("create_order", monkeypatch, tells=False):
        answer = shop.order(2, key=key, reference="PO-1")
    assert (answer.status, answer.code) == (409, "idempotency_in_progress")
    assert answer.headers["Retry-After"] and (key or "reference" in answer.json["error"])
    later()
    [order] = shop.api.get("/v1/orders?reference=PO-1").data
    assert order["status"] == "SHIPPED"
    if key:
        assert shop.order(2, key=key, reference="PO-1").data["order_id"] == order["order_id"]


@pytest.mark.parametrize("key", [None, "mine"])
def test_nor_is_anybody_given_an_order_that_may_be_discarded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    with lost_after("discard_order", monkeypatch, tells=False):
        answer = shop.order(101, key=key)
    assert (answer.status, answer.code) == (409, "idempotency_in_progress")
    assert Order.objects.count() == 0
    if key:
        replay = shop.order(101, key=key)
        assert (replay.status, replay.code) == (409, "insufficient_stock")


def test_an_order_that_another_runner_took_over_meanwhile_is_left_to_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unknown(True, monkeypatch, meanwhile=later):
        answer = shop.order(2)
    assert (answer.status, answer.data["status"]) == (201, "SHIPPED")
    assert shop.stock() == (98, 0, 98)
    assert shop.notices(answer.data["order_id"]) == ["order_confirmation", "shipping_confirmation"]


def test_a_503_leaves_nothing_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with failing("catalog", "products", monkeypatch, ContextUnavailable("away")):
        answer = shop.order(2)
    assert (answer.status, answer.code) == (503, "context_unavailable")
    assert Order.objects.count() == 0


def test_what_is_known_to_be_away_is_refused_before_anything_is_recorded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(remote, "_breakers", type(remote._breakers)(remote._Breaker))
    for _ in range(remote.FAILURES):
        remote._breakers["payments"].failed()
    settings.ECI_SERVICES = settings.ECI_SERVICES | {"payments": "http://payments.example"}
    assert shop.order(2).status == 503
    assert Order.objects.count() == 0


@pytest.mark.parametrize("key", [None, "c"])
def test_a_cancellation_that_is_recorded_is_a_202(shop: Shop, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    order = shop.order(2, fulfilment="warehouse").data
    path = f"/v1/orders/{order['order_id']}/cancel"
    with lost_after("request_cancel", monkeypatch):
        answer = shop.api.post(path, {}, key=key)
    assert (answer.status, answer.data["status"]) == (202, "CONFIRMED")
    assert answer.data["items"] == order["items"]
    later()
    assert shop.read(order["order_id"])["status"] == "CANCELLED"
    done = shop.api.post(path, {}, key=key)
    assert (done.status, done.data["status"]) == (200, "CANCELLED")


@pytest.mark.parametrize("context", ["inventory", "payments", "shipping"])
def test_a_cancellation_whose_participants_are_away_is_a_202(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, context: str
) -> None:
    order_id = shop.order(2, fulfilment="warehouse").data["order_id"]
    command = "release" if context == "inventory" else "cancel"
    with failing(context, command, monkeypatch, ContextUnavailable("away")):
        assert shop.api.post(f"/v1/orders/{order_id}/cancel", {}, key="c").status == 202
    later()
    assert shop.api.post(f"/v1/orders/{order_id}/cancel", {}, key="c").data["status"] == "CANCELLED"


@pytest.mark.parametrize("key", [None, "r"])
def test_a_return_that_is_recorded_is_a_202(shop: Shop, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    order_id = shop.order(2).data["order_id"]
    path = f"/v1/orders/{order_id}/returns"
    body = {"items": [{"product_id": shop.product_id, "quantity": 2}], "reason": "r"}
    with lost_after("open_return", monkeypatch):
        answer = shop.api.post(path, body, key=key)
    assert (answer.status, answer.data["refund"]) == (202, "209.98")
    later()
    assert shop.read(order_id)["status"] == "RETURNED"
    if key:
        assert shop.api.post(path, body, key=key).status == 201


def test_a_read_answers_with_what_it_has(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id = shop.order(2).data["order_id"]
    with failing("payments", "payments_of", monkeypatch, ContextUnavailable("away")):
        answer = shop.api.get(f"/v1/orders/{order_id}")
    assert (answer.status, answer.data["payments"], answer.data["unavailable"]) == (200, None, ["payments"])
    assert answer.data["shipments"]
    assert shop.read(order_id)["unavailable"] == []
