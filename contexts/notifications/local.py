"""The contract, answered in this process."""

from __future__ import annotations

from contexts.notifications import selectors, services
from contexts.notifications.public.contracts import (
    AlreadySent,
    Failed,
    NoticeRecord,
    Notifications,
    NotificationStatus,
)


class LocalNotifications(Notifications):
    def waiting(self) -> int:
        return selectors.waiting()

    def failed(self) -> tuple[Failed, ...]:
        return selectors.failed()

    def retry(self, *, notification_id: int) -> NotificationStatus:
        try:
            return NotificationStatus(services.queue_again(notification_id=notification_id)["status"])
        except AlreadySent:
            return NotificationStatus.SENT

    def notices_to(self, *, customer_id: int, after: int, limit: int) -> tuple[NoticeRecord, ...]:
        return selectors.notices_to(customer_id=customer_id, after=after, limit=limit)
