"""One order followed by its id: in the lines of web and worker, and in Loki, where the real Fluent Bit brings them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.monitoring.programs import running
from tests.support.loki import Loki, loki
from tests.support.product import DemoShop, Product, free_port, wait_until
from tests.support.world import ROOT
from tools.servers import binary

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

AGENT = binary("fluent-bit")
CONFIG = ROOT / "monitoring" / "fluent-bit" / "fluent-bit.yaml"
JUST_NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


def lines_of(product: Product) -> list[dict[str, Any]]:
    return [json.loads(line) for line in product.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
def order_id(product: Product, demo: DemoShop) -> str:
    """An order that was placed, refunded in part and mailed about, each by a request with a name."""
    lamp = demo.sell(f"FOLLOWED-{free_port()}", WH001=5)
    order = {"customer_id": 1, "items": [{"product_id": lamp, "quantity": 1}]}
    placed = product.api.post("/v1/orders", order, **{"X-Request-ID": "follow-placed"})
    assert placed.status == 201
    order_id = str(placed.data["order_id"])
    (payment,) = product.api.get(f"/v1/payments?order_id={order_id}").data
    refund = f"/v1/payments/{payment['payment_id']}/refund"
    body = {"amount": "1.00", "reason": "scratched"}
    assert product.api.post(refund, body, **{"X-Request-ID": "follow-refund"}).status == 200

    def mailed() -> bool:
        found = [line for line in lines_of(product) if line.get("order_id") == order_id]
        return sum(line["event"] == "notification_attempt" for line in found) >= 2

    wait_until(mailed, 60, "the worker has sent the order's mails")
    return order_id


def test_the_lines_of_web_and_worker_name_the_order(product: Product, order_id: str) -> None:
    lines = lines_of(product)
    about = [line for line in lines if line.get("order_id") == order_id]
    assert all(line.get("request_id") for line in about)
    web = {(line["request_id"], line["route"]) for line in about if line["logger"] == "eci.access"}
    assert ("follow-placed", "v1/orders") in web
    assert ("follow-refund", "v1/payments/<id:payment_id>/refund") in web
    worker = {line["request_id"] for line in about if line.get("task") == "notifications.send_due"}
    assert "follow-placed" in worker, "the mail is of the request that placed it"
    named = [line for line in lines if line.get("request_id") in ("follow-placed", "follow-refund")]
    assert [line for line in named if line.get("order_id") != order_id] == []
    assert [line for line in lines if "%" in line["event"]] == [], "an event is no placeholder"


@pytest.mark.skipif(AGENT is None, reason="NOT TESTED, for there is no fluent-bit on the PATH")
def test_fluent_bit_brings_them_to_loki_as_they_were_written(product: Product, order_id: str, tmp_path: Path) -> None:
    written = [line for line in product.log.read_text().splitlines() if order_id in line]
    (tmp_path / "state").mkdir()
    docker(tmp_path / "docker" / "a1" / "a1-json.log", written, service="web")
    docker(tmp_path / "docker" / "b2" / "b2-json.log", ["a line that is no JSON", "x" * 40_000], service="proxy")
    kubelet(tmp_path / "pods" / "worker-7d4b9c6f5-abcde_ecommerce_eci-01.log", written)
    kubelet(tmp_path / "pods" / "web-7d4b9c6f5-abcde_another_eci-01.log", written)
    with loki() as store:
        store.away = True
        config = on_loopback(tmp_path, store)
        command = [str(AGENT), "--config", str(config)]
        with running(
            command, tmp_path / "agent.log", lambda: store.refused > 0, dict(os.environ, LOKI_HOST="127.0.0.1")
        ):
            store.away = False
            wanted = 2 * len(written) + 2
            wait_until(lambda: len(store.lines) >= wanted, 60, f"everything has come; see {tmp_path / 'agent.log'}")
    assert len(store.lines) == wanted, "nothing twice, and nothing of another namespace"
    for service, metadata in (("web", {}), ("worker", {"pod": "worker-7d4b9c6f5-abcde"})):
        found = [line for line in store.naming(order_id) if line.labels["service"] == service]
        assert sorted(line.text for line in found) == sorted(written)
        assert {line.labels["level"] for line in found} == {json.loads(line)["level"] for line in written}
        assert all(line.metadata == metadata for line in found)
        assert all(line.labels.keys() == {"shop", "service", "level"} for line in found), "an id is no stream"
        assert {line.nanoseconds for line in found} == {int(JUST_NOW.timestamp()) * 10**9}
    assert {line.text[:6] for line in store.lines if line.labels["service"] == "proxy"} == {"a line", "xxxxxx"}


def docker(file: Path, lines: list[str], *, service: str) -> None:
    """As Docker's ``json-file`` writes them with compose.yml's options: long ones in pieces."""
    file.parent.mkdir(parents=True)
    with file.open("w") as out:
        for line in lines:
            pieces = [line[at : at + 16_384] for at in range(0, len(line), 16_384)]
            pieces[-1] += "\n"
            for piece in pieces:
                about = {"com.docker.compose.service": service}
                entry = {"log": piece, "stream": "stderr", "attrs": about, "time": f"{JUST_NOW:%Y-%m-%dT%H:%M:%S}Z"}
                out.write(json.dumps(entry) + "\n")


def kubelet(file: Path, lines: list[str]) -> None:
    """As a container runtime writes them for the kubelet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{JUST_NOW:%Y-%m-%dT%H:%M:%S.000000000}Z stderr F {line}\n" for line in lines))


def on_loopback(folder: Path, store: Loki) -> Path:
    """monitoring/'s own configuration, with the places of this test."""
    text = CONFIG.read_text()
    for place, here in (
        ("/var/lib/docker/containers", folder / "docker"),
        ("/var/log/containers", folder / "pods"),
        ("/fluent-bit/state", folder / "state"),
    ):
        assert place in text
        text = text.replace(place, str(here))
    config = yaml.safe_load(text)
    config["service"] |= {"http_port": free_port()}
    config["pipeline"]["outputs"][0] |= {"port": store.port}
    file = folder / "fluent-bit.yaml"
    file.write_text(yaml.safe_dump(config))
    return file
