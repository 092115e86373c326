"""What a request for notifications may contain, and what the answers look like."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator, validate_email
from rest_framework import serializers

from contexts.notifications.domain import is_one_line
from contexts.notifications.public.contracts import Channel, NotificationStatus
from eci.http.fields import OrderIdField, TextField
from eci.http.paging import OrderingField, QuerySerializer

_PHONE_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,18}[0-9]")


def _channel_of(recipient: str) -> Channel | None:
    if _PHONE_NUMBER.fullmatch(recipient):
        return Channel.SMS
    try:
        validate_email(recipient)
    except ValidationError:
        return None
    return Channel.EMAIL


class SubjectField(TextField):
    default_error_messages = {"lines": "A subject must be one line."}

    def to_internal_value(self, data: Any) -> str:
        subject = super().to_internal_value(data)
        if not is_one_line(subject):
            self.fail("lines")
        return subject


class NotificationIn(serializers.Serializer[Any]):
    type = TextField(
        validators=[
            RegexValidator(r"\A[A-Za-z0-9_-]{1,40}\Z", "A type is a word of up to 40 letters, digits, '_', '-'.")
        ]
    )
    recipient = TextField(max_length=320)
    subject = SubjectField(max_length=200, allow_blank=True, trim_whitespace=False, default="")
    message = TextField(max_length=10_000)
    order_id = OrderIdField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        channel = _channel_of(attrs["recipient"])
        if channel is None:
            raise serializers.ValidationError({"recipient": ["This is neither an e-mail address nor a phone number."]})
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


class NotificationQuery(QuerySerializer):
    recipient = serializers.CharField(required=False, max_length=320)
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
    attempts = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AttemptOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    ok = serializers.BooleanField()
    answer = serializers.CharField()


class NotificationWithLogOut(NotificationOut):
    attempts_log = AttemptOut(many=True)
