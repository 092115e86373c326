"""Writes: each a transaction on notifications' database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db.models import CharField, F, QuerySet
from django.db.models.functions import Cast, Now

from contexts.notifications import domain, selectors
from contexts.notifications.domain import Kind
from contexts.notifications.models import Attempt, Erasure, Notification
from contexts.notifications.public.contracts import AlreadySent, Channel, NotificationStatus
from eci import erasure, idempotency
from eci.clock import utcnow
from eci.db import writes
from eci.erasure import blank
from eci.watch.requests import trace_headers

LEASE = timedelta(seconds=15)
BATCH = 50


@writes("notifications")
def queue_notice(*, kind: Kind, order_id: str, reference: str, facts: dict[str, str]) -> None:
    """A notice of ours, once per kind and ``reference``: a second one is ignored."""
    now = utcnow()
    notice = Notification(
        kind=kind,
        channel=Channel.EMAIL,
        order_id=order_id,
        dedupe_key=f"{kind}:{reference}",
        facts=facts,
        nonce=domain.new_nonce(),
        trace=trace_headers(),
        created_at=now,
        updated_at=now,
    )
    Notification.objects.bulk_create([notice], ignore_conflicts=True)


@writes("notifications")
def queue_message(
    *,
    kind: str,
    channel: Channel,
    recipient: str,
    subject: str,
    message: str,
    order_id: str,
    customer_id: int | None = None,
) -> dict[str, Any]:
    """A message somebody wrote, for a recipient they named. ``customer_id``: with whom it is to be erased."""
    now = utcnow()
    notification = Notification.objects.create(
        kind=kind,
        channel=channel,
        recipient=recipient,
        subject=subject,
        message=message,
        order_id=order_id,
        customer_id=customer_id,
        nonce=domain.new_nonce(),
        trace=trace_headers(),
        created_at=now,
        updated_at=now,
    )
    return selectors.row_of(notification)


@writes("notifications")
def queue_again(*, notification_id: int) -> dict[str, Any]:
    """Due now, with a new series of tries. NotificationNotFound, AlreadySent."""
    unsent = Notification.objects.filter(pk=notification_id).exclude(status=NotificationStatus.SENT)
    queued = unsent.update(status=NotificationStatus.QUEUED, tries=0, next_at=Now(), updated_at=Now())
    row = selectors.notification(notification_id=notification_id)
    if not queued:
        raise AlreadySent("This notification was sent already.", notification_id=notification_id)
    return row


# -- the sender -------------------------------------------------------------------------------------------------------


def claim_due(*, owner: str) -> list[Notification]:
    """Take a lease on up to a batch of the notices that are due, the longest waiting first."""
    due = Notification.objects.filter(status=NotificationStatus.QUEUED, next_at__lte=Now(), lease_until__lte=Now())
    candidates = list(due.order_by("next_at", "pk").values_list("pk", flat=True)[:BATCH])
    if not candidates:  # an idle sender must not take the write lock
        return []
    return _claim(candidates, owner)


@writes("notifications")
def _claim(candidates: list[int], owner: str) -> list[Notification]:
    Notification.objects.filter(
        pk__in=candidates, status=NotificationStatus.QUEUED, next_at__lte=Now(), lease_until__lte=Now()
    ).update(lease_owner=owner, lease_until=Now() + LEASE)
    return list(Notification.objects.filter(pk__in=candidates, lease_owner=owner).order_by("next_at", "pk"))


@writes("notifications")
def hand_back(*, owner: str) -> None:
    """Give up the leases on what was claimed and not begun."""
    Notification.objects.filter(lease_owner=owner).update(lease_owner="", lease_until=Now())


@writes("notifications")
def begin_attempt(*, notification_id: int, owner: str) -> int | None:
    """Renew the lease and write the attempt down; its id, or None when the notice is no longer ours to send."""
    mine = Notification.objects.filter(
        pk=notification_id, status=NotificationStatus.QUEUED, lease_owner=owner, lease_until__gt=Now()
    )
    if not mine.update(attempts=F("attempts") + 1, tries=F("tries") + 1, lease_until=Now() + LEASE):
        return None
    return Attempt.objects.create(notification_id=notification_id, answer="Begun; no answer was recorded.").pk


@writes("notifications")
def finish_attempt(
    *, attempt_id: int, notice: Notification, status: NotificationStatus, answer: str, delay: timedelta | None = None
) -> None:
    """Write down how it ended; QUEUED: it is tried again after ``delay``.

    ``notice``, as claimed, has the recipient and the text the attempt was made with.
    """
    Attempt.objects.filter(pk=attempt_id).update(ok=status is NotificationStatus.SENT, answer=answer)
    Notification.objects.filter(pk=notice.pk, lease_owner=notice.lease_owner).update(
        channel=notice.channel,
        recipient=notice.recipient,
        customer_id=notice.customer_id,
        subject=notice.subject,
        message=notice.message,
        status=status,
        next_at=Now() + (delay or timedelta()),
        lease_owner="",
        lease_until=Now(),
        updated_at=Now(),
    )


# -- erasing people ---------------------------------------------------------------------------------------------------


@writes("notifications")
def erase_customer(*, customer_id: int) -> None:
    """Keep that there were notices; whom they went to and what they said goes. What waits is not sent any more."""
    erasure.record("notifications", customer_id)
    _erase([customer_id])


@writes("notifications")
def erase_late() -> None:
    """What was being sent while its person was erased."""
    if Erasure.objects.exists():
        _erase(erasure.erased("notifications"))


def _erase(customers: Collection[int] | QuerySet[Any, int]) -> None:
    known = Notification.objects.filter(customer_id__in=customers)
    addresses = list(known.exclude(recipient="").values_list("recipient", flat=True).distinct())
    for notices in (known, Notification.objects.filter(customer_id=None, recipient__in=addresses)):
        told = notices.exclude(recipient="", subject="", message="")
        names = told.values_list(Cast("pk", CharField()))
        for endpoint in ("notifications.create", "notifications.retry"):
            idempotency.erase("notifications", endpoint=endpoint, resources=names)
        blank(told.filter(status=NotificationStatus.QUEUED), status=NotificationStatus.SUPPRESSED)
        blank(told, recipient="", subject="", message="")
