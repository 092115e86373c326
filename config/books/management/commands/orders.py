"""``manage.py orders stop REASON | start | status``: reject new orders for a while. Orders under way go on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.books.reasons import reason_to_stop
from contexts.orders.public.api import orders
from eci.checks import OWN
from eci.clock import iso
from eci.errors import ContextUnavailable
from eci.identity.auth import command_name


class Command(BaseCommand):
    help = "Stop or start taking new orders. Orders under way, payments, cancels, returns and reads always go on."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        stop = verbs.add_parser("stop", help="reject new orders with 503 and the reason")
        stop.add_argument("reason", help="in words that clients will see")
        verbs.add_parser("start", help="take new orders again")
        verbs.add_parser("status", help="are new orders taken?")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._switch(options)
        except ContextUnavailable as error:
            raise CommandError(error.message) from error

    def _switch(self, options: dict[str, Any]) -> None:
        if options["verb"] == "stop":
            try:
                reason = reason_to_stop(options["reason"])
            except ValueError as error:
                raise CommandError(str(error)) from None
            orders.stop(reason=reason, actor=command_name())
        elif options["verb"] == "start":
            orders.start(actor=command_name())
        switch = orders.switch()
        if switch.taking:
            self.stdout.write("New orders are taken.")
        else:
            self.stdout.write(f"New orders are rejected since {iso(switch.at)}, by {switch.actor}: {switch.reason}")
