"""A stand-in for another process: an HTTP server on a real port, with the answers that a test gives it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DROP = "drop"
Reply = tuple[int, bytes] | str | Callable[[], tuple[int, bytes]]


class Elsewhere:
    """A server on a real port. It gives its ``replies`` one after the other, and then the last one again."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [(200, b"[]")]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections: set[Any] = set()
        elsewhere = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # noqa: N802
                elsewhere.connections.add(self.client_address)
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                elsewhere.requests.append((self.path, dict(self.headers.items()), body))
                reply = elsewhere.replies.pop(0) if len(elsewhere.replies) > 1 else elsewhere.replies[0]
                if reply == DROP:
                    self.close_connection = True
                    return
                status, content = reply() if callable(reply) else reply
                self.send_response(int(status))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)  # type: ignore[arg-type]

            do_GET = do_POST  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
