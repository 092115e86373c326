"""Metrics for Prometheus.

- ``/metrics/process``: what the web processes of this service counted
- ``/metrics/<context>``: what that context's database holds
- ``/metrics/platform``: what concerns the shop as a whole
- ``/metrics``: all of these

A scrape reads a database's rows, so the numbers do not depend on the process that answers or on restarts, and orders do
no work for them. What takes the whole of a large table is counted by beat (``eci/totals.py``).
"""

from __future__ import annotations

import functools
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime

from cryptography import x509
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework.request import Request
from rest_framework.views import APIView

from config.books import audit, checkup, reconcile
from config.contexts import PLATFORM
from config.operations.models import Backup
from contexts.inventory.public.api import inventory
from contexts.notifications.public.api import notifications
from contexts.orders.public.api import orders
from contexts.payments.public.api import payments
from eci import outbox
from eci.clock import utcnow
from eci.db import alias_of
from eci.errors import ContextUnavailable, NotFound
from eci.http.docs import FirstUnlessAsked
from eci.http.health import reachable
from eci.identity.auth import AccessToken, MetricsToken, OpenMode, StaffSession
from eci.identity.roles import Role, only
from eci.remembered import Remembered
from eci.watch.metrics import of_processes
from eci.watch.metrics_text import written

PROCESS, SHOP = "process", "platform"
_PATIENCE = 5  # seconds to wait for another scrape of the same database


def _counted(context: str, at: datetime) -> Metric:
    when = GaugeMetricFamily(
        "totals_counted_timestamp_seconds", "As of when the totals of a context's rows are.", labels=["context"]
    )
    when.add_metric([context], at.timestamp())
    return when


def _inventory() -> Iterator[Metric]:
    counts = inventory.statistics()
    yield _counted("inventory", counts.counted_at)
    yield CounterMetricFamily("inventory_reservations", "Reservations made.", value=sum(counts.holds.values()))
    holds = GaugeMetricFamily("inventory_holds", "Reservations, by the state they are in now.", labels=["state"])
    for state, number in counts.holds.items():
        holds.add_metric([state], number)
    yield holds
    yield GaugeMetricFamily("inventory_units_owed", "Units that paid orders lack.", value=counts.owed)
    yield GaugeMetricFamily("inventory_low_stock_rows", "Stock rows below their reorder point.", value=counts.low)
    stock = GaugeMetricFamily(
        "inventory_available_stock", "Units that can be sold: the lowest rows.", labels=["product_id", "warehouse"]
    )
    for level in counts.lowest:
        stock.add_metric([str(level.product_id), level.warehouse], level.available)
    yield stock
    ledger = inventory.ledger()
    yield GaugeMetricFamily("inventory_ledger_sealed", "Movements of stock that are sealed.", value=ledger.sealed)
    for name, text, moment in (
        ("sealed", "When the last checkpoint of the ledger was signed; 0 when none was.", ledger.sealed_at),
        ("verified", "When the ledger was last verified; 0 when it never was.", ledger.verified_at),
    ):
        value = moment.timestamp() if moment else 0
        yield GaugeMetricFamily(f"inventory_ledger_{name}_timestamp_seconds", text, value=value)


def _orders() -> Iterator[Metric]:
    counts = orders.statistics()
    yield _counted("orders", counts.counted_at)
    placed = sum(sales.orders for sales in counts.sales)
    yield CounterMetricFamily("orders_placed", "Orders that passed the pivot.", value=placed)
    value = CounterMetricFamily("orders_value", "Sum of the totals of orders placed.", labels=["currency"])
    average = GaugeMetricFamily("orders_average_value", "Average total of the orders placed.", labels=["currency"])
    for sales in counts.sales:
        value.add_metric([sales.currency], float(sales.value))
        if sales.orders:
            average.add_metric([sales.currency], float(sales.value / sales.orders))
    yield value
    yield average
    by_status = GaugeMetricFamily("orders_by_status", "Orders, by status.", labels=["status"])
    for status, number in counts.by_status.items():
        by_status.add_metric([status], number)
    yield by_status
    stuck = GaugeMetricFamily("orders_stuck", "Orders that make no progress by themselves.", labels=["reason"])
    stuck.add_metric(["attention"], counts.attention)
    stuck.add_metric(["overdue"], counts.overdue)
    yield stuck
    yield GaugeMetricFamily("orders_lag_seconds", "How long the most overdue order has been due.", value=orders.lag())
    yield GaugeMetricFamily("orders_stopped", "1 while new orders are rejected.", value=not orders.switch().taking)


def _payments() -> Iterator[Metric]:
    counts = payments.statistics()
    yield _counted("payments", counts.counted_at)
    yield CounterMetricFamily("payments_completed", "Payments completed.", value=counts.completed)
    yield CounterMetricFamily("payments_failed", "Payments failed.", value=counts.failed)
    yield GaugeMetricFamily(
        "payments_unknown", "Payments and refunds whose outcome the provider has not reported.", value=counts.unknown
    )
    yield GaugeMetricFamily("payments_in_review", "Payments that wait for review by staff.", value=counts.in_review)
    waiting = payments.reviews_waiting() if counts.in_review else ()
    yield GaugeMetricFamily(
        "payments_review_wait_seconds",
        "How long the payment has waited that waits longest for its review.",
        value=max(0.0, (utcnow() - waiting[0].since).total_seconds()) if waiting else 0,
    )
    revenue = GaugeMetricFamily("payments_revenue", "Money captured less money refunded.", labels=["currency"])
    for currency, amount in counts.revenue.items():
        revenue.add_metric([currency], float(amount))
    yield revenue


def _notifications() -> Iterator[Metric]:
    yield GaugeMetricFamily("notifications_waiting", "Notifications not sent yet.", value=notifications.waiting())


_ASKED: dict[str, Callable[[], Iterator[Metric]]] = {
    "inventory": _inventory,
    "orders": _orders,
    "payments": _payments,
    "notifications": _notifications,
}


def _of_context(context: str) -> Iterator[Metric]:
    lag = GaugeMetricFamily("outbox_lag_seconds", "Age of the oldest event not delivered.", labels=["context"])
    lag.add_metric([context], outbox.lag(context))
    yield lag
    if context in _ASKED:
        yield from _ASKED[context]()
    yield from _migrations(context)


@functools.cache
def _migrations_on_disk(alias: str) -> frozenset[tuple[str, str]]:
    """Loading them takes longer than all the rest, and they are what they were when this process started."""
    return frozenset(key for key in _all_migrations() if alias_of(key[0]) == alias)


@functools.cache
def _all_migrations() -> Collection[tuple[str, str]]:
    return MigrationLoader(None).disk_migrations.keys()


_recording: set[str] = set()  # aliases of databases in which Django's table of migrations has been seen: it stays


def _applied(alias: str) -> set[tuple[str, str]]:
    """As Django's recorder tells it, which asks for the names of all tables each time."""
    if alias not in _recording:
        if not MigrationRecorder(connections[alias]).has_table():
            return set()
        _recording.add(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        return set(cursor.fetchall())


def _migrations(alias: str) -> Iterator[Metric]:
    """django-prometheus's gauges for one database, read at each scrape: at start-up no database may be needed."""
    applied = _applied(alias)
    for word, number in (("unapplied", len(_migrations_on_disk(alias) - applied)), ("applied", len(applied))):
        gauge = GaugeMetricFamily(
            f"django_migrations_{word}_total",
            f"Count of {word} migrations by database connection",
            labels=["connection"],
        )
        gauge.add_metric([alias], number)
        yield gauge


# -- the shop as a whole ----------------------------------------------------------------------------------------------


def _of_shop() -> Iterator[Metric]:
    yield from _check_up()
    yield from _migrations(PLATFORM)
    last = Backup.objects.first()
    yield GaugeMetricFamily(
        "backup_last_success_timestamp_seconds",
        "The moment as of which the last backup saved the data; 0 when there is none.",
        value=last.at.timestamp() if last else 0,
    )
    yield from _certificates()
    usage = shutil.disk_usage(settings.DATA_DIR)
    yield GaugeMetricFamily("data_disk_size_bytes", "Size of the data folder's disk.", value=usage.total)
    yield GaugeMetricFamily("data_disk_free_bytes", "Free space on the data folder's disk.", value=usage.free)


def _check_up() -> Iterator[Metric]:
    """What the last check-up found. Beat runs one every few minutes, so a scrape never waits for it."""
    last = checkup.last()
    yield GaugeMetricFamily(
        "audit_last_run_timestamp_seconds",
        "When the last check-up was; 0 when there was none.",
        value=last.at.timestamp() if last else 0,
    )
    took = last.milliseconds / 1000 if last else 0
    yield GaugeMetricFamily("audit_duration_seconds", "How long the last check-up took.", value=took)
    if last is None:
        return
    findings = [item for item in last.items if item["kind"] in set(audit.Kind)]
    yield GaugeMetricFamily("audit_findings", "Contradictions in the books.", value=len(findings))
    kinds = GaugeMetricFamily("reconcile_items", "What is stuck or at odds, by kind.", labels=["kind"])
    found = Counter(item["kind"] for item in last.items)
    for kind in sorted(reconcile.KINDS):
        kinds.add_metric([kind], found[kind])
    yield kinds


def _certificates() -> Iterator[Metric]:
    ends = GaugeMetricFamily("certificate_expiry_timestamp_seconds", "When a certificate ends.", labels=["file"])
    for path in settings.ECI_CERTIFICATES:
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            ends.add_metric([path.name], 0)  # an unreadable certificate is as bad as an expired one
        else:
            ends.add_metric([path.name], certificate.not_valid_after_utc.timestamp())
    yield ends


# -- answers ----------------------------------------------------------------------------------------------------------

_answers: Remembered[str, list[Metric]] = Remembered(settings.ECI_METRICS_KEPT)  # by the database's alias


class _Look:
    """The last answer of one database, kept for ECI_METRICS_KEPT seconds.

    One scrape at a time asks the database and the others wait, so a database that hangs holds few threads.
    """

    def __init__(self, alias: str, ask: Callable[[], Iterable[Metric]]) -> None:
        self.alias = alias
        self.ask = ask
        self.lock = threading.Lock()

    def families(self) -> list[Metric]:
        """ContextUnavailable."""
        if not self.lock.acquire(timeout=_PATIENCE):
            raise ContextUnavailable("Another scrape is still waiting for this database.")
        try:
            if not reachable([self.alias])[self.alias]:
                raise ContextUnavailable(f"The {self.alias} database is out of reach.")
            return _answers.get_or_load(self.alias, lambda: list(self.ask()))
        except (OperationalError, InterfaceError):
            raise ContextUnavailable(f"The {self.alias} database is out of reach.") from None
        finally:
            self.lock.release()


def _context_look(context: str) -> _Look:
    return _Look(context, lambda: _of_context(context))


_looks = {SHOP: _Look(PLATFORM, _of_shop)} | {name: _context_look(name) for name in settings.ECI_CONTEXTS}


def _text(families: Iterable[Metric]) -> bytes:
    """Those of one name, from several databases, become one."""
    merged: dict[str, Metric] = {}
    for family in families:
        whole = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
        whole.samples += family.samples
    return written(merged.values())


class _Metrics(APIView):
    """For admins and holders of ECI_METRICS_TOKEN; in open mode for everybody."""

    authentication_classes = [MetricsToken, AccessToken, StaffSession, OpenMode]
    content_negotiation_class = FirstUnlessAsked
    roles = only(Role.SCRAPER)


class All(_Metrics):
    """Everything from the processes and from the databases within reach."""

    def get(self, request: Request) -> HttpResponse:
        found: list[Metric] = []
        reachable([look.alias for look in _looks.values()])  # those that do not answer are waited for at once
        for look in _looks.values():
            try:
                found += look.families()
            except ContextUnavailable:
                continue
        return _answer(of_processes() + _text(found))


class One(_Metrics):
    """One part. It answers 503 while its database is out of reach, so Prometheus sees the service as down."""

    def get(self, request: Request, part: str) -> HttpResponse:
        if part == PROCESS:
            return _answer(of_processes())
        if part not in _looks:
            raise NotFound(f"There are no metrics of {part} here.")
        return _answer(_text(_looks[part].families()))


def _answer(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type=CONTENT_TYPE_PLAIN_0_0_4)
