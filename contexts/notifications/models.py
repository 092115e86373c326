"""Tables of notifications: each with its attempts, and the copies of the kernel's tables in this database."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from contexts.notifications.public.contracts import Channel, NotificationStatus
from eci.calls.service_tokens import UsedTokenRow
from eci.erasure import ErasureRow
from eci.idempotency import IdempotencyRecord
from eci.outbox import InboxRow, OutboxRow
from eci.statements.rows import QuickModel
from eci.trail import TrailRow


class Notification(QuickModel):
    """One message to one recipient.

    There are two sorts. The shop's own come from events: ``dedupe_key`` names kind and reason, so that there is one of
    each; ``facts`` are the values the text will name; recipient, subject, message and ``customer_id`` are filled in
    when it is sent. Written ones come from the API with recipient and text; their ``dedupe_key`` is null.

    - ``customer_id``: the customer it belongs to; null for a guest's.
    - ``nonce``: the random part of the Message-ID, which is never used twice.
    - ``tries`` counts since it was last queued, ``attempts`` since it was made.
    - ``again_of``: the one that it repeats, because staff had a ``reason``. ``readdressed``: to whom staff said;
      otherwise one of the shop's own goes to the address that its buyer has when it is sent.
    - ``actor``: who queued it last: whoever wrote it, or asked for another try; ``system`` for the shop's own.
    - ``trace``: the trace of the event or request that queued it, for ``eci.watch.requests.continued``.
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
    actor = models.CharField(max_length=200, default="system", db_default="system")
    again_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="sent_again")
    reason = models.CharField(max_length=300, default="", db_default="", blank=True)
    readdressed = models.BooleanField(default=False, db_default=False)
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
        permissions = [("send_again", "Can send notifications again")]
        indexes = [
            models.Index(fields=["status", "next_at"], name="notifications_due"),
            models.Index(fields=["created_at", "id"], name="notifications_newest"),
            models.Index(fields=["created_at", "id"], condition=Q(status="FAILED"), name="notifications_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class LowStock(models.Model):
    """A stock row that has become low since the last mail about such."""

    inventory_id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"stock row {self.inventory_id}"


class Attempt(QuickModel):
    """One attempt to send: recorded before the call, completed with the answer after it."""

    notification = models.ForeignKey(Notification, on_delete=models.PROTECT, related_name="log")
    at = models.DateTimeField(db_default=Now())
    ok = models.BooleanField(default=False)
    answer = models.CharField(max_length=500)

    def __str__(self) -> str:
        return self.answer


class Erasure(ErasureRow):
    """``email_digest``: of their mailbox, while what they were sent as a guest is to be found; null afterwards."""

    email_digest = models.CharField(max_length=64, null=True)

    class Meta:
        indexes = [models.Index(fields=["email_digest"], name="notifications_guests_sought")]


class OutboxEvent(OutboxRow):
    pass


class InboxEvent(InboxRow):
    pass


class UsedServiceToken(UsedTokenRow):
    pass


class Trail(TrailRow):
    """What staff wrote and sent again."""


class Idempotency(IdempotencyRecord):
    pass
