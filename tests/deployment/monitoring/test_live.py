"""The product trades, a real Prometheus scrapes it with monitoring/'s own configuration, and everything has an answer.

Grafana is not run: what its panels ask, Prometheus is asked.
"""

from __future__ import annotations

import math
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from tests.config.operations.test_metrics import certificate
from tests.deployment.monitoring.expressions import (
    DASHBOARDS,
    PROMETHEUS,
    RULES,
    metrics_of,
    of_the_shop,
    queries,
    rules,
)
from tests.deployment.monitoring.programs import needs_prometheus, path_of, running
from tests.support import world
from tests.support.product import DemoShop, Product, free_port, wait_until
from tests.support.product import running as running_product
from tests.support.world import ON_SERVERS, ROOT
from tools.servers import Postgres

pytestmark = [
    pytest.mark.e2e,
    needs_prometheus,
    pytest.mark.skipif(not ON_SERVERS, reason="needs a database server that can be stopped"),
    pytest.mark.long,
    pytest.mark.first(8),
]

CONTEXTS = ("catalog", "inventory", "customer", "order", "payment", "shipment", "notification")
SERVICES = {f"{name}-service" for name in CONTEXTS}
NAMES = ("tasks_total", "task_duration_seconds_count")
DECLINED = 'sum(http_requests_total{route="v1/orders",method="POST",status="402"})'
CHECK_UP = "from config.books.checkup import check_up; check_up()"


class Prometheus:
    """A running one, asked over HTTP."""

    def __init__(self, port: int) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    def ready(self) -> bool:
        try:
            return self.http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def api(self, path: str, **params: str) -> Any:
        answer = self.http.get(f"/api/v1/{path}", params=params).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def ask(self, expr: str) -> list[tuple[dict[str, str], float]]:
        return [(row["metric"], float(row["value"][1])) for row in self.api("query", query=expr)["result"]]

    def number(self, expr: str) -> float | None:
        """None while there is nothing, as after a scrape that took too long."""
        found = self.ask(expr)
        return found[0][1] if found else None

    def up(self) -> dict[str, float]:
        return {labels["job"]: value for labels, value in self.ask("up")}


class Scene:
    """The product, the Prometheus that scrapes it, and the catalog's database, which can be taken away."""

    def __init__(self, product: Product, prometheus: Prometheus, worker_port: int, server: Postgres | None) -> None:
        self.product = product
        self.prometheus = prometheus
        self.worker_port = worker_port
        self.server = server

    def stop_catalog_database(self) -> None:
        if self.server:
            self.server.stop()
            return
        file = self.product.data_dir / "catalog.sqlite3"
        file.rename(file.with_suffix(".away"))
        file.mkdir()  # nothing that can be opened

    def start_catalog_database(self) -> None:
        if self.server:
            self.server.start()
            return
        file = self.product.data_dir / "catalog.sqlite3"
        file.rmdir()
        file.with_suffix(".away").rename(file)

    def exported(self) -> set[str]:
        """Names of all samples that the product shows."""
        shown = [self.product.api.page("/metrics").text]
        shown.append(httpx.get(f"http://127.0.0.1:{self.worker_port}/metrics", trust_env=False).text)
        families = [family for text in shown for family in text_string_to_metric_families(text)]
        return {sample.name for family in families for sample in family.samples}


@pytest.fixture(scope="module")
def scene(demo_seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("monitoring")
    token = secrets.token_urlsafe(32)
    worker_port, prometheus_port = free_port(), free_port()
    certificate(folder / "demo.pem")
    more = {
        "ECI_METRICS_TOKEN": token,
        "ECI_METRICS_PORT": str(worker_port),
        "ECI_METRICS_KEPT": "0",  # shorter than the test's scrape interval
        "ECI_CERTIFICATES": str(folder / "demo.pem"),
    }
    with ExitStack() as stack:
        server = None
        if ON_SERVERS:
            server = Postgres(folder / "postgresql", free_port(), secrets.token_urlsafe(12), durable=False)
            server.start()
            stack.callback(server.stop)
            server.create_databases(["catalog_db"])
            more["ECI_CATALOG_DATABASE_URL"] = server.dsn("catalog_db")
        product = stack.enter_context(running_product(demo_seed, folder / "var", **more))
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(_on_loopback(product.port, worker_port, folder / "token")))
        (folder / "token").write_text(token)
        prometheus = Prometheus(prometheus_port)
        stack.callback(prometheus.http.close)
        command = [path_of("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        command += [f"--web.listen-address=127.0.0.1:{prometheus_port}", "--log.level=warn"]
        stack.enter_context(running(command, folder / "prometheus.log", prometheus.ready))
        _trade(product, prometheus)
        yield Scene(product, prometheus, worker_port, server)


def _on_loopback(web: int, worker: int, token: Path) -> Any:
    """monitoring/'s configuration, with the names of services replaced by what runs here, and sooner."""
    config = yaml.safe_load(PROMETHEUS.read_text())
    config["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    config["rule_files"] = [str(path) for path in RULES]
    del config["alerting"]
    config["scrape_configs"] = [job for job in config["scrape_configs"] if "authorization" in job]  # the product's
    for job in config["scrape_configs"]:
        job["authorization"]["credentials_file"] = str(token)
        if "dns_sd_configs" in job:
            (names,) = job.pop("dns_sd_configs")
            port = {("web", 8000): web, ("worker", 9808): worker}[names["names"][0], names["port"]]
        else:
            assert job["static_configs"][0]["targets"][0] in {"web:8000", f"{job['job_name']}:8000"}
            port = web
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    return config


def _trade(product: Product, prometheus: Prometheus) -> None:
    """Between two scrapes at least, or nothing would have increased."""
    demo = DemoShop(product.api)
    place = {"code": "NEAR", "name": "Near", "priority": 0}
    assert product.api.post("/v1/warehouses", place).data["code"] == "NEAR"
    lamp = demo.sell("MONITORED", NEAR=12)
    with ThreadPoolExecutor(1) as beside:
        checked = beside.submit(product.manage, "shell", "-c", CHECK_UP)
        wait_until(lambda: set(prometheus.up().values()) == {1.0}, 60, "every target has been scraped")
        for quantity in (1, 2, 3):
            assert demo.order(lamp, quantity).status == 201
            _wait_for_scrapes(product, prometheus)
        declined = demo.order(lamp, 1, payment={"method": "card", "token": "tok_declined"})
        assert declined.status == 402
        assert checked.result().returncode == 0, checked.result().stderr
    wait_until(lambda: prometheus.number("payments_failed_total") == 1, 60, "the declined one was scraped")
    wait_until(lambda: prometheus.ask(DECLINED), 60, "and that of the web processes")


def _wait_for_scrapes(product: Product, prometheus: Prometheus) -> None:
    placed = _placed(product)
    answered = 'sum(http_requests_total{route="v1/orders",method="POST",status="201"})'

    def seen() -> bool:
        return {prometheus.number(expr) for expr in ("orders_placed_total", answered)} == {placed}

    wait_until(seen, 60, f"{placed} orders were scraped")


def _placed(product: Product) -> int:
    return sum(order["status"] != "CANCELLED" for order in product.api.everything("/v1/orders"))


def test_every_context_is_a_service_that_is_up(scene: Scene) -> None:
    expected = dict.fromkeys(SERVICES | {"platform", "web", "worker"}, 1.0)
    wait_until(lambda: scene.prometheus.up() == expected, 60, "all are up")


def test_every_metric_that_a_rule_or_a_panel_names_is_exported(scene: Scene) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    there = scene.exported() | recorded | {"up"}
    for rule in rules(of_the_shop(RULES)):
        assert metrics_of(rule["expr"]) or rule["expr"].startswith("vector("), rule
        assert metrics_of(rule["expr"]) - there == set(), rule.get("alert") or rule["record"]
    for query in queries(of_the_shop(DASHBOARDS)):
        assert metrics_of(query.expr), query
        assert metrics_of(query.expr) - there == set(), query


def test_every_panel_has_something_to_show(scene: Scene) -> None:
    empty = set(queries(of_the_shop(DASHBOARDS)))

    def all_answered() -> bool:
        for query in list(empty):
            if any(not math.isnan(value) for _, value in scene.prometheus.ask(query.expr)):
                empty.remove(query)
        return not empty

    try:
        wait_until(all_answered, 60)
    finally:
        assert empty == set()


def test_prometheus_can_evaluate_every_rule(scene: Scene) -> None:
    def evaluated() -> Any:
        found = [rule for group in scene.prometheus.api("rules")["groups"] for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else None

    found = wait_until(evaluated, 60, "every rule has been evaluated")
    assert len(found) == len(rules())
    assert [rule for rule in found if rule["health"] != "ok"] == []


def test_prometheus_counts_what_was_done(scene: Scene) -> None:
    """By the rows of the databases, however many processes answered."""
    number = scene.prometheus.number
    counted = {
        "orders_placed_total": _placed(scene.product),
        "payments_failed_total": 1,
        'sum(inventory_available_stock{warehouse="NEAR"} < 10)': 6,
        'count(inventory_available_stock{warehouse="NEAR"} < 10)': 1,
        DECLINED: 1,
        'sum(tasks_total{job="worker",task="orders.recover",state="SUCCESS"}) > bool 0': 1,
    }
    wait_until(lambda: {expr: number(expr) for expr in counted} == counted, 60, "all is counted")


def test_connections_are_counted_by_database(scene: Scene) -> None:
    aliases = {"default", *settings.ECI_CONTEXTS}
    limits = 'sum by (alias) (database_connections_max{job="web"})'

    def all_are_told() -> bool:
        found = {labels["alias"]: value for labels, value in scene.prometheus.ask(limits)}
        return found == dict.fromkeys(aliases, 8)

    wait_until(all_are_told, 60, "two processes of four")

    def held() -> bool:
        return any(value > 0 for _, value in scene.prometheus.ask('database_connections_active{job="web"}'))

    wait_until(held, 60, "connections are seen to be open")


def test_a_context_whose_database_is_stopped_is_down_and_no_other(scene: Scene) -> None:
    scene.stop_catalog_database()
    try:
        others = {"catalog-service": 0.0} | dict.fromkeys(set(scene.prometheus.up()) - {"catalog-service"}, 1.0)
        wait_until(lambda: scene.prometheus.up() == others, 60, "the catalog is down, and nothing else")
    finally:
        scene.start_catalog_database()
    wait_until(lambda: scene.prometheus.up()["catalog-service"] == 1, 60, "the catalog is back")


def test_the_children_of_a_prefork_worker_count_together(demo_seed: world.Seed, tmp_path: Path) -> None:
    port, token = free_port(), secrets.token_urlsafe(32)
    closed = {"ECI_DEBUG": "0", "ECI_OPEN": "0", "ECI_METRICS_PORT": str(port), "ECI_METRICS_TOKEN": token}
    with world.world(demo_seed, tmp_path / "var", **closed) as environment:
        url = f"http://127.0.0.1:{port}/metrics"
        celery = [sys.executable, "-m", "celery", "--app", "config.celery"]
        worker = [*celery, "worker", "--pool", "prefork", "--concurrency", "2", "--queues", "eci,catalog"]

        def shown(header: str = f"Bearer {token}") -> httpx.Response | None:
            try:
                return httpx.get(url, headers={"Authorization": header}, trust_env=False)
            except httpx.TransportError:
                return None

        def counted() -> float:
            answer = shown()
            families = text_string_to_metric_families(answer.text if answer else "")
            samples = [sample for family in families for sample in family.samples if "task" in sample.labels]
            return sum(sample.value for sample in samples if sample.name in NAMES)

        log = tmp_path / "worker.log"
        with running(worker, log, lambda: shown() is not None, environment):
            call = "from config.celery import app\nfor _ in range(6): app.send_task('catalog.prune', queue='catalog')"
            subprocess.run([sys.executable, "-c", call], cwd=ROOT, env=environment, check=True)
            wait_until(lambda: counted() == 12, 60, f"six tasks are counted, and timed; see {log}")
            refused = [shown("Bearer wrong"), shown("Bearer"), shown("")]
            assert [answer and answer.status_code for answer in refused] == [401] * 3
