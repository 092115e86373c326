"""``manage.py services``: every context in a deployment of its own on this machine, behind one gateway.

1. Prepare the databases, in this process, which reaches them all.
2. Start the deployments, each with web, worker and beat (``manage.py up``), and nginx in front of them.
3. Print what they say, each line with its deployment's name. Start one that ends again.
4. Ctrl-C ends all.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config.contexts import CONTEXTS, GATEWAY_PORT
from config.operations import cuts, gateway, processes
from config.operations.management.commands.up import STOPS, prepare_shop, require_free

GRACE = 15  # seconds; a deployment takes at most nine
PATIENCE = 120  # seconds for all to become healthy
PAUSE = 1.0  # seconds before a deployment that ended is started again
GATEWAY = "gateway"
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
        for deployment in deployments:
            for port in deployment.ports(offset):
                require_free(port, deployment.name)
        require_free(GATEWAY_PORT + offset, "the gateway")
        prepare_shop(self.stdout.write)
        connections.close_all()

        shop = Shop(deployments, offset, demo=options["demo"])
        try:
            shop.start()
            shop.wait_until_healthy()
            self.stdout.write(_banner(deployments, offset, has_gateway=GATEWAY in shop.parts))
            self.stdout.flush()
            shop.watch()
        finally:
            shop.stop()


class Part:
    """One deployment, or the gateway: a process that starts others, and is started again when it ends."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], width: int) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.width = width
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
        sys.stdout.write(f"{self.name:<{self.width}} | {line}\n")
        sys.stdout.flush()

    def _tell(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.say(line.rstrip("\n"))

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop_soon(self) -> None:
        if self.is_running() and self.process is not None:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.reader is not None:
            self.reader.join(1)


class Shop:
    def __init__(self, deployments: list[cuts.Deployment], offset: int, *, demo: bool) -> None:
        self.deployments = deployments
        self.offset = offset
        self.stopping = False
        inherited = _HERE | {name: value for name, value in os.environ.items() if name not in _NOT_HERE}
        environments = cuts.environments(deployments, settings.DATA_DIR, offset=offset)
        width = max(len(GATEWAY), *(len(deployment.name) for deployment in deployments))
        self.parts: dict[str, Part] = {}
        for deployment in deployments:
            ports = [str(port) for port in deployment.ports(offset)]
            command = [sys.executable, "manage.py", "up", "--prepared", *(["--demo"] if demo else []), "--port", *ports]
            environment = inherited | environments[deployment.name]
            self.parts[deployment.name] = Part(deployment.name, command, environment, width)
        if nginx := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
            self.parts[GATEWAY] = Part(GATEWAY, self._gateway(nginx), inherited, width)

    def _gateway(self, nginx: str) -> list[str]:
        folder = settings.DATA_DIR / "services" / GATEWAY
        folder.mkdir(exist_ok=True)
        file = folder / "nginx.conf"
        file.write_text(
            gateway.configuration(
                {name: f"{cuts.HOST}:{context.port + self.offset}" for name, context in CONTEXTS.items()},
                {f"{cuts.HOST}:{GATEWAY_PORT + self.offset}": None},
                main={"daemon": "off", "pid": f"{folder}/pid", "error_log": "stderr error"}
                | ({"user": "root"} if os.geteuid() == 0 else {}),  # the data folder is for its owner alone
                http={
                    f"{kind}_temp_path": f"{folder}/{kind}"
                    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
                },
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
        for part in self.parts.values():
            part.start()

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def wait_until_healthy(self) -> None:
        end = time.monotonic() + PATIENCE
        waiting = {deployment.name: deployment.ports(self.offset)[0] for deployment in self.deployments}
        while waiting and not self.stopping:
            for name, port in list(waiting.items()):
                if not self.parts[name].is_running():
                    raise CommandError(f"The deployment {name} did not start: its lines above say why.")
                if _is_healthy(port):
                    del waiting[name]
            if time.monotonic() > end:
                raise CommandError(f"Not healthy within {PATIENCE} seconds: {', '.join(waiting)}.")
            time.sleep(0.2)

    def watch(self) -> None:
        while not self.stopping:
            for part in self.parts.values():
                if not part.is_running():
                    part.say("It ended, and is started again.")
                    time.sleep(PAUSE)
                    if not self.stopping:
                        part.start()
            time.sleep(0.2)

    def stop(self) -> None:
        """End all at once. Work that is left unfinished stands in the databases, and goes on at the next start."""
        self.stopping = True
        for part in self.parts.values():
            part.stop_soon()
        deadline = time.monotonic() + GRACE
        for part in self.parts.values():
            part.end(deadline)


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
        lines.append(f'  Commands              {hint} ARGS="audit"   seen from one part: SERVICE={deployments[0].name}')
    if settings.ECI_OPEN:
        from config.staff.demo import PASSWORD, USERNAME

        lines.append(f"  Demo login            {USERNAME} / {PASSWORD}")
        lines.append("")
        lines.append("  OPEN MODE: everybody who can reach these ports may do everything. For development only.")
    return "\n".join(lines)
