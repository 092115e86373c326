"""Calls and events for contexts that run in another process.

A call may be repeated safely: every command is idempotent, and every event is deduplicated. So a call that reaches no
process is tried a few times, for a short while. After several failures in a row the context is left alone for a moment
at a time, and calls fail at once instead of waiting for it. Nor may it keep all threads (``bulkheads.py``).
"""

from __future__ import annotations

import functools
import json
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import httpx
from django.conf import settings

from eci.calls import bulkheads, rpc, service_tokens, wire
from eci.errors import ContextUnavailable
from eci.watch import requests

if TYPE_CHECKING:
    from eci.outbox import Delivery

log = requests.logger(__name__)

ATTEMPTS = 3
CONNECT_TIMEOUT = 1.0  # seconds
BRIEF_TIMEOUT = 2.0  # seconds, at most, that an answer is waited for which is not needed
FAILURES = 5  # in a row: then a context is left alone
PAUSE = 2.0  # seconds
REFUSED = 422  # the method raised one of its contract's errors; the body holds it
_AWAY = (502, 503, 504)
_IDLE = 20.0  # seconds that an idle connection is kept: fewer than in config/gunicorn.py


class RemoteFailure(Exception):
    """The other side failed unexpectedly. A local call would have raised that exception instead."""


def method(context: str, contract: type, name: str) -> Callable[..., Any]:
    """The method ``name`` of the contract, called in the process that hosts the context."""
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


def deliver(consumer: str, deliveries: Sequence[Delivery]) -> None:
    """Hand events to their consumer, and return when it has committed their effects. One try: the relay repeats it.

    An older process takes them one by one only, and answers 404 to several; so the relay gives it one by one.
    """
    if len(deliveries) == 1:
        (only,) = deliveries
        what, asked, request_id = f"events/{only.name}", _written(only), only.trace.get("request_id", "")
    else:
        what, request_id = "events", ""
        asked = {"events": [{"name": one.name, **_written(one)} for one in deliveries]}
    answer = _post(consumer, what, json.dumps(asked).encode(), attempts=1, request_id=request_id)
    if answer.status_code != httpx.codes.NO_CONTENT:
        raise RemoteFailure(f"{consumer} answered {answer.status_code} to {what}")


def _written(delivery: Delivery) -> dict[str, Any]:
    return {"event_id": str(delivery.event_id), "payload": delivery.payload, "trace": delivery.trace}


def path(context: str, what: str) -> str:
    """The path of a call in the process that hosts the context. The call's token is bound to it."""
    return f"/internal/v1/{context}/{what}"


def _post(context: str, what: str, body: bytes, *, attempts: int, request_id: str = "") -> httpx.Response:
    place = settings.ECI_SERVICES[context]
    if not place.startswith("http"):
        raise ContextUnavailable(f"ECI_SERVICES does not say where {context} runs.")
    breaker = _breakers[context]
    for attempt in range(attempts):
        if attempt:
            time.sleep(random.uniform(0, 0.1 * 2**attempt))
        breaker.require_closed(context)
        try:
            with _bulkheads[context].entered():
                answer = _http(os.getpid()).post(
                    place + path(context, what),
                    content=body,
                    headers=_headers(context, what, body, request_id),
                    timeout=_timeout(),
                )
        except bulkheads.Full:
            break
        except httpx.ReadTimeout:
            breaker.failed()
            break  # it is busy with the call or stuck: a second one would only add to its load
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
    """The headers of every call: its token, its trace and its request id."""
    token = service_tokens.issue(audience=context, path=path(context, what), body=body)
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    requests.inject(sent, request_id=request_id)
    return sent


def _unavailable(context: str) -> ContextUnavailable:
    return ContextUnavailable(
        f"The {context} service cannot be reached at the moment. Please try again.", context=context
    )


@functools.cache
def _http(process: int) -> httpx.Client:
    """One pool of connections for all threads of a process. A fork must not use its parent's."""
    return httpx.Client(
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=_IDLE),
        trust_env=False,
    )


def _timeout() -> httpx.Timeout:
    longest: float = settings.ECI_SERVICE_TIMEOUT
    return httpx.Timeout(min(longest, BRIEF_TIMEOUT) if rpc.is_brief() else longest, connect=CONNECT_TIMEOUT)


class _Breaker:
    """Rejects calls after several failures in a row. After each pause one call is let through to try again."""

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

    def is_open(self) -> bool:
        """Whether a call would be rejected now."""
        return self.state() == "open"

    def state(self) -> str:
        """``half-open``: the next call is let through, and decides."""
        with self._lock:
            if self._failures < FAILURES:
                return "closed"
            return "open" if time.monotonic() < self._next_try else "half-open"

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._next_try = time.monotonic() + PAUSE

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0


_breakers: dict[str, _Breaker] = defaultdict(_Breaker)
_bulkheads: dict[str, bulkheads.Bulkhead] = defaultdict(bulkheads.Bulkhead)


def require_reachable(context: str) -> None:
    """ContextUnavailable while the context is left alone after failures, or answers none of the calls to it."""
    if _breakers[context].is_open() or _bulkheads[context].is_stuck():
        raise _unavailable(context)


def breaker(context: str) -> str:
    """``closed``, ``open`` or ``half-open``, in this process."""
    return _breakers[context].state()


def forget_failures() -> None:
    """A door for tests: let the next call to any context be tried, whatever has failed before."""
    _breakers.clear()
