"""The other side of a border: calls and events for contexts that run in another process.

Repeating a call is safe, because every command is idempotent and every event is deduplicated; so a call that found
nobody is tried again, a few times and not for long. A context that stays away is left alone for a moment at a time, so
that nobody waits for it in vain.
"""

from __future__ import annotations

import functools
import json
import os
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import httpx
from django.conf import settings

from eci.calls import service_tokens, wire
from eci.errors import ContextUnavailable
from eci.watch import requests

log = requests.logger(__name__)

ATTEMPTS = 3
CONNECT_TIMEOUT = 1.0  # seconds
FAILURES = 5  # in a row, after which a context is left alone
PAUSE = 2.0  # seconds
REFUSED = 422  # the method raised one of its contract's errors, which is in the body
_AWAY = (502, 503, 504)
_IDLE = 20.0  # seconds a connection is kept: less than config/gunicorn.py keeps it


class RemoteFailure(Exception):
    """The other side broke down over this call, as a local call may raise anything."""


def method(context: str, contract: type, name: str) -> Callable[..., Any]:
    """``contract.name``, answered by the process that hosts the context."""
    return functools.partial(_call, context, contract, name)


def _call(context: str, contract: type, name: str, **arguments: Any) -> Any:
    codec = wire.methods(contract)[name]
    answer = _post(context, name, codec.write_arguments(arguments), attempts=ATTEMPTS)
    try:
        if answer.status_code == httpx.codes.OK:
            return codec.read_answer(answer.content)
        if answer.status_code == REFUSED:
            raise wire.read_error(answer.content, contract)
    except wire.Malformed:
        log.error("remote_answer_malformed", context=context, step=name)
        raise _unavailable(context) from None
    if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.INTERNAL_SERVER_ERROR):
        raise RemoteFailure(f"{context}.{name} was answered {answer.status_code}")
    log.error("remote_call_refused", context=context, step=name, status=answer.status_code)
    raise _unavailable(context)


def deliver(consumer: str, event_id: uuid.UUID, name: str, payload: dict[str, Any], trace: dict[str, str]) -> None:
    """Hand an event to its consumer, once; returns when the consumer has committed it. The relay tries again."""
    body = json.dumps({"event_id": str(event_id), "payload": payload, "trace": trace}).encode()
    answer = _post(consumer, f"events/{name}", body, attempts=1, request_id=trace.get("request_id", ""))
    if answer.status_code != httpx.codes.NO_CONTENT:
        raise RemoteFailure(f"{consumer} answered {answer.status_code} to {name}")


def path(context: str, what: str) -> str:
    """Where a context is called in the process that hosts it, and what the token is bound to."""
    return f"/internal/v1/{context}/{what}"


def _post(context: str, what: str, body: bytes, *, attempts: int, request_id: str = "") -> httpx.Response:
    place = settings.ECI_SERVICES[context]
    if not place.startswith("http"):
        raise ContextUnavailable(f"ECI_SERVICES says neither that {context} runs here nor where it does.")
    breaker = _breakers[context]
    for attempt in range(attempts):
        if attempt:
            time.sleep(random.uniform(0, 0.1 * 2**attempt))
        breaker.require_closed(context)
        try:
            answer = _http(os.getpid()).post(
                place + path(context, what), content=body, headers=_headers(context, what, body, request_id)
            )
        except httpx.ReadTimeout:
            breaker.failed()
            break  # it works on it, or is stuck: the same again would only add to that
        except httpx.TransportError:
            breaker.failed()
            continue
        if answer.status_code not in _AWAY:
            breaker.succeeded()
            return answer
        breaker.failed()
    log.warning("context_unreachable", context=context, step=what)
    raise _unavailable(context)


def _headers(context: str, what: str, body: bytes, request_id: str) -> dict[str, str]:
    """What goes with every call."""
    token = service_tokens.issue(audience=context, path=path(context, what), body=body)
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    requests.inject(sent, request_id=request_id)
    return sent


def _unavailable(context: str) -> ContextUnavailable:
    return ContextUnavailable(f"The {context} service cannot be reached just now. Please try again.")


@functools.cache
def _http(process: int) -> httpx.Client:
    """One pool of connections for all threads; a fork must not share its parent's."""
    return httpx.Client(
        timeout=httpx.Timeout(settings.ECI_SERVICE_TIMEOUT, connect=CONNECT_TIMEOUT),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=_IDLE),
        trust_env=False,
    )


class _Breaker:
    """Open after several failures in a row; then, at each end of a pause, one call finds out for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._next_try = 0.0

    def require_closed(self, context: str) -> None:
        with self._lock:
            if self._failures < FAILURES:
                return
            if time.monotonic() < self._next_try:
                raise _unavailable(context)
            self._next_try = time.monotonic() + PAUSE

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._next_try = time.monotonic() + PAUSE

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0


_breakers: dict[str, _Breaker] = defaultdict(_Breaker)


def forget_failures() -> None:
    """A door for tests: let the next call to any context be tried, whatever has failed before."""
    _breakers.clear()
