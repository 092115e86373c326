"""``manage.py orders stop REASON | start | status``: refuse new orders for a while; what is under way goes on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.books.actors import at_the_keyboard
from contexts.orders.public.api import orders
from eci.clock import iso
from eci.errors import ContextUnavailable


class Command(BaseCommand):
    help = "Stop or start taking new orders. Running orders, payments, cancels, returns and reads go on in any case."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        stop = verbs.add_parser("stop", help="refuse new orders with 503 and the reason")
        stop.add_argument("reason", help="in words: clients are told")
        verbs.add_parser("start", help="take new orders again")
        verbs.add_parser("status", help="are new orders taken?")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._switch(options)
        except ContextUnavailable as error:
            raise CommandError(error.message) from error

    def _switch(self, options: dict[str, Any]) -> None:
        if options["verb"] == "stop":
            orders.stop(reason=options["reason"], actor=at_the_keyboard())
        elif options["verb"] == "start":
            orders.start(actor=at_the_keyboard())
        switch = orders.switch()
        if switch.taking:
            self.stdout.write("New orders are taken.")
        else:
            self.stdout.write(f"New orders are refused since {iso(switch.at)}, by {switch.actor}: {switch.reason}")
