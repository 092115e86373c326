"""``manage.py up``: the whole product on one machine: migrate, load the demo, run web, worker and beat."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config import processes
from config.staff import accounts
from config.staff.migrating import migrate_all
from eci.db import primaries

HOST = "127.0.0.1"
GRACE = 9  # seconds a process has to finish what it is doing; Docker gives all of us 10
_PR_SET_PDEATHSIG = 1


class Command(BaseCommand):
    help = "Run web, worker and beat on this machine; Ctrl-C stops them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=HOST, help="the address to listen at; 0.0.0.0 in a container")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--demo", action="store_true", help="load the demo shop; open mode does so by itself")

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        _require_free(port)
        prepare(self.stdout.write)
        if not settings.ECI_OPEN:
            accounts.make_one_time_admin(settings.DATA_DIR / accounts.ONE_TIME_PASSWORD)
        if settings.ECI_OPEN or options["demo"]:
            call_command("load_demo")
        for connection in connections.all():
            connection.close()
        supervisor = Supervisor(host, port)
        try:
            supervisor.start()
            supervisor.wait_until_healthy()
            self.stdout.write(_banner(port))
            self.stdout.flush()
            supervisor.watch()
        finally:
            supervisor.stop()


def prepare(say: Callable[[str], object]) -> None:
    """What must be so before the first process starts; quick when all is. CommandError."""
    call_command("check", databases=primaries(), fail_level="ERROR")
    migrate_all(say)
    accounts.prepare()


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise CommandError(f"Port {port} is in use. Stop what runs there, or choose another: PORT=8001") from None


def _die_with_parent() -> None:
    """In the child: be ended with the supervisor, even when that is killed without a chance to say so."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """Starts the processes, ends all of them when one ends or when told to."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.stopping = False

    def start(self) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # when make itself is killed
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._told_to_stop)
        os.environ.setdefault("ECI_METRICS_PORT", "0")  # several shops may run on one machine
        self._spawn("web", processes.web(f"{self.host}:{self.port}"))
        self._spawn("worker", processes.worker())
        self._spawn("beat", processes.beat())

    def _spawn(self, name: str, command: list[str]) -> None:
        self.children[name] = subprocess.Popen(  # noqa: S603
            command, cwd=settings.BASE_DIR, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent
        )

    def wait_until_healthy(self) -> None:
        url = f"http://{HOST}:{self.port}/health"
        for _ in range(600):
            if self.stopping:
                return
            self._require_all_alive()
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise CommandError("The web process did not become healthy within a minute.")

    def watch(self) -> None:
        while not self.stopping:
            self._require_all_alive()
            time.sleep(0.2)

    def _require_all_alive(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None and not self.stopping:
                raise CommandError(f"The {name} process ended by itself (exit code {child.returncode}).")

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def stop(self) -> None:
        """All at once, so that it takes no longer than the slowest: whatever the worker leaves stands in a database."""
        self.stopping = True
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + GRACE
        for child in self.children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _banner(port: int) -> str:
    at = f"http://{HOST}:{port}"
    lines = [
        "",
        "ECI is up. Ctrl-C stops it.",
        f"  API          {at}/v1/products   (browse it with the same address in a browser)",
        f"  API docs     {at}/docs",
        f"  Staff        {at}/admin/",
        f"  Health       {at}/health",
        f"  Data         {settings.DATA_DIR}",
    ]
    one_time = settings.DATA_DIR / accounts.ONE_TIME_PASSWORD
    if one_time.exists():
        lines.insert(5, f"               login: {accounts.ONE_TIME_ADMIN}, its one-time password is in {one_time}")
    if settings.ECI_OPEN:
        from config.staff.demo import PASSWORD, USERNAME

        lines.insert(5, f"               demo login: {USERNAME} / {PASSWORD}")
        lines.append("")
        lines.append("  OPEN MODE: everybody who reaches this port may do everything. For development only.")
    return "\n".join(lines)
