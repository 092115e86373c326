"""``manage.py up``: the whole product on one machine. Migrates, loads the demo, then runs web, worker and beat.

Where a place for backups is set, a fourth process keeps them. A process that ends is started again; one that ends
within seconds ends all.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config import private, unfinished
from config.contexts import CONTEXTS
from config.operations import cuts, processes
from config.operations.migrating import migrate_all
from config.staff import accounts
from eci.db import primaries
from eci.watch import metrics_folder

HOST = "127.0.0.1"
SOON = 5  # seconds after its start: a process that ends before that would end again
GRACE = 9  # seconds for a process to finish its work; Docker kills everything after 10
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_NAME = 15


class Command(BaseCommand):
    help = "Run web, worker and beat on this machine; Ctrl-C stops them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=HOST, help="the address to listen at; 0.0.0.0 in a container")
        parser.add_argument("--port", type=int, nargs="+", default=[8000], help="one or several")
        parser.add_argument(
            "--prepared", action="store_true", help="migrate nothing: manage.py prepare has run, perhaps elsewhere"
        )
        parser.add_argument("--beside", action="store_true", help="another deployment may listen at the same ports")
        parser.add_argument("--demo", action="store_true", help="load the demo shop; open mode always does")

    def handle(self, *args: Any, **options: Any) -> None:
        if not metrics_folder.is_own():  # not started by manage.py
            metrics_folder.begin()
        try:
            if not options["beside"]:
                for port in options["port"]:
                    require_free(port)
            with self._alone() if not options["beside"] else nullcontext():
                self._run(**{name: options[name] for name in ("host", "port", "prepared", "beside", "demo")})
        finally:
            metrics_folder.end()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """CommandError where this shop runs already. Deployments of other contexts may share the folder."""
        if len(settings.ECI_CONTEXTS) < len(CONTEXTS):
            yield
            return
        with cuts.only_one(settings.DATA_DIR) as is_only:
            if not is_only:
                raise CommandError(cuts.runs_already(settings.DATA_DIR))
            yield

    def _run(self, *, host: str, port: list[int], prepared: bool, beside: bool, demo: bool) -> None:
        if prepared:
            require_no_cut_off_restore()
        else:
            prepare_shop(self.stdout.write)
        if demo or settings.ECI_OPEN:
            call_command("load_demo")
        _share_what_is_loaded()
        supervisor = Supervisor(host, port, say=self.stderr.write, beside=beside)
        try:
            supervisor.start()
            supervisor.wait_until_healthy()
            self.stdout.write("It is up." if prepared else _banner(port[0]))
            self.stdout.flush()
            supervisor.watch()
        finally:
            if supervisor.why:
                self.stderr.write(f"ECI stops: {supervisor.why}.")
            supervisor.stop()


def prepare_shop(say: Callable[[str], object]) -> None:
    """Everything before the first start on one machine: CommandError."""
    prepare(say)
    if not settings.ECI_OPEN:
        accounts.make_one_time_admin(settings.DATA_DIR / accounts.ONE_TIME_PASSWORD)


def prepare(say: Callable[[str], object]) -> None:
    """Check, migrate and make accounts before the first process starts; quick when all is done. CommandError."""
    require_no_cut_off_restore()
    private.mend(folders=[settings.DATA_DIR, settings.ECI_KEYS_DIR, Path(settings.EMAIL_FILE_PATH)], files=_databases())
    call_command("check", databases=primaries(), fail_level="ERROR")
    migrate_all(say)
    accounts.prepare()


def require_no_cut_off_restore() -> None:
    if problem := unfinished.anywhere(settings.DATA_DIR):
        raise CommandError(problem)


def _databases() -> Iterator[Path]:
    """SQLite's files, wherever they are."""
    names = [str(one["NAME"]) for one in settings.DATABASES.values() if one["ENGINE"].endswith("sqlite3")]
    for name in (*names, str(settings.ECI_SANDBOX_LEDGER)):
        yield from (Path(f"{name}{more}") for more in ("", "-wal", "-shm"))


def require_free(port: int, what: str = "") -> None:
    """CommandError that names the port, and what wants it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise CommandError(
                f"Port {port} is in use, and {what} needs it. Stop the process that uses it, or move all: OFFSET=10000"
                if what
                else f"Port {port} is in use. Stop the process that uses it, or choose another: PORT=8001"
            ) from None


def _share_what_is_loaded() -> None:
    """Load the product before forking, which saves each process seconds and memory. Connections are not shared."""
    processes.load()
    for connection in connections.all():
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
    processes.collect_rarely()


def _become(name: str, command: list[str], supervisor: int) -> None:
    """In the child: run the command, and end with the supervisor even if that is killed."""
    processes.end_with_parent(signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    processes.prctl(_PR_SET_NAME, f"eci-{name}".encode())  # as ps and top show it
    os.chdir(settings.BASE_DIR)
    processes.become(command)


class Supervisor:
    """Starts the processes, each again when it ends, and stops all when one ends soon or a signal arrives."""

    def __init__(self, host: str, ports: list[int], *, say: Callable[[str], object], beside: bool) -> None:
        self.host = host
        self.ports = ports
        self.say = say
        self.beside = beside
        self.commands: dict[str, list[str]] = {}
        self.children: dict[str, ForkProcess] = {}
        self.started: dict[str, float] = {}
        self.stopping = False
        self.parent = os.getppid()
        self.why = ""

    def start(self) -> None:
        outlives_its_parent = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # nohup's wish
        if not outlives_its_parent:
            processes.end_with_parent(signal.SIGTERM)  # so that we end when make is killed
        for number in STOPS:
            if not (outlives_its_parent and number == signal.SIGHUP):
                signal.signal(number, self._stop_soon)
        if "ECI_METRICS_PORT" not in os.environ:
            settings.ECI_METRICS_PORT = 0  # several shops may run on one machine
        addresses = [f"{self.host}:{port}" for port in self.ports]
        self.commands = {
            "web": processes.web(*addresses, beside=self.beside),
            "worker": processes.worker(),
            "beat": processes.beat(),
        }
        if settings.ECI_BACKUP_DIR or settings.ECI_BACKUP_S3_URL:
            self.commands["backup"] = processes.backup()
        for name in self.commands:
            self._spawn(name)

    def _spawn(self, name: str) -> None:
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=_become, args=(name, self.commands[name], os.getpid()), name=name)
        # A child that gets one of these while it still has our handlers would lose it.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        if not self.stopping:
            child.start()
            self.children[name], self.started[name] = child, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def wait_until_healthy(self) -> None:
        url = f"http://{HOST}:{self.ports[0]}/health"
        for _ in range(600):
            if self.stopping:
                return
            for name, child in self._ended():
                self._refuse(name, child)
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise CommandError("The web process did not become healthy within a minute.")

    def watch(self) -> None:
        while not self.stopping:
            for name, child in self._ended():
                if time.monotonic() - self.started[name] < SOON:
                    self._refuse(name, child)
                self.say(f"The {name} process ended (exit code {child.exitcode}), and is started again.")
                self._spawn(name)
            time.sleep(0.2)

    def _ended(self) -> list[tuple[str, ForkProcess]]:
        ended = [(name, child) for name, child in self.children.items() if not child.is_alive()]
        return [] if self.stopping else ended

    def _refuse(self, name: str, child: ForkProcess) -> NoReturn:
        raise CommandError(f"The {name} process ended unexpectedly (exit code {child.exitcode}).")

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        self.why = signal.Signals(number).name
        if os.getppid() != self.parent:
            self.why = "the process that started it has ended; nohup or a service manager keeps it running"

    def stop(self) -> None:
        """Stop all processes at once. Work that the worker leaves unfinished stands in a database and goes on later."""
        self.stopping = True
        for child in self.children.values():
            child.terminate()
        deadline = time.monotonic() + GRACE
        for child in self.children.values():
            child.join(max(0.1, deadline - time.monotonic()))
            child.kill()
            child.join()


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
    if hint := os.environ.get("MAKE_MANAGE"):
        lines.append(f'  Commands     {hint} ARGS="audit"   (docs/operating.md)')
    one_time = settings.DATA_DIR / accounts.ONE_TIME_PASSWORD
    if one_time.exists():
        lines.insert(5, f"               login: {accounts.ONE_TIME_ADMIN}, its one-time password is in {one_time}")
    if settings.ECI_OPEN:
        from config.staff.demo import PASSWORD, USERNAME

        lines.insert(5, f"               demo login: {USERNAME} / {PASSWORD}")
        lines.append("")
        lines.append("  OPEN MODE: everybody who can reach this port may do everything. For development only.")
    return "\n".join(lines)
