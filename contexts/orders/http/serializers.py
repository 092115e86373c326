"""What orders' endpoints accept; the ``…Out`` classes only document what they answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus, ReturnStatus
from eci.http.cards import CardlessTextField, CardlessWordField
from eci.http.exports import WholeList
from eci.http.fields import (
    MAX_ID,
    AddressField,
    AmountField,
    EmailField,
    IdempotencyKeyField,
    IdField,
    MetadataField,
    OrderIdField,
    QuantityField,
    QuickSerializer,
    StrictBooleanField,
    TextField,
)
from eci.http.paging import OrderingField, QueryIntegerField, QuerySerializer

MAX_LINES = 1_000
DISPOSITIONS = ["resell", "damaged", "lost"]


class LineIn(QuickSerializer):
    product_id = IdField()
    quantity = QuantityField()
    price = AmountField(required=False, help_text="What the buyer saw; refused if the catalog's price differs.")
    unit_price = AmountField(required=False, help_text="What is to be charged instead of the catalog's price (staff).")


class PaymentMeansIn(serializers.Serializer[Any]):
    method = CardlessWordField(default="credit_card")
    token = CardlessTextField(default="", allow_blank=True, max_length=100)


class ReferenceField(OrderIdField):
    default_error_messages = {"invalid": "A reference is a string of 1 to 64 printable characters, or an integer."}


class OrderIn(QuickSerializer):
    customer_id = IdField(required=False, allow_null=True)
    email = EmailField(required=False, help_text="A guest's address (staff).")
    items = LineIn(many=True, allow_empty=False)
    shipping_address = AddressField(limit=500, required=False)
    payment = PaymentMeansIn(required=False)
    pay_later = StrictBooleanField(default=False)
    fulfilment = serializers.ChoiceField(choices=["automatic", "warehouse"], required=False)
    reference = ReferenceField(required=False, help_text="What another system calls the order; unique (staff).")
    metadata = MetadataField(required=False, help_text="Ids in other systems (staff).")
    idempotency_key = IdempotencyKeyField()

    def run_validation(self, data: Any = empty) -> Any:
        lines = data.get("items") if isinstance(data, dict) else None
        if isinstance(lines, list) and len(lines) > MAX_LINES:  # told once, not once for each line
            raise serializers.ValidationError({"items": [f"An order has at most {MAX_LINES} lines."]})
        return super().run_validation(data)


class OrderChangesIn(serializers.Serializer[Any]):
    metadata = MetadataField(help_text="Merged into what is kept; null removes a name.")


class CancelIn(serializers.Serializer[Any]):
    reason = TextField(required=False, allow_blank=True, default="", max_length=300)


class ReturnLineIn(serializers.Serializer[Any]):
    product_id = IdField()
    quantity = QuantityField()


class ReturnIn(serializers.Serializer[Any]):
    items = ReturnLineIn(many=True, allow_empty=False)
    reason = TextField(max_length=300)
    disposition = serializers.ChoiceField(
        choices=DISPOSITIONS, required=False, help_text="What becomes of the goods (staff): `resell`."
    )
    idempotency_key = IdempotencyKeyField()


class ReceivedLineIn(ReturnLineIn):
    disposition = serializers.ChoiceField(
        choices=DISPOSITIONS, default="resell", help_text="What becomes of these units."
    )


class ReceiveIn(serializers.Serializer[Any]):
    items = ReceivedLineIn(
        many=True, allow_empty=False, required=False, help_text="What really came back; all of it, if not given."
    )
    idempotency_key = IdempotencyKeyField()


class RefuseIn(serializers.Serializer[Any]):
    reason = TextField(max_length=300, help_text="The customer is told this.")
    idempotency_key = IdempotencyKeyField()


def units_by_product(items: list[dict[str, int]]) -> dict[int, int]:
    """The same product on two lines is one demand."""
    units: dict[int, int] = {}
    for line in items:
        units[line["product_id"]] = units.get(line["product_id"], 0) + line["quantity"]
    return units


class OrderListQuery(QuerySerializer):
    FILTERS = ("customer_id", "number", "reference", "status", "created_after", "created_before")

    customer_id = QueryIntegerField(required=False, min_value=1, max_value=MAX_ID)
    number = QueryIntegerField(required=False, min_value=1, max_value=MAX_ID)
    reference = ReferenceField(required=False)
    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus], required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    ordering = OrderingField("created_at")


class OrderExportQuery(WholeList, OrderListQuery):
    """The same filters, for all rows."""


class OrderLineOut(serializers.Serializer[Any]):
    product_id = serializers.IntegerField()
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price = serializers.CharField()
    line_total = serializers.CharField()


class PlacedLineOut(OrderLineOut):
    returned_quantity = serializers.IntegerField()


class TimelineOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    event = serializers.CharField()
    detail = serializers.CharField()
    actor = serializers.CharField()


class TotalsOut(serializers.Serializer[Any]):
    currency = serializers.CharField()
    subtotal = serializers.CharField()
    tax_amount = serializers.CharField()
    shipping_amount = serializers.CharField()
    order_total = serializers.CharField()


class QuoteOut(TotalsOut):
    items = OrderLineOut(many=True)


@extend_schema_field({"type": ["string", "object", "null"]})
class AddressOut(serializers.Field[Any, Any, Any, Any]):
    """As it was given, or null."""


class ReturnedLineOut(serializers.Serializer[Any]):
    product_id = serializers.IntegerField()
    quantity = serializers.IntegerField()


class ReceivedLineOut(ReturnedLineOut):
    disposition = serializers.ChoiceField(choices=DISPOSITIONS)


class ReturnOut(serializers.Serializer[Any]):
    return_id = serializers.IntegerField()
    order_id = serializers.CharField()
    status = serializers.ChoiceField(choices=[status.value for status in ReturnStatus])
    items = ReturnedLineOut(many=True)
    received = ReceivedLineOut(many=True, allow_null=True)
    reason = serializers.CharField()
    disposition = serializers.ChoiceField(choices=DISPOSITIONS)
    refusal = serializers.CharField(allow_null=True)
    refund = serializers.CharField(allow_null=True)
    currency = serializers.CharField()
    actor = serializers.CharField()
    answered_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class OrderOut(TotalsOut):
    order_id = serializers.CharField()
    number = serializers.IntegerField(allow_null=True, help_text="The shop's own, for people.")
    reference = serializers.CharField(allow_null=True, help_text="What another system calls the order.")
    metadata = serializers.DictField(child=serializers.CharField())
    customer_id = serializers.IntegerField(allow_null=True)
    email = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=[status.value for status in OrderStatus])
    payment_status = serializers.ChoiceField(choices=[status.value for status in OrderPaymentStatus])
    items = PlacedLineOut(many=True)
    refunded_amount = serializers.CharField()
    shipping_address = AddressOut()
    fulfilment = serializers.ChoiceField(choices=["automatic", "warehouse"])
    needs_attention = serializers.BooleanField()
    expires_at = serializers.DateTimeField(allow_null=True)
    reservation = serializers.DictField(allow_null=True)
    payments = serializers.ListField(child=serializers.DictField(), allow_null=True)
    shipments = serializers.ListField(child=serializers.DictField(), allow_null=True)
    unavailable = serializers.ListField(child=serializers.CharField(), help_text="Contexts whose part is missing.")
    returns = ReturnOut(many=True)
    timeline = TimelineOut(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
