"""Reads. Rows are dictionaries of the columns the API shows."""

from __future__ import annotations

from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery

from contexts.notifications.models import Attempt, Notification
from contexts.notifications.public import contracts
from contexts.notifications.public.contracts import NotificationNotFound, NotificationStatus

_COLUMNS = (
    "kind",
    "channel",
    "recipient",
    "subject",
    "message",
    "status",
    "order_id",
    "attempts",
    "created_at",
    "updated_at",
)


def row_of(notification: Notification) -> dict[str, Any]:
    return {"notification_id": notification.pk} | {name: getattr(notification, name) for name in _COLUMNS}


def notifications(
    *, recipient: str | None = None, order_id: str | None = None, status: str | None = None
) -> QuerySet[Notification, dict[str, Any]]:
    wanted = {"recipient": recipient, "order_id": order_id, "status": status}
    found = Notification.objects.filter(**{name: value for name, value in wanted.items() if value is not None})
    rows: QuerySet[Notification, dict[str, Any]] = found.values(*_COLUMNS, notification_id=F("pk"))
    return rows


def notification(*, notification_id: int) -> dict[str, Any]:
    """NotificationNotFound."""
    row = notifications().filter(pk=notification_id).first()
    if row is None:
        raise NotificationNotFound("There is no such notification.")
    return row


def audit_trail(*, notification_id: int) -> dict[str, Any]:
    """As ``notification``, with its ``attempts_log``, oldest first."""
    log = Attempt.objects.filter(notification_id=notification_id).order_by("pk").values("at", "ok", "answer")
    return notification(notification_id=notification_id) | {"attempts_log": list(log)}


def waiting() -> int:
    """How many notices are queued and not sent yet."""
    return Notification.objects.filter(status=NotificationStatus.QUEUED).count()


def failed() -> tuple[contracts.Failed, ...]:
    """Notices that were given up, oldest first."""
    last = Attempt.objects.filter(notification=OuterRef("pk")).order_by("-pk").values("answer")[:1]
    rows = Notification.objects.filter(status=NotificationStatus.FAILED).annotate(answer=Subquery(last))
    return tuple(
        contracts.Failed(
            notification_id=row.pk, kind=row.kind, order_id=row.order_id, answer=row.answer or "", at=row.updated_at
        )
        for row in rows.order_by("pk")
    )


def notices_to(*, customer_id: int, after: int, limit: int) -> tuple[contracts.NoticeRecord, ...]:
    """Ours only: what staff wrote may be meant for others, or speak of them."""
    ours = Notification.objects.filter(customer_id=customer_id, pk__gt=after).exclude(dedupe_key=None)
    return tuple(
        contracts.NoticeRecord(
            notification_id=row.pk,
            kind=row.kind,
            channel=contracts.Channel(row.channel),
            recipient=row.recipient,
            subject=row.subject,
            message=row.message,
            order_id=row.order_id,
            status=NotificationStatus(row.status),
            created_at=row.created_at,
        )
        for row in ours.order_by("pk")[:limit]
    )
