"""What inventory's endpoints accept. The ``…Out`` classes document what they answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from contexts.inventory.domain import past_instant
from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from contexts.inventory.services.stock import MAX_UNITS
from eci import text
from eci.clock import utcnow
from eci.http.exports import WholeList
from eci.http.fields import (
    MAX_ID,
    IdempotencyKeyField,
    IdField,
    OrderIdField,
    QuantityField,
    SkuField,
    StrictBooleanField,
    StrictIntegerField,
    TextField,
    WarehouseCodeField,
)
from eci.http.paging import IdsField, OrderingField, QueryBooleanField, QueryIntegerField, QuerySerializer, SkusField

MAX_LINES = 1_000
_STATUSES = [status.value for status in ReservationStatus]


class UnitsField(StrictIntegerField):
    """Units of stock: what can be received can be counted, moved and corrected too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": MAX_UNITS, **kwargs})


class ReceiptIn(serializers.Serializer[Any]):
    product_id = IdField()
    warehouse = WarehouseCodeField()
    onhand = UnitsField(help_text="Units that arrive.")
    reorder_point = UnitsField(required=False, min_value=0)
    reference = TextField(
        required=False, max_length=255, allow_blank=True, help_text="Such as the delivery note's: the ledger keeps it."
    )


class CountedAtField(serializers.DateTimeField):
    """When units were counted: the past."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)

    def to_internal_value(self, value: Any) -> datetime:
        moment = super().to_internal_value(value)
        if moment > utcnow():
            raise serializers.ValidationError("This is in the future.")
        return moment


class AsOfField(serializers.DateTimeField):
    """An instant that has passed, as ``domain.past_instant`` reads it."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return past_instant(str(value), now=utcnow())
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class CountIn(serializers.Serializer[Any]):
    onhand = UnitsField(required=False, min_value=0)
    expected_onhand = UnitsField(
        required=False, min_value=0, help_text="On hand as you know it: a 409 with the movements since if it differs."
    )
    counted_at = CountedAtField(
        required=False, help_text="When the units were counted: what has come and gone since is added to the count."
    )
    reorder_point = UnitsField(required=False, min_value=0)
    reason = TextField(max_length=200)
    force = StrictBooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "onhand" not in attrs and "reorder_point" not in attrs:
            raise serializers.ValidationError({"onhand": ["Give onhand, reorder_point or both."]})
        return attrs


def _refuse_force(data: Any) -> None:
    """A client that means it is told, and not ignored."""
    if isinstance(data, dict) and data.get("force", False) is not False:
        message = "Counts of many rows are never forced. Record this one with PATCH /v1/inventory/{inventory_id}."
        raise serializers.ValidationError({"force": [message]})


class CountLineIn(serializers.Serializer[Any]):
    """What was counted of one product in one warehouse."""

    product_id = IdField(required=False)
    sku = SkuField(required=False, help_text="In place of product_id.")
    warehouse = WarehouseCodeField()
    onhand = UnitsField(min_value=0, help_text="Units that were counted.")
    expected_onhand = UnitsField(
        required=False, min_value=0, help_text="On hand as you know it: refused if it differs."
    )
    counted_at = CountedAtField(required=False, help_text="As for one stock row; with `set` only.")

    def to_internal_value(self, data: Any) -> Any:
        _refuse_force(data)
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("product_id" in attrs) == ("sku" in attrs):
            raise serializers.ValidationError({"product_id": ["Give product_id or sku."]})
        return attrs


class CountsIn(serializers.Serializer[Any]):
    items = CountLineIn(many=True, allow_empty=False)
    reason = TextField(max_length=200)
    mode = serializers.ChoiceField(
        choices=["set", "add"], default="set", help_text="`set`: on hand becomes this. `add`: it grows by this."
    )
    partial = StrictBooleanField(  # type: ignore[assignment]  # DRF keeps fields apart from its own attributes
        default=False, help_text="Record what can be recorded, and tell what cannot."
    )

    def to_internal_value(self, data: Any) -> Any:
        lines = data.get("items") if isinstance(data, dict) else None
        if isinstance(lines, list) and len(lines) > MAX_LINES:  # told once, not once for each line
            raise serializers.ValidationError({"items": [f"Give at most {MAX_LINES} items."]})
        _refuse_force(data)
        if isinstance(data, dict) and "counted_at" in data:
            raise serializers.ValidationError({"counted_at": ["Give counted_at in each item."]})
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["mode"] == "add":
            message = "With mode add there is no counted_at: the units are added to what is there now."
            late = {str(i): {"counted_at": [message]} for i, item in enumerate(attrs["items"]) if "counted_at" in item}
            if late:
                raise serializers.ValidationError({"items": late})
        return attrs


class AdjustmentIn(serializers.Serializer[Any]):
    product_id = IdField()
    warehouse = WarehouseCodeField()
    delta = UnitsField(min_value=-MAX_UNITS)
    reason = TextField(max_length=200)

    def validate_delta(self, delta: int) -> int:
        if delta == 0:
            raise serializers.ValidationError("An adjustment must not be 0.")
        return delta


class TransferIn(serializers.Serializer[Any]):
    product_id = IdField()
    from_warehouse = WarehouseCodeField()
    to_warehouse = WarehouseCodeField()
    quantity = UnitsField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["from_warehouse"] == attrs["to_warehouse"]:
            raise serializers.ValidationError({"to_warehouse": ["A transfer needs two different warehouses."]})
        return attrs


class DemandLineIn(serializers.Serializer[Any]):
    product_id = IdField()
    quantity = QuantityField()


class ReservationIn(serializers.Serializer[Any]):
    """One product with ``product_id`` and ``quantity``, or several in ``items``."""

    product_id = IdField(required=False)
    quantity = QuantityField(required=False)
    items = DemandLineIn(many=True, required=False)
    warehouse = WarehouseCodeField(required=False)
    order_id = OrderIdField(required=False)
    idempotency_key = IdempotencyKeyField()
    reservation_minutes = StrictIntegerField(required=False, min_value=1, max_value=1440)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "items" in attrs:
            if "product_id" in attrs or "quantity" in attrs:
                raise serializers.ValidationError({"items": ["Give items, or product_id and quantity, not both."]})
            if not 1 <= len(attrs["items"]) <= MAX_LINES:
                raise serializers.ValidationError({"items": [f"Give 1 to {MAX_LINES} items."]})
            return attrs
        for name in ("product_id", "quantity"):
            if name not in attrs:
                raise serializers.ValidationError({name: ["This field is required."]})
        return attrs


class ReservationCommandIn(serializers.Serializer[Any]):
    """Names the reservation by its key, with the id of its order, or by its own id."""

    idempotency_key = IdempotencyKeyField(help_text="The key that the reservation was made with.")
    order_id = OrderIdField(required=False)
    reservation_id = IdField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "idempotency_key" not in attrs and "reservation_id" not in attrs:
            raise serializers.ValidationError({"idempotency_key": ["Name the reservation."]})
        return attrs


class AllocationCommandIn(ReservationCommandIn):
    """With a warehouse, only the allocations there."""

    warehouse = WarehouseCodeField(required=False)


class WarehouseIn(serializers.Serializer[Any]):
    code = WarehouseCodeField()
    name = TextField(max_length=text.WAREHOUSE_NAME)
    priority = StrictIntegerField(default=100, min_value=-1_000_000, max_value=1_000_000)
    address = TextField(default="", allow_blank=True, max_length=300)
    is_active = StrictBooleanField(default=True)


class IdQueryField(QueryIntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": MAX_ID, "required": False, **kwargs})


class StockRowListQuery(QuerySerializer):
    product_id = IdQueryField()
    warehouse = WarehouseCodeField(required=False)
    low_stock = QueryBooleanField(required=False)
    ordering = OrderingField("created_at")


class StockRowExportQuery(WholeList, StockRowListQuery):
    """The same filters, for all rows."""


class AvailabilityQuery(serializers.Serializer[Any]):
    product_ids = IdsField(required=False)
    skus = SkusField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"product_ids": ["Give product_ids or skus."]})
        return attrs


class AvailabilityAsOfQuery(serializers.Serializer[Any]):
    as_of = AsOfField(required=False, help_text="What was there at this instant, and not now.")


class StockAsOfListQuery(QuerySerializer):
    as_of = AsOfField()
    warehouse = WarehouseCodeField(required=False)


class StockAsOfExportQuery(serializers.Serializer[Any]):
    as_of = AsOfField()
    warehouse = WarehouseCodeField()


class ReservationListQuery(QuerySerializer):
    status = serializers.ChoiceField(choices=_STATUSES, required=False)
    order_id = OrderIdField(required=False)
    product_id = IdQueryField()
    warehouse = WarehouseCodeField(required=False)
    ordering = OrderingField("created_at")


class MovementListQuery(QuerySerializer):
    product_id = IdQueryField()
    warehouse = WarehouseCodeField(required=False)
    order_id = OrderIdField(required=False)
    reference = TextField(required=False, max_length=255, help_text="Such as a delivery note's.")


class MovementExportQuery(WholeList, MovementListQuery):
    """The same filters, for all rows."""


class WarehouseListQuery(QuerySerializer):
    ordering = OrderingField("created_at", "name")


class StockRowOut(serializers.Serializer[Any]):
    inventory_id = serializers.IntegerField()
    product_id = serializers.IntegerField()
    sku = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    warehouse = serializers.CharField()
    onhand = serializers.IntegerField()
    reserved = serializers.IntegerField()
    owed = serializers.IntegerField(help_text="Units that paid reservations lack: what comes in goes to them first.")
    available = serializers.IntegerField()
    reorder_point = serializers.IntegerField()
    updated_at = serializers.DateTimeField()


class CountOutcomeOut(serializers.Serializer[Any]):
    item = serializers.IntegerField(help_text="Its index in the request.")
    outcome = serializers.ChoiceField(choices=["counted", "same", "refused"])
    row = StockRowOut(allow_null=True)
    code = serializers.CharField(allow_null=True, help_text="Why it was refused.")
    error = serializers.CharField(allow_null=True)
    details = serializers.DictField(allow_null=True)


class CountsOut(serializers.Serializer[Any]):
    counted = serializers.IntegerField()
    same = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = CountOutcomeOut(many=True)


class TransferOut(serializers.Serializer[Any]):
    from_row = StockRowOut()
    to_row = StockRowOut()


class WarehouseAvailabilityOut(serializers.Serializer[Any]):
    warehouse = serializers.CharField()
    on_hand = serializers.IntegerField()
    reserved = serializers.IntegerField()
    available = serializers.IntegerField()


class AvailabilityOut(serializers.Serializer[Any]):
    product_id = serializers.IntegerField()
    total_available = serializers.IntegerField()
    total_on_hand = serializers.IntegerField()
    total_reserved = serializers.IntegerField()
    warehouses = WarehouseAvailabilityOut(many=True)


_KNOWN_FROM = "Since when holds keep their times, null: always. Before, only on hand is known, and the rest is null."


class WarehouseAvailabilityThenOut(WarehouseAvailabilityOut):
    reserved = serializers.IntegerField(allow_null=True)
    owed = serializers.IntegerField(allow_null=True)
    available = serializers.IntegerField(allow_null=True)


class AvailabilityThenOut(serializers.Serializer[Any]):
    """With ``as_of``."""

    product_id = serializers.IntegerField()
    as_of = serializers.DateTimeField()
    holds_known_from = serializers.DateTimeField(allow_null=True, help_text=_KNOWN_FROM)
    total_available = serializers.IntegerField(allow_null=True)
    total_on_hand = serializers.IntegerField()
    total_reserved = serializers.IntegerField(allow_null=True)
    total_owed = serializers.IntegerField(allow_null=True)
    warehouses = WarehouseAvailabilityThenOut(many=True)


class StockThenOut(serializers.Serializer[Any]):
    inventory_id = serializers.IntegerField()
    product_id = serializers.IntegerField()
    sku = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    warehouse = serializers.CharField()
    on_hand = serializers.IntegerField()
    reserved = serializers.IntegerField(allow_null=True)
    owed = serializers.IntegerField(allow_null=True)
    available = serializers.IntegerField(allow_null=True)


class AllocationOut(serializers.Serializer[Any]):
    product_id = serializers.IntegerField()
    warehouse = serializers.CharField()
    quantity = serializers.IntegerField()
    state = serializers.ChoiceField(choices=[state.value for state in AllocationState])


class ReservationOut(serializers.Serializer[Any]):
    reservation_id = serializers.IntegerField()
    order_id = serializers.CharField(allow_null=True)
    idempotency_key = serializers.CharField()
    status = serializers.ChoiceField(choices=_STATUSES)
    paying = serializers.BooleanField()
    needs_attention = serializers.BooleanField()
    why = serializers.CharField(help_text="Why it needs attention, or ended though nobody asked for it.")
    actor = serializers.CharField(help_text="Who changed it last.")
    warehouse = serializers.CharField(allow_null=True)
    choice = serializers.CharField()
    allocations = AllocationOut(many=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Null once the reservation is firm.")


class ReservationReleasedOut(ReservationOut):
    released_quantity = serializers.IntegerField()


class ReservationShippedOut(ReservationOut):
    shipped_quantity = serializers.IntegerField()


class ReservationStatisticsOut(serializers.Serializer[Any]):
    reservation_stats = serializers.DictField(child=serializers.IntegerField())
    expiring_in_1_hour = serializers.IntegerField()
    cleanup_active = serializers.BooleanField()
    last_cleanup_at = serializers.DateTimeField(allow_null=True)
    counted_at = serializers.DateTimeField(help_text="reservation_stats are as of then: in a large shop a minute ago.")


class HoldOut(serializers.Serializer[Any]):
    reservation_id = serializers.IntegerField()
    order_id = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField()
    state = serializers.ChoiceField(
        choices=[AllocationState.OPEN.value, AllocationState.SHORT.value], help_text="SHORT: the units are owed to it."
    )
    paying = serializers.BooleanField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="null: it does not expire.")
    why_here = serializers.CharField()


class MovementOut(serializers.Serializer[Any]):
    movement_id = serializers.IntegerField()
    product_id = serializers.IntegerField()
    warehouse = serializers.CharField()
    delta = serializers.IntegerField()
    on_hand = serializers.IntegerField()
    reason = serializers.CharField()
    order_id = serializers.CharField(allow_null=True)
    reference = serializers.CharField(
        allow_null=True, help_text="The delivery note of a receipt; the key of the reservation that was shipped."
    )
    actor = serializers.CharField()
    at = serializers.DateTimeField()


class ExplainedOut(serializers.Serializer[Any]):
    inventory_id = serializers.IntegerField()
    product_id = serializers.IntegerField()
    sku = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    warehouse = serializers.CharField()
    is_active = serializers.BooleanField(help_text="Whether the warehouse is.")
    on_hand = serializers.IntegerField()
    reserved = serializers.IntegerField()
    owed = serializers.IntegerField()
    owed_elsewhere = serializers.IntegerField(help_text="Units of the product that other warehouses owe.")
    available = serializers.IntegerField()
    holds = HoldOut(many=True, help_text="The oldest first, at most 100.")
    more_holds = serializers.IntegerField()
    last_movements = MovementOut(many=True)
    sentence = serializers.CharField()


class WarehouseOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()
    priority = serializers.IntegerField()
    address = serializers.CharField()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
