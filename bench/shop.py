"""The product as its users run it: closed, on databases of its own, with web, worker and beat."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import quote

from bench import databases
from bench.machine import Snapshot

ROOT = Path(__file__).resolve().parent.parent
CONTEXTS = ("catalog", "customers", "inventory", "orders", "payments", "shipping", "notifications")
PARTS = ("web", "worker", "beat")
ADMIN = {"email": "bench@shop.example", "password": "seven fast horses"}
_NOT_OURS = ("ECI_", "DJANGO_", "EMAIL_", "PROMETHEUS_", "OTEL_", "CELERY_")
START = 120  # seconds
SETTLE = 120


class ShopError(Exception):
    """The message is for the person who started the benchmark."""


class Shop:
    def __init__(self, folder: Path, servers: Mapping[str, str], *, port: int, mail_port: int) -> None:
        """``servers``: the settings that name databases and Redis; empty for SQLite."""
        self.folder = folder
        self.port = port
        self.log = folder.with_suffix(".log")
        self.databases = {
            context: servers.get(f"ECI_{context.upper()}_DATABASE_URL")
            or f"sqlite:///{quote(str(folder.absolute() / context))}.sqlite3"
            for context in CONTEXTS
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
        closed = {"ECI_DEBUG": "0", "ECI_OPEN": "0", "ECI_SECURE_COOKIES": "0"}
        admin = {"ECI_ADMIN_EMAIL": ADMIN["email"], "ECI_ADMIN_PASSWORD": ADMIN["password"]}
        mail = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(mail_port)}
        own = {"ECI_DATA_DIR": str(folder.absolute()), "ECI_METRICS_PORT": "0", "ECI_ACCESS_LOG": "INFO"}
        self.environment = kept | closed | admin | mail | own | dict(servers)
        self._process: subprocess.Popen[bytes] | None = None
        self._token: dict[str, str] = {}
        self._signed_in = float("-inf")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    # -- life ---------------------------------------------------------------------------------------------------------
    def prepare(self, *filling: str) -> None:
        """Migrate, and fill; ``filling``: arguments of bench.filling."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run("manage.py", "prepare")
        self.run("-m", "bench.filling", *filling)

    def run(self, *command: str) -> str:
        """What a Python command prints that works on the shop's databases. ShopError."""
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True
        )
        if done.returncode:
            raise ShopError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr).decode()[-3000:]}")
        return done.stdout.decode()

    def start(self, *command: str) -> None:
        """All its processes (``manage.py up``), or what the command starts, until it answers."""
        with self.log.open("ab") as log:
            self._process = self._begin(command or ("manage.py", "up", "--port", str(self.port)), log)
        end = time.monotonic() + START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise ShopError(f"The shop does not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def _begin(self, command: tuple[str, ...], log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = self.environment | {"PORT": str(self.port)}
        return subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    # -- calls --------------------------------------------------------------------------------------------------------
    def token(self) -> dict[str, str]:
        """The header of an administrator who has signed in; it is good for five minutes more."""
        if time.monotonic() > self._signed_in + 300:
            access = self.ask("/v1/staff/token", ADMIN)["data"]["access"]
            self._token, self._signed_in = {"Authorization": f"Bearer {access}"}, time.monotonic()
        return self._token

    def ask(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. ShopError for a refusal."""
        asked = urllib.request.Request(
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise ShopError(f"{path}: {error.code} {error.read()[:500].decode()}") from None

    # -- what it has done ---------------------------------------------------------------------------------------------
    def settle(self) -> float:
        """Wait until nothing is left to do: every event is delivered, every mail sent. Seconds it took. ShopError."""
        begun = time.monotonic()
        with ExitStack() as stack:  # one connection for each context: to open one takes PostgreSQL some milliseconds
            cursors = {of: stack.enter_context(databases.cursor(url)) for of, url in self.databases.items()}
            while waiting := self._waiting(cursors):
                if time.monotonic() - begun > SETTLE:
                    raise ShopError(f"After {SETTLE} s {waiting} events, orders or mails still wait; see {self.log}")
                time.sleep(0.2)
        return time.monotonic() - begun

    def _waiting(self, cursors: Mapping[str, Any]) -> int:
        """Work that waits: the first kind of it that is found. ``cursors``: by context."""
        queries = [(context, f"{context}_outboxevent WHERE delivered_at IS NULL") for context in CONTEXTS]
        queries += [
            ("orders", "orders_order WHERE next_at IS NOT NULL"),
            ("notifications", "notifications_notification WHERE status = 'QUEUED'"),
        ]
        for context, what in queries:
            found = databases.number(cursors[context], f"SELECT count(*) FROM {what}")
            if found:
                return found
        return 0

    def audit(self) -> str:
        """The audit's last line. ShopError if it has findings."""
        return self.run("manage.py", "audit").strip().splitlines()[-1]

    def parts(self, now: Snapshot) -> dict[str, int]:
        """The processes of web, worker and beat."""
        return {part: now.child(self.pid, f"eci-{part}") for part in PARTS}
