"""``manage.py await_migrations``: wait until the databases are migrated, for pods that must not start sooner."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections

from config.operations.migrating import due
from eci.db import primaries

PAUSE = 2  # seconds between two checks


class Command(BaseCommand):
    help = "Wait until every migration this release knows has run."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=900, help="then give up with exit code 1 (900)")

    def handle(self, *args: Any, **options: Any) -> None:
        end = time.monotonic() + options["seconds"]
        last = ""
        while waiting := {alias: state for alias in primaries() if (state := _missing(alias))}:
            now = ", ".join(f"{alias}: {state}" for alias, state in waiting.items())
            if now != last:
                self.stdout.write(f"Waiting for {now}")
                self.stdout.flush()
                last = now
            if time.monotonic() > end:
                raise CommandError(f"Not ready after {options['seconds']:g} seconds: {now}")
            time.sleep(PAUSE)


def _missing(alias: str) -> str:
    """What this database still needs, in words; empty when nothing."""
    try:
        waiting = due(alias)
    except Error as error:
        return f"out of reach ({type(error).__name__})"
    finally:
        connections[alias].close()
    return f"{len(waiting)} migrations" if waiting else ""
