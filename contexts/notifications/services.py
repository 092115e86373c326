"""Writes: each is one transaction on the notifications database."""

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
from contexts.notifications.selectors import Row
from eci import erasure, idempotency, trail
from eci.clock import utcnow
from eci.db import writes
from eci.erasure import blank
from eci.watch.requests import trace_headers

LEASE = timedelta(seconds=15)
BATCH = 50


@writes("notifications")
def queue_shop_notification(*, kind: Kind, order_id: str, reference: str, facts: dict[str, str]) -> None:
    """Queue one of the shop's own, once per kind and ``reference``; a repetition changes nothing."""
    now = utcnow()
    notification = Notification(
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
    Notification.objects.bulk_create([notification], ignore_conflicts=True)


@writes("notifications")
def queue_written_notification(
    *,
    kind: str,
    channel: Channel,
    recipient: str,
    subject: str,
    message: str,
    order_id: str,
    customer_id: int | None = None,
    actor: str,
) -> Row:
    """Queue a notification with the recipient and text given. ``customer_id``: the customer it is erased with."""
    now = utcnow()
    notification = Notification.objects.create(
        kind=kind,
        channel=channel,
        recipient=recipient,
        subject=subject,
        message=message,
        order_id=order_id,
        customer_id=customer_id,
        actor=actor,
        nonce=domain.new_nonce(),
        trace=trace_headers(),
        created_at=now,
        updated_at=now,
    )
    about = {"kind": kind, "order_id": order_id}
    trail.record("notifications", actor=actor, action="created", thing=_thing(notification.pk), after=about)
    return selectors.row_of(notification=notification)


@writes("notifications")
def requeue_notification(*, notification_id: int, actor: str) -> Row:
    """Make it due now, with a new series of tries. NotificationNotFound, AlreadySent."""
    unsent = Notification.objects.filter(pk=notification_id).exclude(status=NotificationStatus.SENT)
    queued = unsent.update(status=NotificationStatus.QUEUED, tries=0, next_at=Now(), updated_at=Now(), actor=actor)
    row = selectors.notification(notification_id=notification_id)
    if not queued:
        raise AlreadySent("This notification has already been sent.", notification_id=notification_id)
    trail.record("notifications", actor=actor, action="queued again", thing=_thing(notification_id))
    return row


def _thing(notification_id: int) -> str:
    return f"notification:{notification_id}"


# -- the sender -------------------------------------------------------------------------------------------------------


def claim_due(*, owner: str) -> list[Notification]:
    """Take a lease on the notifications that are due, up to one batch, the longest waiting first."""
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
def release_leases(*, owner: str) -> None:
    """End this owner's leases on notifications whose attempt has not begun."""
    Notification.objects.filter(lease_owner=owner).update(lease_owner="", lease_until=Now())


@writes("notifications")
def begin_attempt(*, notification_id: int, owner: str) -> int | None:
    """Renew the lease and record an attempt. Returns its id, or None when this owner has lost the lease."""
    mine = Notification.objects.filter(
        pk=notification_id, status=NotificationStatus.QUEUED, lease_owner=owner, lease_until__gt=Now()
    )
    if not mine.update(attempts=F("attempts") + 1, tries=F("tries") + 1, lease_until=Now() + LEASE):
        return None
    return Attempt.objects.create(notification_id=notification_id, answer="Begun; no answer was recorded.").pk


@writes("notifications")
def finish_attempt(
    *,
    attempt_id: int,
    notification: Notification,
    status: NotificationStatus,
    answer: str,
    delay: timedelta | None = None,
) -> None:
    """Record how an attempt ended. QUEUED: there will be another one after ``delay``.

    ``notification``: as it was claimed, with the recipient and the text of this attempt.
    """
    Attempt.objects.filter(pk=attempt_id).update(ok=status is NotificationStatus.SENT, answer=answer)
    Notification.objects.filter(pk=notification.pk, lease_owner=notification.lease_owner).update(
        channel=notification.channel,
        recipient=notification.recipient,
        customer_id=notification.customer_id,
        subject=notification.subject,
        message=notification.message,
        facts=notification.facts,
        status=status,
        next_at=Now() + (delay or timedelta()),
        lease_owner="",
        lease_until=Now(),
        updated_at=Now(),
    )


# -- erasing people ---------------------------------------------------------------------------------------------------


@writes("notifications")
def erase_customer(*, customer_id: int, email_digest: str) -> None:
    """Erase the recipients and texts of a customer's notifications; the rows stay. Queued ones are never sent.

    Those to a guest with the same e-mail address, known by its digest (``erasure.email_digest``), are theirs too.
    """
    erasure.record("notifications", customer_id)
    _erase([customer_id], email_digest)


@writes("notifications")
def erase_late() -> None:
    """Erase what was being sent while its customer was erased."""
    if Erasure.objects.exists():
        _erase(erasure.erased("notifications"))


def _erase(customers: Collection[int] | QuerySet[Any, int], email_digest: str = "") -> None:
    known = Notification.objects.filter(customer_id__in=customers)
    guests = Notification.objects.filter(customer_id=None)
    addresses = set(known.exclude(recipient="").values_list("recipient", flat=True).distinct())
    if email_digest:
        to_guests = guests.exclude(recipient="").values_list("recipient", flat=True).distinct()
        addresses |= {address for address in to_guests if erasure.email_digest(address) == email_digest}
    for notifications in (known, guests.filter(recipient__in=addresses)):
        filled = notifications.exclude(recipient="", subject="", message="")
        ids = filled.values_list(Cast("pk", CharField()))
        for endpoint in ("notifications.create", "notifications.retry"):
            idempotency.erase("notifications", endpoint=endpoint, resources=ids)
        blank(filled.filter(status=NotificationStatus.QUEUED), status=NotificationStatus.SUPPRESSED)
        refused = notifications.filter(kind=Kind.RETURN_REFUSED)  # the reason is what somebody wrote
        blank(refused.exclude(facts={}), facts={})
        blank(filled, recipient="", subject="", message="")
