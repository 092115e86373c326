"""Where one request ends and the next begins, and answers that their clients take slowly."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config

from config import front
from config.front import KEPT_IN_MEMORY, Answer, Connection, FrontWorker
from config.spread import Spread

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
        assert connection.take_request().read() == head + b"x" * body
        assert (bytes(connection.read), connection.lane) == (b"GET", b"v1/orders")


@pytest.mark.parametrize(
    ("path", "is_upload"),
    [
        *((b"/v1/imports", True), (b"/api/v1/catalog/v1/imports", True), (b"/v1/products/import?x=1", True)),
        *((b"/v1/imports/catalog-1/apply", False), (b"/v1/products", False), (b"/v1/orders?a=/v1/imports", False)),
    ],
)
def test_a_file_may_be_larger_and_waits_on_disk(tmp_path: Path, path: bytes, is_upload: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, ("127.0.0.1", 1), ("127.0.0.1", 2))
        head = b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"
        arrived = 0
        for part in (head, b"x" * 300, b"x" * 200 + b"GET"):
            connection.read += part
            connection.look_at_head(LIMIT, upload_limit=500, upload_folder=str(tmp_path))
            arrived += connection.put_aside()
        assert connection.is_whole == is_upload
        assert connection.has_arrived
        if is_upload:
            assert arrived == len(head) + 500
            with connection.take_request() as request:
                assert request.read() == head + b"x" * 500
            assert bytes(connection.read) == b"GET", "the next request"
        connection.forget()


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


class Threads(Executor):
    """Notes what is to run, and runs nothing."""

    def __init__(self) -> None:
        self.begun = 0

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        self.begun += 1
        return Future()


@contextlib.contextmanager
def process(number: int, listeners: Sequence[socket.socket] = ()) -> Iterator[FrontWorker]:
    config = Config()
    config.set("threads", 4)
    made = FrontWorker(number, 1, list(listeners), None, 30, config, None)
    made.tpool = Threads()
    made.poller = selectors.DefaultSelector()
    yield made
    for connection in list(made.waiting):
        made._drop(connection)
    made.poller.close()
    made.lifeline.shutdown()
    made.tmp.close()


@pytest.fixture
def worker() -> Iterator[FrontWorker]:
    with process(1) as made:
        yield made


@pytest.fixture
def asks(worker: FrontWorker) -> Iterator[Callable[[bytes], None]]:
    """``asks(path)``: a request of this path waits for a thread."""
    sockets = []

    def ask(path: bytes) -> None:
        sockets.extend(pair := socket.socketpair())
        connection = Connection(pair[0], ("127.0.0.1", 1), ("127.0.0.1", 2))
        connection.read += b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        worker.nr_conns += 1
        worker._go_on_reading(connection)

    yield ask
    for one in sockets:
        one.close()


def test_requests_stuck_in_a_database_leave_threads_to_those_that_ask_for_something_else(
    worker: FrontWorker, asks: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = 0
    monkeypatch.setattr(front, "stuck", lambda seconds: stuck)
    for _ in range(6):
        asks(b"/v1/products?q=slow")
    assert worker.tpool.begun == 4
    for _ in range(5):
        asks(b"/v1/shipments/track/1")
    worker._dispatch()
    assert worker.tpool.begun == 4, "nothing is stuck, so they wait their turn"
    stuck = 4
    for connection in worker.running:
        connection.began -= 2 * front.STUCK
    worker._dispatch()
    assert [connection.lane for connection in worker.running] == [b"v1/products"] * 4 + [b"v1/shipments"] * 3
    assert len(worker.ready) == 4


@pytest.mark.parametrize("takes", [False, True])
def test_who_takes_no_answer_is_reset(worker: FrontWorker, takes: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        ours, address = server.accept()
        ours.setblocking(False)
        connection = Connection(ours, address, server.getsockname())
        worker.nr_conns += 1
        worker.by_address[connection.address] += 1
        connection.answer.add(b"a")
        connection.answer.send()
        assert client.recv(1) == b"a"
        if not takes:
            connection.answer.add(b"x" * 20_000_000)
            assert not connection.answer.send()
            connection.read += b"GET"  # another request begins behind it: no answer may stand within this one
        connection.deadline = 0.0
        worker.waiting[connection] = None
        worker.murder_pending()
        with pytest.raises(ConnectionResetError) if not takes else contextlib.nullcontext():
            while client.recv(1_000_000):
                pass


def test_processes_have_as_many_connections_as_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrontWorker, "spread", Spread())
    now = 100.0
    monkeypatch.setattr(front.time, "monotonic", lambda: now)

    def look(*processes: FrontWorker) -> list[int]:
        for one in processes:
            one.set_accept_enabled(True)
            for key, _ in one.poller.select(0):
                key.data(key.fileobj)
        return [one.nr_conns for one in processes]

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(server.getsockname()))

        first, other = (stack.enter_context(process(number, [server])) for number in (1, 2))
        look(first, other)
        clients = [connect() for _ in range(8)]
        while first.nr_conns + other.nr_conns < 8:
            look(first, first, first, other)
            now += front.LOOK
        assert look(first, other) == [4, 4], "though the first always came first"

        for client in clients:
            client.close()
        while sum(look(first, other)):
            pass
        clients = [connect() for _ in range(2)]
        assert look(first) == [1]
        assert look(first) == [1], "the other has none, so the second is left to it"
        now += front.PATIENCE
        assert look(first) == [2], "but it does not come"
        clients += [connect(), connect()]
        assert look(first) == [3], "and is not waited for again"
        other.alive = False
        other.set_accept_enabled(False)
        now += front.IMPATIENCE
        assert look(first) == [4], "nor when it has ended"
