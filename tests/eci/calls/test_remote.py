"""Calls of a context in another process that is slow, away, broken or not what it should be."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from django.test import Client

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import ProductNotFound
from contexts.inventory.composed import products_like, products_of
from contexts.orders.public.events import OrderConfirmed
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentUnknown
from eci import outbox
from eci.calls import bulkheads, remote, rpc, wire
from eci.db import unit_of_work
from eci.errors import ContextUnavailable
from eci.outbox import Delivery
from tests.support.elsewhere import DROP, Elsewhere, Reply
from tests.support.product import free_port

pytestmark = pytest.mark.any_engine


@pytest.fixture
def elsewhere(settings: Any) -> Iterator[Elsewhere]:
    server = Elsewhere()
    place(settings, server.url)
    remote.forget_failures()
    remote._http.cache_clear()
    remote._http(os.getpid())  # threads that begin at once would each make one
    yield server
    remote.forget_failures()
    remote._http(os.getpid()).close()
    remote._http.cache_clear()
    server.stop()


def place(settings: Any, url: str) -> None:
    settings.ECI_SERVICES = settings.ECI_SERVICES | {"catalog": url}


def test_a_call_and_its_answer(elsewhere: Elsewhere) -> None:
    elsewhere.replies = [(200, b"[5, 7]")]
    with structlog.contextvars.bound_contextvars(request_id="request-1"):
        assert catalog.known_products(product_ids=(5, 6, 7)) == {5, 7}
    ((path, headers, body),) = elsewhere.requests
    assert (path, json.loads(body)) == ("/internal/v1/catalog/known_products", {"product_ids": [5, 6, 7]})
    assert headers["Authorization"].startswith("Bearer ey")
    assert headers["X-Request-ID"] == "request-1"


def test_a_refusal_of_the_contract_is_raised_here(elsewhere: Elsewhere) -> None:
    elsewhere.replies = [(422, wire.write_error(ProductNotFound("There is no product 5.", product_id=5)))]
    with pytest.raises(ProductNotFound, match="no product 5") as refusal:
        catalog.products(product_ids=[5])
    assert refusal.value.details == {"product_id": 5}
    assert len(elsewhere.requests) == 1


def test_what_is_unfinished_there_is_unfinished_here(elsewhere: Elsewhere, settings: Any) -> None:
    settings.ECI_SERVICES = settings.ECI_SERVICES | {"payments": elsewhere.url}
    elsewhere.replies = [(422, wire.write_error(PaymentUnknown("Ask again.", order_id="ORD-1")))]
    with pytest.raises(PaymentUnknown, match="Ask again") as unfinished:
        payments.capture(order_id="ORD-1")
    assert unfinished.value.details == {"order_id": "ORD-1"}
    assert len(elsewhere.requests) == 1


def test_calls_share_a_connection(elsewhere: Elsewhere) -> None:
    for _ in range(5):
        catalog.known_products(product_ids=[1])
    assert (len(elsewhere.requests), len(elsewhere.connections)) == (5, 1)


@pytest.mark.parametrize("trouble", [DROP, (502, b""), (503, b""), (504, b"")])
def test_what_passes_is_tried_again_with_another_token(elsewhere: Elsewhere, trouble: Reply) -> None:
    elsewhere.replies = [trouble, trouble, (200, b"[1]")]
    assert catalog.known_products(product_ids=[1]) == {1}
    tokens = [headers["Authorization"] for _, headers, _ in elsewhere.requests]
    assert (len(tokens), len(set(tokens))) == (3, 3)


def test_but_not_for_ever(elsewhere: Elsewhere) -> None:
    elsewhere.replies = [DROP]
    with pytest.raises(ContextUnavailable) as refusal:
        catalog.known_products(product_ids=[1])
    assert (refusal.value.status, refusal.value.code, refusal.value.retry_after) == (503, "context_unavailable", 2)
    assert len(elsewhere.requests) == remote.ATTEMPTS


def test_nobody_there(settings: Any, elsewhere: Elsewhere) -> None:
    place(settings, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ContextUnavailable):
        catalog.known_products(product_ids=[1])


def test_no_answer_in_time_is_not_asked_for_twice(settings: Any, elsewhere: Elsewhere) -> None:
    answered = threading.Event()

    def late() -> tuple[int, bytes]:
        answered.wait(10)
        return 200, b"[]"

    settings.ECI_SERVICE_TIMEOUT = 0.1
    elsewhere.replies = [late]
    with pytest.raises(ContextUnavailable):
        catalog.known_products(product_ids=[1])
    answered.set()
    assert len(elsewhere.requests) == 1


def test_what_is_not_needed_is_not_waited_for_long(
    settings: Any, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of stock without names, rather than none for eight seconds."""
    answered = threading.Event()

    def late() -> tuple[int, bytes]:
        answered.wait(10)
        return 200, b"{}"

    settings.ECI_SERVICE_TIMEOUT = 30
    monkeypatch.setattr(remote, "BRIEF_TIMEOUT", 0.1)
    elsewhere.replies = [late]
    assert products_of(product_ids=[1]) is None
    assert products_like(text="lamp") == ()
    answered.set()
    assert len(elsewhere.requests) == 2


@pytest.mark.parametrize(("threads", "at_once"), [(4, 3), (2, 1), (1, 1)])
def test_one_that_hangs_does_not_keep_the_last_thread(
    elsewhere: Elsewhere, settings: Any, monkeypatch: pytest.MonkeyPatch, threads: int, at_once: int
) -> None:
    begun, answered = threading.Semaphore(0), threading.Event()

    def late() -> tuple[int, bytes]:
        begun.release()
        answered.wait(30)
        return 200, b"[1]"

    settings.ECI_SERVICE_TIMEOUT = 30
    monkeypatch.setattr(bulkheads, "_threads", threads)
    monkeypatch.setattr(bulkheads, "PATIENCE", 0.05)
    monkeypatch.setattr(bulkheads, "KNOWN", 0.05)
    elsewhere.replies = [late]
    with ThreadPoolExecutor(at_once) as pool:
        waiting = [pool.submit(catalog.known_products, product_ids=[1]) for _ in range(at_once)]
        for _ in range(at_once):
            begun.acquire()
        with pytest.raises(ContextUnavailable) as refusal:
            catalog.known_products(product_ids=[1])
        assert (refusal.value.status, len(elsewhere.requests)) == (503, at_once), "nothing was asked of it"
        with pytest.raises(ContextUnavailable):
            rpc.require_reachable("catalog")
        answered.set()
        assert [one.result() for one in waiting] == [{1}] * at_once
    assert catalog.known_products(product_ids=[1]) == {1}
    rpc.require_reachable("catalog")


def test_calls_that_are_answered_make_nobody_give_up(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulkheads, "_threads", 2)
    elsewhere.replies = [(200, b"[1]")]
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(catalog.known_products, product_ids=[1]) for _ in range(80)]
        assert [call.result() for call in calls] == [{1}] * 80


@pytest.mark.parametrize("answer", [(200, b"<html>"), (422, b"{}"), (401, b"{}"), (404, b"{}"), (301, b""), (413, b"")])
def test_an_answer_that_is_none_of_ours_is_a_context_out_of_reach(elsewhere: Elsewhere, answer: Reply) -> None:
    elsewhere.replies = [answer]
    with pytest.raises(ContextUnavailable):
        catalog.known_products(product_ids=[1])
    assert len(elsewhere.requests) == 1, "asking again would change nothing"


@pytest.mark.parametrize("status", [400, 500])
def test_what_breaks_there_is_an_error_here(elsewhere: Elsewhere, status: int) -> None:
    elsewhere.replies = [(status, b"{}")]
    with pytest.raises(remote.RemoteFailure):
        catalog.known_products(product_ids=[1])
    assert len(elsewhere.requests) == 1


class TestBreaker:
    def test_a_context_that_stays_away_is_left_alone_for_a_while(
        self, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        elsewhere.replies = [DROP]
        for _ in range(4):
            with pytest.raises(ContextUnavailable):
                catalog.known_products(product_ids=[1])
        assert len(elsewhere.requests) == remote.FAILURES

        monkeypatch.setattr(remote, "PAUSE", 0.0)
        self.let_the_pause_pass()
        elsewhere.replies = [(200, b"[1]")]
        assert catalog.known_products(product_ids=[1]) == {1}
        assert catalog.known_products(product_ids=[1]) == {1}

    def test_one_call_finds_out_for_all(self, elsewhere: Elsewhere) -> None:
        elsewhere.replies = [DROP]
        for _ in range(2):
            with pytest.raises(ContextUnavailable):
                catalog.known_products(product_ids=[1])
        self.let_the_pause_pass()
        before = len(elsewhere.requests)
        for _ in range(3):
            with pytest.raises(ContextUnavailable):
                catalog.known_products(product_ids=[1])
        assert len(elsewhere.requests) == before + 1

    def test_half_open_lets_one_call_through_and_it_decides_for_all(self, elsewhere: Elsewhere) -> None:
        elsewhere.replies = [DROP]
        assert remote.breaker("catalog") == "closed"
        for _ in range(2):
            with pytest.raises(ContextUnavailable):
                catalog.known_products(product_ids=[1])
        assert remote.breaker("catalog") == "open"
        self.let_the_pause_pass()
        assert remote.breaker("catalog") == "half-open"

        asked, answered = threading.Event(), threading.Event()

        def slowly() -> tuple[int, bytes]:
            asked.set()
            answered.wait(20)
            return 200, b"[1]"

        elsewhere.replies, elsewhere.requests = [slowly], []
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(catalog.known_products, product_ids=[1])
            assert asked.wait(20)
            for _ in range(5):  # while it is under way
                with pytest.raises(ContextUnavailable):
                    catalog.known_products(product_ids=[1])
            answered.set()
            assert first.result() == {1}
        assert len(elsewhere.requests) == 1
        assert remote.breaker("catalog") == "closed"
        assert catalog.known_products(product_ids=[1]) == {1}

    def test_a_refusal_is_no_failure(self, elsewhere: Elsewhere) -> None:
        elsewhere.replies = [(422, wire.write_error(ProductNotFound("No.", product_id=5)))]
        for _ in range(2 * remote.FAILURES):
            with pytest.raises(ProductNotFound):
                catalog.products(product_ids=[5])
        assert len(elsewhere.requests) == 2 * remote.FAILURES

    def let_the_pause_pass(self) -> None:
        remote._breakers["catalog"]._next_try = 0.0


def test_not_inside_a_transaction(elsewhere: Elsewhere) -> None:
    with unit_of_work("orders"), pytest.raises(RuntimeError, match="inside a transaction"):
        catalog.known_products(product_ids=[1])
    assert elsewhere.requests == []


def test_nothing_but_the_contract_can_be_called(elsewhere: Elsewhere) -> None:
    with pytest.raises(AttributeError):
        catalog.delete_everything()  # type: ignore[attr-defined]


def test_a_context_without_a_place_says_so(settings: Any, elsewhere: Elsewhere) -> None:
    place(settings, "none")
    with pytest.raises(ContextUnavailable, match="does not say where catalog runs"):
        catalog.known_products(product_ids=[1])


def test_a_client_is_told_to_come_again(settings: Any, elsewhere: Elsewhere) -> None:
    elsewhere.replies = [DROP]
    body = {"product_id": 1, "warehouse": "WH001", "onhand": 1}
    answer = Client(raise_request_exception=False).post("/v1/inventory", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (503, "context_unavailable")
    assert answer.headers["Retry-After"] == "2"


def confirmed(order_id: str) -> Delivery:
    payload, trace = {"order_id": order_id}, {"request_id": "r"}
    return Delivery(event_id=uuid.uuid4(), name="orders.order_confirmed.v1", payload=payload, trace=trace)


def test_an_event_is_handed_over_once_and_the_relay_asks_again(elsewhere: Elsewhere) -> None:
    event = confirmed("1")
    elsewhere.replies = [(503, b""), (500, b"{}"), (204, b"")]
    with pytest.raises(ContextUnavailable):
        remote.deliver("catalog", [event])
    with pytest.raises(remote.RemoteFailure):
        remote.deliver("catalog", [event])
    remote.deliver("catalog", [event])
    paths = {path for path, _, _ in elsewhere.requests}
    assert paths == {"/internal/v1/catalog/events/orders.order_confirmed.v1"}
    told = json.loads(elsewhere.requests[0][2])
    assert told == {"event_id": str(event.event_id), "payload": {"order_id": "1"}, "trace": {"request_id": "r"}}
    assert len(elsewhere.requests) == 3


def test_several_events_are_one_call(elsewhere: Elsewhere) -> None:
    elsewhere.replies = [(204, b"")]
    two = [confirmed("1"), confirmed("2")]
    remote.deliver("catalog", two)
    ((path, _, body),) = elsewhere.requests
    assert path == "/internal/v1/catalog/events"
    assert [(told["event_id"], told["name"], told["payload"]) for told in json.loads(body)["events"]] == [
        (str(one.event_id), one.name, one.payload) for one in two
    ]


def test_an_older_process_is_told_one_by_one(elsewhere: Elsewhere, settings: Any) -> None:
    settings.ECI_SUBSCRIPTIONS = {OrderConfirmed.NAME: ("catalog",)}
    with unit_of_work("orders"):
        outbox.emit(
            "orders",
            *(OrderConfirmed(order_id=code, order_total="1.00", currency="USD", version=1) for code in ("A", "B")),
        )
    elsewhere.replies = [(404, b"{}"), (204, b""), (204, b"")]
    assert outbox.deliver_due("orders") == 2
    one = "/internal/v1/catalog/events/orders.order_confirmed.v1"
    assert [path for path, _, _ in elsewhere.requests] == ["/internal/v1/catalog/events", one, one]


def test_proxies_of_the_environment_are_not_used(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert catalog.known_products(product_ids=[1]) == set()
