"""The image as docker/compose.yml runs it: compose itself gives it mounts, users, limits and secrets. Only the servers
are others, on the machine's network.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.operations import archives
from tests.deployment.image.conftest import IMAGE, docker, new_customer, stock
from tests.deployment.test_compose import make_secrets
from tests.support.product import HttpApi, free_port, wait_until
from tests.support.world import ROOT
from tools.servers import MYSQL, POSTGRES, Servers

OURS = ("web", "worker", "beat", "migrate", "backup")


class Compose:
    def __init__(self, folder: Path, servers: Servers) -> None:
        self.name = f"eci-test-{uuid.uuid4().hex[:8]}"
        self.servers = servers
        self.port = free_port()
        self.api = HttpApi(f"http://127.0.0.1:{self.port}")
        self.secrets = folder / "secrets"
        make_secrets(self.secrets)
        for variable, url in servers.environment().items():
            self._secret(variable.removeprefix("ECI_").lower(), url)
        identity, recipient = archives.new_identity()
        self._secret("backup_identity", identity)
        self.environment = os.environ | {
            "ECI_SECRETS": str(self.secrets),
            "ECI_IMAGE": IMAGE,
            "ECI_BACKUP_RECIPIENTS": recipient,
        }
        self.services = self._services()
        self.file = folder / "compose.json"
        secrets = {path.name: {"file": str(path)} for path in self.secrets.iterdir()}
        volumes = {"sandbox": {}, "backups": {}}
        self.file.write_text(json.dumps({"services": self.services, "volumes": volumes, "secrets": secrets}))

    def _services(self) -> dict[str, Any]:
        """Ours, as compose renders them. What they would find on a network of their own is on the machine's here."""
        command = ["docker", "compose", "--file", str(ROOT / "docker/compose.yml"), "config", "--format", "json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        rendered = json.loads(done.stdout)["services"]
        ours = {name: rendered[name] for name in OURS}
        for service in ours.values():
            for elsewhere in ("networks", "depends_on", "build"):
                service.pop(elsewhere, None)
            service["network_mode"] = "host"
            service["environment"] |= {"PORT": str(self.port), "ECI_METRICS_PORT": "0"}
        return ours

    def _secret(self, name: str, content: str) -> None:
        file = self.secrets / name
        assert file.exists(), f"docker/secrets.sh makes no {name}"
        file.chmod(0o644)
        file.write_text(content)

    def command(self, *words: str) -> list[str]:
        return ["docker", "compose", "--project-name", self.name, "--file", str(self.file), *words]

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            self.command(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def manage(self, *words: str, code: int = 0) -> str:
        return self("run", "--rm", "--no-deps", "backup", "python", "manage.py", *words, code=code)

    def start(self, *services: str) -> None:
        self("up", "--detach", "--no-deps", "--no-build", *services)

    def wait_until_healthy(self) -> None:
        web = self("ps", "--quiet", "web").strip()
        wait_until(lambda: docker("inspect", "-f", "{{.State.Health.Status}}", web) == "healthy", 120, "web is healthy")

    def sign_in(self) -> dict[str, str]:
        login = {"email": "admin@shop.example", "password": (self.secrets / "admin_password").read_text()}
        answer = self.api.post("/v1/staff/token", login)
        assert answer.status == 200, answer.json
        return {"Authorization": f"Bearer {answer.data['access']}"}


@pytest.fixture
def compose(tmp_path: Path, servers: Servers) -> Iterator[Compose]:
    made = Compose(tmp_path, servers)
    try:
        yield made
    finally:
        made.api.close()
        subprocess.run(made.command("down", "--volumes"), env=made.environment, capture_output=True)


def delete_every_database(servers: Servers) -> None:
    import MySQLdb
    import psycopg

    with psycopg.connect(servers.postgres.dsn("postgres"), autocommit=True) as connection:
        for name in POSTGRES.values():
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    mariadb = servers.mariadb
    at = MySQLdb.connect(host="127.0.0.1", port=mariadb.port, user="eci", password=mariadb.password)
    for name in MYSQL.values():
        at.cursor().execute(f"DROP DATABASE `{name}`")
    at.close()
    servers.start()  # which makes those that are not there


def test_it_sells_backs_up_loses_everything_and_comes_back(compose: Compose) -> None:
    compose("run", "--rm", "--no-deps", "migrate")
    compose.start("web", "worker", "beat")
    compose.wait_until_healthy()
    product = stock(compose, compose.sign_in(), units=10)
    _, customer = new_customer(compose)
    placed = compose.api.post(
        "/v1/orders", {"items": [{"product_id": product, "quantity": 2}], "payment": {"token": "tok_ok"}}, **customer
    )
    assert (placed.status, placed.data["status"]) == (201, "SHIPPED"), placed.json
    assert placed.data["payments"][0]["status"] == "COMPLETED"

    compose.start("backup")
    told = {"Authorization": f"Bearer {(compose.secrets / 'metrics_token').read_text()}"}
    shown = r"^backup_last_success_timestamp_seconds (\S+)$"

    def age() -> float:
        text = compose.api.page("/metrics/platform", **told).text
        return time.time() - float(re.findall(shown, text, re.MULTILINE)[0])

    wait_until(lambda: age() < 3600, 120, "the alert's metric tells of a backup")
    for service in ("backup", "beat"):
        healthy = compose.services[service]["healthcheck"]["test"][1].replace("$$", "$")
        compose("exec", service, "sh", "-c", healthy)
    assert "RTO" in (drilled := compose.manage("restore_drill")), drilled

    compose("down")
    delete_every_database(compose.servers)
    began = time.monotonic()
    restored = compose.manage("restore", "newest", "--audit")
    assert "The books agree: 1 orders checked" in restored
    compose.start("web", "worker", "beat")
    compose.wait_until_healthy()
    seconds = time.monotonic() - began
    again = compose.api.get(f"/v1/orders/{placed.data['order_id']}", **customer)
    assert (again.status, again.data["status"]) == (200, "SHIPPED"), "the customer's token is as good as before"
    print(f"\n{drilled}\nfrom nothing but the backup until web is healthy: {seconds:.1f} s\n{restored}")


def test_a_folder_that_is_somebody_elses_is_told_before_anybody_pays(compose: Compose, tmp_path: Path) -> None:
    theirs = tmp_path / "sandbox"
    theirs.mkdir(mode=0o755)
    refused = compose("run", "--rm", "--no-deps", "--volume", f"{theirs}:/sandbox", "migrate", code=1)
    assert "user 10001 may not write to /sandbox, so nobody could pay" in refused
    alone = ["docker", "run", "--rm", "--network=host", f"--volume={theirs}:/data", IMAGE]
    done = subprocess.run(alone, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "ECI_DATA_DIR: user 10001 may not write to /data" in done.stderr
