"""Catalog's tables."""

from __future__ import annotations

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q
from django.db.models.functions import Now

from contexts.catalog.domain import CATEGORY_KEY, NAME_KEY
from contexts.catalog.words import LONGEST
from eci import text
from eci.calls.service_tokens import UsedTokenRow
from eci.idempotency import IdempotencyRecord
from eci.imports.rows import ImportLineRow, ImportPieceRow, ImportRow
from eci.outbox import InboxRow, OutboxRow
from eci.statements.rows import QuickModel
from eci.trail import TrailRow


class TermsField(models.TextField):  # type: ignore[type-arg]
    """A product's terms (``words``): a tsvector on PostgreSQL, elsewhere a text. Never read, only searched."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "tsvector" if connection.vendor == "postgresql" else super().db_type(connection)


class Product(QuickModel):
    """Something that the shop sells. Orders refer to it, so it is deactivated and never deleted.

    Services derive the last six columns from the others. Every engine then compares alike, and with an index.
    """

    sku = models.CharField("SKU", max_length=text.SKU)
    name = models.CharField(max_length=text.NAME)
    description = models.TextField(max_length=text.DESCRIPTION, blank=True, default="")
    category = models.CharField(max_length=text.CATEGORY, blank=True, default="")
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    is_active = models.BooleanField(default=True)
    barcode = models.CharField(max_length=text.BARCODE, null=True, blank=True)  # null, so that several have none
    metadata = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1, db_default=1)  # raised by every change that people can see

    name_key = models.CharField(max_length=NAME_KEY)
    category_key = models.CharField(max_length=CATEGORY_KEY)
    search_text = models.TextField()
    price_thousandths = models.BigIntegerField()
    plain_name = models.TextField(default="", db_default="")
    terms = TermsField(default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sku"], name="catalog_product_sku"),
            models.UniqueConstraint(fields=["barcode"], name="catalog_product_barcode"),
            models.CheckConstraint(condition=Q(price_minor__gte=0), name="catalog_product_price"),
        ]
        indexes = [
            models.Index(fields=["created_at"], name="catalog_product_age"),
            models.Index(fields=["category_key", "created_at"], name="catalog_product_category"),
            models.Index(fields=["name_key"], name="catalog_product_name"),
            models.Index(fields=["price_thousandths"], name="catalog_product_by_price"),
            models.Index(fields=["category_key", "price_thousandths"], name="catalog_product_category_price"),
            models.Index(fields=["category_key", "is_active", "category"], name="catalog_product_categories"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.name}"


class Word(QuickModel):
    """A word of names and categories, of which a part may be looked for in names. ``head`` and ``tail``: what another
    that is typed by mistake may have in common with it; empty where no mistake is thought of."""

    word = models.CharField(max_length=LONGEST, primary_key=True)
    head = models.CharField(max_length=2)
    tail = models.CharField(max_length=2)
    length = models.PositiveSmallIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["head", "length"], name="catalog_word_head"),
            models.Index(fields=["tail", "length"], name="catalog_word_tail"),
            models.Index(fields=["length"], name="catalog_word_length"),
        ]

    def __str__(self) -> str:
        return self.word


class CategoryCount(QuickModel):
    """So many products more, or fewer, that spell their category so (``category_counts``, which makes the table)."""

    category_key = models.CharField(max_length=CATEGORY_KEY)
    category = models.CharField(max_length=text.CATEGORY)
    is_active = models.BooleanField()
    products = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "catalog_categorycount"
        indexes = [models.Index(fields=["category_key", "is_active", "category"], name="catalog_categorycount_kind")]

    def __str__(self) -> str:
        return f"{self.category}: {self.products}"


class PriceChange(QuickModel):
    """One price that a product was given, append-only. The first row of a product has no old price."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="price_changes")
    old_price_minor = models.BigIntegerField(null=True)
    old_currency = models.CharField(max_length=3, blank=True, default="")
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(price_minor__gte=0), name="catalog_pricechange_price")]
        indexes = [
            models.Index(fields=["at"], name="catalog_pricechange_age"),
            models.Index(fields=["product", "at"], name="catalog_pricechange_history"),
        ]

    def __str__(self) -> str:
        return f"product {self.product_id}"


class BulkChange(models.Model):
    """What a member of staff changed of several products at once, to be taken back.

    - ``lines``: [[SKU, {field: [old, new]}], …], as they are shown.
    - ``kept``: once it is undone, the SKUs that stayed as they were, because somebody had changed them since.
    """

    what = models.CharField(max_length=200)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())
    lines = models.JSONField()
    kept = models.JSONField(default=list)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=200, blank=True, default="")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        indexes = [models.Index(fields=["at"], name="catalog_bulk_age")]

    def __str__(self) -> str:
        return self.what


class Trail(TrailRow):
    """Staff's writes to products."""


class Idempotency(IdempotencyRecord):
    """Catalog's answers, by idempotency key."""


class OutboxEvent(OutboxRow):
    """Catalog's events on their way to other contexts."""


class InboxEvent(InboxRow):
    """Events of other contexts that catalog has handled."""


class UsedServiceToken(UsedTokenRow):
    """Service tokens that catalog has accepted, so that none is accepted twice."""


class Import(ImportRow):
    """Imports of products and prices."""


class ImportLine(ImportLineRow):
    """Their lines."""


class ImportPiece(ImportPieceRow):
    """Their files, in pieces."""
