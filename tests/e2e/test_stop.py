"""Starting, stopping and being killed, as a person at a terminal does it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.product import Product, Shop

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-stop")]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Product]:
    """A product that has no data yet, not started."""
    product = Product(tmp_path / "var")
    try:
        yield product
    finally:
        product.clean_up()


def test_an_order_outlives_ctrl_c_and_a_dead_supervisor(fresh: Product) -> None:
    fresh.start()
    demo = fresh.api.get("/v1/products/1").data
    assert demo["price"] == "99.99" and fresh.api.get("/v1/customers/1").status == 200
    warehouses = {warehouse["code"] for warehouse in fresh.api.get("/v1/warehouses").data}
    assert warehouses >= {"WH001", "WH002"}
    placed = Shop(fresh.api).order(1, 1, key="stop-1")
    assert placed.status == 201
    fresh.stop()

    fresh.start()
    assert [order["order_id"] for order in fresh.api.get("/v1/orders").data] == [placed.data["order_id"]]
    replayed = Shop(fresh.api).order(1, 1, key="stop-1")
    assert (replayed.data["order_id"], replayed.headers["Idempotent-Replayed"]) == (placed.data["order_id"], "true")
    assert len(fresh.api.everything("/v1/products")) == len({p["sku"] for p in fresh.api.everything("/v1/products")})
    fresh.kill(supervisor_only=True)

    for database in fresh.data_dir.glob("*.sqlite3"):
        assert sqlite3.connect(database).execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.xdist_group("e2e")
def test_a_taken_port_is_told_in_one_line(product: Product) -> None:
    """The second product does not start, and does not disturb the first."""
    refused = product.manage("up", "--port", str(product.port))
    assert refused.returncode != 0
    assert f"Port {product.port} is in use" in refused.stderr and "Traceback" not in refused.stderr
    assert product.api.get("/health").status == 200
