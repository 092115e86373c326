"""Customers' tables."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from contexts.customers.domain import NAME_KEY, customer_account, staff_account
from eci import text
from eci.calls.service_tokens import UsedTokenRow
from eci.idempotency import IdempotencyRecord
from eci.imports.rows import ImportLineRow, ImportPieceRow, ImportRow
from eci.outbox import InboxRow, OutboxRow
from eci.trail import TrailRow


class Customer(models.Model):
    """A person who buys. ``email`` is what mail goes to; ``email_key`` makes it unique; ``password`` is a hash.

    ``new_email`` becomes ``email`` once the link that was mailed to it is followed.
    ``name_key`` is what staff search by, for every engine alike.
    """

    email = models.EmailField(max_length=text.EMAIL)
    email_key = models.CharField(max_length=254)
    new_email = models.EmailField(max_length=text.EMAIL, blank=True, default="", db_default="")
    full_name = models.CharField(max_length=text.NAME)
    name_key = models.CharField(max_length=NAME_KEY, blank=True, default="", db_default="")
    phone = models.CharField(max_length=text.PHONE, blank=True, default="")
    metadata = models.JSONField(null=True, blank=True)
    password = models.CharField(max_length=128)
    password_version = models.PositiveIntegerField(default=1, db_default=1)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    blocked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    erased_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, db_default=1)  # raised by every change that people can see

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email_key"], name="customers_customer_email")]
        indexes = [models.Index(fields=["created_at"], name="customers_customer_age")]

    def __str__(self) -> str:
        return f"customer {self.pk}"


class Address(models.Model):
    """Where a customer wants things sent."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="addresses")
    full_name = models.CharField(max_length=text.NAME, blank=True, default="")
    line1 = models.CharField(max_length=200)
    line2 = models.CharField(max_length=200, blank=True, default="")
    city = models.CharField(max_length=100)
    region = models.CharField(max_length=100, blank=True, default="")
    postal_code = models.CharField(max_length=20, blank=True, default="")
    country = models.CharField(max_length=60)
    phone = models.CharField(max_length=text.PHONE, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "addresses"

    def __str__(self) -> str:
        return f"address {self.pk} of customer {self.customer_id}"


class TokenFamily(models.Model):
    """One login of a customer or a member of staff, and every refresh token that stems from it.

    ``staff_stamp`` is made of the password, among others. When that changes, the stamp does, and the family is void.
    """

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, null=True, related_name="families")
    staff_id = models.BigIntegerField(null=True)
    staff_stamp = models.CharField(max_length=64, default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "token families"
        indexes = [models.Index(fields=["expires_at"], name="customers_family_end")]

    @property
    def account(self) -> str:
        """``customer:5`` or ``staff:3``."""
        return staff_account(self.staff_id) if self.customer_id is None else customer_account(self.customer_id)


class RefreshToken(models.Model):
    """One link of a family's chain. Only digests are kept, so that nobody can log in with a stolen database.

    ``used_key`` is the digest of the Idempotency-Key that the token was used with; ``successor`` that of the token it
    was exchanged for. Both are needed to give the answer again to a client that lost it.
    """

    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True)
    used_key = models.CharField(max_length=64, default="", blank=True)
    successor = models.CharField(max_length=64, default="", blank=True)


class MailRequest(models.Model):
    """A mail with a secret that somebody asked for. The secret is made when the mail is sent, and kept as a digest.

    ``email_key`` may be nobody's: requests are recorded without a look-up, so that they reveal no account. Only one to
    move an account to another address has its ``customer``, the address ``moves_from``, and the login that asked.
    """

    class Purpose(models.TextChoices):
        PASSWORD_RESET = "password_reset"  # noqa: S105
        EMAIL_VERIFICATION = "email_verification"
        EMAIL_CHANGE = "email_change"

    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    email_key = models.CharField(max_length=254, db_index=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, null=True, related_name="moves")
    moves_from = models.EmailField(max_length=text.EMAIL, blank=True, default="", db_default="")
    asked_in = models.BigIntegerField(null=True)
    digest = models.CharField(max_length=64, null=True, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)


class Trail(TrailRow):
    """Staff's writes to customers."""


class Idempotency(IdempotencyRecord):
    """Customers' answers, by idempotency key."""


class OutboxEvent(OutboxRow):
    """Customers' events on their way to other contexts."""


class InboxEvent(InboxRow):
    """Events of other contexts that customers has handled."""


class UsedServiceToken(UsedTokenRow):
    """Service tokens that customers has accepted, so that none is accepted twice."""


class Import(ImportRow):
    """Imports of customers."""


class ImportLine(ImportLineRow):
    """Their lines, which tell of people: erasing one erases theirs."""


class ImportPiece(ImportPieceRow):
    """Their files, in pieces."""
