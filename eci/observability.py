"""Request ids, loggers and process metrics.

The request id comes from ``X-Request-ID`` when the caller sends a sane one, is
answered back, stands in every log line, and travels with events.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # labels must stay few
HTTP_REQUESTS = Counter("http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
HTTP_DURATION = Histogram("http_request_duration_seconds", "Time to answer a request.", ["method", "route"])


def request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def trace_headers() -> dict[str, str]:
    """What an event carries so that its handlers' log lines name the request that caused it."""
    return {"request_id": request_id()} if request_id() else {}


@contextmanager
def continued(trace: dict[str, str]) -> Iterator[None]:
    with structlog.contextvars.bound_contextvars(**{k: v for k, v in trace.items() if k == "request_id"}):
        yield


class RequestMiddleware:
    """Outermost: gives the request its id, measures it, writes its one log line."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        identity = given if _SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=identity):
            response = self.get_response(request)
            seconds = time.perf_counter() - started
            match = request.resolver_match
            route = match.route if match else "unknown"
            method = request.method if request.method in _METHODS else "other"
            HTTP_REQUESTS.labels(method, route, str(response.status_code)).inc()
            HTTP_DURATION.labels(method, route).observe(seconds)
            _access.info(
                "request",
                method=request.method,
                route=route,
                status=response.status_code,
                ms=round(seconds * 1000, 1),
            )
        if request.method == "HEAD" and not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))
            response.content = b""
        response["X-Request-ID"] = identity
        return response


_access = structlog.stdlib.get_logger("eci.access")


def logger(name: str) -> Any:
    return structlog.stdlib.get_logger(name)
