"""Clients, the mail server and the floor: what they count is what happened."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench import databases
from bench.floor import Floor, statements, tally_of
from bench.load import Call, drive
from bench.mailbox import Mailbox

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201 if self.headers.get("Idempotency-Key") else 400)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_call_is_counted_once(url: str) -> None:
    keyed = Call("/v1/orders", b"{}", {"Idempotency-Key": "k"})
    calls = iter([keyed] * 20 + [Call("/v1/orders", b"{}")] * 3 + [Call("/v1/products")])
    tally = drive(url, lambda: next(calls, None), clients=4, seconds=30, expected=201)
    assert len(tally.times) == 20
    assert tally.others == {"400 {}": 3, "200 {}": 1}
    assert tally.rate == 20 / tally.seconds


def test_a_server_that_is_away_is_counted() -> None:
    calls = iter([Call("/")])
    tally = drive("http://127.0.0.1:1", lambda: next(calls, None), clients=1, seconds=30)
    assert (tally.times, tally.others.total()) == ([], 1)


def test_mailbox() -> None:
    with Mailbox() as box:
        with smtplib.SMTP("127.0.0.1", box.port, timeout=10) as client:
            client.sendmail("a@example.com", ["b@example.com"], "Subject: one\r\n\r\n.\r\n..dots\r\n")
            client.sendmail("a@example.com", ["b@example.com"], "")
        assert box.received == 2


def test_what_pgbench_writes() -> None:
    tally = tally_of(["0 1 500000 0 100 500000", "1 1 1000000 0 101 0", "0 2 1500000 0 102 0"], 2)
    assert (tally.seconds, sorted(tally.times), tally.rate) == (2.0, [500.0, 1000.0, 1500.0], 1.5)


def test_the_floor_writes_orders(tmp_path: Path) -> None:
    floor = Floor(f"sqlite:///{tmp_path}/floor.sqlite3", tmp_path)
    floor.prepare()
    placed = len(floor.run(clients=1, seconds=0.05).times)
    assert placed > 0
    with databases.cursor(floor.url) as found:
        assert databases.number(found, "SELECT count(*) FROM orders WHERE status = 'SHIPPED'") == placed
        assert databases.number(found, "SELECT sum(1000000000 - on_hand) FROM stock") == 2 * placed
        assert databases.number(found, "SELECT sum(reserved) FROM stock") == 0
    assert all(statement.split()[0] in ("INSERT", "UPDATE") for statement in statements())
