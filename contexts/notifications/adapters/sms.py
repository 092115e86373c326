"""Sends SMS through the gateway that ECI_SMS_BACKEND names."""

from __future__ import annotations

from abc import ABC, abstractmethod

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from eci.watch.requests import logger

log = logger(__name__)


class SmsPort(ABC):
    """What every SMS gateway can do."""

    @abstractmethod
    def send(self, *, recipient: str, text: str) -> None:
        """Send one SMS. NotDelivered."""


class ConsoleSms(SmsPort):
    """For development: logs that there was an SMS, and nothing of what it said."""

    def send(self, *, recipient: str, text: str) -> None:
        log.info("sms_not_really_sent")


_BACKENDS: dict[str, type[SmsPort]] = {"console": ConsoleSms}


def sms() -> SmsPort:
    """The configured gateway. ImproperlyConfigured."""
    try:
        return _BACKENDS[settings.ECI_SMS_BACKEND]()
    except KeyError:
        raise ImproperlyConfigured(f"ECI_SMS_BACKEND must be one of: {', '.join(_BACKENDS)}.") from None
