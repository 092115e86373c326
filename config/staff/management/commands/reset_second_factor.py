"""``manage.py reset_second_factor ADDRESS``: let somebody in again who has lost both phone and recovery codes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from config.staff import second_factor
from eci import text
from eci.checks import OWN
from eci.identity.auth import command_name


class Command(BaseCommand):
    help = "Remove the second factor of a staff account. Its sessions and tokens end; its owner gets a mail."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the account's name or e-mail address")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            given = text.clean(options["email"], limit=text.EMAIL, blank=False)
        except ValueError as error:
            raise CommandError(str(error)) from None
        found = list(User.objects.filter(Q(username=given) | Q(email=given))[:2])
        if len(found) != 1:
            raise CommandError(f"{'Several accounts have' if found else 'No account has'} the address {given}.")
        if not second_factor.take_away(found[0], actor=command_name()):
            raise CommandError(f"{given} has no second factor.")
        self.stdout.write(f"{given} signs in with the password alone, and may set up a new device.")
