"""Real exporters beside real servers, scraped by a real Prometheus with our jobs: no panel of Servers stays empty."""

from __future__ import annotations

import json
import math
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.deployment.monitoring.expressions import (
    DASHBOARDS,
    PROMETHEUS,
    RULES,
    metrics_of,
    of_servers,
    queries,
    rules,
)
from tests.deployment.monitoring.programs import needs_prometheus, path_of, running
from tests.deployment.monitoring.test_live import Prometheus
from tests.support.product import wait_until
from tests.support.world import ON_SERVERS, ROOT
from tools.servers import Postgres, binary, free_ports

EXPORTERS = [f"prometheus-{name}-exporter" for name in ("node", "postgres", "mysqld", "redis")]
pytestmark = [
    pytest.mark.e2e,
    needs_prometheus,
    pytest.mark.skipif(not ON_SERVERS, reason="needs servers to look at"),
    pytest.mark.skipif(
        not all(map(binary, EXPORTERS)),
        reason="NOT TESTED, for the exporters are not installed: tools/install-servers.sh --monitoring",
    ),
    pytest.mark.long,
]
SEEN = ("pg_up", "mysql_up", "redis_up")
ELSEWHERE = {"mysql_slave_status_seconds_behind_master", "mysql_slave_status_seconds_behind_source"}  # of a replica


@dataclass(frozen=True)
class Watched:
    prometheus: Prometheus
    postgres: Postgres
    password: str


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("exporters")
    password = secrets.token_hex(12)
    (folder / "password").write_text(password)
    mysql = urlsplit(os.environ["ECI_ORDERS_DATABASE_URL"])
    redis = urlsplit(os.environ["ECI_REDIS_URL"])
    with ExitStack() as stack:
        own, replica = (
            Postgres(folder / name, port, password, durable=False)
            for name, port in zip(("primary", "replica"), free_ports(2), strict=True)
        )
        for server in (own, replica):
            stack.callback(server.stop)
            if server is replica:
                replica.copy(own)
            server.start()
        own.create_databases(["catalog_db"])
        ports = dict(zip(("node", "postgres", "mysql", "redis", "prometheus"), free_ports(5), strict=True))
        make_account("postgres-monitor.sh", folder, PGHOST="127.0.0.1", PGPORT=str(own.port), PGPASSWORD=own.password)
        make_account("mysql-monitor.sh", folder, mysql=mysql)
        stack.callback(drop_account, mysql)
        (folder / "my.cnf").write_text(
            f"[client]\nhost={mysql.hostname}\nport={mysql.port}\nuser=eci_monitor\npassword={password}\n"
        )
        (folder / "redis.json").write_text(json.dumps({f"redis://127.0.0.1:{redis.port}": redis.password or ""}))
        environments = {
            "node": {},
            "postgres": {
                "DATA_SOURCE_URI": f"127.0.0.1:{own.port}/postgres?sslmode=disable",
                "DATA_SOURCE_USER": "eci_monitor",
                "DATA_SOURCE_PASS_FILE": str(folder / "password"),
            },
            "mysql": {},
            "redis": {
                "REDIS_ADDR": f"redis://127.0.0.1:{redis.port}",
                "REDIS_PASSWORD_FILE": str(folder / "redis.json"),
            },
        }
        options = {"mysql": [f"--config.my-cnf={folder / 'my.cnf'}"], "node": ["--path.rootfs=/"]}
        for program, name in zip(EXPORTERS, environments, strict=True):
            command = [path_of(program), f"--web.listen-address=127.0.0.1:{ports[name]}", *options.get(name, [])]
            environment = {"PATH": os.environ["PATH"], **environments[name]}
            stack.enter_context(running(command, folder / f"{name}.log", lambda: True, environment))
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(on_loopback(ports)))
        asked = Prometheus(ports["prometheus"])
        stack.callback(asked.http.close)
        command = [path_of("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        command += [f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--log.level=warn"]
        stack.enter_context(running(command, folder / "prometheus.log", asked.ready))
        yield Watched(asked, own, password)


@pytest.fixture
def prometheus(watched: Watched) -> Prometheus:
    return watched.prometheus


def make_account(script: str, folder: Path, *, mysql: Any = None, **environment: str) -> None:
    """By the script that the servers' images run, as the administrator here."""
    text = (ROOT / "docker" / "init" / script).read_text()
    text = text.replace("/run/secrets/monitor_password", str(folder / "password")).replace(
        "--username postgres", "-d postgres --username eci"
    )
    if mysql:
        text = text.replace("$(cat /run/secrets/mysql_root_password)", mysql.password)
        text = text.replace(
            "mysql --user root", f"{client()} --host 127.0.0.1 --port {mysql.port} --user {mysql.username}"
        )
    done = subprocess.run(["sh", "-c", text], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def drop_account(mysql: Any) -> None:
    command = [client(), "--host", "127.0.0.1", "--port", str(mysql.port), "--user", mysql.username]
    environment = os.environ | {"MYSQL_PWD": mysql.password}
    subprocess.run([*command, "--execute", "DROP USER eci_monitor"], env=environment, check=True)


def client() -> str:
    return path_of("mariadb")


def on_loopback(ports: dict[str, int]) -> Any:
    """monitoring/'s jobs of the servers, with what runs here in place of their names."""
    config = yaml.safe_load(PROMETHEUS.read_text())
    config["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    config["rule_files"] = [str(path) for path in of_servers(RULES)]
    del config["alerting"]
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] in ports]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
    return config


def test_every_exporter_is_up_and_sees_its_server(prometheus: Prometheus) -> None:
    expected = dict.fromkeys(("node", "postgres", "mysql", "redis"), 1.0)
    wait_until(lambda: prometheus.up() == expected, 60, "all are up")
    seen = dict.fromkeys(SEEN, 1.0)
    wait_until(lambda: {name: prometheus.number(name) for name in SEEN} == seen, 60, "each sees its server")


def test_every_panel_and_rule_of_servers_has_its_metrics(prometheus: Prometheus) -> None:
    empty = set(queries(of_servers(DASHBOARDS)))

    def all_answered() -> bool:
        for query in list(empty):
            if any(not math.isnan(value) for _, value in prometheus.ask(query.expr)):
                empty.remove(query)
        return not empty

    try:
        wait_until(all_answered, 60)
    finally:
        assert empty == set()
    there = {str(name) for name in prometheus.api("label/__name__/values")} | ELSEWHERE
    shipping = {name for rule in rules(of_servers(RULES)) for name in metrics_of(rule["expr"]) if "fluentbit" in name}
    for rule in rules(of_servers(RULES)):
        assert metrics_of(rule["expr"]) - there - shipping == set(), rule["alert"]


def test_the_primary_says_how_far_behind_its_replica_is(prometheus: Prometheus) -> None:
    def followed() -> Any:
        return prometheus.ask("pg_stat_replication_pg_wal_lsn_diff")

    ((labels, behind),) = wait_until(followed, 60, "the replica follows")
    assert labels["job"] == "postgres"
    assert behind < 64e6
    firing = {rule["labels"]["alertname"] for rule in prometheus.api("alerts")["alerts"] if rule["state"] == "firing"}
    assert "ReplicationLag" not in firing and "Watchdog" in firing


def test_the_exporters_account_reads_no_row(watched: Watched) -> None:
    import MySQLdb
    import psycopg

    with psycopg.connect(watched.postgres.dsn("catalog_db"), autocommit=True) as owner:
        owner.execute("CREATE TABLE people AS SELECT 'ann@shop.example' AS email")
    dsn = watched.postgres.dsn("catalog_db").replace(
        f"eci:{watched.postgres.password}", f"eci_monitor:{watched.password}"
    )
    with psycopg.connect(dsn) as exporter, pytest.raises(psycopg.errors.InsufficientPrivilege):
        exporter.execute("SELECT email FROM people")
    mysql = urlsplit(os.environ["ECI_ORDERS_DATABASE_URL"])
    port, password = int(mysql.port or 3306), watched.password
    with MySQLdb.connect(host="127.0.0.1", port=port, user="eci_monitor", password=password) as exporter:
        assert exporter.cursor().execute("SHOW GLOBAL STATUS LIKE 'Threads_connected'") == 1
        with pytest.raises(MySQLdb.OperationalError, match="denied"):
            exporter.cursor().execute("SELECT * FROM mysql.user")
        with pytest.raises(MySQLdb.OperationalError, match="denied"):
            exporter.cursor().execute(f"USE {mysql.path.lstrip('/')}")
