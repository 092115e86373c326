"""``/metrics``: what this process's web workers counted, and what the databases say of the business."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from config.staff import audit, checkup
from contexts.inventory.public.api import inventory
from contexts.orders.public.api import orders
from contexts.payments.public.api import payments
from eci.http.envelope import not_found


def _inventory() -> Iterator[Metric]:
    counts = inventory.statistics()
    yield CounterMetricFamily("inventory_reservations", "Reservations made.", value=counts.reservations)
    yield GaugeMetricFamily("inventory_low_stock_rows", "Stock rows below their reorder point.", value=counts.low)
    stock = GaugeMetricFamily(
        "inventory_available_stock", "Units that can be sold: the lowest rows.", labels=["product_id", "warehouse"]
    )
    for level in counts.lowest:
        stock.add_metric([str(level.product_id), level.warehouse], level.available)
    yield stock


def _orders() -> Iterator[Metric]:
    counts = orders.statistics()
    yield CounterMetricFamily("orders_placed", "Orders that passed the pivot.", value=counts.placed)
    yield GaugeMetricFamily("orders_needing_attention", "Orders that need a person.", value=counts.stuck)
    yield GaugeMetricFamily("orders_stopped", "1 while new orders are refused.", value=not orders.switch().taking)


def _payments() -> Iterator[Metric]:
    counts = payments.statistics()
    yield CounterMetricFamily("payments_completed", "Payments completed.", value=counts.completed)
    yield CounterMetricFamily("payments_failed", "Payments failed.", value=counts.failed)
    yield GaugeMetricFamily(
        "payments_unknown", "Payments and refunds without the provider's word.", value=counts.unknown
    )


def _check_up() -> Iterator[Metric]:
    """What the last check-up found; beat takes one every few minutes, so that no scrape waits for it."""
    last = checkup.last()
    if last is None:
        return
    yield GaugeMetricFamily(
        "audit_last_run_timestamp_seconds", "When the last check-up was.", value=last.at.timestamp()
    )
    yield GaugeMetricFamily("audit_duration_seconds", "How long it took.", value=last.milliseconds / 1000)
    findings = [item for item in last.items if item["kind"] in set(audit.Kind)]
    yield GaugeMetricFamily("audit_findings", "Books at odds.", value=len(findings))
    kinds = GaugeMetricFamily("reconcile_items", "What is stuck or at odds, by kind.", labels=["kind"])
    for kind, count in Counter(item["kind"] for item in last.items).items():
        kinds.add_metric([kind], count)
    yield kinds
    lags = GaugeMetricFamily("lag_seconds", "How late work was at the last check-up.", labels=["queue"])
    for name, seconds in last.lags.items():
        lags.add_metric([name], seconds)
    yield lags


_BUSINESS: dict[str, Callable[[], Iterator[Metric]]] = {
    "inventory": _inventory,
    "orders": _orders,
    "payments": _payments,
}


class _AtScrape:
    """A collector that asks at each scrape."""

    def __init__(self, ask: Callable[[], Iterator[Metric]]) -> None:
        self.ask = ask

    def collect(self) -> Iterator[Metric]:
        yield from self.ask()


def _answer(registries: list[CollectorRegistry]) -> HttpResponse:
    body = b"".join(generate_latest(registry) for registry in registries)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _asking(*questions: Callable[[], Iterator[Metric]]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    for question in questions:
        registry.register(_AtScrape(question))
    return registry


def _process() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


@csrf_exempt
@require_safe
def overall(request: HttpRequest) -> HttpResponse:
    return _answer([_process(), _asking(*_BUSINESS.values(), _check_up)])


@csrf_exempt
@require_safe
def one(request: HttpRequest, context: str) -> HttpResponse:
    """One context's own numbers, for a scrape job of its own."""
    if context not in settings.ECI_CONTEXTS:
        return not_found(request, LookupError(context))
    return _answer([_asking(*(_BUSINESS[name] for name in _BUSINESS if name == context))])
