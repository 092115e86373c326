"""``manage.py await_migrations``: for pods that must not begin before the databases are as their code expects them."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections

from config.operations.migrating import due
from eci.db import primaries

PAUSE = 2  # seconds between two looks


class Command(BaseCommand):
    help = "Wait until every migration this release knows has run."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=900, help="then give up with exit code 1 (900)")

    def handle(self, *args: Any, **options: Any) -> None:
        end = time.monotonic() + options["seconds"]
        told = ""
        while waiting := {alias: state for alias in primaries() if (state := _missing(alias))}:
            now = ", ".join(f"{alias}: {state}" for alias, state in waiting.items())
            if now != told:
                self.stdout.write(f"Waiting for {now}")
                self.stdout.flush()
                told = now
            if time.monotonic() > end:
                raise CommandError(f"Not ready after {options['seconds']:g} seconds: {now}")
            time.sleep(PAUSE)


def _missing(alias: str) -> str:
    """What is missing on this database; empty when nothing is."""
    try:
        waiting = due(alias)
    except Error as error:
        return f"out of reach ({type(error).__name__})"
    finally:
        connections[alias].close()
    return f"{len(waiting)} migrations" if waiting else ""
