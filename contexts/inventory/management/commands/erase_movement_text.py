"""``manage.py erase_movement_text ID``: erase what staff wrote about a movement, should it name a person."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from contexts.inventory.services import sealing
from eci.checks import OWN
from eci.errors import EciError
from eci.identity.auth import command_name


class Command(BaseCommand):
    help = "Erase reason and reference of a stock count or adjustment. The ledger stays proven; the trail has a line."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("movement_id", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sealing.erase_text(movement_id=options["movement_id"], actor=command_name())
        except EciError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"The text of movement {options['movement_id']} is erased.")
