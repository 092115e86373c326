"""The contract, answered in this process."""

from __future__ import annotations

from contexts.notifications import selectors, services
from contexts.notifications.public.contracts import AlreadySent, Failed, Notifications, NotificationStatus


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
