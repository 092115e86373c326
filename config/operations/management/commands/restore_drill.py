"""``manage.py restore_drill``: can the newest backup be restored, and how long does it take?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from config.operations.drill import drill
from config.operations.snapshots import Failed, told
from eci.checks import OWN


class Command(BaseCommand):
    help = "Restore the newest kept backup into scratch databases, audit them, and report the seconds it took."
    requires_system_checks = OWN

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            drill(self.stdout.write)
        except (Failed, DatabaseError) as failure:
            raise CommandError(told(failure)) from failure
