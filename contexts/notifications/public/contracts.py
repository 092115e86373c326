"""Notifications: the top of the map; nobody calls it but the pages that look across contexts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum

from eci.errors import Conflict, NotFound


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"


class NotificationStatus(StrEnum):
    QUEUED = "QUEUED"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


class NotificationNotFound(NotFound):
    pass


class AlreadySent(Conflict):
    code = "already_sent"


class Notifications(ABC):
    @abstractmethod
    def waiting(self) -> int:
        """How many notices are queued and not sent yet."""
