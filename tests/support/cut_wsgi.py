"""The product's own WSGI application, and beside it what beat and worker would do, when a test asks for it.

A cut of seven processes would be twenty-eight with workers and beats; and a test that can say "now" needs no waiting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db.models.functions import Now

from config.wsgi import application as product
from eci.calls import remote
from eci.outbox import relay_once

LOCAL = settings.ECI_CONTEXTS


def work() -> int:
    """One round of whatever is due here; how much moved."""
    moved = 0
    if "payments" in LOCAL:
        from contexts.payments.tasks import settle_unknown

        settle_unknown()
    moved += relay_once(LOCAL)
    if "orders" in LOCAL:
        from contexts.orders.workflows.recovery import recover

        moved += recover()
    if "notifications" in LOCAL:
        from contexts.notifications.tasks import send_due

        send_due()
    return moved


def hasten() -> int:
    """Let the time come at which everything that waits is looked at again, but for the deadlines of payments."""
    waiting: list[tuple[str, str, dict[str, str]]] = [
        ("orders", "Order", {"step": "await_payment"}),
        ("payments", "Payment", {}),
        ("payments", "Refund", {}),
    ]
    remote.forget_failures()
    for context in LOCAL:
        apps.get_model(context, "OutboxEvent").objects.filter(delivered_at=None).update(next_at=Now())
    return sum(
        apps.get_model(context, name).objects.exclude(next_at=None).exclude(**kept).update(next_at=Now())
        for context, name, kept in waiting
        if context in LOCAL
    )


def clear() -> int:
    for context in LOCAL:
        call_command("flush", database=context, interactive=False, verbosity=0, inhibit_post_migrate=True)
    remote.forget_failures()
    return 0


ASKED: dict[str, Callable[[], int]] = {"/test/work": work, "/test/hasten": hasten, "/test/clear": clear}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    asked = ASKED.get(environ["PATH_INFO"])
    if asked is None:
        return product(environ, start_response)
    body = json.dumps(asked()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
