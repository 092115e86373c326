"""Answers the contract in this process. Rows become contracts here and nowhere else."""

from __future__ import annotations

from contexts.notifications import domain, selectors, services
from contexts.notifications.public.contracts import (
    AlreadySent,
    Channel,
    Failed,
    NoticeRecord,
    Notifications,
    NotificationStatus,
    SentAgain,
)
from contexts.notifications.selectors import Row
from eci.trail import TellsTrail


class LocalNotifications(TellsTrail, Notifications):
    context = "notifications"

    def waiting(self) -> int:
        return selectors.waiting()

    def failed(self) -> tuple[Failed, ...]:
        return tuple(map(failed, selectors.failed_notifications()))

    def retry(self, *, notification_id: int, actor: str = "system") -> NotificationStatus:
        try:
            row = services.requeue_notification(notification_id=notification_id, actor=actor)
            return NotificationStatus(row["status"])
        except AlreadySent:
            return NotificationStatus.SENT

    def notice(self, *, notification_id: int) -> NoticeRecord:
        return notice_record(selectors.notification(notification_id=notification_id))

    def send_again(self, *, notification_id: int, reason: str, actor: str, key: str, recipient: str = "") -> SentAgain:
        to = domain.required_recipient(recipient) if recipient else ""
        new_id, repeated = services.send_again(
            notification_id=notification_id, recipient=to, reason=reason, actor=actor, key=key
        )
        return SentAgain(notification_id=new_id, repeated=repeated)

    def notices_of(self, *, order_id: str) -> tuple[NoticeRecord, ...]:
        return tuple(map(notice_record, selectors.notifications_of(order_id=order_id)))

    def notices_to(self, *, customer_id: int, after: int, limit: int) -> tuple[NoticeRecord, ...]:
        return tuple(map(notice_record, selectors.notifications_to(customer_id=customer_id, after=after, limit=limit)))


def failed(row: Row) -> Failed:
    return Failed(
        notification_id=row["notification_id"],
        kind=row["kind"],
        order_id=row["order_id"],
        answer=row["last_answer"] or "",
        at=row["updated_at"],
    )


def notice_record(row: Row) -> NoticeRecord:
    return NoticeRecord(
        notification_id=row["notification_id"],
        kind=row["kind"],
        channel=Channel(row["channel"]),
        recipient=row["recipient"],
        subject=row["subject"],
        message=row["message"],
        order_id=row["order_id"],
        status=NotificationStatus(row["status"]),
        created_at=row["created_at"],
        again_of=row["again_of_id"],
        actor=row["actor"],
    )
