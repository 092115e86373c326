"""The web server's connections: one loop reads and writes them all, and threads get only what is complete.

Gunicorn's threads read requests and write answers themselves, so a few slow clients keep all of them. Here

1. the loop reads head and body, at most ``TIME`` seconds for both; an idle connection is a few bytes of memory;
2. a thread gets the whole request, as an ``Exchange`` that looks like a socket to gunicorn, and waits for no client;
3. what the client has not taken when the thread is done, the loop sends. A client that takes nothing is cut off.

A request that is stuck is no reason for others to wait (``_admits``). /health/live has a thread of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import ipaddress
import re
import select
import selectors
import socket
import struct
import sys
import tempfile
import termios
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from io import BytesIO
from typing import IO, Any

from gunicorn import util
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from config.spread import IMPATIENCE, LOOK, PATIENCE, Spread
from eci.databases import stuck

TIME = 10.0  # seconds for a request to arrive, and for an answer to be taken
RATE = 64 * 1024  # bytes for each of which lots a large body or answer gets a second more
HEAD = 64 * 1024  # bytes of a request's head
KEPT_IN_MEMORY = 1024 * 1024  # bytes of an answer; the rest waits in a file
UPLOADS = 256 * 1024 * 1024  # bytes of all files that have not fully arrived; they wait on disk
HELD = 256 * 1024 * 1024  # bytes of all requests that have not fully arrived
IN_KERNEL = 256 * 1024  # bytes of an answer that the kernel takes before its client does; Linux doubles it
LINGER = 2.0  # seconds in which a client may take notice of an answer that came before its request had ended
STUCK = 0.5  # seconds after which a running request no longer counts as one that will soon be done
TICK = 0.25  # seconds between two looks at the deadlines
NOTICE = 1.0  # seconds between two signs of life for the arbiter, which waits for a minute
LIVE = b"health/live"

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(.*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9]{1,18}")
_VERSION = re.compile(rb"[^\r\n]* HTTP/1\.([0-9])\r\n")
_ONCE = re.compile(rb"\r\n(host|idempotency-key|authorization|content-type):", re.IGNORECASE)
_OPTIONS = re.compile(rb"\r\nconnection:([^\r\n]*)", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_UPLOAD = re.compile(
    rb"POST (?:(?:/api/v1/[a-z]+)?/v1/(?:imports|[a-z]+/import)|/admin/[a-z]+/import/add/)(?:\?[^ ]*)? "
)
_PATH = re.compile(rb"[^ ]* /*([^ ?/]*)/*([^ ?/]*)")


class Answer:
    """What a client is to be sent. Beyond a megabyte it waits in a file, not in memory."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._next = bytearray()
        self._file: IO[bytes] | None = None
        self._sent_of_file = 0
        self.sent = 0

    def add(self, data: bytes) -> None:
        if self._file is None and len(self._next) + len(data) > KEPT_IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until it is sent
        if self._file is None:
            self._next += data
        else:
            self._file.seek(0, 2)
            self._file.write(data)
        if len(self._next) >= RATE:
            self.send()

    def send(self) -> bool:
        """Send what the client takes without waiting. Whether that was all."""
        while self._next or self._read_on():
            try:
                sent = self._sock.send(self._next)
            except BlockingIOError:
                return False
            del self._next[:sent]
            self.sent += sent
        return True

    @property
    def is_waiting(self) -> bool:
        return bool(self._next or self._file)

    def forget(self) -> None:
        self._next.clear()
        if self._file is not None:
            self._file.close()
            self._file, self._sent_of_file = None, 0

    def _read_on(self) -> bool:
        if self._file is None:
            return False
        self._file.seek(self._sent_of_file)
        self._next += self._file.read(KEPT_IN_MEMORY)
        self._sent_of_file += len(self._next)
        if not self._next:
            self.forget()
        return bool(self._next)


class Exchange:
    """One request that has arrived and its answer, as the socket that gunicorn reads and writes."""

    def __init__(self, request: IO[bytes], answer: Answer, *, is_last: bool) -> None:
        self.is_last = is_last
        self._request = request
        self.recv = request.read
        self.sendall = answer.add

    def send(self, data: bytes) -> int:
        """Gunicorn uses it for ``100 Continue`` only, which the loop has said."""
        return len(data)

    def gettimeout(self) -> float:
        return 0.0

    def setblocking(self, blocking: bool) -> None: ...

    def settimeout(self, seconds: float | None) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None:
        self._request.close()


def _household(address: str) -> str:
    """An IPv6 address counts as its /64 network, because one household has all of it."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False).network_address)


class Connection:
    def __init__(self, sock: socket.socket, client: Any, server: Any) -> None:
        self.sock = sock
        self.client = client
        self.server = server
        self.address = _household(client[0]) if isinstance(client, tuple) else ""
        self.read = bytearray()
        self.length = 0  # of the request that is being read; 0: its head has not ended
        self.upload: IO[bytes] | None = None  # what has arrived of a large one
        self.uploaded = 0  # bytes of that
        self.looked_at = 0  # bytes among which the head does not end
        self.is_whole = True  # whether those bytes are all of it, and the next one begins behind them
        self.lane = b""  # the first two words of its path
        self.answer = Answer(sock)
        self.goes_on = True  # with another request
        self.is_last = False  # after this request the connection ends, and its answer says so
        self.refusal: tuple[int, str] | None = None  # of a request that no thread needs to see
        self.is_leaving = False
        self.began = time.monotonic()  # of what is going on: reading, running, writing
        self.deadline = self.began + TIME
        self.then: Callable[[Connection], None] | None = None  # what is called when the client acts
        self.watched = 0  # the event for which the poller looks

    def look_at_head(self, body_limit: int, *, upload_limit: int = 0, upload_folder: str | None = None) -> None:
        """Once the head is there, see how long the request is.

        Where its length is not said in one clear way, the head is all that is handed over: gunicorn refuses what is
        wrong with it, and nothing behind it is taken for another request. Of a body that is too large, the product
        needs to see no more than that.
        """
        end = self.read.find(b"\r\n\r\n", self.looked_at) + 4
        self.looked_at = max(0, len(self.read) - 3)  # the end may be half there
        if self.length or end < 4:
            return
        head = bytes(self.read[:end])
        lengths = _LENGTH.findall(head)
        is_clear = not _CODING.search(head) and (not lengths or (len(lengths) == 1 and _DIGITS.fullmatch(lengths[0])))
        body = int(lengths[0]) if lengths and is_clear else 0
        if body > body_limit and upload_limit and _UPLOAD.match(head):  # a file, which waits on disk
            body_limit = upload_limit
            if body <= upload_limit:
                self.upload = tempfile.TemporaryFile(dir=upload_folder)  # noqa: SIM115 - open until it is answered
        self.is_whole = bool(is_clear) and body <= body_limit
        self.length = end + min(body, body_limit + 1)
        found = _PATH.match(head)
        self.lane = b"/".join(found.groups()) if found else b""
        options = b",".join(_OPTIONS.findall(head)).lower().split(b",")
        self.is_last = not self.is_whole or b"close" in (option.strip() for option in options)
        version = _VERSION.match(head)
        minor = int(version[1]) if version else 0
        if version and minor > 1:  # a later HTTP/1 is answered as the one that we know
            self.read[version.start(1) : version.end(1)] = b"1"
        if len(lengths) == 1 and len(lengths[0]) > 18 and lengths[0].isdigit():
            self.refusal = (400, "Content-Length Out Of Range")
        elif twice := _twice(once := [name.lower() for name in _ONCE.findall(head)]):
            self.refusal = (400, f"One {twice} Needed")
        elif minor and b"host" not in once:
            self.refusal = (400, "One Host Needed")
        elif minor and not self.has_arrived and _EXPECTS.search(head):
            if self.is_whole:
                with contextlib.suppress(OSError):
                    self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            elif is_clear:
                self.refusal = (413, "Content Too Large")

    @property
    def has_arrived(self) -> bool:
        return 0 < self.length <= self.uploaded + len(self.read)

    def put_aside(self) -> int:
        """Move what has arrived of a large request from memory to disk. How many bytes that was."""
        if self.upload is None:
            return 0
        moved = bytes(self.read[: self.length - self.uploaded])
        del self.read[: len(moved)]
        self.upload.write(moved)
        self.uploaded += len(moved)
        return len(moved)

    def take_request(self) -> IO[bytes]:
        request: IO[bytes] = BytesIO(bytes(self.read[: self.length])) if self.upload is None else self.upload
        if self.upload is None:
            del self.read[: self.length]
        request.seek(0)
        self.length = self.looked_at = self.uploaded = 0
        self.upload = None
        return request

    def forget(self) -> None:
        self.answer.forget()
        if self.upload is not None:
            self.upload.close()


def _twice(names: list[bytes]) -> str:
    """A header that is there more than once, though its values mean nothing together; else empty."""
    return next((name.decode().title() for name in names if names.count(name) > 1), "")


def _in_kernel(sock: socket.socket) -> int:
    """Bytes of an answer that the client has not taken yet, though we have sent them."""
    try:
        return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


class FrontWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's threaded worker, with a loop in place of its reading, writing and waiting."""

    body_limit = 1024 * 1024  # bytes that the product takes
    upload_limit = 1024 * 1024  # the same where it takes files
    upload_folder: str | None = None  # where those wait; None: where temporary files are
    connections_per_address = 0  # 0: any number
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()  # they have many clients
    spread: Spread | None = None  # of all processes' connections; None: it takes what it gets

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patient_until = self.impatient_until = 0.0
        self.waiting: dict[Connection, None] = {}  # for their clients; who has waited longest stands first
        self.ready: deque[Connection] = deque()  # for a thread
        self.running: dict[Connection, None] = {}
        self.served: deque[tuple[Connection, bool | None]] = deque()  # by threads, and not yet looked at by the loop
        self.by_address: Counter[str] = Counter()
        self.held = 0
        self.uploading = 0  # bytes on disk
        self.next_tick = self.next_notice = 0.0
        self.lifeline = ThreadPoolExecutor(1, "live")
        for listener in self.sockets:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, IN_KERNEL)  # connections inherit it

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.cfg.threads + self._spare)

    @property
    def _spare(self) -> int:
        """Fewer than threads. A pool has as many connections as these, and twice as many could wait for each other."""
        return int(self.cfg.threads) - 1

    # -- gunicorn's loop calls these ----------------------------------------------------------------------------------

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled and not self._is_patient())
        if self.spread and self.alive:
            self.spread.tell(self.age, self.nr_conns)
        elif self.spread:
            self.spread.leave(self.age)

    def accept(self, listener: Any) -> None:
        if self._leaves_it_to_another():
            return
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # no file descriptor is left
            self._make_room()
            return
        sock.setblocking(False)
        connection = Connection(sock, client, listener.getsockname())
        self._count(1)
        self.by_address[connection.address] += 1
        if self._are_too_many(connection.address):
            self._answer(connection, 429, "Too Many Connections")
            self._drop(connection)  # at once: a crowd that says good bye is a crowd
            return
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        self.waiting[connection] = None
        self._read(connection)

    def notify(self) -> None:
        """Tell the arbiter that the loop turns: once a second, though it turns for each request."""
        now = time.monotonic()
        if now >= self.next_notice:
            self.next_notice = now + NOTICE
            super().notify()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        longest = LOOK if self.patient_until else TICK if self.nr_conns else timeout
        super().wait_for_and_dispatch_events(min(timeout, longest))
        self._take_served()

    def murder_pending(self) -> None:
        now = time.monotonic()
        if now < self.next_tick:
            return
        self.next_tick = now + TICK
        for connection in [one for one in self.waiting if one.deadline <= now]:
            if (connection.read or connection.upload) and not (connection.is_leaving or connection.answer.is_waiting):
                self._refuse(connection, 408, "Request Timeout")
            else:
                self._cut_off(connection)
        self._dispatch()

    def murder_keepalived(self, force: bool = False) -> None:
        if force:
            self.lifeline.shutdown(wait=False)
            for connection in list(self.waiting):
                self._drop(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        for connection in self.waiting:
            if not connection.read:
                connection.deadline = min(connection.deadline, deadline)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self, connection: Connection) -> None:
        try:
            data = self._received(connection)
        except BlockingIOError:
            self._await(connection, selectors.EVENT_READ, self._read)
            return
        if not data:
            self._drop(connection)
            return
        if not connection.read:
            connection.began = time.monotonic()
        connection.read += data
        self.held += len(data)
        self._go_on_reading(connection)

    def _received(self, connection: Connection) -> bytes:
        """Empty: the client has ended. BlockingIOError."""
        try:
            return connection.sock.recv(RATE)
        except BlockingIOError:
            raise
        except OSError:
            return b""

    def _go_on_reading(self, connection: Connection) -> None:
        try:
            connection.look_at_head(self.body_limit, upload_limit=self.upload_limit, upload_folder=self.upload_folder)
            moved = connection.put_aside()
        except OSError:  # the disk is full
            self._refuse(connection, 503, "Service Unavailable")
            return
        self.held -= moved
        self.uploading += moved
        if connection.refusal:
            self._refuse(connection, *connection.refusal)
        elif connection.has_arrived:
            self._stop_waiting(connection)
            if connection.lane == LIVE:
                self._run(connection, self.lifeline)
            else:
                self.ready.append(connection)
                self._dispatch()
        elif not connection.length and len(connection.read) > HEAD:
            line_ends = b"\r\n" in connection.read
            self._refuse(
                connection, *((431, "Request Header Fields Too Large") if line_ends else (414, "URI Too Long"))
            )
        elif (self.held > HELD and len(connection.read) > HEAD) or (self.uploading > UPLOADS and connection.upload):
            self._refuse(connection, 503, "Service Unavailable")
        else:
            connection.deadline = connection.began + TIME + (connection.uploaded + len(connection.read)) / RATE
            self._await(connection, selectors.EVENT_READ, self._read)

    # -- threads ------------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give threads to those who wait for one.

        Where requests are stuck in a database, others get spare threads, but none that ask for the same as those.
        """
        usual = int(self.cfg.threads)
        while self.ready and len(self.running) < usual:
            self._run(self.ready.popleft(), self.tpool)
        long_ago = time.monotonic() - STUCK
        if not self.ready or next(iter(self.running)).began >= long_ago:  # who has run for longest stands first
            return
        spare = min(stuck(STUCK), self._spare)
        if not spare:
            return
        lanes = Counter(one.lane for one in self.running if one.began < long_ago)
        for connection in list(self.ready):
            if len(self.running) < usual + spare and lanes[connection.lane] < usual / 2:
                self.ready.remove(connection)
                self._run(connection, self.tpool)

    def _run(self, connection: Connection, pool: Executor) -> None:
        if pool is not self.lifeline:
            self.running[connection] = None
        connection.began = time.monotonic()
        self.uploading -= connection.uploaded
        self.held -= connection.length - connection.uploaded
        exchange = Exchange(connection.take_request(), connection.answer, is_last=connection.is_last)
        as_gunicorn_has_it = TConn(self.cfg, exchange, connection.client, connection.server)
        as_gunicorn_has_it.data_ready = True
        pool.submit(self._serve, connection, as_gunicorn_has_it)

    def _serve(self, connection: Connection, as_gunicorn_has_it: TConn) -> None:
        """In a thread. The loop is woken only where it has something to do before the client acts again.

        Whether it has is asked after the connection was put into ``served``, and the loop looks there after all that it
        does: whoever comes second sees what the other did.
        """
        goes_on = None  # the client has gone
        try:
            may_go_on = bool(self.handle(as_gunicorn_has_it))
            connection.answer.send()
            goes_on = may_go_on and connection.is_whole
        finally:
            self.served.append((connection, goes_on))
            if not (goes_on and connection.watched and self.alive) or (
                self.ready or connection.read or connection.answer.is_waiting
            ):
                self.method_queue.defer(int)

    def handle_request(self, req: Any, conn: Any) -> bool:
        if conn.sock.is_last:
            req.force_close()
        return bool(super().handle_request(req, conn))

    def _take_served(self) -> None:
        while self.served:
            connection, goes_on = self.served.popleft()
            self.running.pop(connection, None)
            self._dispatch()
            if goes_on is None:
                self._drop(connection)
                continue
            connection.goes_on = goes_on
            connection.began = time.monotonic()
            connection.answer.sent = 0
            self._write(connection)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _write(self, connection: Connection) -> None:
        try:
            done = connection.answer.send()
        except OSError:
            self._drop(connection)
            return
        if not done:
            connection.deadline = connection.began + TIME + connection.answer.sent / RATE
            self._await(connection, selectors.EVENT_WRITE, self._write)
        elif connection.goes_on:
            connection.began = time.monotonic()
            if connection.read:
                self._stop_waiting(connection)
                self._go_on_reading(connection)
            else:
                connection.deadline = connection.began + (self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER)
                self._await(connection, selectors.EVENT_READ, self._read)
        elif connection.is_whole and not connection.read and _in_kernel(connection.sock) <= RATE:
            self._drop(connection)
        else:
            self._say_good_bye(connection)

    def _refuse(self, connection: Connection, status: int, reason: str) -> None:
        self._answer(connection, status, reason)
        self._say_good_bye(connection)

    def _answer(self, connection: Connection, status: int, reason: str) -> None:
        """In the loop: no thread needs to see it."""
        with contextlib.suppress(OSError):  # a client that takes nothing gets nothing
            util.write_error(connection.sock, status, reason, "")

    def _say_good_bye(self, connection: Connection) -> None:
        """Closing while the client still sends would destroy our answer on its way: for a while, listen to it."""
        connection.is_leaving = True
        connection.deadline = time.monotonic() + LINGER + _in_kernel(connection.sock) / RATE
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_WR)
        self._await(connection, selectors.EVENT_READ, self._ignore)

    def _ignore(self, connection: Connection) -> None:
        with contextlib.suppress(BlockingIOError):
            if not self._received(connection):
                self._drop(connection)

    # -- bookkeeping --------------------------------------------------------------------------------------------------

    def _leaves_it_to_another(self) -> bool:
        """Whether another process should have the new connection, which then is not looked at for a moment."""
        now = time.monotonic()
        if self.spread is None or now < self.impatient_until or not self.spread.has_more(self.age):
            return False
        self.patient_until = now + PATIENCE
        self.set_accept_enabled(False)
        return True

    def _is_patient(self) -> bool:
        if not (self.patient_until and self.spread):
            return False
        now = time.monotonic()
        has_more = self.spread.has_more(self.age)
        if has_more and now < self.patient_until:
            return True
        self.patient_until = 0.0
        if has_more and select.select(self.sockets, [], [], 0)[0]:  # nobody has taken it
            self.impatient_until = now + IMPATIENCE
        return False

    def _count(self, connections: int) -> None:
        self.nr_conns += connections
        if self.spread and self.alive:
            self.spread.tell(self.age, self.nr_conns)

    def _await(self, connection: Connection, event: int, then: Callable[[Connection], None]) -> None:
        """The client has to act, until the connection's deadline."""
        self.waiting[connection] = None
        connection.then = then
        if not connection.watched:
            self.poller.register(connection.sock, event, functools.partial(self._acted, connection))
        elif connection.watched != event:
            self.poller.modify(connection.sock, event, functools.partial(self._acted, connection))
        connection.watched = event

    def _acted(self, connection: Connection, sock: Any) -> None:
        if not connection.then:
            self._take_served()
        if connection.then:
            connection.then(connection)
        else:
            self._read_ahead(connection)

    def _read_ahead(self, connection: Connection) -> None:
        """While a request is running: the next one, or the client's end. Most clients send nothing meanwhile."""
        with contextlib.suppress(BlockingIOError):
            data = self._received(connection)
            connection.read += data
            self.held += len(data)
            if not data or len(connection.read) > HEAD:
                connection.is_whole = connection.is_whole and bool(data)
                self._stop_watching(connection)

    def _stop_waiting(self, connection: Connection) -> None:
        self.waiting.pop(connection, None)
        connection.then = None

    def _stop_watching(self, connection: Connection) -> None:
        if connection.watched:
            self.poller.unregister(connection.sock)
            connection.watched = 0

    def _drop(self, connection: Connection) -> None:
        self._stop_waiting(connection)
        self._stop_watching(connection)
        self.held -= len(connection.read)
        self.uploading -= connection.uploaded
        self._count(-1)
        self.by_address[connection.address] -= 1
        if not self.by_address[connection.address]:
            del self.by_address[connection.address]
        connection.forget()
        util.close(connection.sock)

    def _cut_off(self, connection: Connection) -> None:
        """A client that has not taken its answer loses it: the kernel would keep it for minutes after a plain close."""
        if connection.answer.is_waiting or _in_kernel(connection.sock):
            with contextlib.suppress(OSError):
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._drop(connection)

    def _make_room(self) -> None:
        if self.waiting:
            self._cut_off(next(iter(self.waiting)))

    def _are_too_many(self, address: str) -> bool:
        most = self.connections_per_address
        return bool(most and address) and self.by_address[address] > most and not self._is_proxy(address)

    @functools.cache  # noqa: B019 - there is one worker in a process
    def _is_proxy(self, address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in self.trusted_proxies)
