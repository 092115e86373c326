"""Beat's work for the books."""

from __future__ import annotations

from celery import shared_task

from config.books import checkup


@shared_task(name="staff.check_up")
def check_up() -> None:
    if checkup.is_due():
        checkup.check_up()
