"""What a request for notifications may contain, and what the answers look like."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from contexts.notifications import domain
from contexts.notifications.public.contracts import Channel, NotificationStatus
from eci.http.fields import OrderIdField, TextField
from eci.http.paging import OrderingField, QuerySerializer


class RecipientField(TextField):
    """An e-mail address or a phone number, as it is stored."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 320, **kwargs})

    def intake(self, given: str) -> str:
        return domain.recipient(given)


class NotificationIn(serializers.Serializer[Any]):
    type = TextField(
        validators=[
            RegexValidator(r"\A[A-Za-z0-9_-]{1,40}\Z", "A type is a word of up to 40 letters, digits, '_', '-'.")
        ]
    )
    recipient = RecipientField()
    subject = TextField(max_length=200, allow_blank=True, default="")
    message = TextField(max_length=10_000, lines=True)
    order_id = OrderIdField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        channel = domain.channel_to(attrs["recipient"])
        if attrs["type"] in list(Channel) and attrs["type"] != channel:
            raise serializers.ValidationError({"recipient": [f"This recipient does not fit the type {attrs['type']}."]})
        return {
            "kind": attrs["type"],
            "channel": channel,
            "recipient": attrs["recipient"],
            "subject": attrs["subject"],
            "message": attrs["message"],
            "order_id": attrs.get("order_id") or "",
        }


class AgainIn(serializers.Serializer[Any]):
    reason = TextField(max_length=300)
    recipient = RecipientField(
        required=False,
        help_text="An e-mail address or a phone number, for this one only. Without it: the buyer's own, as it is then.",
    )


class NotificationListQuery(QuerySerializer):
    recipient = RecipientField(required=False)
    order_id = OrderIdField(required=False)
    status = serializers.ChoiceField(required=False, choices=[str(status) for status in NotificationStatus])
    ordering = OrderingField("created_at")


class NotificationOut(serializers.Serializer[Any]):
    notification_id = serializers.IntegerField()
    type = serializers.CharField()
    channel = serializers.ChoiceField(choices=list(Channel))
    recipient = serializers.CharField(help_text="Empty until the shop's own notification is sent.")
    subject = serializers.CharField()
    message = serializers.CharField()
    status = serializers.ChoiceField(choices=list(NotificationStatus))
    order_id = serializers.CharField(allow_null=True)
    actor = serializers.CharField(help_text="Who queued it last.")
    attempts = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AttemptOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    ok = serializers.BooleanField()
    answer = serializers.CharField()


class NotificationWithLogOut(NotificationOut):
    attempts_log = AttemptOut(many=True)
