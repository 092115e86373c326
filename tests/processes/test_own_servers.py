"""``make run SERVERS=1``: the product on servers of its own, killed with them and started again; commands beside it.

Where servers are killed one at a time, ``cat`` takes the product's place: it runs until its input ends.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.own_servers import copy_servers
from tests.support.product import DemoShop, Product, wait_until
from tests.support.world import ON_SERVERS, ROOT, Seed, environment
from tools.servers import HOST, Server, Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not ON_SERVERS, reason="runs with the servers' programs only"),
    pytest.mark.first(6),
]


def test_an_order_outlives_the_kill_of_everything_and_commands_beside_it_leave_its_servers_alone(
    seed: Seed, tmp_path: Path
) -> None:
    """They begin as an earlier run left them."""
    data = tmp_path / "var"
    copy_servers(seed, data_dir=data, servers=data / "servers")
    under = [sys.executable, "tools/servers.py", "--keep", str(data / "servers")]
    own = environment(data, {})
    product = Product(data, own, under=under)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)

    def manage(arguments: str) -> subprocess.CompletedProcess[str]:
        return run("make", "--no-print-directory", "manage", "SERVERS=1", f"ARGS={arguments}")

    try:
        product.start()
        placed = DemoShop(product.api).order(1, 2, key="kept")
        assert placed.status == 201

        product.kill()
        servers = Servers(data / "servers", durable=True)
        for server in servers.all:
            assert server.pid() is not None
            server.kill()
        product.start()
        assert DemoShop(product.api).order(1, 2, key="kept").data["order_id"] == placed.data["order_id"]
        running = [server.pid() for server in servers.all]
        assert all(running)

        audit = manage("audit")
        assert (audit.returncode, audit.stdout) == (0, "The books agree: 1 orders checked, 0 under way.\n"), (
            audit.stderr
        )
        beside = run(sys.executable, "manage.py", "audit")
        assert (beside.returncode, beside.stdout) == (1, "")
        assert "make manage SERVERS=1 ARGS=audit" in beside.stderr
        assert not (data / "orders.sqlite3").exists()
        obvious = run(*under, sys.executable, "manage.py", "audit")
        assert obvious.returncode == 0, obvious.stderr
        assert [server.pid() for server in servers.all] == running
        assert DemoShop(product.api).order(1, 2).status == 201

        product.kill()
        assert manage("audit").returncode == 0
        assert [server.pid() for server in servers.all] == running, "they are the next run's"
        product.start()
        assert [server.pid() for server in servers.all] == running
        replayed = DemoShop(product.api).order(1, 2, key="kept")
        assert (replayed.data["order_id"], replayed.headers["Idempotent-Replayed"]) == (placed.data["order_id"], "true")
        product.stop()
        assert not any(server.pid() for server in servers.all)

        assert manage("audit").returncode == 0
        assert not any(server.pid() for server in servers.all), "whoever started them has stopped them"
    finally:
        product.clean_up()
        Servers(data / "servers", durable=True).stop()


def test_a_server_that_is_killed_is_back_at_its_port_with_its_data(seed: Seed, tmp_path: Path) -> None:
    import psycopg  # not there without requirements-servers.txt
    import redis

    folder = tmp_path / "servers"
    copy_servers(seed, data_dir=tmp_path / "var", servers=folder)
    with _owner(folder) as (owner, said):
        servers = Servers(folder, durable=True)
        kept = redis.Redis.from_url(servers.redis.url)
        kept.set("kept", "yes")
        with psycopg.connect(servers.postgres.dsn("platform_db")) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'yes' AS answer")
        untouched = servers.mariadb.pid()

        for server in (servers.redis, servers.postgres):
            _kill(server)
        for server in (servers.redis, servers.postgres):
            wait_until(lambda one=server: one.pid() is not None, 60, f"{server.name} again")
            server.wait_until_open()
        assert kept.get("kept") == b"yes"
        with psycopg.connect(servers.postgres.dsn("platform_db")) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == ("yes",)
        assert servers.mariadb.pid() == untouched
        assert sorted(said.read_text().splitlines()) == [
            f"PostgreSQL has ended and is started again at port {servers.postgres.port}.",
            f"Redis has ended and is started again at port {servers.redis.port}.",
        ]

        owner.communicate()
        assert owner.returncode == 0
        assert len(servers.down) == 3, "what it stops itself stays stopped"


def test_while_there_is_an_owner_a_server_never_changes_its_port(seed: Seed, tmp_path: Path) -> None:
    """Another program has its port: it is given up, and a command beside it is refused."""
    folder = tmp_path / "servers"
    copy_servers(seed, data_dir=tmp_path / "var", servers=folder)
    with _owner(folder) as (_, said):
        servers = Servers(folder, durable=True)
        with _not_looked_after(folder):
            _kill(servers.redis)
            other = _listen(servers.redis.port)
        with other:
            wait_until(lambda: "Redis ends within 5 s of each start and stays away" in said.read_text(), 60, "given up")
            beside = subprocess.run(
                [*_under(folder), "--join", "true"], cwd=ROOT, capture_output=True, text=True, check=False
            )
        assert beside.returncode == 1
        assert f"another program listens at its port {servers.redis.port}" in beside.stderr
        urls = _urls(folder, "--join")
        assert urls == [servers.redis.url, servers.postgres.dsn("platform_db")]


def test_a_server_keeps_its_port_from_run_to_run_unless_it_is_taken(seed: Seed, tmp_path: Path) -> None:
    folder = tmp_path / "servers"
    copy_servers(seed, data_dir=tmp_path / "var", servers=folder)
    first = _urls(folder)
    assert _urls(folder) == _urls(folder, "--join") == first
    with _listen(Servers(folder, durable=True).redis.port):
        cache, database = _urls(folder)
    assert (cache != first[0], database) == (True, first[1])


def _under(folder: Path) -> list[str]:
    return [sys.executable, "tools/servers.py", "--keep", str(folder)]


def _urls(folder: Path, *options: str) -> list[str]:
    """Where a command finds Redis and a database."""
    asked = ["printenv", "ECI_REDIS_URL", "ECI_PLATFORM_DATABASE_URL"]
    return subprocess.run(
        [*_under(folder), *options, *asked], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()


@contextmanager
def _owner(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Runs a command that goes on until its input is closed; what the owner says is in the file."""
    said = folder.with_name("said")
    with said.open("wb") as told:
        command = [*_under(folder), "cat"]
        owner = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told)
    try:
        with owner:
            assert owner.stdin is not None and owner.stdout is not None
            owner.stdin.write(b"here\n")
            owner.stdin.flush()
            assert owner.stdout.readline() == b"here\n", said.read_text()
            yield owner, said
    finally:
        Servers(folder, durable=True).stop()


def _kill(server: Server) -> None:
    """Its first process alone, as a person would."""
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.pid() != pid, 60, f"the end of {server.name}")


@contextmanager
def _not_looked_after(folder: Path) -> Iterator[None]:
    """The owner leaves servers that have ended to us."""
    with (folder / "start.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _listen(port: int) -> socket.socket:
    """A killed program's sockets are closed a moment after its end can be seen."""

    def taken() -> socket.socket | None:
        with suppress(OSError):
            return socket.create_server((HOST, port))
        return None

    return wait_until(taken, 10, f"port {port}")
