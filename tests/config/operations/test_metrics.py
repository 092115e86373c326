"""What the pages of metrics say of the databases, and to whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from config.operations import metrics
from config.operations.models import Backup
from contexts.inventory import tasks as inventory_tasks
from contexts.inventory.models import Reservation, Stock, Warehouse
from contexts.orders import tasks as orders_tasks
from contexts.orders.models import Order
from contexts.payments import tasks as payments_tasks
from contexts.payments.models import Payment
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentUnknown
from eci import totals
from eci.clock import utcnow
from eci.ids import new_order_id
from eci.remembered import forget_everything
from tests.support.away import without_database
from tests.support.shop import Shop

TOKEN = "a token that only Prometheus knows"


def samples(path: str = "/metrics") -> dict[str, float]:
    answer = Client().get(path)
    assert answer.status_code == 200, answer.content
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            name = sample.name + (f"{{{labels}}}" if labels else "")
            assert name not in found, f"{name} stands there twice"
            found[name] = sample.value
    return found


def test_the_counts_of_a_day_s_trade(shop: Shop) -> None:
    for _ in range(2):
        assert shop.order(2).status == 201
    assert shop.order(1, payment={"method": "card", "token": "tok_declined"}).status == 402
    said = samples()
    assert said["orders_placed_total"] == 2
    assert said["payments_completed_total"] == 2
    assert said["payments_failed_total"] == 1
    assert said["inventory_reservations_total"] == 3
    assert (said["inventory_holds{state=SHIPPED}"], said["inventory_holds{state=RELEASED}"]) == (2, 1)
    value = said["orders_value_total{currency=USD}"]
    assert value == said["payments_revenue{currency=USD}"] > 0
    assert said["orders_average_value{currency=USD}"] == value / 2
    assert said["orders_by_status{status=SHIPPED}"] == 2
    assert said["notifications_waiting"] >= 0
    assert said["outbox_lag_seconds{context=catalog}"] == 0


def count_all() -> None:
    for tasks in (inventory_tasks, orders_tasks, payments_tasks):
        tasks.count()


def test_a_large_shop_s_totals_are_those_that_beat_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    counters = ("orders_placed_total", "payments_completed_total", "inventory_reservations_total")
    asked = utcnow().timestamp()
    monkeypatch.setattr(totals, "FEW", 0)
    monkeypatch.setattr(totals, "SHARE", 0)
    shop.order(2)
    count_all()
    shop.order(2)
    Order.objects.update(needs_attention=True)
    said = samples()
    assert [said[name] for name in counters] == [1, 1, 1]
    assert said["orders_stuck{reason=attention}"] == 2, "an alert waits for it"
    assert said["orders_by_status{status=SHIPPED}"] == said["inventory_holds{state=SHIPPED}"] == 1
    status = shop.api.get("/v1/inventory/reservations/status").data
    assert status["reservation_stats"]["shipped_reservations"] == 1
    for context in ("inventory", "orders", "payments"):
        assert asked < said[f"totals_counted_timestamp_seconds{{context={context}}}"] <= utcnow().timestamp()
    count_all()
    again = samples()
    assert [again[name] for name in counters] == [2, 2, 2]
    assert again["orders_value_total{currency=USD}"] == 2 * said["orders_value_total{currency=USD}"]
    later = shop.api.get("/v1/inventory/reservations/status").data
    assert later["reservation_stats"]["shipped_reservations"] == 2
    assert later["counted_at"] > status["counted_at"]


def test_a_hold_past_its_time_has_expired_before_anybody_tidies_up(shop: Shop) -> None:
    Reservation.objects.create(key="k", fingerprint="f", expires_at=utcnow() - timedelta(seconds=1))
    Reservation.objects.create(key="tombstone", expires_at=utcnow(), status="RELEASED")
    said = samples("/metrics/inventory")
    assert said["inventory_holds{state=EXPIRED}"] == 1
    assert said["inventory_holds{state=RESERVED}"] == 0
    assert said["inventory_reservations_total"] == 1


def test_available_stock_is_that_of_the_lowest_rows_of_open_warehouses(shop: Shop) -> None:
    open_, closed = Warehouse.objects.create(code="OPEN"), Warehouse.objects.create(code="CLOSED", is_active=False)
    Stock.objects.bulk_create(Stock(product_id=10**9 + n, warehouse=open_, on_hand=n) for n in range(205))
    Stock.objects.create(product_id=1, warehouse=closed, on_hand=5)
    rows = {name: value for name, value in samples("/metrics/inventory").items() if "available_stock" in name}
    assert len(rows) == 200
    assert rows["inventory_available_stock{product_id=1000000003,warehouse=OPEN}"] == 3
    assert max(rows.values()) <= 200
    assert not any("CLOSED" in name for name in rows), "nothing is to be sold there"


def test_units_that_paid_orders_lack(shop: Shop) -> None:
    shop.order(2, fulfilment="warehouse")
    assert samples("/metrics/inventory")["inventory_units_owed"] == 0
    row = Stock.objects.get(product_id=shop.product_id)
    shop.api.patch(f"/v1/inventory/{row.pk}", {"onhand": 0, "reason": "count", "force": True})
    assert samples("/metrics/inventory")["inventory_units_owed"] == 2


def test_how_long_the_oldest_review_has_waited(shop: Shop, settings: Any) -> None:
    assert samples("/metrics/payments")["payments_review_wait_seconds"] == 0
    settings.ECI_REVIEW_AMOUNT = 5
    with pytest.raises(PaymentUnknown):
        payments.authorise(
            order_id=new_order_id(),
            amount=Decimal(10),
            currency="USD",
            customer_id=None,
            method="credit_card",
            token="",
            screened=True,
        )
    Payment.objects.update(created_at=utcnow() - timedelta(hours=2))
    said = samples("/metrics/payments")
    assert said["payments_in_review"] == 1
    assert 7200 <= said["payments_review_wait_seconds"] < 7260


def test_each_part_has_its_own_and_all_have_everything(shop: Shop) -> None:
    parts = [*settings.ECI_CONTEXTS, "platform", "process"]
    names = {part: set(samples(f"/metrics/{part}")) for part in parts}
    assert "orders_placed_total" in names["orders"]
    assert "orders_placed_total" not in names["process"] | names["payments"]
    assert any(name.startswith("http_requests_total") for name in names["process"])
    assert set().union(*names.values()) <= set(samples())


def test_a_context_that_is_not_here_has_no_metrics(shop: Shop) -> None:
    assert Client().get("/metrics/nothing").status_code == 404


@pytest.mark.parametrize(("away", "part"), [("catalog", "catalog"), ("orders", "orders"), ("default", "platform")])
def test_a_context_whose_database_is_away_is_down_and_no_other(tmp_path: Path, away: str, part: str) -> None:
    def ask() -> dict[str, int]:
        return {name: Client().get(f"/metrics/{name}").status_code for name in (part, "payments", "process")}

    assert without_database(tmp_path, [away], ask) == {part: 503, "payments": 200, "process": 200}


def test_what_is_within_reach_is_told_all_the_same(tmp_path: Path) -> None:
    said = without_database(tmp_path, ["orders", "default"], samples)
    assert "payments_completed_total" in said
    assert "orders_placed_total" not in said


def test_an_answer_is_good_for_a_few_seconds(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics._answers, "seconds", 60)
    before = samples("/metrics/orders")["orders_placed_total"]
    shop.order(1)
    assert samples("/metrics/orders")["orders_placed_total"] == before
    forget_everything()
    assert samples("/metrics/orders")["orders_placed_total"] == before + 1


def test_the_age_of_the_last_backup() -> None:
    assert samples("/metrics/platform")["backup_last_success_timestamp_seconds"] == 0
    Backup.objects.create(at=datetime(2026, 1, 1, tzinfo=UTC), seconds=1)
    Backup.objects.create(at=datetime(2026, 1, 2, tzinfo=UTC), seconds=1)
    expected = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    assert samples("/metrics/platform")["backup_last_success_timestamp_seconds"] == expected


def test_certificates_and_the_disk(tmp_path: Path, settings: Any) -> None:
    ends = certificate(tmp_path / "shop.pem")
    settings.ECI_CERTIFICATES = [tmp_path / "shop.pem", tmp_path / "missing.pem"]
    said = samples("/metrics/platform")
    assert said["certificate_expiry_timestamp_seconds{file=shop.pem}"] == ends.timestamp()
    assert said["certificate_expiry_timestamp_seconds{file=missing.pem}"] == 0
    assert 0 < said["data_disk_free_bytes"] <= said["data_disk_size_bytes"]


def certificate(path: Path) -> datetime:
    """A self-signed one for a month; when it ends."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=30))
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return begin + timedelta(days=30)


@pytest.mark.parametrize("path", ["/metrics", "/metrics/process", "/metrics/orders", "/metrics/platform"])
def test_only_the_token_opens_them_in_a_closed_shop(settings: Any, path: str) -> None:
    settings.ECI_OPEN = False
    settings.ECI_METRICS_TOKEN = TOKEN

    def ask(header: str | None) -> int:
        return Client().get(path, headers={"Authorization": header} if header else {}).status_code

    assert ask(f"Bearer {TOKEN}") == 200
    assert [ask(header) for header in (None, "Bearer", "Bearer ", f"Bearer {TOKEN}x", TOKEN)] == [401] * 5
    settings.ECI_METRICS_TOKEN = ""
    assert [ask(header) for header in (None, "Bearer ", "Bearer", f"Bearer {TOKEN}")] == [401] * 4


def test_the_token_opens_nothing_else(settings: Any) -> None:
    settings.ECI_OPEN = False
    settings.ECI_METRICS_TOKEN = TOKEN
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert Client().get("/v1/orders", headers=headers).status_code == 401
    assert Client().get("/health", headers=headers).status_code == 200
