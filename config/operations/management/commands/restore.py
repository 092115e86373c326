"""``manage.py restore BACKUP``: restore a backup while the product is stopped."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections

from config.operations import keeping
from config.operations.backup import restore
from config.operations.management.commands import up
from config.operations.snapshots import Failed, told

_NEXT = """Next: start the product, which migrates and goes on with unfinished orders. Then run `manage.py audit`,
`manage.py reconcile`, and for each day since `manage.py settle DAY`, which lists payments missing here."""


class Command(BaseCommand):
    help = "Restore what `manage.py backup` saved, into empty databases. See docs/backup.md."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("backup", help=f"a folder, the name of a kept backup, or '{keeping.NEWEST}'")
        parser.add_argument("--force", action="store_true", help="replace what the databases hold now")
        parser.add_argument("--audit", action="store_true", help="migrate afterwards, and see whether the books agree")
        parser.add_argument("--drill", action="store_true", help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        wanted, say = options["backup"], self.stdout.write
        try:
            if Path(wanted).is_dir():
                folder = Path(wanted).absolute()
                restore(folder, name=str(folder), force=options["force"], say=say)
            else:
                with keeping.fetched(wanted, say) as folder:
                    restore(folder, name=wanted, force=options["force"], say=say)
        except (Failed, DatabaseError) as failure:
            raise CommandError(told(failure)) from failure
        if options["audit"]:
            began = time.monotonic()
            connections.close_all()
            up.prepare(say)
            call_command("audit", stdout=self.stdout)
            say(f"Migrated and audited in {time.monotonic() - began:.1f} s.")
        if not options["drill"]:
            say(_NEXT)
