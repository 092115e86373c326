"""Gunicorn: few processes, each with threads, because an order mostly waits for databases and the payment provider.

A process has no more threads than a connection pool has connections: see ECI_POOL_SIZE in config/settings.py. For the
spare ones, and for everything about connections, see config/front.py.
"""

import ipaddress
import json
import os
import re
import resource
import select
import signal
import sys
from typing import Any

from gunicorn import glogging, util
from gunicorn.http import errors

from config.environment import whole
from config.front import FrontWorker
from config.operations import processes
from config.spread import Spread
from eci.watch import metrics_folder, tracing
from eci.watch.logs import logging_config


class Worker(FrontWorker):
    """On shutdown, accept the connections the kernel has queued, then close the socket.

    Gunicorn's own worker keeps the socket open until its last answer. A client that connected meanwhile would be reset
    after it sent its request, and a proxy must not send that request again. A connection that is refused, a proxy can
    try at another process at once.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
                listener.close()


class Logger(glogging.Logger):
    """Without gunicorn's line for each request, which would be put together for nobody: ours is in eci/watch."""

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None: ...


_LIMITS = {
    408: "The request did not arrive within ten seconds.",
    413: "The request is too large.",
    414: "The URL is too long.",
    429: "There are too many connections from your address. Close some, or use them for several requests.",
    431: "The headers are too long.",
    503: "Too many large requests are arriving at the moment. Please try again.",
}
_REASONS = {
    "Content-Length Out Of Range": "The header Content-Length is malformed: no request is so long.",
    "One Host Needed": "A request names one host, in its header Host.",
    **{
        f"One {name} Needed": f"The header {name} is there twice. Send it once."
        for name in ("Idempotency-Key", "Authorization", "Content-Type")
    },
}
_ASCII = "A URL holds ASCII characters only: anything else is percent-encoded."
_WRONG: dict[type[Exception], str] = {
    errors.InvalidRequestLine: f"The request line is malformed. It is like GET /v1/products HTTP/1.1. {_ASCII}",
    errors.InvalidRequestMethod: "The method in the request line is none.",
    errors.InvalidHTTPVersion: "The HTTP version in the request line is none that is understood. Send HTTP/1.1.",
    errors.InvalidHeaderName: "The name of a header is malformed: it has letters, digits and hyphens.",
    errors.InvalidHeader: "A header is malformed: it is like Name: value.",
    errors.ObsoleteFolding: "A header is broken into lines. Write each on one line.",
    errors.UnsupportedTransferCoding: "The Transfer-Encoding is none that is understood. Send a Content-Length.",
    errors.ExpectationFailed: "The Expect header asks for what is not understood: only 100-continue is.",
    errors.InvalidSchemeHeaders: "The proxy's headers contradict each other: is this http or https?",
    errors.InvalidChunkSize: "The size of a chunk of the body is malformed.",
    errors.ChunkMissingTerminator: "A chunk of the body does not end where it says.",
    errors.InvalidChunkExtension: "An extension of a chunk of the body is malformed.",
}


def _words(status: int, reason: str) -> str:
    """What is wrong, in a sentence. Gunicorn calls ``write_error`` while it handles the exception."""
    if reason in _REASONS:
        return _REASONS[reason]
    error = sys.exception()
    version = getattr(error, "version", None)
    if isinstance(version, str) and not version.startswith("HTTP/"):  # there is a space in the URL
        return _WRONG[errors.InvalidRequestLine]
    if isinstance(error, errors.InvalidHeader) and re.fullmatch(r"[A-Za-z0-9-]{1,60}", str(error.hdr)):
        return f"The header {error.hdr.title()} is malformed."
    return next((words for kind, words in _WRONG.items() if type(error) is kind), _LIMITS.get(status, f"{reason}."))


def write_error(sock: Any, status: int, reason: str, message: str) -> None:
    """What is answered where no request reaches Django, such as raw UTF-8 in a URL: in the envelope too."""
    from eci.http.envelope import failure  # late: it needs Django's settings

    codes = {
        408: "request_timeout",
        413: "request_too_large",
        414: "request_too_large",
        429: "throttled",
        431: "request_too_large",
        500: "internal_error",
        503: "context_unavailable",
    }
    body = json.dumps(failure(_words(status, reason), codes.get(status, "validation_error"))).encode()
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    if status in (429, 503):
        head += "Retry-After: 2\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def _connections() -> int:
    """Connections that a process has at once. Each is a file descriptor, of which shells allow a thousand."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65_536 if most == resource.RLIM_INFINITY else min(most, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return max(100, min(10_000, most - 500))


util.write_error = write_error  # gunicorn has no setting for it
worker_class = Worker
logger_class = Logger
workers = whole("ECI_WEB_WORKERS", 2, least=1)
threads = whole("ECI_WEB_THREADS", 4, least=1)
timeout = 60
graceful_timeout = 8
keepalive = 30
# By default it believes whoever calls from this machine. eci/http/security.py believes ECI_TRUSTED_PROXIES instead.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
worker_connections = _connections()
sendfile = False  # answers go through the loop
limit_request_line = 8190
limit_request_field_size = 16380
accesslog = None
loglevel = "warning"
logconfig_dict = logging_config()
logconfig_dict["loggers"]["gunicorn.error"] = {
    "handlers": ["stderr"],
    "filters": ["worth_a_line"],
    "level": "WARNING",
    "propagate": False,
}
control_socket_disable = True


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    tracing.start("web")


def worker_int(worker):  # type: ignore[no-untyped-def]
    """Called when the worker is told to stop. From now on it ignores the same signal.

    Ctrl-C reaches both worker and parent, and the parent passes it on. The second signal would cut requests off.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda number, frame: None)  # with SIG_IGN, a signal that has just arrived logs an error


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    if worker.pid == os.getpid():  # the parent calls this too
        worker_int(worker)  # type: ignore[no-untyped-call]
        tracing.stop()


def on_starting(server):  # type: ignore[no-untyped-def]
    """Load the product once, before workers are forked. ``preload_app`` would load it before this function runs."""
    metrics_folder.begin()
    Worker.spread = Spread()
    server.app.wsgi()
    processes.collect_rarely()


def child_exit(server, worker):  # type: ignore[no-untyped-def]
    if Worker.spread:
        Worker.spread.leave(worker.age)


def on_exit(server):  # type: ignore[no-untyped-def]
    metrics_folder.end()


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    from django.conf import settings  # late: the product is loaded by now

    from eci.calls import bulkheads
    from eci.databases import bound_waits
    from eci.imports import uploads
    from eci.watch.metrics import watch_connections  # late: its folder must exist first

    worker.body_limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    worker.upload_limit = uploads.LIMIT + uploads.ROOM
    worker.upload_folder = settings.FILE_UPLOAD_TEMP_DIR
    worker.connections_per_address = settings.ECI_CONNECTIONS_PER_ADDRESS
    worker.trusted_proxies = tuple(map(ipaddress.ip_network, settings.ECI_TRUSTED_PROXIES))
    # Gunicorn looks up sixty settings for each request, each through three calls.
    vars(worker.cfg).update({name: setting.get() for name, setting in worker.cfg.settings.items()})
    watch_connections(worker.cfg.threads)
    bulkheads.has_threads(worker.cfg.threads)
    bound_waits(settings.ECI_DATABASE_TIMEOUT, statements=True)
