"""Mails to staff about their own accounts. They stand in the platform database until the mail server has them."""

from __future__ import annotations

import smtplib
from datetime import timedelta

from django.core.mail import send_mail
from django.db.models.functions import Now

from config.staff.models import SecurityMail
from eci import text
from eci.watch.requests import logger

log = logger(__name__)

RETRY = timedelta(minutes=5)
KEPT = timedelta(days=3)  # then a mail that the server never took is given up
_BATCH = 100

_WORDS = {
    SecurityMail.Kind.SET_UP: (
        "A second factor was set up for your account",
        "A new device was set up to sign in to your staff account {name}, at {at} UTC. It takes the place of any "
        "device before it.\n\nIf it wasn't you, somebody has your password: tell an administrator now.",
    ),
    SecurityMail.Kind.REMOVED: (
        "The second factor of your account was removed",
        "The device with which you signed in to your staff account {name} was removed, at {at} UTC.\n\nIf neither you "
        "nor an administrator you asked did this, tell an administrator now.",
    ),
}


def send_due() -> int:
    """Send what is due. Returns the number sent. A mail is claimed first, so that two workers do not both send it."""
    sent = 0
    for mail in SecurityMail.objects.filter(next_at__lte=Now()).select_related("user").order_by("pk")[:_BATCH]:
        if not SecurityMail.objects.filter(pk=mail.pk, next_at__lte=Now()).update(next_at=Now() + RETRY):
            continue
        try:
            _send(mail)
        except (smtplib.SMTPException, OSError) as error:
            log.warning("staff_mail_not_sent", error=type(error).__name__)
            continue
        SecurityMail.objects.filter(pk=mail.pk).update(next_at=None)
        sent += 1
    SecurityMail.objects.filter(at__lt=Now() - KEPT).delete()
    return sent


def _send(mail: SecurityMail) -> None:
    """An account whose name and address are no e-mail address gets none."""
    name = mail.user.get_username()
    try:
        address = text.email(mail.user.email or name)
    except ValueError:
        return
    subject, words = _WORDS[SecurityMail.Kind(mail.kind)]
    send_mail(subject, words.format(name=name, at=f"{mail.at:%Y-%m-%d %H:%M}"), None, [address])
