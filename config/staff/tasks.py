"""Beat's work that belongs to no context."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from config.staff import checkup


@shared_task(name="staff.check_up")
def check_up() -> None:
    checkup.check_up()


@shared_task(name="platform.prune")
def prune() -> None:
    call_command("clearsessions")
    checkup.prune()
