"""A deployment cut into processes that know each other by URL and key alone, and the one shop they make."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from django.urls import resolve

from eci.identity import keys
from tests.support.api import Answer, Api
from tests.support.product import HttpApi, free_port, wait_until
from tests.support.world import ROOT, Seed, world

START = 120  # seconds

PARTS = {
    "front": ("catalog", "customers", "shipping", "orders", "notifications"),
    "back": ("inventory", "payments"),
}


class Service:
    """One web process, with the contexts it hosts."""

    def __init__(self, name: str, contexts: Sequence[str], port: int, environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.contexts = contexts
        self.url = f"http://127.0.0.1:{port}"
        self.environment = environment
        self.log = log
        self.api = HttpApi(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def session(self) -> int:
        """Of its master and workers."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        gunicorn = [sys.executable, "-m", "gunicorn", "tests.support.cut_wsgi:application"]
        options = ["--config", "config/gunicorn.py", "--bind", self.url.removeprefix("http://"), "--workers", "1"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*gunicorn, *options], cwd=ROOT, env=self.environment, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        wait_until(self._healthy, START, f"{self.name} is healthy; see {self.log}")

    def _healthy(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log.read_text()[-3000:]
        try:
            return self.api.get("/health").status == 200
        except httpx.TransportError:
            return False

    def ask(self, what: str) -> int:
        return int(self.api.page(f"/test/{what}").raise_for_status().json())

    def die(self) -> None:
        """``kill -9``, master and worker."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)

    def kill(self) -> None:
        self.die()
        self.api.close()
        self.api = HttpApi(self.url)

    def kill_worker(self) -> None:
        """``kill -9`` of the one that answers. Its master starts another."""
        assert self._process is not None
        children = Path(f"/proc/{self.session}/task/{self.session}/children").read_text().split()
        for pid in children:
            os.kill(int(pid), signal.SIGKILL)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def freeze(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):  # it was killed meanwhile
            os.killpg(self._process.pid, signal.SIGCONT)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Python beside it, on its settings."""
        return subprocess.run(
            [sys.executable, "-c", f"import django; django.setup()\n{script}"],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )


class Cut(Api):
    """The API of the whole, as a gateway has it: every call goes to the process that hosts its context."""

    def __init__(self, services: Mapping[str, Service], callers: Path) -> None:
        self.services = services
        self.callers = callers

    def of(self, context: str) -> Service:
        return next(service for service in self.services.values() if context in service.contexts)

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        view: Any = resolve(path.partition("?")[0]).func
        context = view.view_class.__module__.split(".")[1]
        return self.of(context).api.send(method, path, body, key=key, **headers)

    def settle(self) -> None:
        """Let every process work until nothing is due in any."""
        for _ in range(20):
            if not sum(service.ask("work") for service in self.services.values()):
                break

    def hasten(self) -> None:
        for service in self.services.values():
            service.ask("hasten")

    def clear(self) -> None:
        for service in self.services.values():
            service.ask("clear")


@contextmanager
def cut(
    seed: Seed,
    folder: Path,
    parts: Mapping[str, Sequence[str]],
    *,
    via: Mapping[str, str] | None = None,
    **settings: str,
) -> Iterator[Cut]:
    """A deployment of these processes, by name, on databases of its own. ``via``: the URL at which the others call one,
    where it isn't its own."""
    callers = folder / "callers"
    callers.mkdir(parents=True)
    ports = {name: free_port() for name in parts}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()} | dict(via or {})
    place = {context: urls[name] for name, contexts in parts.items() for context in contexts}
    with ExitStack() as stack:
        shared = stack.enter_context(world(seed, folder / "var", ECI_GATEWAY_TIMEOUT="0.02", ECI_LOG_LEVEL="WARNING"))
        services = {}
        for name, contexts in parts.items():
            private = keys.new()
            (callers / f"{name}.pem").write_bytes(keys.public_pem(private.public_key()))
            places = {context: "local" if context in contexts else url for context, url in place.items()}
            own = {
                "ECI_SERVICES": ",".join(f"{context}={where}" for context, where in places.items()),
                "ECI_SERVICE_NAME": name,
                "ECI_SERVICE_KEY": keys.private_pem(private).decode(),
                "ECI_SERVICE_CALLERS_DIR": str(callers),
                "ECI_WEB_THREADS": "8",
                "ECI_POOL_SIZE": "8",
                "DJANGO_SETTINGS_MODULE": "config.settings",
            }
            log = folder / f"{name}.log"
            services[name] = Service(name, contexts, ports[name], shared | own | settings, log)
        for service in services.values():
            service.start()
            stack.callback(service.kill)
        for service in services.values():
            service.wait()
        yield Cut(services, callers)
