"""``manage.py contexts``: where each context runs, as this deployment sees it, and how it is."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from config.contexts import LOCAL, NOWHERE
from config.operations import cuts
from eci.http import health

_HEADS = ("context", "where", "database", "health", "latency", "breaker")


class Command(BaseCommand):
    help = "Show where each context runs, its database, its health, and whether this deployment leaves it alone."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        breakers = _breakers()
        rows = [_HEADS, *(_row(context, place, breakers) for context, place in settings.ECI_SERVICES.items())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if len(settings.ECI_CONTEXTS) == len(settings.ECI_SERVICES):
            if parts := cuts.State.read(settings.DATA_DIR / "services"):
                self.stdout.write(
                    "All are here for this command, but the shop runs apart. To see it as one of its deployments does: "
                    f"make manage SERVICE={cuts.cut(parts.cut)[0].name} ARGS=contexts"
                )
        elif breakers is None:
            self.stdout.write(f"Breakers are unknown: no web process of this deployment answers at {_web()}.")


def _row(context: str, place: str, breakers: dict[str, str] | None) -> tuple[str, ...]:
    if place == NOWHERE:
        return (context, "none", "-", "-", "-", "-")
    if place == LOCAL:
        return (context, "here", _database(context), *_timed(lambda: health.states([context])[context]), "-")
    from eci.http import together  # late: a process that hosts all speaks to no other

    return (context, place, "its own", *_timed(lambda: together.ask(context)), (breakers or {}).get(context, "?"))


def _timed(ask: Callable[[], str]) -> tuple[str, str]:
    begun = time.perf_counter()
    state = ask()
    return state, f"{(time.perf_counter() - begun) * 1000:.0f} ms"


def _database(context: str) -> str:
    """Its server and name, without the account."""
    given = connections[context].settings_dict
    vendor, name = connections[context].display_name, given["NAME"]
    return f"{vendor} {given['HOST']}:{given['PORT']}/{name}" if given["HOST"] else f"{vendor} {name}"


def _web() -> str:
    return f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"


def _breakers() -> dict[str, str] | None:
    """As the running web process of this deployment has them; None where none answers."""
    if len(settings.ECI_CONTEXTS) == len(settings.ECI_SERVICES):
        return None
    try:
        with urllib.request.urlopen(f"{_web()}/health/all", timeout=5) as answer:  # noqa: S310
            found: dict[str, str] = json.load(answer)["breakers"]
            return found
    except (OSError, ValueError, LookupError):
        return None
