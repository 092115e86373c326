"""docker/compose.yml as `docker compose config` renders it, with the secrets that docker/secrets.sh makes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.contexts import CONTEXTS
from tests.deployment.connections import Process, connections
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

FOLDER = ROOT / "docker"
FILES = (FOLDER / "compose.yml", FOLDER / "compose.monitoring.yml")  # the first includes the other
OURS = ("web", "worker", "beat", "migrate", "backup")
SCALE = 3  # of web, the most that docs/deploying.md names
CONTEXT_NAMES = {context.service for context in CONTEXTS.values()}


def make_secrets(folder: Path, *options: str) -> None:
    subprocess.run([FOLDER / "secrets.sh", *options], env=os.environ | {"ECI_SECRETS": str(folder)}, check=True)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    make_secrets(folder)
    return folder


@pytest.fixture(scope="module")
def services(secrets: Path) -> dict[str, Any]:
    """As compose itself reads the file; without its plugin, as YAML does."""
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        command = ["docker", "compose", "-f", str(FOLDER / "compose.yml"), "config", "--format", "json"]
        rendered = subprocess.run(
            command, env=os.environ | {"ECI_SECRETS": str(secrets)}, capture_output=True, text=True
        )
        assert rendered.returncode == 0, rendered.stderr
        return dict(json.loads(rendered.stdout)["services"])
    return {name: service for file in FILES for name, service in yaml.safe_load(file.read_text())["services"].items()}


def environment(service: Any, secrets: Path) -> dict[str, str]:
    """What its process sees, secrets looked up."""
    plain = {name: str(value) for name, value in service["environment"].items()}
    files = {name: value for name, value in plain.items() if name.endswith("_FILE")}
    looked_up = {name.removesuffix("_FILE"): (secrets / Path(path).name).read_text() for name, path in files.items()}
    return plain | looked_up


def limit(service: Any, setting: str) -> int:
    found = re.search(rf"{setting}=(\d+)", " ".join(service["command"]))
    assert found, service["command"]
    return int(found[1])


def test_the_connections_of_all_processes_are_fewer_than_the_servers_allow(
    services: dict[str, Any], secrets: Path
) -> None:
    replicas = {"web": SCALE}
    processes = [
        Process(role=role, environment=environment(services[role], secrets), replicas=replicas.get(role, 1))
        for role in OURS
    ]
    kept = 10  # for whoever looks after the server
    allowed = {
        "postgres:5432": limit(services["postgres"], "max_connections") - kept,
        "mysql:3306": limit(services["mysql"], "max-connections") - kept,
    }
    wanted = connections(processes)
    assert wanted.keys() == allowed.keys()
    for server, count in wanted.items():
        assert count <= allowed[server], f"{server}: {count} of {allowed[server]}"


def test_every_service_is_limited_pinned_and_comes_back(services: dict[str, Any]) -> None:
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= limits.keys(), name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert service["logging"]["driver"] == "json-file", name
        assert {"max-size", "max-file", "labels"} <= service["logging"]["options"].keys(), f"{name}: its log only grows"
        if name not in OURS:
            assert re.search(r":v?\d+\.\d+", service["image"]), f"{name}: {service['image']} names no version"


def test_ours_may_do_little(services: dict[str, Any]) -> None:
    for name in OURS:
        service = services[name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("ports"), "web is scaled: only the proxy has a port"
        assert not {"ECI_DEBUG", "ECI_OPEN"} & service["environment"].keys(), name


def test_what_waits_for_what(services: dict[str, Any]) -> None:
    assert {name: how["condition"] for name, how in services["migrate"]["depends_on"].items()} == {
        "postgres": "service_healthy",
        "mysql": "service_healthy",
    }
    for name in ("web", "worker", "beat", "backup"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully", name
    assert services["proxy"]["depends_on"]["web"]["condition"] == "service_healthy"


def test_each_context_has_a_name_that_web_answers_to(services: dict[str, Any]) -> None:
    assert set(services["web"]["networks"]["default"]["aliases"]) == CONTEXT_NAMES
    hosts = re.sub(r"\s", "", services["web"]["environment"]["ECI_ALLOWED_HOSTS"]).split(",")
    assert {"web", *CONTEXT_NAMES} <= set(hosts)


def test_no_secret_stands_in_the_file(services: dict[str, Any], secrets: Path) -> None:
    text = json.dumps(services)
    for file in secrets.iterdir():
        assert not file.read_text() or file.read_text() not in text, file.name
    for name, service in services.items():
        for variable in service.get("environment") or ():
            assert not re.search(r"(PASSWORD|KEY|TOKEN|SECRETS?)$", variable), f"{name}: {variable}"


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    before = {file.name: file.read_text() for file in folder.iterdir()}
    make_secrets(folder)
    assert {file.name: file.read_text() for file in folder.iterdir()} == before
    assert folder.stat().st_mode & 0o777 == 0o700
    filled = {name: content for name, content in before.items() if content}
    assert len(set(filled.values())) == len(filled), "no two are the same"
    assert before.keys() - filled == {"backup_s3_secret", "backup_identity"}, "for a person to fill in"
    mounted = {name for file in FILES for name in yaml.safe_load(file.read_text())["secrets"]}
    assert mounted == set(before)
    assert before["grafana_password"] != "admin123"
    demonstration = tmp_path / "demonstration"
    make_secrets(demonstration, "--demo")
    assert (demonstration / "grafana_password").read_text() == "admin123"


def test_every_file_that_compose_mounts_is_there(services: dict[str, Any]) -> None:
    text = "".join(file.read_text() for file in FILES)
    mounted = re.findall(r"(\.\.?/[\w./-]+):/", text)
    assert mounted
    for path in mounted:
        assert (FOLDER / path).exists(), path
