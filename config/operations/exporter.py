"""The worker's own ``/metrics``, the only HTTP that it serves."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from eci.identity.auth import is_metrics_token
from eci.watch.metrics import of_processes
from eci.watch.requests import logger

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: a line for each scrape would be noise."""


def serve() -> None:
    """Serve in a thread of its own. If the port is taken, log that and let the worker work without metrics."""
    if not settings.ECI_METRICS_PORT:
        return
    try:
        server = make_server("", settings.ECI_METRICS_PORT, _answer, _Server, _Quiet)
    except OSError as error:
        log.warning("metrics_not_served", error=str(error))
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/metrics":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Metrics are at /metrics.\n"]
    if not (settings.ECI_OPEN or is_metrics_token(environ.get("HTTP_AUTHORIZATION", ""))):
        start_response("401 Unauthorized", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")])
        return [b"The metrics token is missing or wrong.\n"]
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)])
    return [of_processes()]
