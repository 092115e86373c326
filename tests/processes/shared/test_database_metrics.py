"""What django-prometheus adds to ``/metrics``, scraped from the running product."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.contexts import CONTEXTS
from tests.support.product import DemoShop, Product, Running

pytestmark = pytest.mark.e2e

ALIASES = {"default", *CONTEXTS}


def scraped(product: Product, name: str, path: str = "/metrics") -> dict[str, float]:
    """The samples of one name, by alias."""
    page = product.api.page(path)
    assert page.status_code == 200, page.text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page.text):
        for sample in family.samples:
            if sample.name == name:
                alias = sample.labels.get("connection") or sample.labels["alias"]
                assert "pid" not in sample.labels and alias not in found, f"{name} of {alias} is there twice"
                found[alias] = sample.value
    return found


def test_migrations_always_and_no_counters_of_statements(product: Product) -> None:
    for _ in range(8):  # by either web process
        assert scraped(product, "django_migrations_unapplied_total") == dict.fromkeys(ALIASES, 0)
        applied = scraped(product, "django_migrations_applied_total")
        assert set(applied) == ALIASES and min(applied.values()) > 0
    assert scraped(product, "django_migrations_applied_total", "/metrics/orders") == {"orders": applied["orders"]}
    assert scraped(product, "django_migrations_applied_total", "/metrics/process") == {}
    assert scraped(product, "django_db_execute_total") == {}


def test_statements_are_counted_for_each_database_on_request(own_product: Running) -> None:
    with own_product(ECI_DB_METRICS="1") as product:
        before = scraped(product, "django_db_execute_total", "/metrics/process")
        for number in range(10):  # more than a pool has connections
            assert DemoShop(product.api).order(1, 1, key=f"counted-{number}").status == 201
        after = scraped(product, "django_db_execute_total", "/metrics/process")
        assert set(after) == ALIASES
        used = {alias: after[alias] - before.get(alias, 0) for alias in ("orders", "inventory", "payments", "shipping")}
        assert min(used.values()) >= 10, used
        assert max(used.values()) < 10 * 60, "each statement is counted once"
        assert scraped(product, "django_migrations_unapplied_total") == dict.fromkeys(ALIASES, 0)
