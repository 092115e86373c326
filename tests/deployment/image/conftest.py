"""Containers of the image that `make image` has built. They share the machine's network: its ports are ours."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.product import HttpApi, free_port, wait_until
from tools.servers import Servers

IMAGE = os.environ.get("ECI_TEST_IMAGE", "")
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = f"{Path(__file__).parent}/"
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.e2e)
            if not IMAGE:
                item.add_marker(pytest.mark.skip(reason="NOT RUN: `make image-test` does, on a Docker engine"))


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


class Container:
    def __init__(self, role: str, volume: str, **environment: str) -> None:
        self.name = f"eci-test-{role}-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = HttpApi(self.url)
        own = {"PORT": str(self.port), "ECI_METRICS_PORT": "0"} | environment
        variables = [f"--env={name}={value}" for name, value in own.items()]
        mounted = f"--volume={volume}:/data"
        self.run = ["run", f"--name={self.name}", "--network=host", *HARDENED, mounted, *variables, IMAGE, role]

    def start(self) -> None:
        docker("run", "--detach", *self.run[1:])

    def wait_until_healthy(self) -> None:
        """By its own health check, as Docker and compose see it, and for whoever asks from outside."""
        wait_until(lambda: self.state("Health.Status") == "healthy", 180, f"{self.name} is healthy")
        assert self.api.get("/health").json["status"] == "healthy"

    def state(self, path: str) -> str:
        state = docker("inspect", "--format", f"{{{{.State.{path}}}}}", self.name)
        running = docker("inspect", "--format", "{{.State.Running}}", self.name)
        assert path == "ExitCode" or running == "true", f"{self.name} ended:\n{self.logs()}"
        return state

    def stop(self) -> None:
        """It must end by itself, not be killed."""
        docker("stop", "--time", "60", self.name)
        assert self.state("ExitCode") == "0", self.logs()

    def start_again(self) -> None:
        docker("start", self.name)
        self.wait_until_healthy()

    def execute(self, *command: str) -> str:
        return docker("exec", self.name, *command)

    def logs(self) -> str:
        done = subprocess.run(
            ["docker", "logs", self.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.stdout

    def sign_in(self, email: str, password: str) -> dict[str, str]:
        answer = self.api.post("/v1/staff/token", {"email": email, "password": password})
        assert answer.status == 200, answer.json
        return {"Authorization": f"Bearer {answer.data['access']}"}


NewContainer = Callable[..., Container]


@pytest.fixture
def container() -> Iterator[NewContainer]:
    """``container("web", VARIABLE="…")``: all of a test's containers have one volume."""
    volume = f"eci-test-{uuid.uuid4().hex[:8]}"
    made: list[Container] = []

    def new(role: str, **environment: str) -> Container:
        made.append(Container(role, volume, **environment))
        return made[-1]

    docker("volume", "create", volume)
    try:
        yield new
    finally:
        for one in made:
            one.api.close()
            subprocess.run(["docker", "rm", "--force", one.name], capture_output=True)
        docker("volume", "rm", volume)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    started = Servers(tmp_path / "servers", durable=False)
    try:
        started.start()
        yield started
    finally:
        started.stop()


class Shop(Protocol):
    api: HttpApi


def stock(container: Shop, staff: dict[str, str], *, units: int) -> int:
    """A product with so many units, made over the API; its id."""
    api = container.api
    made = api.post("/v1/products", {"sku": "CUP-1", "name": "A cup", "price": "9.90"}, **staff)
    assert made.status == 201, made.json
    assert api.post("/v1/warehouses", {"code": "MAIN", "name": "Main"}, **staff).status == 200
    row = {"product_id": made.data["product_id"], "warehouse": "MAIN", "onhand": units}
    assert api.post("/v1/inventory", row, **staff).status == 201
    return int(made.data["product_id"])


def new_customer(container: Shop) -> tuple[int, dict[str, str]]:
    """Their id and their token."""
    ann = {"email": "ann@example.com", "password": "correct horse battery"}
    assert container.api.post("/v1/users/register", ann | {"full_name": "Ann"}).status == 201
    login = container.api.post("/v1/users/login", ann)
    return int(login.data["customer_id"]), {"Authorization": f"Bearer {login.data['access']}"}


def image_facts() -> tuple[int, dict[str, object]]:
    """Size in bytes, and its configuration."""
    facts = json.loads(docker("image", "inspect", IMAGE))[0]
    return int(facts["Size"]), facts["Config"]
