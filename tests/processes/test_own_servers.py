"""``make run SERVERS=1``: the product on servers of its own, killed with them and started again; commands beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.own_servers import copy_servers
from tests.support.product import DemoShop, Product
from tests.support.world import ON_SERVERS, ROOT, Seed, environment
from tools.servers import Servers

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
