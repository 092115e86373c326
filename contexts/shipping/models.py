"""Shipping's tables and their constraints."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from contexts.shipping import domain
from contexts.shipping.public.contracts import ShipmentStatus
from eci.calls.service_tokens import UsedTokenRow
from eci.erasure import ErasureRow
from eci.idempotency import IdempotencyRecord
from eci.outbox import InboxRow, OutboxRow
from eci.statements.rows import QuickModel
from eci.trail import TrailRow


def _values(statuses: Iterable[ShipmentStatus]) -> list[str]:
    return sorted(status.value for status in statuses)


class Consignment(QuickModel):
    """An order of ours, as shipping knows it: it will have shipments, or, once ``cancelled``, it never will.

    The order's first ``create`` and a ``cancel`` that finds nothing both insert this row, so only one of them succeeds.
    For an order that waits for its payment, ``expect`` inserts it earlier.
    """

    order_id = models.CharField(max_length=64, primary_key=True)
    cancelled = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())


class Shipment(QuickModel):
    """What leaves one warehouse for one order. ``warehouse`` is null for another system's order; the unique constraint
    lets such an order have several shipments.

    - ``customer_id``: the customer who may see it; null for guests, and for another system's order.
    - ``ship_to``: the fields of ``ShipTo``; null where ``address`` and ``city`` are all that is known.
    - ``buyer_erased``: a guest who has been erased; the address is erased when it no longer waits.
    - ``short``, ``refunded``: it is withheld for this reason (``Withheld``).
    """

    order_id = models.CharField(max_length=64)
    customer_id = models.BigIntegerField(null=True)
    warehouse = models.CharField(max_length=64, null=True)
    carrier = models.CharField(max_length=64, default=domain.STANDARD_CARRIER)
    tracking_no = models.CharField(max_length=64, unique=True)
    address = models.TextField(default="", blank=True)
    city = models.CharField(max_length=200, default="", blank=True)
    ship_to = models.JSONField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in ShipmentStatus])
    short = models.BooleanField(default=False, db_default=False)
    refunded = models.BooleanField(default=False, db_default=False)
    buyer_erased = models.BooleanField(default=False, db_default=False)
    version = models.PositiveIntegerField(default=1)
    dispatched_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order_id", "warehouse"], name="shipping_one_per_warehouse"),
            models.CheckConstraint(
                condition=Q(status__in=_values(domain.NEVER_LEFT), dispatched_at__isnull=True)
                | Q(status__in=_values(domain.LEFT), dispatched_at__isnull=False),
                name="shipping_dispatched_when_left",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="shipping_shipment_newest"),
            models.Index(fields=["status", "created_at"], name="shipping_shipment_status"),
            models.Index(fields=["status", "warehouse", "short", "refunded", "id"], name="shipping_to_pack"),
            models.Index(fields=["customer_id", "created_at"], name="shipping_shipment_customer"),
            models.Index(fields=["buyer_erased"], name="shipping_buyer_erased"),
        ]

    def __str__(self) -> str:
        return self.tracking_no


class ShipmentEvent(QuickModel):
    """One change of a shipment, with the status that it has since. Rows are only ever added."""

    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, related_name="events")
    status = models.CharField(max_length=20)
    location = models.CharField(max_length=200, default="", blank=True)
    note = models.CharField(max_length=1000, default="", blank=True)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.status


class Erasure(ErasureRow):
    pass


class OutboxEvent(OutboxRow):
    pass


class InboxEvent(InboxRow):
    pass


class UsedServiceToken(UsedTokenRow):
    pass


class Trail(TrailRow):
    """What staff did to shipments."""


class Idempotency(IdempotencyRecord):
    pass
