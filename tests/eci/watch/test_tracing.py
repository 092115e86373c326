"""What is traced, in this process, with a collector that takes OTLP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contexts.orders.models import Order
from eci.watch import requests, tracing
from tests.support.api import Api
from tests.support.collector import Collector, collecting
from tests.support.crashes import Crash, dying_after, later
from tests.support.shop import Shop
from tools.servers import free_ports

pytestmark = pytest.mark.any_engine

A, B = "a" * 32, "b" * 32


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracing.start("test")
        yield collector
        tracing.stop()


def parent(trace_id: str, *, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{'c' * 16}-{flags}"}


def order(shop: Shop, headers: dict[str, str], **more: Any) -> Any:
    body = {"customer_id": shop.customer_id, "items": [{"product_id": shop.product_id, "quantity": 1}]}
    return shop.api.post("/v1/orders", body | more, **headers)


def test_a_killed_order_is_carried_on_in_its_own_trace(
    shop: Shop, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Crash), dying_after(9, monkeypatch):
        order(shop, parent(A) | {"X-Request-ID": "the-killed-one"})
    (order_id,) = Order.objects.values_list("pk", flat=True)
    assert shop.read(order_id)["status"] == "PENDING"
    later()
    assert shop.read(order_id)["status"] == "SHIPPED"
    tracing.stop()
    trace = collector.trace(A)
    first, second = trace.all("order: place")
    assert second.attributes["eci.order.status"] == "SHIPPED"
    assert trace.above(second) == trace.above(first)
    assert len(trace.all("send notification")) == 2
    assert {span.trace_id for span in collector.about(order_id) if "GET" not in span.name} == {A}


def test_another_request_about_the_order_is_linked_to_its_trace(shop: Shop, collector: Collector) -> None:
    placed = order(shop, parent(A), pay_later=True)
    shop.api.post(f"/v1/orders/{placed.data['order_id']}/cancel", {"reason": "changed my mind"}, **parent(B))
    tracing.stop()
    undone = collector.trace(A).one("undo order: cancelled")
    asked = collector.trace(B).one("POST v1/orders/<ref:order_id>/cancel")
    assert undone.links == [B]
    assert asked.links == [A]
    assert asked.attributes["eci.order_id"] == placed.data["order_id"]


def test_a_caller_that_does_not_sample_is_not_sampled(shop: Shop, collector: Collector) -> None:
    placed = order(shop, parent(A, flags="00"))
    shop.notices(placed.data["order_id"])
    tracing.stop()
    assert collector.trace(A).spans == []
    assert {span.name for span in collector.about(placed.data["order_id"])} <= {"GET v1/notifications"}, "later reads"


@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'0' * 32}-{'c' * 16}-01", f"ff-{A}-{'c' * 16}-01"])
def test_a_traceparent_that_is_none_begins_a_trace(api: Api, collector: Collector, given: str) -> None:
    assert api.get("/v1/products", traceparent=given).status == 200
    tracing.stop()
    (span,) = [span for span in collector.spans if span.name == "GET v1/products"]
    assert span.parent_id == ""
    assert span.trace_id != A


def test_a_refusal_is_no_failure(shop: Shop, collector: Collector) -> None:
    assert order(shop, parent(A), items=[{"product_id": shop.product_id, "quantity": 101}]).status == 409
    tracing.stop()
    reserve = collector.trace(A).one("inventory/reserve")
    assert reserve.attributes["eci.refusal"] == "insufficient_stock"
    assert [span.name for span in collector.trace(A).spans if span.failed] == []


def test_what_inject_puts_in_extract_takes_out(collector: Collector) -> None:
    headers: dict[str, str] = {}
    with requests.continued({"request_id": "request-1", **parent(A)}, "here"):
        requests.inject(headers)
    assert set(headers) == {"X-Request-ID", "traceparent"}
    with requests.continued(requests.extract(headers), "there"):
        pass
    tracing.stop()
    here, there = collector.trace(A).spans
    assert (there.name, there.parent_id) == ("there", here.span_id)


def test_a_collector_that_is_away_costs_an_order_nothing(
    shop: Shop, statements: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.order().status == 201  # what a first order reads once
    with statements() as untraced:
        assert shop.order(key="untraced").status == 201
    (nobody,) = free_ports(1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{nobody}")
    tracing.start("test")
    with statements() as traced:
        placed = shop.order(key="traced")
    assert placed.status == 201
    assert len(shop.notices(placed.data["order_id"])) == 2
    tracing.stop()
    assert (traced.total, traced.commits) == (untraced.total, untraced.commits)


def test_without_a_collector_nothing_is_traced(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing.start("test")
    placed = order(shop, parent(A) | {"X-Request-ID": "request-1"})
    assert Order.objects.get(pk=placed.data["order_id"]).trace == {"request_id": "request-1"}
