"""``manage.py services``: every context in a deployment of its own on this machine, behind one gateway.

1. Prepare the databases, in this process, which reaches them all.
2. Start the deployments, each with web, worker and beat (``manage.py up``), and nginx in front of them.
3. Print what they say, each line with its deployment's name. Start one that ends again.
4. Ctrl-C ends all.

``manage.py recut`` moves contexts from one deployment to another while they are used: new deployments listen beside the
old ones, on the same ports and databases, and the old ones end when the new are healthy.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config.contexts import CONTEXTS, GATEWAY_PORT
from config.operations import cuts, gateway, processes
from config.operations.management.commands.up import STOPS, prepare_shop, require_free
from config.staff import accounts

GRACE = 15  # seconds; a deployment takes at most nine
PATIENCE = 120  # seconds for all to become healthy
PAUSE = 1.0  # seconds before a deployment that ended is started again
GATEWAY = "gateway"
_WIDTH = max(map(len, CONTEXTS))  # of the names before each line
_HERE = {"ECI_WEB_WORKERS": "1", "ECI_TRUSTED_PROXIES": cuts.HOST}  # unless the environment says otherwise
_NOT_HERE = ("ECI_BACKUP_DIR", "ECI_BACKUP_S3_URL")  # a backup of the shop is made from outside of its parts


class Command(BaseCommand):
    help = "Run every context in a deployment of its own on this machine, behind one gateway; Ctrl-C stops them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--cut", default="", help="orders,inventory+payments: two deployments, and one for the rest"
        )
        parser.add_argument("--offset", type=int, default=0, help="added to every port")
        parser.add_argument("--demo", action="store_true", help="load the demo shop; open mode always does")

    def handle(self, *args: Any, **options: Any) -> None:
        if len(settings.ECI_CONTEXTS) < len(CONTEXTS):
            raise CommandError("ECI_SERVICES is set. This command sets it itself, for each deployment: unset it.")
        try:
            deployments = cuts.cut(options["cut"])
        except cuts.NoSuchCut as error:
            raise CommandError(str(error)) from None
        offset = options["offset"]
        if not 0 <= offset <= 65535 - GATEWAY_PORT:
            raise CommandError(f"OFFSET={offset}: it is 0 to {65535 - GATEWAY_PORT}, for ports end at 65535.")
        with cuts.only_one(settings.DATA_DIR) as is_only:
            if not is_only:
                raise CommandError(cuts.runs_already(settings.DATA_DIR))
            for deployment in deployments:
                for port in deployment.ports(offset):
                    require_free(port, deployment.name)
            require_free(GATEWAY_PORT + offset, "the gateway")
            prepare_shop(self.stdout.write)
            connections.close_all()
            self._run(Shop(options["cut"], offset, demo=options["demo"]))

    def _run(self, shop: Shop) -> None:
        try:
            shop.start()
            self.stdout.write(_banner(shop.deployments, shop.offset, has_gateway=shop.gateway is not None))
            self.stdout.flush()
            shop.watch()
        finally:
            shop.stop()


class Part:
    """One deployment, or the gateway: a process that starts others, and is started again when it ends."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], port: int) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.port = port
        self.process: subprocess.Popen[str] | None = None
        self.reader: threading.Thread | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - the command is our own
            [*_bound_to_us(), *self.command],
            cwd=settings.BASE_DIR,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us, and we pass it on
        )
        self.reader = threading.Thread(target=self._tell, args=(self.process,), daemon=True)
        self.reader.start()

    def say(self, line: str) -> None:
        sys.stdout.write(f"{self.name:<{_WIDTH}} | {line}\n")
        sys.stdout.flush()

    def _tell(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.say(line.rstrip("\n"))

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def leave_nothing(self) -> None:
        """Kill what it started. After a kill -9 nginx's worker, and web processes for seconds, would keep the port."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def stop_soon(self) -> None:
        if self.is_running() and self.process is not None:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, deadline - time.monotonic()))
        self.leave_nothing()
        self.process.wait()
        if self.reader is not None:
            self.reader.join(1)


class Shop:
    def __init__(self, text: str, offset: int, *, demo: bool) -> None:
        self.text = text
        self.offset = offset
        self.demo = demo
        self.stopping = False
        self.wants_recut = False
        self.turn = 0
        self.inherited = _HERE | {name: value for name, value in os.environ.items() if name not in _NOT_HERE}
        self.folder = settings.DATA_DIR / "services"
        self.parts: dict[cuts.Deployment, Part] = {}
        self.gateway: Part | None = None

    @property
    def deployments(self) -> list[cuts.Deployment]:
        return list(self.parts)

    @property
    def everything(self) -> list[Part]:
        return [*self.parts.values(), *([self.gateway] if self.gateway else [])]

    def _part(self, deployment: cuts.Deployment, environment: Mapping[str, str]) -> Part:
        # Beside the ports that it shares while it replaces another it has one of its own, to be asked how it is.
        ports = [_free_port(), *deployment.ports(self.offset)]
        options = ["--prepared", "--beside", *(["--demo"] if self.demo else []), "--port", *map(str, ports)]
        return Part(
            deployment.name, [sys.executable, "manage.py", "up", *options], self.inherited | dict(environment), ports[0]
        )

    def _gateway(self, nginx: str) -> list[str]:
        folder = self.folder / GATEWAY
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "nginx.conf"
        file.write_text(
            gateway.configuration(
                {name: f"{cuts.HOST}:{context.port + self.offset}" for name, context in CONTEXTS.items()},
                {f"{cuts.HOST}:{GATEWAY_PORT + self.offset}": None},
                main={"daemon": "off", "pid": f"{folder}/pid", "error_log": "stderr error"}
                | ({"user": "root"} if os.geteuid() == 0 else {}),  # the data folder is for its owner alone
                http={f"{kind}_temp_path": f"{folder}/{kind}" for kind in gateway.TEMPORARY},
            )
        )
        return [nginx, "-e", "stderr", "-p", f"{folder}/", "-c", str(file)]

    def start(self) -> None:
        outlives_its_parent = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # nohup's wish
        if not outlives_its_parent:
            processes.end_with_parent(signal.SIGTERM)
        for number in STOPS:
            if not (outlives_its_parent and number == signal.SIGHUP):
                signal.signal(number, self._stop_soon)
        signal.signal(cuts.RECUT, self._recut_soon)
        self._bring_in(cuts.cut(self.text))
        if nginx := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
            self.gateway = Part(GATEWAY, self._gateway(nginx), self.inherited, GATEWAY_PORT + self.offset)
            self.gateway.start()
            _wait_until_healthy([self.gateway], lambda: self.stopping)
        self._record()

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _recut_soon(self, number: int, frame: FrameType | None) -> None:
        self.wants_recut = True

    def _record(self, *, failed: str = "") -> None:
        cuts.State(pid=os.getpid(), turn=self.turn, cut=self.text, failed=failed).write(self.folder)
        self.turn += 1

    def _bring_in(self, deployments: list[cuts.Deployment]) -> None:
        """Start those that are new, and wait until they are healthy. CommandError if they cannot be."""
        still = [deployment.name for deployment in self.parts]
        environments = cuts.environments(deployments, settings.DATA_DIR, offset=self.offset, still=still)
        coming = {one: self._part(one, environments[one.name]) for one in deployments if one not in self.parts}
        self.parts |= coming
        for part in coming.values():
            part.start()
        try:
            _wait_until_healthy(list(coming.values()), lambda: self.stopping)
        except CommandError:
            self._take_out(list(coming))
            if self.parts:  # the cut that was is still there, and its files with it
                cuts.environments(self.deployments, settings.DATA_DIR, offset=self.offset)
            raise

    def _take_out(self, deployments: list[cuts.Deployment]) -> None:
        """They answer what they have taken, and end. The others' databases and outboxes have what they leave undone."""
        _end([self.parts.pop(deployment) for deployment in deployments])

    def _recut(self) -> None:
        """Bring the new deployments in beside the old, then take the old ones out. Those that are the same stay."""
        text = cuts.wanted(self.folder)
        wanted = cuts.cut(text)
        try:
            self._bring_in(wanted)
        except (CommandError, OSError, ValueError) as error:  # the last two: a key that cannot be read or made
            self._record(failed=str(error))
            return
        self._take_out([deployment for deployment in self.parts if deployment not in wanted])
        cuts.environments(wanted, settings.DATA_DIR, offset=self.offset)  # who has left may no longer call
        self.text = text
        self._record()

    def watch(self) -> None:
        while not self.stopping:
            if self.wants_recut:
                self.wants_recut = False
                self._recut()
            for part in self.everything:
                if not (part.is_running() or self.stopping):
                    part.leave_nothing()
                    part.say("It ended, and is started again.")
                    time.sleep(PAUSE)
                    part.start()
            time.sleep(0.2)

    def stop(self) -> None:
        """End all at once. Work that is left unfinished stands in the databases, and goes on at the next start."""
        self.stopping = True
        _end(self.everything)
        cuts.State.forget(self.folder)


def _end(parts: list[Part]) -> None:
    for part in parts:
        part.stop_soon()
    deadline = time.monotonic() + GRACE
    for part in parts:
        part.end(deadline)


def _wait_until_healthy(parts: list[Part], is_over: Callable[[], bool]) -> None:
    """CommandError if one ends, or if it takes too long."""
    end = time.monotonic() + PATIENCE
    waiting = parts
    while waiting and not is_over():
        if failed := [part.name for part in waiting if not part.is_running()]:
            raise CommandError(f"{failed[0]} did not start: its lines above say why.")
        waiting = [part for part in waiting if not _is_healthy(part.port)]
        if waiting and time.monotonic() > end:
            raise CommandError(f"Not healthy within {PATIENCE} seconds: {', '.join(part.name for part in waiting)}.")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((cuts.HOST, 0))
        return int(probe.getsockname()[1])


def _bound_to_us() -> list[str]:
    """The program that has the next one get SIGTERM when this process ends, even if that is killed. Most have it."""
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "TERM", "--"] if program else []


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{cuts.HOST}:{port}/health", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def _banner(deployments: list[cuts.Deployment], offset: int, *, has_gateway: bool) -> str:
    at = f"http://{cuts.HOST}"
    lines = ["", "ECI is up, in parts. Ctrl-C stops them all."]
    for deployment in deployments:
        for name in deployment.contexts:
            context = CONTEXTS[name]
            inside = "" if deployment.contexts == (name,) else f"   in {deployment.name}"
            lines.append(
                f"  {context.service:<22}{at}:{context.port + offset}   {at}:{context.demo_port + offset}{inside}"
            )
    if has_gateway:
        port = GATEWAY_PORT + offset
        lines.append(f"  {'all, by the gateway':<22}{at}:{port}   {at}:{port}/docs   {at}:{port}/health")
    else:
        lines.append("  No gateway, for it needs nginx: apt-get install --no-install-recommends nginx")
    lines.append("  Staff sign in at each: /admin/ of its address has the pages of its contexts.")
    if hint := os.environ.get("MAKE_MANAGE"):
        lines.append(f'  Commands              {hint} ARGS="audit"')
        lines.append(f"  seen from one part    {hint} SERVICE={deployments[0].name} ARGS=contexts")
    one_time = settings.DATA_DIR / accounts.ONE_TIME_PASSWORD
    if one_time.exists():
        lines.append(f"  Login                 {accounts.ONE_TIME_ADMIN}, its one-time password is in {one_time}")
    if settings.ECI_OPEN:
        from config.staff.demo import PASSWORD, USERNAME

        lines.append(f"  Demo login            {USERNAME} / {PASSWORD}")
        lines.append("")
        lines.append("  OPEN MODE: everybody who can reach these ports may do everything. For development only.")
    return "\n".join(lines)
