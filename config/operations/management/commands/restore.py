"""``manage.py restore FOLDER``: restore a backup while the product is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.operations.backup import restore
from config.operations.snapshots import Failed


class Command(BaseCommand):
    help = "Restore what `manage.py backup` saved, into empty databases. See docs/backup.md."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--force", action="store_true", help="replace what the databases hold now")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            restore(options["folder"].absolute(), force=options["force"], say=self.stdout.write)
        except Failed as failure:
            raise CommandError(str(failure)) from failure
