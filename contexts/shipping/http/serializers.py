"""What comes in at shipping's endpoints, and what goes out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from contexts.shipping import domain
from contexts.shipping.public.contracts import ShipmentStatus, Withheld
from eci import text
from eci.http.fields import OrderIdField, StrictBooleanField, TextField
from eci.http.paging import OrderingField, QuerySerializer

_TEXT = 500  # characters of one field of an address
_FIELDS = 50


class TrackingNumberField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 64, **kwargs})

    def intake(self, given: str) -> str:
        number = text.code(given, limit=64, name="A tracking number")
        if "/" in number:
            raise ValueError("A tracking number has no '/'.")
        return number


@extend_schema_field({"oneOf": [{"type": "string", "maxLength": 1000}, {"type": "object"}]})
class ShipToField(serializers.Field[Any, Any, Any, Any]):
    """A whole address: a text, or an object of texts and lists of texts, named as any shop names them."""

    default_error_messages = {
        "invalid": f"An address is a text, or an object of up to {_FIELDS} texts or lists of texts."
    }

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return self._clean(data, 1000)
        if not isinstance(data, dict) or len(data) > _FIELDS or any(len(name) > 50 for name in data):
            return self.fail("invalid")
        return {self._clean(name, 50): self._value(value) for name, value in data.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, list) and len(value) <= _FIELDS:
            return [self._clean(inner, _TEXT) for inner in value]
        return None if value is None else self._clean(value, _TEXT)

    def _clean(self, given: Any, limit: int) -> str:
        if not isinstance(given, str):
            self.fail("invalid")
        try:
            return text.clean(given, limit=limit, lines=True)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from None

    def to_representation(self, value: Any) -> Any:
        return value


class StatusField(serializers.ChoiceField):
    def __init__(self, choices: tuple[ShipmentStatus, ...] = tuple(ShipmentStatus), **kwargs: Any) -> None:
        super().__init__(choices=[str(status) for status in choices], **kwargs)

    def to_internal_value(self, data: Any) -> ShipmentStatus:
        return ShipmentStatus(super().to_internal_value(data))


class ShipmentIn(serializers.Serializer[Any]):
    order_id = OrderIdField()
    address = TextField(max_length=1000, allow_blank=True, default="", lines=True)
    city = TextField(max_length=200, allow_blank=True, default="")
    carrier = TextField(max_length=64, default=domain.STANDARD_CARRIER)
    tracking_no = TrackingNumberField(default=None)
    status = StatusField(choices=domain.JOURNEY, default=ShipmentStatus.PENDING)
    ship_to = ShipToField(required=False, help_text="The whole address; address and city are taken from it.")


class ShipmentChangeIn(serializers.Serializer[Any]):
    status = StatusField(required=False)
    carrier = TextField(max_length=64, required=False)
    tracking_no = TrackingNumberField(required=False)
    location = TextField(max_length=200, allow_blank=True, required=False)
    note = TextField(max_length=1000, allow_blank=True, required=False, lines=True)
    force = StrictBooleanField(default=False, help_text="Dispatch although the order was refunded (stock staff).")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.keys() <= {"force"}:
            raise serializers.ValidationError({"status": ["Say what is to change."]})
        return attrs


class ShipmentListQuery(QuerySerializer):
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
