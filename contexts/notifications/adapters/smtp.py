"""The mail backend, where EMAIL_HOST names a server."""

from __future__ import annotations

import smtplib
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends import smtp
from django.core.mail.message import sanitize_address

_sanitized = lru_cache(1024)(sanitize_address)


class EmailBackend(smtp.EmailBackend):
    """Django's takes the sender's address apart for each mail, and a buyer's for each of theirs. This does so once."""

    connection: smtplib.SMTP

    def _send(self, email_message: EmailMessage) -> bool:
        encoding = email_message.encoding or settings.DEFAULT_CHARSET
        addresses = [email_message.from_email, *email_message.recipients()]
        sender, *recipients = [_sanitized(address, encoding) for address in addresses]
        written: Any = email_message.message()
        try:
            self.connection.sendmail(sender, recipients, written.as_bytes(linesep="\r\n"))
        except smtplib.SMTPException:
            if not self.fail_silently:
                raise
            return False
        return True
