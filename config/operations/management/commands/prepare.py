"""``manage.py prepare``: prepare as ``up`` does, for processes that are started another way."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config.operations.management.commands import up


class Command(BaseCommand):
    help = "Check settings and databases, migrate, and make staff's groups and the first administrator."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        up.prepare(self.stdout.write)
