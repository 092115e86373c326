"""Stock, reservations and the ledger.

Three sums hold at any moment: ``Stock.on_hand`` is the sum of the row's movements, ``Stock.reserved`` that of its open
allocations, ``Stock.owed`` that of its short ones. A writer locks the stock rows concerned, in the order of their keys,
before it changes any of them (``services``).
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from eci.calls.service_tokens import UsedTokenRow
from eci.idempotency import IdempotencyRecord
from eci.imports.rows import ImportLineRow, ImportPieceRow, ImportRow
from eci.outbox import InboxRow, OutboxRow
from eci.statements.rows import QuickModel
from eci.totals import TotalsRow
from eci.trail import TrailRow


class Warehouse(models.Model):
    code = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=255)
    priority = models.IntegerField(default=100, help_text="The lowest number is asked first.")
    address = models.CharField(max_length=300, blank=True, default="")
    is_active = models.BooleanField(default=True, help_text="Only active warehouses are allocated from.")
    created_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1, db_default=1)

    def __str__(self) -> str:
        return self.code


class Stock(models.Model):
    """A stock row: one product in one warehouse.

    ``owed`` are the units that paid reservations were promised and a stock count did not find. Units that come in go to
    them first, in whatever warehouse: what can be sold is on hand less ``reserved``, less what is owed of the product.

    ``runs_low`` is kept by the database: without what is owed and what has expired, fewer units are there than the
    reorder point. It finds the rows to look at; few others can be low.
    """

    product_id = models.BigIntegerField()
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, db_index=False)  # an index begins with it
    on_hand = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    owed = models.BigIntegerField(default=0, db_default=0)
    reorder_point = models.PositiveIntegerField(default=10)
    runs_low = models.GeneratedField(
        expression=Q(on_hand__lt=F("reserved") + F("reorder_point")),  # type: ignore[arg-type] # the stubs forget Q
        output_field=models.BooleanField(),
        db_persist=True,
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        verbose_name_plural = "stock"
        constraints = [
            models.UniqueConstraint(fields=["product_id", "warehouse"], name="inventory_stock_place"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="inventory_reserved_not_negative"),
            models.CheckConstraint(condition=Q(reserved__lte=F("on_hand")), name="inventory_reserved_within_on_hand"),
            models.CheckConstraint(condition=Q(owed__gte=0), name="inventory_owed_not_negative"),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="inventory_stock_newest"),
            models.Index(fields=["warehouse", "-created_at", "-id"], name="inventory_stock_warehouse"),
            models.Index(fields=["-created_at", "-id"], condition=Q(runs_low=True), name="inventory_stock_low"),
            models.Index(fields=["product_id"], condition=Q(owed__gt=0), name="inventory_stock_owing"),
        ]

    def __str__(self) -> str:
        return f"product {self.product_id} in {self.warehouse_id}"


class MovementKind(models.TextChoices):
    """Why on hand changed. In all but a count, units came or went; a count corrects what was written of them."""

    UNKNOWN = "", "written by an earlier version"
    RECEIPT = "receipt", "units arrived"
    SHIPMENT = "shipment", "units left with a shipment"
    RETURN = "return", "units came back, and may have been written off"
    TRANSFER = "transfer", "units went to another warehouse"
    ADJUSTMENT = "adjustment", "staff added or took units"
    COUNT = "count", "units were counted"


class Movement(QuickModel):
    """One line of the ledger, which is append-only. ``delta`` is added to on hand; ``on_hand`` is the result."""

    product_id = models.BigIntegerField()
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, db_index=False)  # an index begins with it
    delta = models.BigIntegerField()
    on_hand = models.BigIntegerField()
    kind = models.CharField(
        max_length=10, choices=MovementKind.choices, blank=True, default=MovementKind.UNKNOWN.value, db_default=""
    )
    reason = models.CharField(max_length=200)
    order_id = models.CharField(max_length=64, blank=True, default="")
    reference = models.CharField(max_length=255, blank=True, default="")
    actor = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["product_id", "warehouse", "at", "id"], name="inventory_movement_then"),
            models.Index(fields=["order_id"], name="inventory_movement_order"),
            models.Index(
                fields=["reference", "product_id"], condition=Q(reference__gt=""), name="inventory_movement_note"
            ),
            models.Index(
                Lower("reference"),
                F("product_id"),
                condition=Q(kind="receipt", reference__gt=""),
                name="inventory_movement_received",
            ),
            models.Index(fields=["kind", "-at", "-id"], condition=~Q(kind="shipment"), name="inventory_movement_kind"),
            models.Index(fields=["-at", "-id"], name="inventory_movement_newest"),
            models.Index(fields=["warehouse", "-at", "-id"], name="inventory_movement_warehouse"),
        ]

    def __str__(self) -> str:
        return f"{self.change} of product {self.product_id} in {self.warehouse_id}"

    @property
    def change(self) -> str:
        """``+3`` or ``-2``."""
        return f"{self.delta:+d}"


class LedgerLink(QuickModel):
    """A movement as it was sealed (``services/sealing.py``), numbered from 1 without a gap.

    ``digest`` covers the movement, and the link before it of the same product and warehouse; ``verify_ledger.py`` says
    how. ``erased``: once the movement's text was erased, what its salted digest was.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    movement = models.OneToOneField(  # null, so that a movement that is gone still has its link in a join
        Movement, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="link"
    )
    product_id = models.BigIntegerField()
    warehouse = models.CharField(max_length=64)
    salt = models.CharField(max_length=32)
    erased = models.CharField(max_length=64, blank=True, default="")
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"link {self.number} of movement {self.movement_id}"


class LedgerHead(models.Model):
    """The last link of a product in a warehouse, on which the next one is built."""

    product_id = models.BigIntegerField()
    warehouse = models.CharField(max_length=64)
    link = models.ForeignKey(LedgerLink, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product_id", "warehouse"], name="inventory_ledger_head")]

    def __str__(self) -> str:
        return f"product {self.product_id} in {self.warehouse}"


class LedgerCheckpoint(models.Model):
    """Signs that there were so many ``links``, and their running ``digest``. ``upto``: no movement that was sealed by
    then has a higher id."""

    number = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField()
    links = models.PositiveBigIntegerField()
    upto = models.BigIntegerField()
    digest = models.CharField(max_length=64, blank=True)
    signature = models.CharField(max_length=160)

    def __str__(self) -> str:
        return f"checkpoint {self.number}"


class LedgerCheck(models.Model):
    """A verification of the whole ledger. ``findings``: the first of ``found``, each a subject and a problem."""

    at = models.DateTimeField(db_index=True)
    milliseconds = models.PositiveIntegerField()
    verified = models.CharField(max_length=200)
    found = models.PositiveIntegerField()
    findings = models.JSONField()

    def __str__(self) -> str:
        return f"{self.found} findings at {self.at}"


class Reservation(QuickModel):
    """Units kept for an order. ``key`` is the caller's name for it; a repeated request with the same key has the same
    ``fingerprint``. ``why`` says why it needs attention, or ended though nobody asked for that; ``actor`` changed it
    last. ``asked_warehouse``: its units are to come from there and from nowhere else."""

    # Not unique=True and db_index=True: of texts, these make PostgreSQL keep a second index that nobody reads.
    key = models.CharField(max_length=255)
    order_id = models.CharField(max_length=64, blank=True, default="")
    fingerprint = models.CharField(max_length=64)
    status = models.CharField(
        max_length=10, choices=[(s.value, s.value) for s in ReservationStatus], default=ReservationStatus.RESERVED
    )
    paying = models.BooleanField(default=False)
    paying_since = models.DateTimeField(null=True, blank=True)
    needs_attention = models.BooleanField(default=False)
    choice = models.CharField(max_length=100, blank=True, default="")
    why = models.CharField(max_length=200, blank=True, default="", db_default="")
    actor = models.CharField(max_length=200, blank=True, default="", db_default="")
    asked_warehouse = models.CharField(max_length=64, blank=True, default="", db_default="")
    expires_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key"], name="inventory_reservation_key")]
        indexes = [
            models.Index(fields=["order_id"], name="inventory_reservation_order"),
            models.Index(fields=["status", "expires_at"], name="inventory_reservation_due"),
            models.Index(fields=["-created_at", "-id"], name="inventory_reservation_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="inventory_reservation_status"),
        ]

    def __str__(self) -> str:
        return self.key


class Allocation(QuickModel):
    """One stock row's part of a reservation. It stops counting at ``lapses_at``: null once firm, paying or closed.

    ``moved_from``: how many of its units came from which other warehouses, while the order's shipments do not know.

    It has been what it is ``since``; what it was before is in ``PastHold``. Once closed, it was OPEN ``until`` then, so
    for less than ``domain.SPAN ** lasted`` seconds. ``lasted`` is null in what an earlier version closed.
    """

    # The other indexes begin with these keys.
    reservation = models.ForeignKey(Reservation, on_delete=models.CASCADE, related_name="allocations", db_index=False)
    stock = models.ForeignKey(Stock, on_delete=models.PROTECT, related_name="allocations", db_index=False)
    quantity = models.PositiveIntegerField()
    state = models.CharField(
        max_length=10, choices=[(s.value, s.value) for s in AllocationState], default=AllocationState.OPEN
    )
    lapses_at = models.DateTimeField(null=True, blank=True)
    moved_from = models.JSONField(null=True, blank=True)
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)
    lasted = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reservation", "stock"], name="inventory_allocation_once")]
        indexes = [
            models.Index(fields=["stock", "lapses_at"], name="inventory_allocation_lapse"),
            models.Index(fields=["stock"], condition=Q(until__isnull=True), name="inventory_allocation_holding"),
            models.Index(
                fields=["lasted", "until", "stock"],
                condition=Q(lasted__isnull=False),
                name="inventory_allocation_then",
            ),
        ]

    @property
    def product_id(self) -> int:
        return self.stock.product_id

    @property
    def warehouse_id(self) -> str:
        return self.stock.warehouse_id

    def __str__(self) -> str:
        return f"{self.quantity} of stock {self.stock_id}"


class PastHold(models.Model):
    """What an allocation was, OPEN or SHORT, ``since`` one instant ``until`` another, before it became something else
    than closed: shorter, larger, in another row, owed, held again."""

    stock = models.ForeignKey(Stock, on_delete=models.PROTECT, db_index=False)
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in AllocationState])
    quantity = models.PositiveIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["stock", "until"], name="inventory_past_hold_then")]

    def __str__(self) -> str:
        return f"{self.quantity} of stock {self.stock_id}, {self.state} until {self.until}"


class WarehouseChange(models.Model):
    """A warehouse became active, or stopped being so."""

    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT)
    is_active = models.BooleanField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.warehouse_id} {'opened' if self.is_active else 'closed'}"


class HistoryStart(models.Model):
    """One row, in a database that is older than the history of holds: what is known of them begins ``at`` then."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.at)


class Restocking(models.Model):
    """The reference of a return whose units are back: a repeated command finds it and adds nothing."""

    reference = models.CharField(max_length=100, primary_key=True)
    order_id = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.reference


class Sweep(models.Model):
    """One row: when the sweeper last ran."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.at)


class Totals(TotalsRow):
    """Reservations by status."""


class StockDay(models.Model):
    """What the units on hand of all warehouses cost, by the catalog's prices of then, in one currency. Of today it is
    written again every hour, so a day's row is as of its end."""

    day = models.DateField()
    currency = models.CharField(max_length=3)
    units = models.PositiveBigIntegerField()
    value_minor = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "currency"], name="inventory_stock_day")]

    def __str__(self) -> str:
        return f"{self.day} in {self.currency}"


class Trail(TrailRow):
    """Staff's writes to warehouses, stock and reservations."""


class OutboxEvent(OutboxRow):
    """An event of inventory for one consumer."""


class InboxEvent(InboxRow):
    """An event that inventory has handled."""


class UsedServiceToken(UsedTokenRow):
    """A service token that inventory has accepted."""


class Idempotency(IdempotencyRecord):
    """The remembered answer to one idempotency key."""

    class Meta(IdempotencyRecord.Meta):
        verbose_name_plural = "idempotency"


class Import(ImportRow):
    """Imports of stock counts and receipts."""


class ImportLine(ImportLineRow):
    """Their lines."""


class ImportPiece(ImportPieceRow):
    """Their files, in pieces."""
