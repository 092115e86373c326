"""One order is one trace, from the request to its mails, through web and worker, collected over OTLP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.collector import Collector, Trace, collecting
from tests.support.product import DemoShop, Product, running, wait_until
from tests.support.world import Seed

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

CLIENT_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT_SPAN = "00f067aa0ba902b7"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def product(demo_seed: Seed, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("traced") / "var"
    with running(demo_seed, folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **SOON) as started:
        yield started


def sent(collector: Collector, trace_id: str, notices: int) -> Trace:
    """The trace, once so many notices have been sent in it."""

    def complete() -> Trace | None:
        trace = collector.trace(trace_id)
        done = [span.attributes.get("eci.notification.status") for span in trace.all("send notification")]
        return trace if done.count("SENT") == notices and not trace.strays()[1:] else None

    return wait_until(complete, 60, "the trace is complete")


def log_lines(product: Product, trace_id: str) -> list[Any]:
    lines = [json.loads(line) for line in product.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("trace_id") == trace_id]


def test_one_order_is_one_trace(product: Product, collector: Collector) -> None:
    headers = {"traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01", "X-Request-ID": "order-of-a-trace"}
    items = [{"product_id": 1, "quantity": 1}]
    order = product.api.post("/v1/orders", {"customer_id": 1, "items": items}, **headers)
    assert order.status == 201
    order_id = order.data["order_id"]
    trace = sent(collector, CLIENT_TRACE, notices=2)

    request = trace.one("POST v1/orders")
    assert (request.kind, request.service, request.parent_id) == ("SERVER", "eci-web", CLIENT_SPAN)
    assert request.attributes["http.response.status_code"] == 201
    assert trace.strays() == [request]
    assert {span.trace_id for span in collector.about(order_id)} == {CLIENT_TRACE}

    run = trace.one("order: place")
    assert run.parent_id == request.span_id
    assert run.attributes["eci.order.status"] == "SHIPPED"
    assert [span.name for span in trace.below(run) if "/" in span.name] == [
        "inventory/reserve",
        "payments/charge",
        "shipping/send",
        "inventory/ship",
    ]
    for step, part in (
        ("inventory/reserve", "transaction inventory"),
        ("payments/charge", "payment provider: charge"),
        ("shipping/send", "transaction shipping"),
    ):
        assert [one for one in trace.all(part) if step in trace.above(one)], f"{part} within {step}"

    for event, cause in (
        ("process orders.order_confirmed.v1", "order: place"),
        ("process shipping.shipment_dispatched.v1", "shipping/send"),
    ):
        (delivery,) = [
            span for span in trace.all(event) if span.attributes["messaging.consumer.group.name"] == "notifications"
        ]
        assert (delivery.kind, delivery.service) == ("CONSUMER", "eci-worker")
        assert cause in trace.above(delivery)
        (notice,) = [span for span in trace.all("send notification") if event in trace.above(span)]
        assert notice.service == "eci-worker"
        assert notice.attributes["eci.task"] == "notifications.send_due"
        assert "send e-mail" in [span.name for span in trace.below(notice)]

    lines = log_lines(product, CLIENT_TRACE)
    (access,) = [line for line in lines if line["event"] == "request"]
    assert access["span_id"] == request.span_id
    mails = [line for line in lines if line["event"] == "notification_attempt"]
    assert [line["task"] for line in mails] == ["notifications.send_due"] * 2
    assert {line["request_id"] for line in lines} == {"order-of-a-trace"}
    assert {line["order_id"] for line in (access, *mails)} == {order_id}


def test_what_the_worker_finishes_stays_in_the_order_s_trace(product: Product, collector: Collector) -> None:
    """The payment provider does not answer; recovery asks it again and carries the order to its end."""
    order = DemoShop(product.api).order(1, payment={"token": "tok_timeout"})
    assert order.status == 202
    about = wait_until(lambda: collector.about(order.data["order_id"]), 60, "a span about the order")
    trace = sent(collector, about[0].trace_id, notices=2)
    assert {span.trace_id for span in collector.about(order.data["order_id"])} == {about[0].trace_id}

    begun, *carried_on = trace.all("order: place")
    assert begun.service == "eci-web"
    assert begun.attributes["eci.order.status"] == "PAYMENT_PENDING"
    (unanswered,) = [span for span in trace.all("payment provider: charge") if span.failed]
    assert unanswered.attributes["error.type"].endswith("GatewayTimeout")
    last = carried_on[-1]
    assert (last.service, last.attributes["eci.task"]) == ("eci-worker", "orders.recover")
    assert last.attributes["eci.order.status"] == "SHIPPED"
    assert trace.above(last) == ["POST v1/orders"]


def test_what_looks_every_second_leaves_no_traces(product: Product, collector: Collector) -> None:
    product.api.get("/health")
    product.api.page("/metrics")
    product.api.get("/v1/products")
    wait_until(lambda: [span for span in collector.spans if span.name == "GET v1/products"], 60)
    begun = {span.name for span in collector.spans if not span.parent_id}
    assert begun <= {"POST v1/orders", "GET v1/products"}
