"""Starting, stopping and being killed, as a person at a terminal does it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.operations.management.commands.up import SOON
from tests.support.product import DemoShop, Product, Running, free_port, wait_until
from tests.support.world import ON_SERVERS, ROOT, environment, world

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.first(5)]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Product]:
    """A product that has no data yet, not started."""
    with world(None, tmp_path / "var", ECI_BACKUP_DIR=str(tmp_path / "backups")) as own:
        product = Product(tmp_path / "var", own)
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
    placed = DemoShop(fresh.api).order(1, 1, key="stop-1")
    assert placed.status == 201
    backups = fresh.data_dir.with_name("backups")
    wait_until(lambda: list(backups.glob("eci-*")), 60, "a backup is kept beside the running shop")
    wait_until((fresh.data_dir / "beat-alive").exists, 60, "beat shows that it beats")
    second = fresh.manage("up", "--port", str(fresh.port))
    assert second.returncode != 0 and "Traceback" not in second.stderr
    assert f"Port {fresh.port} is in use" in second.stderr
    elsewhere = free_port()
    third = fresh.manage("up", "--port", str(elsewhere))
    apart = fresh.manage("services", "--offset", "20000")
    for refused in (third, apart):
        assert refused.returncode != 0 and "Traceback" not in refused.stderr
        assert f"The shop in {fresh.data_dir} runs already" in refused.stderr
    fresh.stop()

    fresh.start()
    killed = fresh.workers()
    started = time.monotonic()
    assert [order["order_id"] for order in fresh.api.get("/v1/orders").data] == [placed.data["order_id"]]
    replayed = DemoShop(fresh.api).order(1, 1, key="stop-1")
    assert (replayed.data["order_id"], replayed.headers["Idempotent-Replayed"]) == (placed.data["order_id"], "true")
    assert len(fresh.api.everything("/v1/products")) == len({p["sku"] for p in fresh.api.everything("/v1/products")})
    wait_until(lambda: time.monotonic() - started > SOON, 60, "all have run for a while")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(fresh.processes("eci-worker", "eci-beat")) - set(killed)) == 2, 60, "both run again")
    assert "The beat process ended (exit code -9), and is started again." in fresh.log.read_text()
    assert fresh.api.get("/health").status == 200
    fresh.kill(supervisor_only=True)

    for database in fresh.data_dir.glob("*.sqlite3"):
        assert sqlite3.connect(database).execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("command", ["up", "services"])
def test_ctrl_c_ends_it_while_it_is_still_being_loaded(tmp_path: Path, command: str) -> None:
    """An exception can get lost while modules are imported, and the shop would start without a terminal to end it."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "manage.py", command],
        cwd=ROOT,
        env=environment(tmp_path / "var", {}),
        stderr=subprocess.PIPE,
        pipesize=4096,  # it waits for this test before it has loaded much more
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    ) as loading:
        assert loading.stderr is not None
        for line in loading.stderr:
            if line.endswith(" django.utils\n"):
                break
        loading.send_signal(signal.SIGINT)
        try:
            _, told = loading.communicate(timeout=60)
        finally:
            loading.kill()
    assert loading.returncode == -signal.SIGINT
    assert "Traceback" not in told, told[-2000:]


@pytest.mark.skipif(ON_SERVERS, reason="with Redis there are no message files")
def test_half_written_messages_end_nothing(own_product: Running) -> None:
    """A crash may cut a message to the worker short. Neither the running product nor the next start falls over it."""
    with own_product() as product:
        messages = product.data_dir / "broker" / "messages"

        def cut_short() -> list[Path]:
            made = [messages / f"0_{number}.{queue}.msg" for number, queue in enumerate(("eci", "orders", "catalog"))]
            for path in made:
                path.write_text('{"body": "')
            return made

        running = cut_short()
        wait_until(lambda: not any(path.exists() for path in running), 60, "the worker takes them")
        product.kill()
        starting = cut_short()
        for path in (product.data_dir / "broker").rglob("*.exchange"):
            path.write_text("")
        product.start()
        wait_until(lambda: not any(path.exists() for path in starting), 60, "the worker takes them")

        placed = DemoShop(product.api).order(1, 1)
        notices = [("order_confirmation", "SENT"), ("shipping_confirmation", "SENT")]
        wait_until(lambda: DemoShop(product.api).notices(placed.data["order_id"]) == notices, 60, "both notices")
