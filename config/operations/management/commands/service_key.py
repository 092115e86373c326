"""``manage.py service_key``: show or rotate the key that signs this process's calls to other processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.contexts import CONTEXTS
from config.operations import cuts
from eci.calls import service_tokens


class Command(BaseCommand):
    help = "Print this process's public key, which the processes it calls need. Makes the key if there is none."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        step = parser.add_mutually_exclusive_group()
        step.add_argument(
            "--name", action="store_true", help="print the name under which other processes know this one"
        )
        step.add_argument("--next", action="store_true", help="make the next key, and print its public key")
        step.add_argument("--switch", action="store_true", help="sign with the next key from now on")

        step.add_argument(
            "--all",
            type=Path,
            metavar="FOLDER",
            help="make a key for each context in FOLDER/keys, and their public halves in FOLDER/callers",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["all"]:
            cuts.make_keys(list(CONTEXTS), options["all"])
            return
        try:
            if options["name"]:
                self.stdout.write(settings.ECI_SERVICE_NAME)
            elif options["next"]:
                self.stdout.write(service_tokens.prepare_next(), ending="")
            else:
                if options["switch"]:
                    service_tokens.switch_to_next()
                self.stdout.write(service_tokens.public_key(), ending="")
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
