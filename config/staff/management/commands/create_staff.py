"""``manage.py create_staff ADDRESS --group "stock staff"``: make an account for a member of staff or another system."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.staff import accounts, groups
from eci.checks import OWN
from eci.identity.auth import command_name, is_machine
from eci.identity.roles import GROUPS


class Command(BaseCommand):
    help = "Create a staff account. Asks for the password, or reads it from the first line of standard input."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--group", action="append", default=[], choices=sorted(GROUPS), help="may be repeated")
        parser.add_argument("--admin", action="store_true", help="may do everything")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["group"] and not options["admin"]:
            raise CommandError("Say what the account is for: --group NAME, or --admin.")
        groups.make_groups()
        password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        user = accounts.make_account(
            email=options["email"],
            password=password,
            groups=tuple(options["group"]),
            admin=options["admin"],
            source="The password",
            actor=command_name(),
        )
        doors = "at POST /v1/staff/token" if is_machine(user) else "at /admin/ and at POST /v1/staff/token"
        self.stdout.write(f"{user.username} may sign in {doors}.")
