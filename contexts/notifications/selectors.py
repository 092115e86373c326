"""Reads. Rows are dictionaries of the columns the API shows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from contexts.notifications import domain
from contexts.notifications.models import Attempt, LowStock, Notification
from contexts.notifications.public.contracts import NotificationNotFound, NotificationStatus
from eci.paging import Paging

Row = dict[str, Any]

_COLUMNS = (
    "kind",
    "channel",
    "recipient",
    "subject",
    "message",
    "status",
    "order_id",
    "actor",
    "again_of_id",
    "attempts",
    "created_at",
    "updated_at",
)


def row_of(*, notification: Notification) -> Row:
    """The row of a notification that is in memory already."""
    return {"notification_id": notification.pk} | {name: getattr(notification, name) for name in _COLUMNS}


def notifications(
    *, paging: Paging, recipient: str | None = None, order_id: str | None = None, status: str | None = None
) -> list[Row]:
    """One page of notifications, and one row more when there are more; None filters nothing.

    ``recipient``: as ``domain.recipient`` returns it; an address is also found as written in lower case.
    """
    wanted = {"order_id": order_id, "status": status}
    found = Notification.objects.filter(**{name: value for name, value in wanted.items() if value is not None})
    if recipient is not None:
        found = found.filter(recipient__in={recipient, recipient.lower()})
    return paging.slice(_rows(found))


def notification(*, notification_id: int) -> Row:
    """NotificationNotFound."""
    row = _rows(Notification.objects.filter(pk=notification_id)).first()
    if row is None:
        raise NotificationNotFound("There is no such notification.")
    return row


def notification_with_log(*, notification_id: int) -> Row:
    """As ``notification``, with its ``attempts_log``, oldest first. NotificationNotFound."""
    log = Attempt.objects.filter(notification_id=notification_id).order_by("pk").values("at", "ok", "answer")
    return notification(notification_id=notification_id) | {"attempts_log": list(log)}


def mails_lately(*, customer_id: int | None) -> int:
    """How many mails that cost nothing this customer has been sent within an hour."""
    sent = Attempt.objects.filter(notification__customer_id=customer_id, notification__kind__in=domain.COST_NOTHING)
    return sent.filter(ok=True, at__gt=Now() - timedelta(hours=1)).count()


def has_told_low_stock(*, day: date) -> bool:
    """Whether the day's mail about low stock is queued."""
    return Notification.objects.filter(dedupe_key__startswith=f"{domain.Kind.LOW_STOCK}:{day}:").exists()


def became_low() -> set[int]:
    """The stock rows that have become low since the last mail about such."""
    return set(LowStock.objects.values_list("pk", flat=True))


def waiting() -> int:
    """How many notifications are queued and not sent yet."""
    return Notification.objects.filter(status=NotificationStatus.QUEUED).count()


def failed_notifications() -> list[Row]:
    """Notifications that were given up, oldest first, each with its ``last_answer``, None without any."""
    last = Attempt.objects.filter(notification=OuterRef("pk")).order_by("-pk").values("answer")[:1]
    given_up = Notification.objects.filter(status=NotificationStatus.FAILED).annotate(last_answer=Subquery(last))
    return list(_rows(given_up, "last_answer").order_by("pk"))


def notifications_of(*, order_id: str) -> list[Row]:
    """All notifications about the order, oldest first."""
    return list(_rows(Notification.objects.filter(order_id=order_id)).order_by("pk"))


def notifications_to(*, customer_id: int, after: int, limit: int) -> list[Row]:
    """The shop's own only: a written one may be meant for others, or be about them."""
    own = Notification.objects.filter(customer_id=customer_id, pk__gt=after).exclude(dedupe_key=None)
    return list(_rows(own).order_by("pk")[:limit])


def _rows(found: QuerySet[Notification], *more: str) -> QuerySet[Notification, Row]:
    rows: QuerySet[Notification, Row] = found.values(*_COLUMNS, *more, notification_id=F("pk"))
    return rows
