"""Web processes that are replaced under load: whoever connects is answered, and a process that stops loses nobody."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from config.operations import processes
from tests.support import world
from tests.support.load import Load
from tests.support.product import START, free_port, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

ORDER = {"customer_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
STOCK = {"product_id": 1, "warehouse": "WH001", "onhand": 1_000_000}  # for however long restarts take


def listening() -> socket.socket:
    opened = socket.socket()
    opened.bind(("127.0.0.1", 0))
    opened.listen(2048)
    return opened


class Web:
    """The product's web process by itself. ``shared`` is a socket that others listen at, too."""

    def __init__(self, environment: dict[str, str], log: Path, shared: socket.socket | None = None) -> None:
        self.environment = environment
        self.log = log
        self.sockets = [] if shared is None else [shared, listening()]
        self.port = free_port() if shared is None else int(self.sockets[1].getsockname()[1])

    def start(self) -> None:
        inherited = [one.fileno() for one in self.sockets]
        binds = [f"fd://{number}" for number in inherited] or [f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                processes.web(*binds),
                cwd=world.ROOT,
                env=self.environment,
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self.answers, START, f"web answers; see {self.log}")

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", verify=False, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """As Docker and Kubernetes do."""
        self.process.terminate()
        assert self.process.wait(120) == 0

    def restart(self) -> None:
        self.stop()
        self.start()


StartWeb = Callable[..., Web]


@pytest.fixture
def start_web(demo_seed: world.Seed, tmp_path: Path) -> Iterator[StartWeb]:
    started: list[Web] = []
    with world.world(demo_seed, tmp_path / "var") as environment:

        def start(shared: socket.socket | None = None) -> Web:
            web = Web(environment, tmp_path / "web.log", shared)
            started.append(web)
            web.start()
            received = httpx.post(f"http://127.0.0.1:{web.port}/v1/inventory", json=STOCK, trust_env=False)
            assert received.is_success, received.text
            return web

        try:
            yield start
        finally:
            for web in started:
                web.process.kill()
                web.process.wait()
                for own in web.sockets[1:]:
                    own.close()


def test_two_processes_behind_one_socket_are_replaced_without_a_failed_request(start_web: StartWeb) -> None:
    with listening() as shared:
        first, second = start_web(shared), start_web(shared)
        with Load([f"http://127.0.0.1:{shared.getsockname()[1]}"], ORDER) as load:
            load.more(10)
            first.restart()
            load.more(10)
            second.restart()
            load.more(10)
        assert set(load.outcomes) == {"201"}, load.outcomes


def test_a_process_that_stops_answers_whoever_it_let_in_and_refuses_the_rest(start_web: StartWeb) -> None:
    """So a proxy may send the request to another process: nothing of a refused one was seen."""
    web = start_web()
    with Load([f"http://127.0.0.1:{web.port}"], ORDER) as load:
        load.more(20)
        web.stop()
    assert set(load.outcomes) == {"201", "ConnectError"}, load.outcomes
