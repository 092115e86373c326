"""``manage.py backup FOLDER``: save all databases as of one moment. The product keeps running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.operations.backup import backup
from config.operations.snapshots import Failed


class Command(BaseCommand):
    help = "Save all databases, as of one moment, and the secret keys into a new folder. See docs/backup.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backup(options["folder"].absolute(), self.stdout.write)
        except Failed as failure:
            raise CommandError(str(failure)) from failure
