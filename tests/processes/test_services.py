"""``manage.py services``, as a person at a terminal runs it: parts of a shop behind one gateway."""

from __future__ import annotations

import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.contexts import CONTEXTS, GATEWAY_PORT
from tests.support import demo
from tests.support.product import DemoShop, HttpApi, Product, free_port, wait_until
from tests.support.services import environment_of, is_free, processes, services

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.first(8)]

PAUSE = 1.0  # seconds a buyer thinks: orders come in all the time, and leave room for those who move


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A shop without data, cut at orders and inventory. It is asked at the gateway."""
    with services(tmp_path_factory.mktemp("services"), "--cut", "orders,inventory") as made:
        made.start()
        yield made


@pytest.fixture
def parts(begun: Product) -> Product:
    """It is there for each test, and the last one ends it."""
    wait_until(lambda: _is_whole(begun), 120, "all parts run")
    return begun


def _is_whole(product: Product) -> bool:
    try:
        return bool(product.api.get("/health").json["status"] == "healthy")
    except httpx.TransportError:
        return False


def test_a_port_that_is_taken_is_named_with_whom_it_is_for(tmp_path: Path) -> None:
    with services(tmp_path, "--cut", "orders") as parts:
        offset = parts.port - GATEWAY_PORT
        with socket.create_server(("127.0.0.1", CONTEXTS["payments"].demo_port + offset)):
            done = parts.manage(*parts.command)
        assert done.returncode != 0
        assert f"Port {8084 + offset} is in use, and rest needs it." in done.stderr
        assert not (parts.data_dir / "catalog.sqlite3").exists(), "nothing was begun"
        refused = parts.manage("services", "--cut", "stock")
        assert "CUT=stock: there is no context 'stock'." in refused.stderr


@pytest.mark.long
def test_a_context_moves_back_out_and_back_while_orders_come_in(parts: Product) -> None:
    """The commands of docs/services.md, "Moving day"."""
    shop = DemoShop(parts.api)
    product = shop.sell("MOVED", WH001=100_000)
    out, back = ("orders,inventory", "inventory"), ("orders", "rest")
    answers: list[Any] = []
    stop = threading.Event()

    def buy() -> None:
        api = HttpApi(parts.url)
        while not stop.wait(PAUSE):
            answers.append(DemoShop(api).order(product, key=uuid.uuid4().hex))
        api.close()

    with ThreadPoolExecutor(2) as pool:
        buyers = [pool.submit(buy) for _ in range(2)]
        try:
            for cut, hosts in (back, out, back):
                before = len(answers)
                moved = parts.manage("recut", cut)
                assert moved.returncode == 0, moved.stderr
                told = dict(line.split(": ") for line in moved.stdout.splitlines())
                assert "inventory" in told[hosts].split(", ")
                assert {part for part in ("inventory", "rest") if processes(parts, f"ECI_SERVICE_NAME={part}")} == set(
                    told
                ) - {"orders"}
                wait_until(lambda before=before: len(answers) >= before + 5, 60, "orders come in")  # type: ignore[misc]
        finally:
            stop.set()
            for buyer in buyers:
                buyer.result()
    refused = [answer for answer in answers if answer.status not in (201, 202)]
    assert {(answer.status, answer.code) for answer in refused} <= {(503, "context_unavailable")}
    assert all(answer.headers["Retry-After"] for answer in refused)
    placed = {answer.data["order_id"] for answer in answers if answer.status in (201, 202)}
    wait_until(lambda: {order["status"] for order in parts.api.everything("/v1/orders")} == {"SHIPPED"}, 60, "all done")
    assert {order["order_id"] for order in parts.api.everything("/v1/orders")} == placed
    assert shop.stock(product) == (100_000 - len(placed), 0, 100_000 - len(placed))
    for part in ("orders", "rest"):
        seen = Product(parts.data_dir, parts.environment | environment_of(parts, part))
        assert f"The books agree: {len(placed)} orders checked, 0 under way." in seen.manage("audit").stdout
    assert "CUT=stock: there is no context 'stock'." in parts.manage("recut", "stock").stderr
    key = parts.data_dir / "services/keys/payments.pem"
    key.write_text("no key")
    assert "Nothing was moved." in parts.manage("recut", "orders,payments").stderr
    key.unlink()
    assert shop.order(product).status == 201, "the cut that was is still there"


def test_an_order_through_the_gateway_a_killed_part_and_ctrl_c(parts: Product) -> None:
    """It stands last, and ends the shop."""
    wait_until(lambda: "ECI is up, in parts" in parts.log.read_text(), 60, "the addresses are printed")
    assert "all, by the gateway" in parts.log.read_text()
    assert parts.api.get("/health").json["contexts"] == dict.fromkeys(CONTEXTS, "healthy")
    paths = parts.api.get("/schema?format=json").json["paths"]
    assert {path.split("/")[2] for path in paths} == {path for context in CONTEXTS.values() for path in context.paths}
    shop = DemoShop(parts.api)
    placed = shop.order(1, 2, key="services-1")
    assert (placed.status, placed.data["status"]) == (201, "SHIPPED"), placed.json
    notices = [("order_confirmation", "SENT"), ("shipping_confirmation", "SENT")]
    wait_until(lambda: shop.notices(placed.data["order_id"]) == notices, 60, "both notices")
    offset = parts.port - GATEWAY_PORT
    own = httpx.get(f"http://127.0.0.1:{CONTEXTS['orders'].demo_port + offset}/v1/orders", trust_env=False)
    assert own.json()["data"][0]["order_id"] == placed.data["order_id"]

    each = ",".join(f"{name}={context.port + offset}" for name, context in CONTEXTS.items())
    at = ("--ports", each, "--data-dir", str(parts.data_dir))
    assert "🎉 END" in demo.run("demo-script.sh", "--yes", "--local", *at).stdout

    seen = parts.environment | environment_of(parts, "orders")
    table = Product(parts.data_dir, seen).manage("contexts").stdout
    rows = {line.split()[0]: line.split() for line in table.splitlines()}
    assert rows["orders"][1] == "here" and rows["catalog"][1] == f"http://127.0.0.1:{3000 + offset}"
    assert {row[-1] for name, row in rows.items() if name not in ("context", "orders")} == {"closed"}

    assert "make manage SERVICE=orders ARGS=contexts" in parts.manage("contexts").stdout, (
        "all are here for this command"
    )

    for pid in processes(parts, "ECI_SERVICE_NAME=rest"):
        os.kill(pid, signal.SIGKILL)
    refused = shop.order(1)
    assert (refused.status, refused.code) == (503, "context_unavailable"), refused.json
    assert parts.api.get("/v1/orders").status == 200, "orders' own reads go on"
    wait_until(lambda: _is_whole(parts), 120, "the part that was killed runs again")
    wait_until(lambda: shop.order(1).status == 201, 60, "orders are taken again")

    second = parts.manage("services", "--offset", str(offset + 1))
    assert second.returncode != 0
    assert f"Services run on {parts.data_dir} already." in second.stderr
    whole = parts.manage("up", "--port", str(free_port()))
    assert whole.returncode != 0
    assert f"Services run on {parts.data_dir} already." in whole.stderr
    assert shop.order(1).status == 201, "the first has its keys and addresses"
    master = (parts.data_dir / "services/gateway/pid").read_text()
    os.kill(int(master), signal.SIGKILL)
    wait_until(lambda: (parts.data_dir / "services/gateway/pid").read_text() not in ("", master), 60, "a new nginx")
    wait_until(lambda: _is_whole(parts), 60, "the gateway answers again")

    text = parts.log.read_text()
    assert "bind() to" not in text, "the old nginx left nothing behind"
    assert "rest          | It ended, and is started again." in text
    assert "orders        | It is up." in text, "each line says whose it is"
    parts.stop()
    wait_until(lambda: not processes(parts), 60, "nothing is left")
    assert is_free(parts.port), "nor of nginx, whose processes have no environment"
    assert "No services run on" in parts.manage("recut").stderr
