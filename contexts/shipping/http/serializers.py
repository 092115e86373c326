"""What comes in at shipping's endpoints, and what goes out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from contexts.shipping import domain
from contexts.shipping.public.contracts import ShipmentStatus, Withheld
from eci.http.fields import OrderIdField, TextField
from eci.http.paging import OrderingField, QuerySerializer


class TrackingNumberField(TextField):
    default_error_messages = {"invalid_number": "A tracking number has printable characters and no '/'."}

    def to_internal_value(self, data: Any) -> str:
        number = super().to_internal_value(data)
        if not number.isprintable() or "/" in number:
            self.fail("invalid_number")
        return number


class StatusField(serializers.ChoiceField):
    def __init__(self, choices: tuple[ShipmentStatus, ...] = tuple(ShipmentStatus), **kwargs: Any) -> None:
        super().__init__(choices=[str(status) for status in choices], **kwargs)

    def to_internal_value(self, data: Any) -> ShipmentStatus:
        return ShipmentStatus(super().to_internal_value(data))


class ShipmentIn(serializers.Serializer[Any]):
    order_id = OrderIdField()
    address = TextField(max_length=1000, allow_blank=True, default="")
    city = TextField(max_length=200, allow_blank=True, default="")
    carrier = TextField(max_length=64, default=domain.STANDARD_CARRIER)
    tracking_no = TrackingNumberField(max_length=64, default=None)
    status = StatusField(choices=domain.JOURNEY, default=ShipmentStatus.PENDING)


class StatusChangeIn(serializers.Serializer[Any]):
    status = StatusField()
    location = TextField(max_length=200, allow_blank=True, default="")
    note = TextField(max_length=1000, allow_blank=True, default="")


class ShipmentQuery(QuerySerializer):
    order_id = OrderIdField(required=False)
    status = StatusField(required=False)
    ordering = OrderingField("created_at")


class ShipToOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    company = serializers.CharField()
    lines = serializers.ListField(child=serializers.CharField())
    city = serializers.CharField()
    region = serializers.CharField()
    postal_code = serializers.CharField()
    country = serializers.CharField()
    phone = serializers.CharField()


class ShipmentOut(serializers.Serializer[Any]):
    shipment_id = serializers.IntegerField()
    order_id = serializers.CharField()
    carrier = serializers.CharField()
    tracking_no = serializers.CharField()
    status = serializers.ChoiceField(choices=list(ShipmentStatus))
    warehouse = serializers.CharField(allow_null=True)
    address = serializers.CharField()
    city = serializers.CharField()
    dispatched_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    ship_to = ShipToOut()
    withheld = serializers.ListField(child=serializers.ChoiceField(choices=list(Withheld)))


class TrackingEventOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=list(ShipmentStatus))
    location = serializers.CharField()
    at = serializers.DateTimeField()


class ShipmentEventOut(TrackingEventOut):
    note = serializers.CharField()
    actor = serializers.CharField()


class ShipmentWithEventsOut(ShipmentOut):
    events = ShipmentEventOut(many=True)


class TrackingOut(serializers.Serializer[Any]):
    tracking_no = serializers.CharField()
    carrier = serializers.CharField()
    status = serializers.ChoiceField(choices=list(ShipmentStatus))
    events = TrackingEventOut(many=True)
