"""``make run SERVERS=1``: the product on servers of its own, killed with them, and started again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.product import DemoShop, Product
from tests.support.world import ON_SERVERS, environment
from tools.servers import Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not ON_SERVERS, reason="runs with the servers' programs only"),
    pytest.mark.first(6),
]


def test_an_order_outlives_the_kill_of_everything(tmp_path: Path) -> None:
    folder = tmp_path / "servers"
    under = [sys.executable, "tools/servers.py", "--keep", str(folder)]
    product = Product(tmp_path / "var", environment(tmp_path / "var", {}), under=under)
    try:
        product.start()
        placed = DemoShop(product.api).order(1, 2, key="kept")
        assert placed.status == 201

        product.kill()
        servers = Servers(folder, durable=True)
        for server in servers.all:
            assert server.pid() is not None
            server.kill()
        product.start()
        assert DemoShop(product.api).order(1, 2, key="kept").data["order_id"] == placed.data["order_id"]

        product.kill()
        left = [server.pid() for server in servers.all]
        assert all(left)
        product.start()
        assert [server.pid() for server in servers.all] == left
        replayed = DemoShop(product.api).order(1, 2, key="kept")
        assert (replayed.data["order_id"], replayed.headers["Idempotent-Replayed"]) == (placed.data["order_id"], "true")
        product.stop()
        assert not any(server.pid() for server in servers.all)
    finally:
        product.clean_up()
        Servers(folder, durable=True).stop()
