"""Beat's work for the platform database: old sessions, check-ups and repairs are deleted."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from config.books import checkup


@shared_task(name="platform.prune")
def prune() -> None:
    call_command("clearsessions")
    checkup.prune()
