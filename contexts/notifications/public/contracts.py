"""The contract of notifications. No context calls it: only config/ does, for what looks across contexts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from eci.activity import KeepsTrail
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
    """A notification that was given up. ``answer``: of the last attempt; ``at``: when that was."""

    notification_id: int
    kind: str
    order_id: str
    answer: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class NoticeRecord:
    """One of the shop's own notifications to a customer, as it was sent. ``again_of``: the id of the one it repeats."""

    notification_id: int
    kind: str
    channel: Channel
    recipient: str
    subject: str
    message: str
    order_id: str
    status: NotificationStatus
    created_at: datetime
    again_of: int | None = None
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class SentAgain:
    """``notification_id``: the new notification's. ``repeated``: the key had queued it before."""

    notification_id: int
    repeated: bool


class NotificationNotFound(NotFound):
    pass


class AlreadySent(Conflict):
    code = "already_sent"


class Notifications(KeepsTrail):
    @abstractmethod
    def waiting(self) -> int:
        """How many notifications are queued and not sent yet."""

    @abstractmethod
    def failed(self) -> tuple[Failed, ...]:
        """Notifications that were given up, oldest first."""

    @abstractmethod
    def retry(self, *, notification_id: int, actor: str = "system") -> NotificationStatus:
        """Send now what was given up or is queued; what was sent stays so. NotificationNotFound."""

    @abstractmethod
    def notice(self, *, notification_id: int) -> NoticeRecord:
        """NotificationNotFound."""

    @abstractmethod
    def send_again(self, *, notification_id: int, reason: str, actor: str, key: str, recipient: str = "") -> SentAgain:
        """Queue a new notification that repeats this one, which was sent or given up; once for the actor's ``key``.

        Without a ``recipient``, to whom a written one went, or to the address that the buyer has when it is sent.
        NotificationNotFound; InvalidTransition for one that is still queued, has a secret or was erased; InvalidRequest
        for a recipient that is none, or of mail about an account.
        """

    @abstractmethod
    def notices_of(self, *, order_id: str) -> tuple[NoticeRecord, ...]:
        """All notifications about the order, oldest first."""

    @abstractmethod
    def notices_to(self, *, customer_id: int, after: int, limit: int) -> tuple[NoticeRecord, ...]:
        """The shop's own notifications to a customer, by id, after the id ``after``; none that somebody wrote."""
