"""What comes in at shipping's endpoints, and what goes out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from contexts.shipping import domain
from contexts.shipping.public.contracts import ShipmentStatus, Withheld
from eci import text
from eci.http.fields import AddressField, OrderIdField, StrictBooleanField, TextField
from eci.http.paging import OrderingField, QuerySerializer

ADDRESS = 1000  # characters of one as a text


class TrackingNumberField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": text.TRACKING_NO, **kwargs})

    def intake(self, given: str) -> str:
        return text.tracking_no(given)


class StatusField(serializers.ChoiceField):
    def __init__(self, choices: tuple[ShipmentStatus, ...] = tuple(ShipmentStatus), **kwargs: Any) -> None:
        super().__init__(choices=[str(status) for status in choices], **kwargs)

    def to_internal_value(self, data: Any) -> ShipmentStatus:
        return ShipmentStatus(super().to_internal_value(data))


class ShipmentIn(serializers.Serializer[Any]):
    order_id = OrderIdField()
    address = AddressField(limit=ADDRESS, default="", help_text="The street, or as an object the whole address.")
    city = TextField(max_length=200, allow_blank=True, default="")
    carrier = TextField(max_length=64, default=domain.STANDARD_CARRIER)
    tracking_no = TrackingNumberField(default=None)
    status = StatusField(choices=domain.JOURNEY, default=ShipmentStatus.PENDING)
    ship_to = AddressField(
        limit=ADDRESS, required=False, help_text="The whole address; address and city are taken from it."
    )

    def to_internal_value(self, data: Any) -> Any:
        """Parts of the address that stand beside the others (``postal_code``, ``country``) belong to the whole."""
        found = super().to_internal_value(data)
        beside = {name: data[name] for name in data if name not in self.fields and domain.is_part_of_address(name)}
        parts = AddressField(limit=ADDRESS).to_internal_value(beside)
        if isinstance(found["address"], dict):
            if "ship_to" in found:
                raise serializers.ValidationError({"address": ["Give the whole address once, here or as ship_to."]})
            found |= {"ship_to": found["address"], "address": ""}
        _refuse_contradictions(found, parts, where="address" if isinstance(data.get("address"), dict) else "ship_to")
        if parts:
            found["ship_to"] = domain.with_parts(found.get("ship_to") or found["address"], parts)
        return found


def _refuse_contradictions(found: dict[str, Any], parts: dict[str, Any], *, where: str) -> None:
    """A 400 where two of the fields say different things of one part of the address. (Inside the whole address, what
    is said twice becomes a line.)"""
    fields = {"address": found["address"], "city": found["city"], **parts}
    alone = [domain.said_alone(name, value) for name, value in fields.items()]
    whole = list(domain.said(found["ship_to"], where=where)) if found.get("ship_to") else []
    for index, one in enumerate(alone):
        for other in (*whole, *alone[:index]):
            if one.contradicts(other):
                raise serializers.ValidationError({one.where: [f"{other.where} says something else."]})


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
