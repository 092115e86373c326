"""``manage.py audit``: do stock, orders, money and shipments agree? Exit code 0 if they do, 1 if not."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from config import unfinished
from config.books.audit import audit
from eci.checks import OWN
from eci.databases import database_of, kind_of
from eci.db import context_of
from eci.errors import ContextUnavailable


class Command(BaseCommand):
    help = "Check that stock, orders, money and shipments agree. Repairs nothing."
    requires_system_checks = OWN

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if problem := unfinished.anywhere(settings.DATA_DIR):
                raise CommandError(problem)
            verdict = audit()
        except ContextUnavailable as error:
            raise CommandError(f"The audit cannot run: {error.message}") from error
        except DatabaseError as error:
            name = context_of(database_of(error) or "default")
            raise CommandError(f"The audit cannot run. The database of {name}: {kind_of(error)}: {error}") from error
        for finding in verdict.findings:
            self.stdout.write(f"{finding.subject}: {finding.problem}")
        seen = f"{verdict.orders} orders checked, {verdict.in_flight} under way"
        if verdict.findings:
            raise CommandError(f"{len(verdict.findings)} findings; {seen}.")
        self.stdout.write(f"The books agree: {seen}.")
