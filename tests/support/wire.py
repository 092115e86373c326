"""A wire to a database server that is cut at COMMIT: before the server hears of it, or before the client hears back."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading

_COMMIT = re.compile(rb"COMMIT(\x00|$)")  # PostgreSQL's ends with a NUL, MySQL's with its packet


class Wire:
    """Listens on ``port`` and passes everything on to the server, but every ``nth`` COMMIT; 0: passes everything."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.nth = 0
        self.cut = {"before": 0, "after": 0}
        self._server = server
        self._commits = itertools.count(1)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            deaf = threading.Event()  # set: nothing the server says is passed on any more
            threading.Thread(target=self._up, args=(client, server, deaf), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server, deaf), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        try:
            while data := client.recv(65536):
                ending = self._ending(data)
                if ending == "before":
                    break
                if ending == "after":
                    deaf.set()
                server.sendall(data)
        except OSError:
            pass
        finally:
            if not deaf.is_set():
                _hang_up(client, server)

    def _down(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        try:
            while data := server.recv(65536):
                if deaf.is_set():  # the server has answered the COMMIT
                    break
                client.sendall(data)
        except OSError:
            pass
        finally:
            _hang_up(client, server)

    def _ending(self, data: bytes) -> str:
        if not self.nth or not _COMMIT.search(data):
            return ""
        number = next(self._commits)
        if number % self.nth:
            return ""
        ending = "after" if number // self.nth % 2 else "before"
        self.cut[ending] += 1
        return ending


def _hang_up(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):  # the other side was faster
            one.shutdown(socket.SHUT_RDWR)
        one.close()
