"""The shop as the demo scripts call it, at one address or with each service at its own. Needs Python alone."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

BASE_URL = "http://127.0.0.1:8000"
PATIENCE = 30  # seconds that a service may be away, or a mail may wait
TIMEOUT = 20  # seconds for one answer


@dataclass(frozen=True)
class Service:
    """``port``: at which it runs by itself. ``demo_port``: at which the recorded demonstration calls it."""

    name: str
    port: int
    demo_port: int


# By context. The first three are those whose health the demonstration has always shown first.
SERVICES = {
    "catalog": Service("Catalog Service", 3000, 8081),
    "inventory": Service("Inventory Service", 3002, 8083),
    "payments": Service("Payment Service", 8002, 8084),
    "customers": Service("Customer Service", 3001, 8082),
    "orders": Service("Order Service", 8000, 8085),
    "shipping": Service("Shipping Service", 8001, 8086),
    "notifications": Service("Notification Service", 8080, 8087),
}


class Failed(Exception):
    """The demonstration cannot go on; the message is one sentence for whoever runs it."""


@dataclass(frozen=True)
class Answer:
    """``data``, ``code`` and ``error`` of the envelope; ``body`` is the whole of it. Header names are lower case.
    ``asked``: method and URL."""

    asked: str
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def data(self) -> Any:
        return self._of("data")

    @property
    def code(self) -> str:
        return self._of("code") or ""

    @property
    def error(self) -> str:
        return self._of("error") or ""

    @property
    def details(self) -> Any:
        return self._of("details") or {}

    def _of(self, name: str) -> Any:
        return self.body.get(name) if isinstance(self.body, dict) else None


@dataclass(frozen=True)
class Call:
    service: str
    method: str
    url: str
    body: Any
    headers: Mapping[str, str]


def _ignore(call: Call, answer: Answer) -> None:
    """Nobody looks on."""


class Shop:
    """``addresses``: by context. ``headers`` go with each call; ``watch`` is shown each call with its answer."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        watch: Callable[[Call, Answer], None] = _ignore,
    ) -> None:
        self.addresses = addresses
        self.headers = dict(headers or {})
        self.watch = watch
        if token:
            if not (token.isascii() and token.isprintable()):
                raise Failed("The token has characters that no access token has.")
            self.headers["Authorization"] = f"Bearer {token}"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def get(self, context: str, path: str) -> Any:
        """The data that a 200 has. Failed."""
        return self.expect(200, self.send(context, "GET", path)).data

    def post(self, context: str, path: str, body: Any, *, key: str = "", status: int = 201) -> Any:
        """The data of an answer with this status. Failed."""
        return self.expect(status, self.send(context, "POST", path, body, key=key)).data

    def expect(self, status: int, answer: Answer) -> Answer:
        if answer.status != status:
            said = f"{answer.status} {answer.code}: {answer.error}" if answer.error else f"{answer.status}"
            if answer.status in (401, 403):
                said += " (a closed shop needs --token with an access token of its staff)"
            raise Failed(f"{answer.asked} should be answered {status}, but the answer is {said}")
        return answer

    def send(self, context: str, method: str, path: str, body: Any = None, *, key: str = "") -> Answer:
        """The final answer. One that asks to come again is asked again: reads and keys make that safe. Failed."""
        give_up = time.monotonic() + PATIENCE
        while True:
            answer = self._once(context, method, path, body, key)
            again = answer.status in (429, 502, 503) or answer.code == "idempotency_in_progress"
            if not (again and (method == "GET" or key)) or time.monotonic() > give_up:
                return answer
            time.sleep(_seconds(answer.headers.get("retry-after", "")))

    def _once(self, context: str, method: str, path: str, body: Any, key: str) -> Answer:
        headers = {"Accept": "application/json", **self.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        call = Call(SERVICES[context].name, method, f"{self.addresses[context]}{path}", body, headers)
        content = None if body is None else json.dumps(body).encode()
        asked = f"{method} {call.url}"
        request = urllib.request.Request(call.url, data=content, headers=headers, method=method)
        try:
            with self._open(request, timeout=TIMEOUT) as response:
                answer = _answer(asked, response.status, response.read(), response.headers)
        except urllib.error.HTTPError as error:
            with error:
                answer = _answer(asked, error.code, error.read(), error.headers)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            why = getattr(reason, "strerror", None) or reason
            raise Failed(f"{call.service} does not answer at {self.addresses[context]}: {why}.") from None
        self.watch(call, answer)
        return answer

    def health(self, context: str) -> str:
        """What the service says of its context's health. Failed."""
        answer = self.send(context, "GET", f"/health/{context}")
        said = answer.body.get("contexts", {}).get(context) if isinstance(answer.body, dict) else None
        if said is None:
            raise Failed(f"{SERVICES[context].name} is not at {self.addresses[context]}.")
        return str(said)


def _answer(asked: str, status: int, content: bytes, headers: Any) -> Answer:
    try:
        body = json.loads(content) if content else None
    except ValueError:
        body = None  # a proxy's page
    return Answer(asked, status, body, {name.lower(): value for name, value in headers.items()})


def _seconds(retry_after: str) -> float:
    try:
        return min(max(float(retry_after), 0.1), 5)
    except ValueError:
        return 0.5


def wait_until(read: Callable[[], T], seen: Callable[[T], bool], what: str, seconds: float = PATIENCE) -> T:
    """What was read when ``seen`` was first true of it. Failed when that takes too long."""
    give_up = time.monotonic() + seconds
    while not seen(found := read()):
        if time.monotonic() > give_up:
            raise Failed(f"After {seconds:.0f} seconds it is still not so that {what}; last read: {json.dumps(found)}")
        time.sleep(0.3)
    return found


def require(condition: bool, sentence: str) -> None:
    if not condition:
        raise Failed(sentence)


# -- the command line -------------------------------------------------------------------------------------------------


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base-url",
        default="",
        help="where the shop or its gateway is; else make run, or the services, of this machine",
    )
    parser.add_argument(
        "--ports",
        default="",
        help="each service at its own port of that host: 'services' (3000, 3001, 3002, 8002, 8000, 8001, 8080), 'demo' "
        "(8081 to 8087), or context=port,… with the base URL for the others",
    )
    parser.add_argument("--services", action="store_const", dest="ports", const="services", help="--ports services")
    parser.add_argument(
        "--token",
        default=os.environ.get("ECI_TOKEN", ""),
        help="an access token of the staff, where the shop is closed; or ECI_TOKEN in the environment",
    )


def addresses(base_url: str, ports: str) -> dict[str, str]:
    """By context. Failed."""
    if not base_url and not ports:
        ports = _here()
    base_url = base_url.rstrip("/") or BASE_URL
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Failed(f"'{base_url}' is no address: give something like {BASE_URL}.")
    if ports in ("services", "demo"):
        chosen = {context: one.port if ports == "services" else one.demo_port for context, one in SERVICES.items()}
    else:
        chosen = dict(_port(entry) for entry in filter(None, ports.split(",")))
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return {
        context: f"{parts.scheme}://{host}:{chosen[context]}" if context in chosen else base_url for context in SERVICES
    }


def _here() -> str:
    """The ports of the shop that runs on this machine, all at one address or each service at its own. Failed."""
    for ports in (f"catalog={urlsplit(BASE_URL).port}", "services"):
        with contextlib.suppress(Failed):
            Shop(addresses(BASE_URL, ports)).health("catalog")
            return ports
    raise Failed(
        f"No shop answers at {BASE_URL} or port {SERVICES['catalog'].port}: start it with make run or say where."
    )


def _port(entry: str) -> tuple[str, int]:
    context, _, port = entry.partition("=")
    if context not in SERVICES or not port.isdigit():
        known = ", ".join(SERVICES)
        raise Failed(f"--ports takes services, demo, or <context>=<port>, not '{entry}'; the contexts are {known}.")
    return context, int(port)


def run(main: Callable[[], None]) -> None:
    """Run a script. What goes wrong is one sentence and the exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]
    try:
        main()
    except Failed as failure:
        print(f"❌ {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
