"""SMS through the gateway that ECI_SMS_BACKEND names."""

from __future__ import annotations

from abc import ABC, abstractmethod

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from eci.watch.requests import logger

log = logger(__name__)


class SmsPort(ABC):
    @abstractmethod
    def send(self, *, recipient: str, text: str) -> None:
        """NotDelivered."""


class ConsoleSms(SmsPort):
    """For development: that there was a message goes to the log, and nothing of it."""

    def send(self, *, recipient: str, text: str) -> None:
        log.info("sms_not_really_sent")


_BACKENDS: dict[str, type[SmsPort]] = {"console": ConsoleSms}


def sms() -> SmsPort:
    try:
        return _BACKENDS[settings.ECI_SMS_BACKEND]()
    except KeyError:
        raise ImproperlyConfigured(f"ECI_SMS_BACKEND is one of: {', '.join(_BACKENDS)}.") from None
