"""Sends e-mail through Django's mail backend."""

from __future__ import annotations

import contextlib
import smtplib
from email.policy import Compat32
from email.utils import parseaddr
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from contexts.notifications.adapters import NotDelivered
from eci.db import require_no_unit_of_work
from eci.watch import tracing


class _Lines(Compat32):
    """A header that is a line already goes as it is: the library takes it apart, and puts the same together again."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        line = f"{name}: {value}"
        if len(line) < (self.max_line_length or 0) and line.isascii() and line.isprintable():
            return f"{line}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


_LINES = _Lines()


class _Mail(EmailMessage):
    def message(self, **options: Any) -> Any:
        written: Any = super().message(**options)
        written.policy = _LINES
        return written


class Mailer:
    """One connection to the mail server: opened for the first e-mail, and again after a failure."""

    def __init__(self) -> None:
        self._connection: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def send(self, *, name: str, recipient: str, subject: str, text: str) -> None:
        """Send one e-mail. ``name`` becomes its Message-ID, so every attempt carries the same one. NotDelivered."""
        require_no_unit_of_work("Mail sent")
        try:
            with tracing.span("send e-mail", kind="CLIENT"):
                self._send(name, recipient, subject, text)
        except smtplib.SMTPRecipientsRefused as refusal:
            code, words = next(iter(refusal.recipients.values()))
            raise _refused(code, words, permanent=code >= 500) from None
        except smtplib.SMTPDataError as refusal:
            raise _refused(refusal.smtp_code, refusal.smtp_error, permanent=refusal.smtp_code >= 500) from None
        except smtplib.SMTPResponseException as refusal:  # the server refuses us, not the recipient
            raise _refused(refusal.smtp_code, refusal.smtp_error, permanent=False) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"The mail server cannot be reached: {type(error).__name__}.") from None
        except ValueError:
            raise NotDelivered("Mail cannot be sent to this address.", permanent=True) from None

    def _send(self, name: str, recipient: str, subject: str, text: str) -> None:
        message = _Mail(
            subject=" ".join(subject.split()), body=text, to=[recipient], headers={"Message-ID": _message_id(name)}
        )
        try:
            if self._connection is None:
                self._connection = get_connection()
                self._connection.open()
            message.connection = self._connection
            message.send()
        except Exception:
            self._close()
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.close()


def _refused(code: int, words: bytes | str, *, permanent: bool) -> NotDelivered:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return NotDelivered(f"The mail server answered {code} {text}", permanent=permanent)


def _message_id(name: str) -> str:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return f"<{name}@{domain or 'localhost'}>"
