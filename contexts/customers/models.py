from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from eci.idempotency import IdempotencyRecord
from eci.outbox import InboxRow, OutboxRow


class Customer(models.Model):
    """A person who buys. ``email`` is as given, ``email_key`` what makes it unique; ``password`` is a hash."""

    email = models.EmailField(max_length=254)
    email_key = models.CharField(max_length=254)
    full_name = models.CharField(max_length=200)
    phone = models.CharField(max_length=20, blank=True, default="")
    password = models.CharField(max_length=128)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email_key"], name="customers_customer_email")]
        indexes = [models.Index(fields=["created_at"], name="customers_customer_age")]

    def __str__(self) -> str:
        return f"customer {self.pk}"


class Address(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="addresses")
    full_name = models.CharField(max_length=200, blank=True, default="")
    line1 = models.CharField(max_length=200)
    line2 = models.CharField(max_length=200, blank=True, default="")
    city = models.CharField(max_length=100)
    region = models.CharField(max_length=100, blank=True, default="")
    postal_code = models.CharField(max_length=20, blank=True, default="")
    country = models.CharField(max_length=60)
    phone = models.CharField(max_length=20, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "addresses"

    def __str__(self) -> str:
        return f"address {self.pk} of customer {self.customer_id}"


class Idempotency(IdempotencyRecord):
    class Meta(IdempotencyRecord.Meta):
        pass


class OutboxEvent(OutboxRow):
    class Meta(OutboxRow.Meta):
        pass


class InboxEvent(InboxRow):
    class Meta(InboxRow.Meta):
        pass
