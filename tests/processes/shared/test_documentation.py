"""docs/from-the-documentation.md: every command that can run here is run against an open shop.

tests/deployment/test_documentation.py looks at the others.
"""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from config.contexts import CONTEXTS
from tests.support.documentation import commands, of
from tests.support.product import Product
from tests.support.programs import program
from tests.support.world import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.long]


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
    program("curl", "tools/install-servers.sh --shell")
    for command in of("curl"):
        answer = run(command, product)
        if "/v1/" in command and "health" not in command:
            assert json.loads(answer)["status"] == "success", command
    [twice] = [command for command in of("curl") if '"same-key"' in command]
    first, second = (json.loads(run(twice, product))["data"]["payment_id"] for _ in range(2))
    assert first == second
    assert len(product.api.get("/v1/payments?order_id=TEST").data) == 1


def test_every_loop(product: Product) -> None:
    program("curl", "tools/install-servers.sh --shell")
    _, load = of("for ")
    run(load, product)


def test_the_loop_over_health(product: Product) -> None:
    program("jq", "tools/install-servers.sh --shell")
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
