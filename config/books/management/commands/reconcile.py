"""``manage.py reconcile``: what is stuck or at odds, with the safe action for each, done only with ``--apply``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from config.books import reconcile
from eci.checks import OWN
from eci.errors import ContextUnavailable
from eci.identity.auth import command_name


class Command(BaseCommand):
    help = (
        "List what is stuck or at odds, each with the safe action for it. With --apply, do the safe actions. "
        "Exit code 1 while anything is left."
    )
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apply", action="store_true", help="do the safe actions; without it nothing changes")
        parser.add_argument(
            "--only",
            action="append",
            metavar="KIND[:SUBJECT]",
            help="only these, as listed; may be given several times",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = reconcile.find()
        except DatabaseError as error:
            raise CommandError(f"Cannot reconcile: a database cannot be read: {error}") from error
        except ContextUnavailable as error:
            raise CommandError(f"Cannot reconcile: {error.message}") from error
        seen = f"{result.orders} orders checked, {result.in_flight} under way"
        wanted = options["only"]
        items = [item for item in result.items if not wanted or item.kind in wanted or item.name in wanted]
        for one in wanted or ():
            if not any(one in (item.kind, item.name) for item in result.items):
                raise CommandError(f"Nothing that is stuck or at odds is named {one!r}. Nothing was done; {seen}.")
        left = 0
        for item in items:
            self.stdout.write(f"{item.name}\n    {item.problem}")
            if options["apply"]:
                outcome = reconcile.apply(item, actor=command_name())
                self.stdout.write(f"    {'done: ' if item.action else ''}{outcome}")
                left += not item.action or outcome.startswith("not done")
            else:
                self.stdout.write(f"    safe: {item.action}" if item.action else "    no safe action")
                left += 1
            if item.advice and not (options["apply"] and not item.action):
                self.stdout.write(f"    {item.advice}")
        if not items:
            self.stdout.write(f"Nothing is stuck or at odds: {seen}.")
        elif options["apply"]:
            self.stdout.write(f"{len(items)} items, {left} of them left for a person; {seen}.")
        else:
            self.stdout.write(f"{len(items)} items; {seen}. Nothing was changed; --apply does the safe actions.")
        if left:
            raise CommandError(f"{left} items are left.")
