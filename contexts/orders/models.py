"""Orders, and where each stands in its workflow. This table is the queue of record: runners find here what is due."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus, ReturnStatus
from eci.calls.service_tokens import UsedTokenRow
from eci.erasure import ErasureRow
from eci.idempotency import IdempotencyRecord
from eci.outbox import InboxRow, OutboxRow
from eci.statements.rows import QuickModel
from eci.text import NAME
from eci.totals import TotalsRow
from eci.trail import TrailRow


class Step(models.TextChoices):
    """Where the workflow goes on. A step may be walked again from its beginning, for participants answer the same."""

    PLACE = "place", "reserve, take the money, ship at once or have shipments wait"
    AWAIT_PAYMENT = "await_payment", "wait for a charge until the deadline"
    CONFIRM = "confirm", "paid by a charge: confirm the hold, create shipments"
    FULFIL = "fulfil", "past the pivot: ship, follow the shipments"
    DONE = "done", "nothing more to do"


class Undo(models.TextChoices):
    """Why the order is being undone, or was."""

    NONE = "", "not undone"
    DECLINED = "declined", "the payment was declined"
    REFUSED = "refused", "a participant refused before the pivot"
    CANCELLED = "cancelled", "cancelled on request"
    EXPIRED = "expired", "not paid in time"
    STOCK_GONE = "stock_gone", "paid, but its stock was gone"


class Number(QuickModel):
    """Its primary key is the number of an order. The engine gives it, so that orders do not wait for each other."""

    def __str__(self) -> str:
        return str(self.pk)


class Order(QuickModel):
    """``next_at`` is when a runner should look at the order (null: nothing to do); the lease names the one that does.

    - ``number`` is the shop's own, for people; ``reference`` is what another system calls the order.
    - ``trace``: that of the request that placed it, for ``eci.watch.requests.continued``.
    - ``undo_actor``: who asked for it to be undone.
    - ``short``: shipments of it are withheld, because their units are not there.
    - ``buyer_erased``: a guest who has been erased; what says who it was is erased when the order ends.
    """

    order_id = models.CharField(max_length=64, primary_key=True)
    number = models.BigIntegerField(null=True, blank=True)
    reference = models.CharField(max_length=64, null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    customer_id = models.BigIntegerField(null=True, blank=True)
    email = models.CharField(max_length=254, blank=True, default="")
    status = models.CharField(max_length=20, choices=[(s.value, s.value) for s in OrderStatus])
    payment_status = models.CharField(max_length=20, choices=[(s.value, s.value) for s in OrderPaymentStatus])
    currency = models.CharField(max_length=3)
    subtotal_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    shipping_minor = models.BigIntegerField()
    total_minor = models.BigIntegerField()
    refunded_minor = models.BigIntegerField(default=0)
    returned_goods_minor = models.BigIntegerField(default=0)
    returned_tax_minor = models.BigIntegerField(default=0)
    shipping_address = models.JSONField(null=True, blank=True)
    fulfilment = models.CharField(max_length=10)
    pay_later = models.BooleanField(default=False)
    by_customer = models.BooleanField(default=False, db_default=False)
    method = models.CharField(max_length=40)
    token = models.CharField(max_length=100, blank=True, default="")
    expires_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    step = models.CharField(max_length=20, choices=Step.choices, default=Step.PLACE)
    undo = models.CharField(max_length=20, choices=Undo.choices, default=Undo.NONE, blank=True)
    undo_reason = models.CharField(max_length=300, blank=True, default="")
    undo_actor = models.CharField(max_length=200, blank=True, default="", db_default="")
    refusal = models.JSONField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=32, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    needs_attention = models.BooleanField(default=False)
    short = models.BooleanField(default=False, db_default=False)
    buyer_erased = models.BooleanField(default=False, db_default=False)
    version = models.PositiveIntegerField(default=1)

    idempotency_scope = models.CharField(max_length=250, null=True, blank=True)
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)
    idempotency_fingerprint = models.CharField(max_length=64, blank=True, default="")
    trace = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["idempotency_scope", "idempotency_key"], name="orders_order_key"),
            models.UniqueConstraint(fields=["number"], name="orders_order_number"),
            models.UniqueConstraint(fields=["reference"], name="orders_order_reference"),
            models.CheckConstraint(
                condition=Q(refunded_minor__gte=0) & Q(refunded_minor__lte=F("total_minor")),
                name="orders_refunded_within_total",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], name="orders_due"),
            models.Index(fields=["-created_at", "-order_id"], name="orders_newest"),
            models.Index(fields=["customer_id", "-created_at", "-order_id"], name="orders_customer_newest"),
            models.Index(fields=["status", "-created_at", "-order_id"], name="orders_status_newest"),
            models.Index(fields=["buyer_erased"], name="orders_buyer_erased"),
            models.Index(fields=["email", "order_id"], name="orders_of_guest"),
            models.Index(fields=["needs_attention", "-created_at", "-order_id"], name="orders_attention"),
        ]
        permissions = [
            ("cancel", "Can cancel orders"),
            ("return", "Can register, receive and refuse returns"),
            ("note", "Can write notes on orders"),
            ("repair", "Can do the safe action for what is stuck or at odds"),
        ]

    def __str__(self) -> str:
        return self.order_id


class OrderLine(QuickModel):
    """Name and price at the time of the order. ``catalog_price_minor`` is what the catalog asked then.

    ``returned_quantity`` are the units that came back, ``requested_quantity`` those whose return is asked for.
    """

    order = models.ForeignKey(Order, on_delete=models.DO_NOTHING, related_name="lines")
    line_no = models.PositiveIntegerField()
    product_id = models.BigIntegerField()
    sku = models.CharField(max_length=64)
    name = models.CharField(max_length=NAME)
    quantity = models.PositiveIntegerField()
    unit_price_minor = models.BigIntegerField()
    catalog_price_minor = models.BigIntegerField()
    returned_quantity = models.PositiveIntegerField(default=0)
    requested_quantity = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(returned_quantity__lte=F("quantity")), name="orders_returned_within_quantity"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gte=F("returned_quantity") + F("requested_quantity")),
                name="orders_requested_within_quantity",
            ),
        ]
        indexes = [models.Index(fields=["product_id", "order"], name="orders_line_product")]
        ordering = ["line_no"]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"


class TimelineEntry(QuickModel):
    """Something that happened to an order, for people to read. ``actor``: who did it; empty in rows of before that."""

    order = models.ForeignKey(Order, on_delete=models.DO_NOTHING, related_name="timeline")
    at = models.DateTimeField(db_default=Now())
    event = models.CharField(max_length=40)
    detail = models.CharField(max_length=300, blank=True, default="")
    actor = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        verbose_name_plural = "timeline"
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.event


class Note(models.Model):
    """What staff noted on an order. Notes are added, never changed; the text is erased with the order's buyer."""

    order = models.ForeignKey(Order, on_delete=models.DO_NOTHING, related_name="notes")
    text = models.CharField(max_length=1000, blank=True)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"note of {self.actor}"


class Return(models.Model):
    """Goods that come back. A customer asks for it, and staff answers; what staff records is received at once.

    - ``items``: [{product_id, quantity}] as asked. ``line_units``: those units as [[id of the line, units], …].
    - ``received``: [{product_id, quantity, disposition}], what came back; null in returns of before that.
    - ``refund_minor``: what is refunded for it. ``refund_fixed``: the provider may have been asked for that.
    - ``done_at``: stock and money have followed, or it was refused.
    - ``actor`` asked for it; ``answered_by`` received or refused it, the latter for ``refusal``.
    """

    order = models.ForeignKey(Order, on_delete=models.DO_NOTHING, related_name="returns")
    status = models.CharField(
        max_length=10,
        choices=[(s.value, s.value) for s in ReturnStatus],
        default=ReturnStatus.RECEIVED.value,
        db_default=ReturnStatus.RECEIVED.value,
    )
    items = models.JSONField()
    line_units = models.JSONField(null=True, blank=True)
    received = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=300)
    disposition = models.CharField(max_length=10)
    refund_minor = models.BigIntegerField()
    refund_fixed = models.BooleanField(default=False, db_default=False)
    refusal = models.CharField(max_length=300, blank=True, default="", db_default="")
    actor = models.CharField(max_length=200, blank=True, default="", db_default="")
    answered_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    next_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["next_at"], name="orders_return_due")]

    def __str__(self) -> str:
        return f"return {self.pk} of {self.order_id}"


class Switch(models.Model):
    """New orders were stopped, or are taken again. Append-only; the last row counts. Without rows orders are taken."""

    taking = models.BooleanField()
    reason = models.CharField(max_length=300, blank=True, default="")
    actor = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "switches"

    def __str__(self) -> str:
        return "taking orders" if self.taking else f"stopped: {self.reason}"


class SalesDay(models.Model):
    """What was sold on a day of UTC, in one currency: of the orders placed then that passed the pivot.

    ``cancelled`` of these were cancelled since, and ``refunded_minor`` was refunded. Derived from orders: it may be
    rolled up again at any time.
    """

    day = models.DateField()
    currency = models.CharField(max_length=3)
    orders = models.PositiveIntegerField()
    units = models.PositiveBigIntegerField()
    value_minor = models.BigIntegerField()
    cancelled = models.PositiveIntegerField()
    refunded_minor = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "currency"], name="orders_sales_day")]

    def __str__(self) -> str:
        return f"{self.day} in {self.currency}"


class StaleDay(models.Model):
    """A day that is not over, or an order of which an event told of, so that it has to be rolled up again."""

    day = models.DateField(primary_key=True)

    def __str__(self) -> str:
        return str(self.day)


class Totals(TotalsRow):
    """Orders by status, and what was sold."""


class Trail(TrailRow):
    pass


class Erasure(ErasureRow):
    """``email_digest``: of their mailbox, while what they ordered as a guest is to be found; null afterwards."""

    email_digest = models.CharField(max_length=64, null=True)

    class Meta:
        indexes = [models.Index(fields=["email_digest"], name="orders_guests_sought")]


class OutboxEvent(OutboxRow):
    pass


class InboxEvent(InboxRow):
    pass


class UsedServiceToken(UsedTokenRow):
    pass


class Idempotency(IdempotencyRecord):
    class Meta(IdempotencyRecord.Meta):
        verbose_name_plural = "idempotency"
