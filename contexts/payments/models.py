"""Payments' tables and their constraints."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from contexts.payments.public.contracts import PaymentStatus, RefundStatus, RequestState
from eci.calls.service_tokens import UsedTokenRow
from eci.erasure import ErasureRow
from eci.idempotency import IdempotencyRecord
from eci.outbox import InboxRow, OutboxRow
from eci.statements.rows import QuickModel
from eci.totals import TotalsRow
from eci.trail import TrailRow


class PaymentRequest(QuickModel):
    """What is due for one of our orders. A ``closed_reason`` on a PAYING one: it closes if its charge is declined."""

    order_id = models.CharField(max_length=64, primary_key=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, blank=True)
    customer_id = models.BigIntegerField(null=True)
    deadline = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=[(state, state) for state in RequestState])
    closed_reason = models.CharField(max_length=10, default="", blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_minor__gte=0), name="payments_request_amount")]

    def __str__(self) -> str:
        return self.order_id


class Asked(QuickModel):
    """What a payment and a refund share: they wait for the provider's answer, and keep their caller's key.

    ``actor``: who asked for it; empty on the oldest rows. ``nonce``: the part of the provider's key that is never used
    again. ``next_at``: when to ask the provider again. ``attempts`` is 0 while the first call may still be under way.
    The caller's key stays with the row, so it is unique for as long as the row exists.
    """

    actor = models.CharField(max_length=200, default="", db_default="", blank=True)
    nonce = models.CharField(max_length=16, default="", db_default="", blank=True)
    next_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    idempotency_scope = models.CharField(max_length=250, null=True)
    idempotency_key = models.CharField(max_length=255, null=True)
    idempotency_fingerprint = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        abstract = True


class Payment(Asked):
    """One attempt to take money for an order of ours or of another system. The token is blanked once the outcome is
    known."""

    class Mode(models.TextChoices):
        """An order asks for its payment to be authorised, or charged at once. A charge is asked for by others."""

        AUTHORISE = "authorise"
        AT_ONCE = "at_once"
        CHARGE = "charge"

    class Review(models.TextChoices):
        """The review of a payment suspected of fraud: the provider is asked only after a person has released it."""

        NONE = "", "not needed"
        WAITING = "waiting"
        RELEASED = "released"
        REFUSED = "refused"

    ORDERS = (Mode.AUTHORISE, Mode.AT_ONCE)

    order_id = models.CharField(max_length=64, db_index=True)
    customer_id = models.BigIntegerField(null=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    method = models.CharField(max_length=40)
    token = models.CharField(max_length=100, default="", blank=True)
    mode = models.CharField(max_length=10, choices=Mode.choices)
    status = models.CharField(max_length=20, choices=[(status, status) for status in PaymentStatus])
    captured_minor = models.BigIntegerField(default=0)
    refunded_minor = models.BigIntegerField(default=0)
    reference = models.CharField(max_length=100, default="", blank=True)
    decline_reason = models.CharField(max_length=200, default="", blank=True)
    review = models.CharField(max_length=10, choices=Review.choices, default="", db_default="", blank=True)
    suspicion = models.CharField(max_length=100, default="", db_default="", blank=True)
    reviewed_by = models.CharField(max_length=200, default="", db_default="", blank=True)
    version = models.PositiveIntegerField(default=1)
    captured_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        permissions = [("refund", "Can refund payments"), ("review", "Can release and refuse payments under review")]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    refunded_minor__gte=0,
                    captured_minor__gte=F("refunded_minor"),
                    amount_minor__gte=F("captured_minor"),
                ),
                name="payments_payment_balance",
            ),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="payments_payment_amount"),
            models.UniqueConstraint(fields=["idempotency_scope", "idempotency_key"], name="payments_payment_key"),
        ]
        indexes = [
            models.Index(fields=["status", "next_at"], name="payments_payment_due"),
            models.Index(fields=["created_at"], name="payments_payment_age"),
            models.Index(fields=["captured_at"], name="payments_payment_captured"),
            models.Index(fields=["customer_id", "created_at"], name="payments_payment_customer"),
        ]

    def __str__(self) -> str:
        return f"Payment {self.pk} for {self.order_id}"

    @property
    def is_under_review(self) -> bool:
        return self.status == PaymentStatus.PENDING and self.review == self.Review.WAITING

    @property
    def awaits_order(self) -> bool:
        """Staff has released what its order asked for; the order first reserves again what was free meanwhile."""
        released = self.is_orders and self.review == self.Review.RELEASED and self.attempts == 0
        return self.status == PaymentStatus.PENDING and released

    @property
    def is_orders(self) -> bool:
        """Its order asked for it, and asks again until it has the outcome."""
        return self.mode in self.ORDERS

    @property
    def is_held_back(self) -> bool:
        """The provider has not been asked, and must not be yet."""
        return self.is_under_review or self.awaits_order

    @classmethod
    def held_back(cls) -> Q:
        """``is_held_back``, for the PENDING rows of a query."""
        released = Q(mode__in=cls.ORDERS, review=cls.Review.RELEASED, attempts=0)
        return Q(review=cls.Review.WAITING) | released


class Refund(Asked):
    """A refund of a payment. Its amount counts in the payment's ``refunded_minor`` from the start, until it FAILED."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    amount_minor = models.BigIntegerField()
    reason = models.CharField(max_length=500, default="", blank=True)
    status = models.CharField(max_length=10, choices=[(status, status) for status in RefundStatus])
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payments_refund_amount"),
            models.UniqueConstraint(fields=["idempotency_scope", "idempotency_key"], name="payments_refund_key"),
        ]
        indexes = [
            models.Index(fields=["status", "next_at"], name="payments_refund_due"),
            models.Index(fields=["status", "updated_at"], name="payments_refund_ended"),
        ]

    def __str__(self) -> str:
        return f"Refund {self.pk} of payment {self.payment_id}"


class Totals(TotalsRow):
    """Payments by how they ended, and the money taken."""


class Trail(TrailRow):
    pass


class Erasure(ErasureRow):
    pass


class OutboxEvent(OutboxRow):
    pass


class InboxEvent(InboxRow):
    pass


class UsedServiceToken(UsedTokenRow):
    pass


class Idempotency(IdempotencyRecord):
    pass
