"""Request ids, the request log, and loggers.

The request id is the caller's ``X-Request-ID`` if that is short and plain, else a new one. It is in the answer and in
every log line, and it travels with events and with rows that another process finishes later. So does the trace
(``tracing.py``), which a caller may begin with W3C's ``traceparent``.

Log lines and spans also name the order that they are about, because people search for orders. This is one of the few
things that the kernel knows of the shop: ``eci/__init__.py`` lists them.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from eci.ids import is_our_order
from eci.watch import tracing
from eci.watch.logs import scrubbed, tell

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_HEADERS = {"request_id": "X-Request-ID", "traceparent": "traceparent"}
_FIELDS = {"X-Request-ID": "HTTP_X_REQUEST_ID", "traceparent": "HTTP_TRACEPARENT"}
_UNTRACED = re.compile(r"/(health|metrics|v1/health|actuator/health|static/)")  # asked every few seconds
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # spans are named by them: few


def request_id() -> str:
    return _bound("request_id")


def _bound(name: str) -> str:
    return str(structlog.contextvars.get_contextvars().get(name, ""))


def _filled(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def trace_headers() -> dict[str, str]:
    """The request id and the trace of this request, to be stored with an event or with a row of unfinished work."""
    return _filled({"request_id": request_id(), "traceparent": tracing.traceparent()})


def inject(headers: MutableMapping[str, str], *, request_id: str = "") -> None:
    """Add the request id and the trace to the headers of a call to another process.

    ``request_id`` is for a call on behalf of a request that is over.
    """
    carried = _filled({"request_id": request_id}) | trace_headers()
    headers.update({_HEADERS[name]: value for name, value in carried.items()})


def extract(headers: Mapping[str, str]) -> dict[str, str]:
    """What ``inject`` added, in the form that ``continued`` takes."""
    found = {name: headers.get(header, "") for name, header in _HEADERS.items()}
    if not _SANE_REQUEST_ID.fullmatch(found["request_id"]):
        found["request_id"] = ""
    return _filled(found)


def continued(
    carried: Mapping[str, str],
    name: str,
    attributes: tracing.Attributes | None = None,
    *,
    order_id: str = "",
    kind: tracing.Kind = "INTERNAL",
) -> AbstractContextManager[None]:
    """Continue earlier work: its trace, with a span of this name, and its request id if there is no current one.

    ``order_id`` is the order that the work is about. Log lines and the span name it.
    """
    lines = lines_about(order_id, carried)
    return _in_trace(lines, carried, name, attributes or {}, order_id, kind) if tracing.is_on() else lines


@contextmanager
def _in_trace(
    lines: AbstractContextManager[None],
    carried: Mapping[str, str],
    name: str,
    attributes: tracing.Attributes,
    order_id: str,
    kind: tracing.Kind,
) -> Iterator[None]:
    about = {"eci.order_id": scrubbed(order_id), "eci.task": _bound("task")}
    span = {**attributes, **_filled(about)}
    with lines, tracing.continued(carried.get("traceparent", ""), name, span, kind=kind):
        yield


def lines_about(order_id: str, carried: Mapping[str, str] | None = None) -> AbstractContextManager[None]:
    """Log lines within name this order and a request: the current one, else the earlier one, else a new id."""
    identity = request_id() or (carried or {}).get("request_id", "") or uuid.uuid4().hex
    return structlog.contextvars.bound_contextvars(**_filled({"request_id": identity, "order_id": order_id}))


def about_order(order_id: object) -> None:
    """From now on, the request's log lines and its span name this order, if it is one of ours.

    Another system's id may be anything that a caller chose to write there.
    """
    if isinstance(order_id, str) and is_our_order(order_id):
        clean = scrubbed(order_id)
        structlog.contextvars.bind_contextvars(order_id=clean)
        tracing.note({"eci.order_id": clean})


class RequestMiddleware:
    """The outermost middleware: gives the request its id, and writes one log line about it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        carried = extract({header: request.META.get(field, "") for header, field in _FIELDS.items()})
        identity = carried.setdefault("request_id", secrets.token_hex(16))
        method = request.method if request.method in _METHODS else "other"
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=identity), _traced(request, method, carried):
            response = self.get_response(request)
            seconds = time.perf_counter() - started
            match = request.resolver_match
            route = match.route if match else "unknown"
            status = response.status_code
            tracing.note(
                {"http.route": route, "http.response.status_code": status},
                name=f"{method} {route}",
                failed=status >= 500,
            )
            tell(
                _access,
                "request",
                method=request.method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                **_filled({"caller": _caller_of(request)}),
            )
            structlog.contextvars.unbind_contextvars("order_id")
        if request.method == "HEAD" and not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))
            response.content = b""
        response["X-Request-ID"] = identity
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
        for value in kwargs.values():
            about_order(value)


def _caller_of(request: HttpRequest) -> str:
    """The number of who called, ``customer:4`` or ``staff:3``; empty for a stranger, and where nobody asked who it is.

    The API leaves its caller in the request, and Django's pages the account that they looked up.
    """
    user = getattr(request, "user", None)
    if not isinstance(user, SimpleLazyObject):
        return str(getattr(user, "subject", ""))
    account = getattr(request, "_cached_user", None)  # only if somebody has asked: it costs statements
    return f"staff:{account.pk}" if account is not None and account.pk else ""


def _traced(request: HttpRequest, method: str, carried: Mapping[str, str]) -> AbstractContextManager[None]:
    """The request's span, without its path, query and caller, which could identify people."""
    if not tracing.is_on() or _UNTRACED.match(request.path):
        return nullcontext()
    attributes = {
        "http.request.method": method,
        "url.scheme": request.scheme or "",
        "eci.request_id": scrubbed(carried["request_id"]),
    }
    return tracing.continued(carried.get("traceparent", ""), method, attributes, kind="SERVER")


_access = logging.getLogger("eci.access")


def logger(name: str) -> Any:
    return structlog.stdlib.get_logger(name)
