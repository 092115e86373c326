"""A real Alertmanager with our configuration: each alert reaches whom it should, and explained ones nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from tests.deployment.monitoring.expressions import MONITORING
from tests.deployment.monitoring.programs import for_this_alertmanager, needs_prometheus, path_of, running
from tests.support.product import free_port, wait_until

pytestmark = [pytest.mark.e2e, needs_prometheus, pytest.mark.any_engine, pytest.mark.long]


class Chat:
    """Takes what a chat's incoming webhook is sent: the room is the path, the title is the alert's name."""

    def __init__(self) -> None:
        said = self.said = set[tuple[str, str]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if "attachments" in body:
                    said.update((self.path, attachment["title"]) for attachment in body["attachments"])
                else:  # what a dead man's switch is sent: Alertmanager's own format
                    said.update((self.path, alert["labels"]["alertname"]) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def chat() -> Iterator[Chat]:
    made = Chat()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_critical_and_other_alerts_reach_their_rooms_and_explained_ones_none(chat: Chat, tmp_path: Path) -> None:
    text = (MONITORING / "alertmanager" / "alertmanager.yml").read_text()
    for severity in ("critical", "warning"):
        file = tmp_path / severity
        file.write_text(f"{chat.url}/{severity}")
        text = text.replace(f"/run/secrets/alerts_{severity}_url", str(file))
    (tmp_path / "watchdog").write_text(f"{chat.url}/watchdog")
    text = for_this_alertmanager(text).replace(
        "http://127.0.0.1/run/secrets/alerts_watchdog_url", f"{chat.url}/watchdog"
    )
    config = yaml.safe_load(text.replace("/run/secrets/alerts_watchdog_url", str(tmp_path / "watchdog")))
    config["route"]["group_wait"] = config["route"]["routes"][0]["group_wait"] = "0s"
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [path_of("prometheus-alertmanager"), f"--config.file={tmp_path / 'alertmanager.yml'}"]
    command += [f"--storage.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    command += ["--cluster.listen-address=", "--log.level=warn"]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:

        def ready() -> bool:
            try:
                return http.get("/-/ready").status_code == 200
            except httpx.TransportError:
                return False

        def tell(name: str, **labels: str) -> None:
            alert = {"labels": {"alertname": name, **labels}, "annotations": {"summary": "s", "runbook_url": "r"}}
            assert http.post("/api/v2/alerts", json=[alert]).status_code == 200

        with running(command, tmp_path / "alertmanager.log", ready):
            tell("ServiceDown", severity="critical", job="catalog-service")
            tell("AvailabilityBurnRate", severity="critical", burn="6x")
            tell("Watchdog", severity="none")
            down = {("/critical", "ServiceDown"), ("/critical", "AvailabilityBurnRate"), ("/watchdog", "Watchdog")}
            wait_until(lambda: chat.said == down, 60, "the critical ones")
            tell("OutboxLag", severity="warning", job="catalog-service")
            tell("AvailabilityBurnRate", severity="warning", burn="1x")
            tell("LowInventoryAlert", severity="warning", job="inventory-service")
            wait_until(
                lambda: chat.said == down | {("/warning", "LowInventoryAlert")}, 60, "the one that nothing explains"
            )
