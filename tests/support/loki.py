"""A Loki that only takes what is pushed, over its own HTTP API, and can be away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Line:
    labels: dict[str, str]
    nanoseconds: int
    text: str
    metadata: dict[str, str]


class Loki:
    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.away = False
        self.refused = 0
        loki = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                loki.refused += loki.away
                self.send_response(503 if loki.away else loki.take(self.path, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    def take(self, path: str, body: bytes) -> int:
        if path != "/loki/api/v1/push":
            return 404
        for stream in json.loads(body)["streams"]:
            for nanoseconds, text, *more in stream["values"]:
                self.lines.append(Line(stream["stream"], int(nanoseconds), text, more[0] if more else {}))
        return 204

    def naming(self, text: str) -> list[Line]:
        """What ``{shop="eci"} |= "text"`` answers, oldest first."""
        found = [line for line in self.lines if line.labels.get("shop") == "eci" and text in line.text]
        return sorted(found, key=lambda line: line.nanoseconds)


@contextmanager
def loki() -> Iterator[Loki]:
    made = Loki()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()
