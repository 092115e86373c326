"""Beat's work for staff's accounts."""

from __future__ import annotations

from celery import shared_task

from config.staff import mails


@shared_task(name="platform.mail_staff")
def mail_staff() -> None:
    mails.send_due()
