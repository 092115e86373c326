"""The whole product as processes of its own, started and stopped as its users do, and what a test does to it."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.api import Answer, Api
from tests.support.world import ROOT, Seed, world

T = TypeVar("T")

START = 120  # seconds: a slow machine preparing nine databases


def wait_until(condition: Callable[[], T], seconds: float, what: str = "") -> T:
    """The first truthy answer of ``condition``; a failure when there is none in time.

    What takes longer is asked more rarely: to ask slows down what is waited for.
    """
    began = time.monotonic()
    while True:
        found = condition()
        if found:
            return found
        waited = time.monotonic() - began
        assert waited < seconds, f"not within {seconds} s: {what or condition}; last seen: {found!r}"
        time.sleep(min(0.5, max(0.03, waited / 10)))


def at_once(calls: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Run all the calls, so many at a time; their answers in order."""
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def moment(text: str) -> float:
    """An API time as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


class HttpApi(Api):
    """The tests' API client, over a real connection. Every JSON answer under /v1 must be in the envelope."""

    def __init__(self, url: str) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        # Nothing here is HTTPS, and to read certificates takes longer than dozens of answers.
        self._http = httpx.Client(base_url=url, timeout=60, limits=limits, verify=False, trust_env=False)

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        if key is not None:
            headers["Idempotency-Key"] = key
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
        response = self._http.request(method, path, content=content, headers=headers)
        answer = Answer(response.status_code, response.json() if response.content else None, response.headers)
        if path.startswith("/v1/") and path != "/v1/health":
            require_envelope(answer)
        return answer

    def page(self, path: str, **headers: str) -> httpx.Response:
        """An answer that is not JSON."""
        return self._http.get(path, headers=headers)

    def everything(self, path: str, **headers: str) -> list[Any]:
        """All rows of a list, page after page."""
        rows: list[Any] = []
        following: str | None = f"{path}{'&' if '?' in path else '?'}limit=100"
        while following:
            answer = self.get(following, **headers)
            rows += answer.data
            following = answer.json["meta"]["next"]
        return rows

    def close(self) -> None:
        self._http.close()


def require_envelope(answer: Answer) -> None:
    if answer.status == 204:
        assert answer.json is None
        return
    names = {"status", "data", "error", "timestamp"}
    if answer.status < 400:
        assert answer.json["status"] == "success" and answer.json["error"] is None, answer.json
        assert set(answer.json) - {"meta"} == names, answer.json
    else:
        assert answer.json["status"] == "error" and answer.json["data"] is None, answer.json
        assert set(answer.json) == names | {"code", "details"}, answer.json
        assert answer.json["error"] and answer.json["code"] and isinstance(answer.json["details"], dict), answer.json
    assert answer.json["timestamp"].endswith("Z")


class Product:
    """``manage.py up`` in a session of its own on a free port, run by the command ``under`` where one is given.

    ``command``: what ``manage.py`` does instead, to answer on ``port``.
    """

    def __init__(
        self,
        data_dir: Path,
        environment: dict[str, str],
        *,
        under: Sequence[str] = (),
        command: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.port = port or free_port()
        self.command = command or ("up", "--port", str(self.port))
        self.environment = environment
        self.under = under
        self.api = HttpApi(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        self.api.close()
        self.api = HttpApi(self.url)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.under, sys.executable, "manage.py", *self.command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._healthy, START, f"healthy; see {self.log}")

    def _healthy(self) -> bool:
        assert self._process is not None and self._process.poll() is None, f"ended at once:\n{self.tail()}"
        try:
            return self.api.get("/health").status == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Ctrl-C, as a terminal sends it: to every process at once. Nothing may be left."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(120)
        self._require_gone()

    def kill(self, *, supervisor_only: bool = False) -> None:
        """``kill -9``."""
        assert self._process is not None
        if supervisor_only:
            self._process.kill()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(120)
        self._require_gone()

    def _require_gone(self) -> None:
        wait_until(lambda: not self.processes(), 60, f"no process left of {self.processes()}")

    def clean_up(self) -> None:
        """Whatever a failed test has left behind."""
        self.api.close()
        if self._process is not None:
            if self.processes():
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(120)

    def processes(self, *names: str) -> list[int]:
        """Its living processes, or those of them with one of these names."""
        assert self._process is not None
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                    name = (entry / "comm").read_text().strip()
                except OSError:  # it has just ended
                    continue
                if int(session) == self._process.pid and state != "Z" and (not names or name in names):
                    found.append(int(entry.name))
        return found

    def workers(self) -> list[int]:
        """Worker and beat, once both run."""

        def both() -> list[int]:
            found = self.processes("eci-worker", "eci-beat")
            return found if len(found) == 2 else []

        return wait_until(both, START, "worker and beat run")

    def kill_workers(self) -> None:
        """``kill -9`` of worker and beat alone. The supervisor, which would now end the rest, is held still."""
        assert self._process is not None
        workers = self.workers()
        self._process.send_signal(signal.SIGSTOP)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.processes("eci-worker", "eci-beat"), 60, "worker and beat are dead")

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A management command beside the running product."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)

    def require_sound_books(self) -> str:
        """``manage.py audit``, the final judge; what it says."""
        audit = self.manage("audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr
        return audit.stdout.strip()

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


class DemoShop:
    """What tests do again and again with a running product. Every test sells products of its own."""

    def __init__(self, api: HttpApi) -> None:
        self.api = api

    def sell(self, sku: str, *, price: str = "10.00", **stock: int) -> int:
        """A new product with so many units by warehouse; its id."""
        product = self.api.post("/v1/products", {"sku": sku, "name": f"Product {sku}", "price": price})
        assert product.status == 201, product.json
        product_id = int(product.data["product_id"])
        for warehouse, units in stock.items():
            body = {"product_id": product_id, "warehouse": warehouse, "onhand": units}
            assert self.api.post("/v1/inventory", body).status == 201
        return product_id

    def order(self, product_id: int, *quantities: int, key: str | None = None, **more: Any) -> Answer:
        items = [{"product_id": product_id, "quantity": quantity} for quantity in quantities or (1,)]
        return self.api.post("/v1/orders", {"customer_id": 1, "items": items} | more, key=key)

    def read(self, order_id: str) -> Any:
        return self.api.get(f"/v1/orders/{order_id}").data

    def stock(self, product_id: int) -> tuple[int, int, int]:
        """On hand, reserved, available."""
        data = self.api.get(f"/v1/inventory/availability/{product_id}").data
        return data["total_on_hand"], data["total_reserved"], data["total_available"]

    def notices(self, order_id: str) -> list[tuple[str, str]]:
        """Kind and status of the notices about an order, sorted."""
        found = self.api.get(f"/v1/notifications?order_id={order_id}").data
        return sorted((notice["type"], notice["status"]) for notice in found)


Running = Callable[..., AbstractContextManager[Product]]


@contextmanager
def running(seed: Seed | None, data_dir: Path, **environment: str) -> Iterator[Product]:
    """A product on a copy of the seed; afterwards it must stop as it should."""
    with world(seed, data_dir, **environment) as own:
        product = Product(data_dir, own)
        try:
            product.start()
            yield product
            product.stop()
        finally:
            product.clean_up()


# Below those that the kernel gives to whoever connects, and each process of a test run has its own: nobody else takes
# one before it is used, or while who listened there is away.
_own_ports = list(range(20_100 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 16, 32_768, 16))
random.shuffle(_own_ports)
_ports = itertools.cycle(_own_ports)


def free_port() -> int:
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", next(_ports)))
            return int(probe.getsockname()[1])
