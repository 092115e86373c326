"""docs/from-the-documentation.md: every command that can run here is run against an open shop; of the others, all that
they name is looked for in what is deployed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from config.contexts import CONTEXTS, GRAFANA_PORT
from tests.deployment import rendered
from tests.support.product import Product
from tests.support.programs import program
from tests.support.world import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.long]

PAGE = ROOT / "docs" / "from-the-documentation.md"
SAME, NOTHING = "the same", "nothing: "
# Any of the services stands for these.
PLACEHOLDERS = {
    "[service-name]": "inventoryservice",
    "<service-name>": "inventoryservice",
    "<pod-name>": "inventory-service-0",
    "<pid>": "1",
}
CODE = re.compile(r"(`+)(.+?)\1")


@dataclass(frozen=True)
class Row:
    documented: str
    here: str

    @property
    def commands(self) -> list[str]:
        """What is to be typed here."""
        if self.here.startswith(SAME):
            return [self.documented]
        return [] if self.here.startswith(NOTHING) else [code for _, code in CODE.findall(self.here)][:1]


def rows() -> Iterator[Row]:
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            documented, here = re.split(r"(?<!\\) \| ", line.strip("| "), maxsplit=1)
            code = CODE.fullmatch(documented)
            assert code, line
            yield Row(code[2].replace("\\|", "|"), here.replace("\\|", "|"))


def commands() -> list[str]:
    found = dict.fromkeys(command for row in rows() for command in row.commands)
    for placeholder, value in PLACEHOLDERS.items():
        found = {command.replace(placeholder, value): None for command in found}
    return list(found)


def of(*programs: str) -> list[str]:
    return [command for command in commands() if command.startswith(programs)]


def test_every_row_says_what_its_command_does_here() -> None:
    """Each is the same, nothing, or another command; and none is left to no test at all."""
    for row in rows():
        assert row.commands or row.here.startswith(NOTHING), row
    checked = {*of("curl"), *of("GET", "POST"), *of("for "), *of("docker", "DOCKER_BUILDKIT"), *of("kubectl"), *SCRIPTS}
    checked |= {command for command in commands() if re.fullmatch(r"[a-z_]+(\{.*\})?|https?://\S+|.+\.json", command)}
    machines = ("minikube", "MINIKUBE_IP", "git clone", "lsof", "sudo kill", "free", "cd ", "echo", "./deploy", "k8s-m")
    assert [command for command in commands() if command not in checked and not command.startswith(machines)] == []
    assert len(commands()) > 80


# -- against a shop ---------------------------------------------------------------------------------------------------


def at(command: str, product: Product) -> str:
    """The services' ports are all the shop's own. A cluster's addresses too."""
    ports = "|".join(str(port) for one in CONTEXTS.values() for port in (one.port, one.demo_port))
    for host in (rf"localhost:({ports}|\$port)", r"ecommerce\.local(?=/)", r"\$MINIKUBE_IP:30001"):
        command = re.sub(rf"http://{host}", product.url, command)
    return command


def run(command: str, product: Product) -> str:
    script = f'set -e; curl() {{ command curl --fail-with-body -sS "$@"; }}; export -f curl; {at(command, product)}'
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_every_curl(product: Product) -> None:
    program("curl", "apt-get install curl")
    for command in of("curl"):
        answer = run(command, product)
        if "/v1/" in command and "health" not in command:
            assert json.loads(answer)["status"] == "success", command
    [twice] = [command for command in of("curl") if '"same-key"' in command]
    first, second = (json.loads(run(twice, product))["data"]["payment_id"] for _ in range(2))
    assert first == second
    assert len(product.api.get("/v1/payments?order_id=TEST").data) == 1


def test_every_loop(product: Product) -> None:
    program("curl", "apt-get install curl")
    _, load = of("for ")
    run(load, product)


def test_the_loop_over_health(product: Product) -> None:
    program("jq", "apt-get install jq")
    health, _ = of("for ")
    assert run(health, product).count('"healthy"') >= 4


def test_every_call_of_the_api(product: Product) -> None:
    payment_id = 0
    for command in of("GET", "POST"):
        method, path, *body = command.split(" ", 2)
        if path == "/v1/payments/1/refund":
            path = f"/v1/payments/{payment_id}/refund"
        answer = product.api.send(method, path, json.loads(body[0]) if body else None)
        assert answer.status in (200, 201), (command, answer.json)
        if path == "/v1/payments/charge":
            payment_id = answer.data["payment_id"]


def test_every_metric(product: Product) -> None:
    page = product.api.page("/metrics").text
    served = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    named = {command for command in commands() if re.fullmatch(r"[a-z_]+", command)}
    assert named - served == {"up"}  # Prometheus' own
    assert len(named) > 7


SCRIPTS = ["./demo-script.sh", "python3 interservice-workflow.py", "python3 complete-ecommerce-workflow-demo.py"]


def test_every_script_is_there_and_runs() -> None:
    """tests/processes/test_demo.py runs them to their end."""
    assert set(SCRIPTS) <= set(commands())
    for command in SCRIPTS:
        subprocess.run([*shlex.split(command), "--help"], cwd=ROOT, check=True, capture_output=True, timeout=30)


def test_every_file() -> None:
    files = [command for command in commands() if command.endswith(".json")]
    assert len(files) == 3
    for path in files:
        assert json.loads((ROOT / path).read_text())["info"]["schema"].startswith("https://schema.getpostman.com/")


# -- against what is deployed -----------------------------------------------------------------------------------------


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
