"""Clients that are slow, idle, many or gone keep nobody from an answer, and are cut off after ten seconds."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support import world
from tests.support.product import Product, running

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.first(9)]

MANY = 40  # more than the threads of all processes
CAP = 100
GET = b"GET /v1/products?limit=1 HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def product(demo_seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("slow") / "var"
    with running(demo_seed, folder, ECI_CONNECTIONS_PER_ADDRESS=str(CAP), ECI_WEB_WORKERS="1") as started:
        yield started


class Client:
    def __init__(self, product: Product, address: str = "127.0.0.1", buffer: int = 0) -> None:
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.bind((address, 0))
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", product.port))

    def say(self, *words: bytes) -> Client:
        for word in words:
            self.socket.sendall(word)
        return self

    def answers(self) -> list[tuple[int, bytes]]:
        """All until the server closes."""
        with self.socket, self.socket.makefile("rb") as stream:
            found = []
            while line := stream.readline():
                status, length = int(line.split()[1]), 0
                while (field := stream.readline()) != b"\r\n":
                    if field.lower().startswith(b"content-length:"):
                        length = int(field.split(b":")[1])
                found.append((status, stream.read(length)))
            return found

    def trickle(self) -> None:
        """A byte each second, until the server has had enough: after ten, or some more on a busy machine."""
        self.socket.settimeout(1)
        for _ in range(60):
            try:
                self.socket.recv(1, socket.MSG_PEEK)
                self.socket.settimeout(30)
                return
            except TimeoutError:
                self.socket.sendall(b"1")
        pytest.fail("the server goes on reading")


def require_others_are_answered(product: Product) -> None:
    for _ in range(5):
        assert product.api.get("/v1/products?limit=1").status == 200


def test_slow_requests_hold_nobody_up_and_end_after_ten_seconds(product: Product) -> None:
    heads = [Client(product).say(GET, b"X-Slow: ") for _ in range(MANY)]
    bodies = [Client(product).say(POST, b"Content-Length: 1000\r\n\r\n{") for _ in range(MANY)]
    silent = Client(product)
    began = time.monotonic()
    require_others_are_answered(product)
    heads[0].trickle()
    bodies[0].trickle()
    for client in heads + bodies:
        ((status, body),) = client.answers()
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")
    assert silent.answers() == [], "who asked nothing is told nothing"
    assert time.monotonic() - began > 9


def test_who_takes_no_answer_holds_no_thread(product: Product) -> None:
    """The answers are larger than what the kernel keeps for a client."""
    asked = (
        b"GET /static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    deaf = [Client(product, buffer=4096).say(asked * 8) for _ in range(10)]
    require_others_are_answered(product)
    for client in deaf:
        client.socket.close()


def test_an_address_has_so_many_connections(product: Product) -> None:
    crowd = [Client(product, "127.0.0.9") for _ in range(CAP)]
    for client in crowd[:3]:
        client.say(GET, b"Connection: close\r\n\r\n")
    assert [status for client in crowd[:3] for status, _ in client.answers()] == [200] * 3
    crowd += [Client(product, "127.0.0.9") for _ in range(3)]
    ((status, body),) = Client(product, "127.0.0.9").answers()
    assert (status, json.loads(body)["code"]) == (429, "throttled")
    require_others_are_answered(product)
    for client in crowd:
        client.socket.close()


def test_requests_that_come_together_are_answered_in_turn(product: Product) -> None:
    last = GET + b"Connection: close\r\n\r\n"
    wrong = POST + b"Content-Length: 2\r\n\r\n[]"
    answers = Client(product).say(GET + b"\r\n" + wrong + last).answers()
    assert [status for status, _ in answers] == [200, 400, 200]


def test_a_body_that_is_announced_is_asked_for(product: Product) -> None:
    client = Client(product).say(POST, b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n")
    assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    ((status, _),) = client.say(b"[]").answers()
    assert status == 400


def test_a_body_that_is_too_large_is_refused_before_it_has_ended(product: Product) -> None:
    client = Client(product).say(POST, b"Content-Length: 90000000\r\n\r\n", b"x" * (2 * 1024 * 1024))
    ((status, body),) = client.answers()
    assert (status, json.loads(body)["code"]) == (413, "request_too_large")


def test_a_body_without_a_length_is_refused_and_nothing_in_it_is_a_request(product: Product) -> None:
    smuggled = b"0\r\n\r\n" + GET + b"\r\n"
    answers = Client(product).say(POST, b"Transfer-Encoding: chunked\r\n\r\n", smuggled).answers()
    assert [status for status, _ in answers] == [400]
