"""``manage.py prepare``: what ``up`` does before it starts the processes, where they are started another way."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config.operations.management.commands import up


class Command(BaseCommand):
    help = "Check the settings and the databases, migrate, make the groups of staff and the first administrator."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        up.prepare(self.stdout.write)
