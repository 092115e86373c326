"""A client of /v1 that waits and repeats: after 503, 429, a lost connection, or while a key is in progress."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 90  # seconds one call may take with all its retries; recovery after a crash takes at most 60


class Unreachable(Exception):
    """The server did not answer within the client's patience."""


@dataclass(frozen=True)
class Answer:
    status: int
    data: Any
    code: str
    error: str
    details: Any

    def __str__(self) -> str:
        return f"{self.status} {self.code} {self.error} {json.dumps(self.details) if self.details else ''}".strip()


class Client:
    """Several threads may use it."""

    def __init__(self, base_url: str, *, connections: int, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            timeout=60,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,
            transport=transport,
        )
        self._lock = threading.Lock()
        self.retries = 0

    def healthy(self) -> bool:
        try:
            answer = self._http.get("/health", timeout=10)
            return answer.status_code == 200 and "status" in answer.json()
        except (httpx.HTTPError, ValueError):
            return False

    def get(self, path: str) -> Answer:
        return self._send("GET", path, None, {})

    def post(self, path: str, body: dict[str, Any], *, key: str) -> Answer:
        return self._send("POST", path, body, {"Idempotency-Key": key})

    def _send(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Answer:
        """The final answer; Unreachable. Retries are safe: every POST carries a key."""
        give_up = time.monotonic() + PATIENCE
        pause = 0.2
        while True:
            try:
                response = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                if time.monotonic() > give_up:
                    raise Unreachable(f"{method} {path}: no answer ({error}).") from None
                wait = pause
            else:
                answer = _answer(response)
                if not _again(answer) or time.monotonic() > give_up:
                    return answer
                wait = _retry_after(response, pause)
            with self._lock:
                self.retries += 1
            time.sleep(min(wait, 30))
            pause = min(pause * 2, 5)


def _answer(response: httpx.Response) -> Answer:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Answer(response.status_code, None, "no_envelope", response.text[:200], None)
    return Answer(
        response.status_code, body.get("data"), body.get("code") or "", body.get("error") or "", body.get("details")
    )


def _again(answer: Answer) -> bool:
    return answer.status in (429, 503) or (answer.status == 409 and answer.code == "idempotency_in_progress")


def _retry_after(response: httpx.Response, default: float) -> float:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return default
