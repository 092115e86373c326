"""docs/from-the-documentation.md: what its commands name is looked for in what is deployed.

tests/processes/shared/test_documentation.py runs those that can run here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from typing import Any

import pytest
import yaml

from config.contexts import GRAFANA_PORT
from tests.deployment import rendered
from tests.support.documentation import NOTHING, commands, of, rows
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

SCRIPTS = ["./demo-script.sh", "python3 interservice-workflow.py", "python3 complete-ecommerce-workflow-demo.py"]


def test_every_row_says_what_its_command_does_here() -> None:
    """Each is the same, nothing, or another command; and none is left to no test at all."""
    for row in rows():
        assert row.commands or row.here.startswith(NOTHING), row
    checked = {*of("curl"), *of("GET", "POST"), *of("for "), *of("docker", "DOCKER_BUILDKIT"), *of("kubectl"), *SCRIPTS}
    checked |= {command for command in commands() if re.fullmatch(r"[a-z_]+(\{.*\})?|https?://\S+|.+\.json", command)}
    machines = ("minikube", "MINIKUBE_IP", "git clone", "lsof", "sudo kill", "free", "cd ", "echo", "./deploy", "k8s-m")
    assert [command for command in commands() if command not in checked and not command.startswith(machines)] == []
    assert len(commands()) > 80


def test_every_script_is_there_and_runs() -> None:
    """tests/processes/shared/test_demo.py runs them to their end."""
    assert set(SCRIPTS) <= set(commands())
    for command in SCRIPTS:
        subprocess.run([*shlex.split(command), "--help"], cwd=ROOT, check=True, capture_output=True, timeout=120)


def test_every_file() -> None:
    files = [command for command in commands() if command.endswith(".json")]
    assert len(files) == 3
    for path in files:
        assert json.loads((ROOT / path).read_text())["info"]["schema"].startswith("https://schema.getpostman.com/")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


def require_a_database(command: str, role: str, databases: str) -> None:
    """The one that psql or mysql is told of is made, and the role may log in."""
    if told := re.search(r"-U (\w+)", command):
        assert told[1] == role, command
    if told := re.search(r" (?:-d |-p\w+ )(\w+)", command):
        assert re.search(rf"\b{told[1]}\b", databases), command


def test_every_docker_command(compose: dict[str, Any]) -> None:
    containers = {one["container_name"] for one in compose.values() if "container_name" in one}
    made = "".join(file.read_text() for file in (ROOT / "docker" / "demo").glob("*.sql"))
    for command in of("docker", "DOCKER_BUILDKIT"):
        for one in command.split(" && "):
            words = [word for word in shlex.split(one) if not word.startswith("-") and "DOCKER_" not in word]
            if words[0] == "docker-compose":
                assert words[1] in ("up", "down", "logs", "restart", "build", "ps"), command
                assert {word.partition("=")[0] for word in words[2:]} <= set(compose), command
            elif words[1] in ("logs", "exec"):
                assert words[2] in containers, command
                require_a_database(one, compose["postgres_main"]["environment"]["POSTGRES_USER"], made)
                if password := re.search(r"-u root -p(\w+)", one):
                    assert password[1] == compose["mysql_db"]["environment"]["MYSQL_ROOT_PASSWORD"]
            else:
                assert words[1:] in (["ps"], ["stats"], ["system", "prune"]), command
    assert len(of("docker", "DOCKER_BUILDKIT")) > 15


def test_every_port_and_page(compose: dict[str, Any]) -> None:
    """Of compose and of the cluster."""
    outside = {port.split(":")[-2] for one in compose.values() for port in one.get("ports", ())}
    asked = {port for command in commands() for port in re.findall(r"localhost:(\d+)", command)}
    assert asked <= outside
    assert {str(GRAFANA_PORT), "9090"} <= asked
    jobs = (ROOT / "docker" / "demo" / "prometheus.yml").read_text()
    [job] = re.findall(r'up\{job="(.+?)"\}', "\n".join(commands()))
    assert f"job_name: {job}\n" in jobs
    cluster = rendered.text(rendered.SERVICES) + rendered.text("k8s/overlays/minikube/monitoring")
    for there in ("nodePort: 30001", "nodePort: 30030", "host: ecommerce.local"):
        assert there in cluster


def test_every_kubectl_command() -> None:
    found = {(one["kind"].lower(), one["metadata"]["name"]): one for one in rendered.objects(rendered.SERVICES)}
    text = rendered.text(rendered.SERVICES)
    for command in of("kubectl"):
        named = re.findall(r"\b(deployment|service)[ /]([a-z-]+)", command)
        named += [("service", name) for name in re.findall(r"([a-z-]+)\.ecommerce\.svc", command)]
        assert set(named) <= set(found), command
        if forwarded := re.search(r"port-forward service/(\S+) \d+:(\d+)", command):
            ports = {port["port"] for port in found["service", forwarded[1]]["spec"]["ports"]}
            assert int(forwarded[2]) in ports, command
        assert "-n ecommerce" in command or ".ecommerce.svc" in command
        require_a_database(command, "poojasrinivasan" if "poojasrinivasan" in text else "", text)
    assert len(of("kubectl")) > 15


def test_every_script_of_a_cluster() -> None:
    for command in of("./deploy", "k8s-manifests/"):
        assert os.access(ROOT / "k8s-manifests" / command.rpartition("/")[2], os.X_OK), command
