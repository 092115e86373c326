"""docker-compose.yml, the open demonstration of seven services, as `docker compose config` renders it."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from config.contexts import CONTEXTS, GATEWAY_PORT, GRAFANA_PORT, places
from tests.deployment.connections import Process, connections
from tests.support.process import python
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

FILE = ROOT / "docker-compose.yml"
NAMES = {context.service.replace("-", ""): name for name, context in CONTEXTS.items()}
SCALED = 3  # inventoryservice, in the documentation's command


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """As compose itself reads the file; without its plugin, as YAML does."""
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        command = ["docker", "compose", "-f", str(FILE), "config", "--format", "json", "--no-interpolate"]
        rendered = subprocess.run(command, capture_output=True, text=True)
        assert rendered.returncode == 0, rendered.stderr
        return dict(yaml.safe_load(rendered.stdout)["services"])
    return dict(yaml.safe_load(FILE.read_text())["services"])


def published(service: Any) -> dict[int, tuple[str, int]]:
    """By host port: the address it is open to, and the container's port."""
    found = {}
    for port in service.get("ports", []):
        if isinstance(port, str):
            address, outside, inside = port.split(":")
        else:
            address, outside, inside = port.get("host_ip", ""), port["published"], port["target"]
        found[int(outside)] = (address, int(inside))
    return found


def test_the_names_that_the_documentation_uses(services: dict[str, Any]) -> None:
    assert set(NAMES) | {"postgres_main", "mysql_db", "prometheus", "grafana", "gateway", "prepare"} == set(services)
    for name in ("postgres_main", "mysql_db"):
        assert services[name]["container_name"] == name
    assert services["postgres_main"]["environment"]["POSTGRES_USER"] == "poojasrinivasan"
    assert services["mysql_db"]["environment"]["MYSQL_ROOT_PASSWORD"] == "yourpassword"
    made = re.findall(r"CREATE DATABASE (\w+)", (ROOT / "docker/demo/postgres.sql").read_text())
    assert {"catalog_db", "customer_db", "inventory_db", "payment_db", "notifications"} <= set(made)
    urls = [value for one in services.values() for key, value in one.get("environment", {}).items() if "_URL" in key]
    assert {url.rpartition("/")[2] for url in urls} == {*made, "order_db"}


def test_every_port_is_open_to_this_machine_alone(services: dict[str, Any]) -> None:
    """No token is asked for, and the passwords stand in the file."""
    for name, service in services.items():
        assert {address for address, _ in published(service).values()} <= {"127.0.0.1"}, name
    assert published(services["grafana"]) == {GRAFANA_PORT: ("127.0.0.1", 3000)}
    assert published(services["prometheus"]) == {9090: ("127.0.0.1", 9090)}
    ports = {port for context in CONTEXTS.values() for port in (context.port, context.demo_port)}
    assert published(services["gateway"]) == {port: ("127.0.0.1", port) for port in {*ports, GATEWAY_PORT}}
    for name in NAMES:
        assert not published(services[name]) and "container_name" not in services[name], f"{name} can be scaled"


def test_each_service_hosts_its_context_and_knows_where_the_others_are(services: dict[str, Any]) -> None:
    for name, context in NAMES.items():
        service = services[name]
        given = service["environment"]
        where = places(given["ECI_SERVICES"])
        assert where == {
            other: "local" if other == context else f"http://{CONTEXTS[other].service}:8000" for other in CONTEXTS
        }
        assert {CONTEXTS[context].service, "web", "worker"} == set(service["networks"]["default"]["aliases"])
        assert service["command"] == ["service"]
        assert [key for key in given if key.endswith("DATABASE_URL")] == sorted(
            ["ECI_PLATFORM_DATABASE_URL", f"ECI_{context.upper()}_DATABASE_URL"], key=list(given).index
        )
        assert given["ECI_SERVICE_KEY_FILE"] == f"/sandbox/services/keys/{context}.pem"
        assert service["depends_on"]["prepare"]["condition"] == "service_completed_successfully"
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]


def test_the_connections_are_fewer_than_the_servers_allow(services: dict[str, Any]) -> None:
    processes = [
        Process(
            role="service",
            environment={key: str(value) for key, value in services[name]["environment"].items()},
            replicas=SCALED if name == "inventoryservice" else 1,
        )
        for name in NAMES
    ]
    kept = 10
    wanted = connections(processes)
    assert wanted["postgres-main:5432"] <= 250 - kept and wanted["mysql-db:3306"] <= 200 - kept


def test_prometheus_has_the_jobs_of_a_real_shop(services: dict[str, Any]) -> None:
    def jobs(path: str) -> dict[str, Any]:
        return {job["job_name"]: job for job in yaml.safe_load((ROOT / path).read_text())["scrape_configs"]}

    real, here = jobs("monitoring/prometheus/prometheus.yml"), jobs("docker/demo/prometheus.yml")
    for context in CONTEXTS.values():
        for field in ("metrics_path", "static_configs"):
            assert here[context.service][field] == real[context.service][field]
    for name in ("web", "worker"):
        assert here[name]["dns_sd_configs"][0].items() >= {"names": [name]}.items()
    assert all("authorization" not in job for job in here.values()), "in open mode the pages are open"


def test_every_file_that_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounted = re.findall(r"- \"?(\./[\w./-]+):/", FILE.read_text())
    assert len(mounted) > 5
    for path in mounted:
        assert (ROOT / path).exists(), path


def test_the_settings_load_and_take_what_the_others_ask(services: dict[str, Any], tmp_path: Any) -> None:
    script = """
from django.conf import settings as s
print(s.ECI_OPEN, s.ECI_CONTEXTS, s.ECI_SERVICE_NAME, *s.ALLOWED_HOSTS)
"""
    for name, context in NAMES.items():
        given = {key: str(value) for key, value in services[name]["environment"].items() if not key.endswith("_FILE")}
        given["ECI_ALLOWED_HOSTS"] += ",172.18.0.9"  # as docker/entrypoint.sh does
        told = python("-c", script, folder=tmp_path, **given).stdout
        assert told.startswith(f"True ('{context}',) {context} "), told
        assert {CONTEXTS[context].service, "172.18.0.9", "localhost"} <= set(told.split())
