"""``manage.py backup_key FILE``: a key pair of age for backups."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.operations import archives
from eci.checks import OWN
from eci.clock import iso, utcnow


class Command(BaseCommand):
    help = "Write a new private key for backups to a file, and print the public key for ECI_BACKUP_RECIPIENTS."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        identity, recipient = archives.new_identity()
        try:
            file = os.open(options["file"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be made: {error.strerror}.") from error
        with open(file, "w") as written:
            written.write(f"# created: {iso(utcnow())}\n# public key: {recipient}\n{identity}\n")  # as age-keygen does
        self.stdout.write(recipient)
