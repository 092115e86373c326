"""``manage.py backup``: save all databases as of one moment. The product keeps running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from config.operations import keeping
from config.operations.backup import backup, record
from config.operations.snapshots import Failed, told
from eci.checks import OWN


class Command(BaseCommand):
    help = (
        "Save all databases, as of one moment, and the secret keys: into a new folder, or, without one, as a file in "
        "the places that ECI_BACKUP_DIR and ECI_BACKUP_S3_URL name. See docs/backup.md."
    )
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument("folder", type=Path, nargs="?")
        how.add_argument("--regularly", action="store_true", help="keep one every ECI_BACKUP_HOURS, until stopped")
        how.add_argument("--list", action="store_true", help="name the kept backups")

    def handle(self, *args: Any, **options: Any) -> None:
        say = self.stdout.write
        try:
            if options["list"]:
                for name, place in keeping.kept():
                    say(f"{name}  {place}")
            elif options["regularly"]:
                keeping.keep_regularly(say)
            elif options["folder"]:
                folder = options["folder"].absolute()
                made = backup(folder, say)
                say(f"Backup complete: {folder}")
                record(made, say)
            else:
                keeping.keep(say)
        except (Failed, DatabaseError) as failure:
            raise CommandError(told(failure)) from failure
