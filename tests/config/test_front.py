"""Where one request ends and the next begins, and answers that their clients take slowly."""

from __future__ import annotations

import socket

import pytest

from config.front import KEPT_IN_MEMORY, Answer, Connection

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

LIMIT = 100
HEAD = b"POST /v1/orders?x=/y HTTP/1.1\r\nHost: a"


@pytest.mark.parametrize(
    ("fields", "body", "is_whole"),
    [
        (b"", 0, True),
        (b"\r\nContent-Length: 5", 5, True),
        (b"\r\ncontent-length:\t5 ", 5, True),
        (b"\r\nContent-Length: 100", 100, True),
        (b"\r\nContent-Length: 101", 101, False),  # the product sees that it is too large, and the rest is not read
        (b"\r\nContent-Length: 99999999999999999", 101, False),
        (b"\r\nContent-Length: 5\r\nContent-Length: 5", 0, False),
        (b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", 0, False),
        (b"\r\nTransfer-Encoding: chunked", 0, False),
        (b"\r\nContent-Length: +5", 0, False),
        (b"\r\nContent-Length: 5, 5", 0, False),
        (b"\r\nContent-Length: ", 0, False),
        (b"\r\nX: Content-Length: 5", 0, True),
    ],
)
def test_how_long_a_request_is(fields: bytes, body: int, is_whole: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, ("127.0.0.1", 1), ("127.0.0.1", 2))
        head = HEAD + fields + b"\r\n\r\n"
        for byte in head[:-1]:
            connection.read.append(byte)
        connection.look_at_head(LIMIT)
        assert not connection.has_arrived
        connection.read += head[-1:] + b"x" * body + b"GET"
        connection.look_at_head(LIMIT)
        assert connection.has_arrived and connection.is_whole == is_whole
        assert connection.take_request() == head + b"x" * body
        assert (bytes(connection.read), connection.lane) == (b"GET", b"v1/orders")


def test_an_answer_waits_for_its_client_and_arrives_whole() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        answer = Answer(ours)
        parts = [bytes([number]) * 300_000 for number in range(3 * KEPT_IN_MEMORY // 300_000)]
        for part in parts:
            answer.add(part)
        assert not answer.send(), "nobody reads yet"
        taken = bytearray()
        while not answer.send():
            taken += theirs.recv(1_000_000)
        answer.add(b"the next one")
        assert answer.send()
        ours.shutdown(socket.SHUT_WR)
        while data := theirs.recv(1_000_000):
            taken += data
        assert bytes(taken) == b"".join(parts) + b"the next one"
