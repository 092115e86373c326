"""What comes in at payments' endpoints, and what goes out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from contexts.payments.public.contracts import PaymentStatus, RefundStatus
from eci.http.cards import CardlessTextField, CardlessWordField
from eci.http.fields import (
    AmountField,
    CurrencyField,
    IdempotencyKeyField,
    IdField,
    OrderIdField,
    TextField,
)
from eci.http.paging import OrderingField, QuerySerializer


def _our_currency() -> str:
    return settings.ECI_CURRENCY


class ChargeIn(serializers.Serializer[Any]):
    order_id = OrderIdField()
    amount = AmountField(allow_zero=False)
    customer_id = IdField(required=False, allow_null=True, default=None)
    method = CardlessWordField(default="credit_card")
    token = CardlessTextField(default="", allow_blank=True, max_length=100)
    currency = CurrencyField(default=_our_currency)
    idempotency_key = IdempotencyKeyField()


class RefundIn(serializers.Serializer[Any]):
    amount = AmountField(allow_zero=False, required=False)
    currency = CurrencyField(required=False)
    reason = TextField(max_length=500)
    idempotency_key = IdempotencyKeyField()


class WebhookIn(serializers.Serializer[Any]):
    """``key``: our own key of the operation. Nothing else in the message is believed."""

    key = TextField(max_length=100)


class PaymentListQuery(QuerySerializer):
    order_id = OrderIdField(required=False)
    ordering = OrderingField("created_at")


class PaymentOut(serializers.Serializer[Any]):
    payment_id = serializers.IntegerField()
    order_id = serializers.CharField()
    customer_id = serializers.IntegerField(allow_null=True)
    amount = serializers.CharField()
    currency = serializers.CharField()
    method = serializers.CharField()
    status = serializers.ChoiceField(choices=list(PaymentStatus))
    captured = serializers.CharField()
    refunded = serializers.CharField()
    reference = serializers.CharField()
    decline_reason = serializers.CharField()
    under_review = serializers.BooleanField()
    actor = serializers.CharField(required=False)
    reviewed_by = serializers.CharField(required=False)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class WebhookOut(serializers.Serializer[Any]):
    received = serializers.BooleanField()


class RefundOut(serializers.Serializer[Any]):
    refund_id = serializers.IntegerField()
    payment_id = serializers.IntegerField()
    order_id = serializers.CharField()
    amount = serializers.CharField()
    currency = serializers.CharField()
    reason = serializers.CharField()
    status = serializers.ChoiceField(choices=list(RefundStatus))
    actor = serializers.CharField()
    created_at = serializers.DateTimeField()
