"""The sum that every documented deployment is held against."""

from __future__ import annotations

import pytest

from tests.deployment.connections import Process, connections

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

POSTGRES = ("PLATFORM", "CATALOG", "INVENTORY", "CUSTOMERS", "PAYMENTS", "NOTIFICATIONS")
SERVERS = {f"ECI_{name}_DATABASE_URL": f"postgres://eci@pg/{name.lower()}" for name in POSTGRES} | {
    f"ECI_{name}_DATABASE_URL": f"mysql://eci@my:3307/{name.lower()}" for name in ("ORDERS", "SHIPPING")
}


def test_each_process_counts_for_each_database_of_each_server() -> None:
    counted = connections(
        [
            Process(role="web", environment=SERVERS, replicas=3),
            Process(role="worker", environment=SERVERS),
            Process(role="beat", environment=SERVERS),
            Process(role="migrate", environment=SERVERS),
        ]
    )
    pool, threads = 4, 4
    assert counted == {
        "pg:5432": 6 * (3 * 2 * pool + pool + 0 + 1),
        "my:3307": 2 * (3 * 2 * 2 * threads + 4 + 0 + 1),
    }


def test_settings_and_where_contexts_run_are_read() -> None:
    environment = SERVERS | {
        "ECI_WEB_WORKERS": "1",
        "ECI_WEB_THREADS": "8",
        "ECI_POOL_SIZE": "0",
        "ECI_SERVICES": "orders=http://orders:8000,catalog=local",
    }
    counted = connections([Process(role="web", environment=environment)])
    assert counted == {"pg:5432": 6 * 16, "my:3307": 1 * 16}


def test_files_count_for_no_server() -> None:
    assert connections([Process(role="all", environment={})]) == {}
