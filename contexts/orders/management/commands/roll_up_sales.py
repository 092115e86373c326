"""Rolls up the sales by day anew, from the orders: after a restore, or where somebody wrote past the product."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from contexts.orders import services
from eci.checks import OWN


class Command(BaseCommand):
    help = "Roll up the sales of all days anew, or of those since one. It may run at any time, and be repeated."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", metavar="YYYY-MM-DD", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            since = date.fromisoformat(options["since"]) if options["since"] else None
        except ValueError:
            raise CommandError("--since: write the day as YYYY-MM-DD.") from None
        services.mark_days(since=since)
        self.stdout.write(f"{services.roll_up()} days were rolled up.")
