from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from contexts.notifications.public.contracts import Channel, NotificationStatus
from eci.calls.service_tokens import UsedTokenRow
from eci.erasure import ErasureRow
from eci.idempotency import IdempotencyRecord
from eci.outbox import InboxRow, OutboxRow


class Notification(models.Model):
    """One notice to one person.

    ``dedupe_key`` names what a notice of ours is about, so that there is one of it; null for those that were asked for
    with recipient and text. ``facts`` are what the text of ours will name; recipient, subject and message of ours are
    filled in when it is sent, and so is ``customer_id``: whose they are, if not a guest's. ``nonce``: the part of the
    Message-ID that is never given out again. ``tries`` counts since it was last queued, ``attempts`` all of them.
    ``trace`` is of the event or request that queued it, for ``eci.watch.requests.continued``.
    """

    kind = models.CharField(max_length=40)
    channel = models.CharField(max_length=10, choices=[(channel.value, channel.value) for channel in Channel])
    recipient = models.CharField(max_length=320, default="", blank=True, db_index=True)
    subject = models.CharField(max_length=200, default="", blank=True)
    message = models.TextField(default="", blank=True)
    order_id = models.CharField(max_length=64, default="", blank=True, db_index=True)
    dedupe_key = models.CharField(max_length=150, null=True, unique=True)
    facts = models.JSONField(default=dict)
    customer_id = models.BigIntegerField(null=True, db_index=True)
    nonce = models.CharField(max_length=16, default="", db_default="", blank=True)
    status = models.CharField(
        max_length=20,
        choices=[(status.value, status.value) for status in NotificationStatus],
        default=NotificationStatus.QUEUED.value,
    )
    attempts = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now())
    lease_owner = models.CharField(max_length=40, default="", blank=True)
    lease_until = models.DateTimeField(db_default=Now())
    trace = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["status", "next_at"], name="notifications_due"),
            models.Index(fields=["created_at", "id"], name="notifications_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Attempt(models.Model):
    """One try to send: written before it, and completed with the answer after it."""

    notification = models.ForeignKey(Notification, on_delete=models.PROTECT, related_name="log")
    at = models.DateTimeField(db_default=Now())
    ok = models.BooleanField(default=False)
    answer = models.CharField(max_length=500)

    def __str__(self) -> str:
        return self.answer


class Erasure(ErasureRow):
    class Meta(ErasureRow.Meta):
        pass


class OutboxEvent(OutboxRow):
    class Meta(OutboxRow.Meta):
        pass


class InboxEvent(InboxRow):
    class Meta(InboxRow.Meta):
        pass


class UsedServiceToken(UsedTokenRow):
    class Meta(UsedTokenRow.Meta):
        pass


class Idempotency(IdempotencyRecord):
    class Meta(IdempotencyRecord.Meta):
        pass
