"""Notifications: the top of the map; nobody calls it but the pages that look across contexts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A notice that was given up. ``answer``: what the last attempt was told; ``at``: when."""

    notification_id: int
    kind: str
    order_id: str
    answer: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class NoticeRecord:
    """A notice of ours to a customer, as it was sent."""

    notification_id: int
    kind: str
    channel: Channel
    recipient: str
    subject: str
    message: str
    order_id: str
    status: NotificationStatus
    created_at: datetime


class NotificationNotFound(NotFound):
    pass


class AlreadySent(Conflict):
    code = "already_sent"


class Notifications(ABC):
    @abstractmethod
    def waiting(self) -> int:
        """How many notices are queued and not sent yet."""

    @abstractmethod
    def failed(self) -> tuple[Failed, ...]:
        """Notices that were given up, oldest first."""

    @abstractmethod
    def retry(self, *, notification_id: int) -> NotificationStatus:
        """Queue a notice that was given up again. One that is queued or sent stays so. NotificationNotFound."""

    @abstractmethod
    def notices_to(self, *, customer_id: int, after: int, limit: int) -> tuple[NoticeRecord, ...]:
        """Our notices to a customer by id, beginning after the id ``after``; not what somebody wrote by hand."""
