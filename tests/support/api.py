"""A client of the API in this process, and what makes time pass between its calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models.functions import Now
from django.test import Client


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any
    headers: Any

    @property
    def data(self) -> Any:
        assert self.json["status"] == "success", self.json
        return self.json["data"]

    @property
    def error(self) -> str:
        assert self.json["status"] == "error", self.json
        return str(self.json["error"])

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def details(self) -> Any:
        return self.json["details"]


def settle() -> None:
    """Let relay, recovery and senders work until nothing is due now."""
    from contexts.notifications.tasks import send_due
    from contexts.orders.workflows.recovery import recover
    from contexts.payments.tasks import settle_unknown
    from eci.outbox import relay_once

    for _ in range(20):
        settle_unknown()
        moved = relay_once(settings.ECI_CONTEXTS) + recover()
        if not moved:
            break
    send_due()


def due_now() -> None:
    """Let the time come at which everything that waits is looked at again."""
    from contexts.orders.models import Order
    from contexts.payments.models import Payment, Refund

    for model in (Order, Payment, Refund):
        model.objects.exclude(next_at=None).update(next_at=Now())


class Api:
    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        if key is not None:
            headers["Idempotency-Key"] = key
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        media_type = headers.pop("content_type", "application/json")
        response = self.client.generic(method, path, content, media_type, headers=headers)
        return Answer(
            response.status_code, json.loads(response.content) if response.content else None, response.headers
        )

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        return self.send("POST", path, body, key=key, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PATCH", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PUT", path, body, **headers)

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", path)

    def settle(self) -> None:
        settle()

    def hasten(self) -> None:
        due_now()
