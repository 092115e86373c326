"""A mail server that takes every mail, counts it and forgets it.

It is a bare protocol and no library: what a library spends on a mail would be taken from the shops that are measured.
"""

from __future__ import annotations

import asyncio
import threading


class _Session(asyncio.Protocol):
    def __init__(self, box: Mailbox) -> None:
        self.box = box
        self.rest = b""
        self.in_mail = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._say("220 mailbox")

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while True:
            end = self.rest.find(b"\r\n.\r\n" if self.in_mail else b"\r\n")
            if end < 0:
                return
            if self.in_mail:
                self.rest, self.in_mail = self.rest[end + 5 :], False
                self.box.received += 1
                self._say("250 taken")
            else:
                line, self.rest = self.rest[:end], self.rest[end + 2 :]
                self._command(line[:4].upper())

    def _command(self, verb: bytes) -> None:
        if verb == b"DATA":
            self.in_mail = True
            self.rest = b"\r\n" + self.rest  # so that an empty mail ends like others
            self._say("354 go on")
        elif verb == b"QUIT":
            self._say("221 bye")
            self.transport.close()
        else:
            self._say("250 mailbox")

    def _say(self, text: str) -> None:
        self.transport.write(f"{text}\r\n".encode())


class Mailbox:
    """Listens on a free port of the loopback address, in a thread of its own."""

    def __init__(self) -> None:
        self.received = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mailbox", daemon=True)

    def __enter__(self) -> Mailbox:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        server = self._loop.run_until_complete(self._loop.create_server(lambda: _Session(self), "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
