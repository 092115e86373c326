"""Processes count their requests, tasks and connections."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connections
from prometheus_client import REGISTRY

from eci.watch import metrics
from tests.support.api import Api
from tests.support.process import python
from tests.support.world import ROOT


def count(route: str, status: str, method: str = "GET") -> float:
    labels = {"method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("http_requests_total", labels) or 0


def timed(route: str, status: str) -> float:
    labels = {"method": "GET", "route": route, "status": status}
    return REGISTRY.get_sample_value("http_request_duration_seconds_count", labels) or 0


PRODUCT = "v1/products/<id:product_id>"


def test_requests_are_counted_and_timed_by_route(api: Api) -> None:
    before = count(PRODUCT, "404"), timed(PRODUCT, "404"), count("unknown", "404")
    for url in ("/v1/products/5", "/v1/products/6", "/v1/nothing/5", "/v1/nothing/6"):
        api.get(url)
    after = count(PRODUCT, "404"), timed(PRODUCT, "404"), count("unknown", "404")
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 2, 2]


def test_the_gateway_s_copy_of_a_route_is_the_same_route(api: Api) -> None:
    before = count(PRODUCT, "404")
    api.get("/api/v1/catalog/v1/products/5")
    assert count(PRODUCT, "404") - before == 1


def test_methods_that_somebody_made_up_are_one_label_value(api: Api) -> None:
    before = count("unknown", "404", "other")
    for method in ("BREW", "WHEN"):
        api.send(method, "/v1/nothing")
    assert count("unknown", "404", "other") - before == 2


def test_connections_are_those_that_are_open(tmp_path: Path) -> None:
    connection = connections["orders"].copy()
    if connection.vendor == "sqlite":  # one in memory is never closed
        connection.settings_dict = connection.settings_dict | {"NAME": str(tmp_path / "orders.sqlite3")}
    metrics._remember(connection)

    def held() -> float:
        metrics.sample_connections()
        return REGISTRY.get_sample_value("database_connections_active", {"alias": "orders"}) or 0

    before = held()
    connection.connect()
    assert held() - before == 1
    connection.close()
    assert held() - before == 0


MASTER = """
import os, sys
from eci.watch import metrics_folder
metrics_folder.begin()
import django
django.setup()
from eci.watch import metrics

def text():
    return metrics.of_processes().decode()

def library_s_text():
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry).decode()

for child in range(2):
    if os.fork() == 0:
        metrics.TASKS.labels("t", "SUCCESS").inc()
        metrics.TASKS.labels("one \\"quoted\\" in two\\nlines", "\\\\").inc(2e9)
        metrics.TASK_DURATION.labels("t").observe(0.2 * child)
        metrics.HTTP_DURATION.labels("GET", str(child), "200").observe(99)
        metrics.CONNECTIONS_MAX.labels("orders").set(3)
        os._exit(0)
    os.wait()
metrics.CONNECTIONS_MAX.labels("orders").set(1)
print(text())
print("SAME" if sorted(text().splitlines()) == sorted(library_s_text().splitlines()) else library_s_text())
print("FOLDER", os.environ["PROMETHEUS_MULTIPROC_DIR"])
if "end" in sys.argv:
    metrics_folder.end()
"""


@pytest.mark.e2e
@pytest.mark.any_engine
def test_processes_count_together_and_begin_at_nothing(tmp_path: Path) -> None:
    """Run it twice: the first master leaves its folder behind, and the second removes it without counting it again."""
    for _ in range(2):
        done = python("-c", MASTER, folder=tmp_path, TMPDIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert 'tasks_total{state="SUCCESS",task="t"} 2.0' in lines, "what a process counted outlives it"
        assert 'database_connections_max{alias="orders"} 1.0' in lines, "the connections it held do not"
        assert "SAME" in lines, "added up as prometheus_client does"
    left = list(tmp_path.glob("eci-metrics-*"))
    assert [f"FOLDER {folder}" for folder in left] == lines[-1:]
    python("-c", MASTER, "end", folder=tmp_path, TMPDIR=str(tmp_path))
    assert list(tmp_path.glob("eci-metrics-*")) == []


@pytest.mark.no_database
def test_the_folder_must_be_there_before_anybody_counts() -> None:
    late = "import prometheus_client; from eci.watch import metrics_folder; metrics_folder.begin()"
    done = subprocess.run([sys.executable, "-c", late], cwd=ROOT, capture_output=True, text=True)
    assert "RuntimeError: prometheus_client was imported before its folder" in done.stderr
