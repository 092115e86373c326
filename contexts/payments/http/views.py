"""Payments under /v1: one class for each resource or command."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.payments import selectors, workflows
from contexts.payments.adapters import signing
from contexts.payments.domain import ChargeAsked
from contexts.payments.http import presenters
from contexts.payments.http.serializers import (
    ChargeIn,
    PaymentListQuery,
    PaymentOut,
    RefundIn,
    RefundOut,
    WebhookIn,
    WebhookOut,
)
from contexts.payments.public.contracts import PaymentStatus, RefundStatus
from eci.errors import InvalidRequest, NotFound
from eci.http import commands
from eci.http.fields import exact, minor_units
from eci.http.paging import page
from eci.http.views import ApiView
from eci.identity.auth import Caller
from eci.identity.roles import Role, only
from eci.watch.requests import about_order


class PaymentChargeView(ApiView):
    roles = only(Role.CUSTOMER, Role.SUPPORT, Role.SERVICE)
    refusals = {"POST": {"402": "Payment declined"}}
    refuses_cards = True
    rate = {"POST": "charge"}
    body_serializers = {"POST": ChargeIn}

    @extend_schema(responses={200: PaymentOut, 202: PaymentOut})
    def post(self, request: Request) -> Response:
        """Authorise and capture at once. 202: the provider has not answered yet; the payment settles by itself."""
        body = self.body()
        body["amount"] = exact(body["amount"], body["currency"], "amount")
        payer = self.caller.confined_to
        if payer is not None:
            selectors.require_payer(order_id=body["order_id"], payer=payer, claimed=body["customer_id"])
        key = self.idempotency_key("payments.charge", body)
        asked = ChargeAsked(
            order_id=body["order_id"],
            amount_minor=minor_units(body["amount"], body["currency"], "amount"),
            currency=body["currency"],
            customer_id=body["customer_id"],
            method=body["method"],
            token=body["token"],
            actor=self.caller.name,
            screened=payer is not None,
        )
        return commands.resumable(
            "payments",
            key,
            commands.Resumable(
                begin=lambda: workflows.begin_charge(asked=asked, key=key),
                carry_out=lambda payment_id: workflows.carry_out_charge(payment_id=payment_id),
                resume=lambda key, _: workflows.resume_charge(key=key),
                answer=lambda row: _charged(row, self.caller),
            ),
        )


class PaymentListView(PaymentChargeView):
    query_serializer = PaymentListQuery

    @extend_schema(responses=PaymentOut(many=True))
    def get(self, request: Request) -> Response:
        """Payments, newest first."""
        paging = self.paging()
        rows = selectors.payments(paging=paging, order_id=self.query.get("order_id"), owner=self.caller.confined_to)
        present = partial(presenters.payment, caller=self.caller)
        return page(request, paging, rows, position=lambda row: (row.created_at, row.pk), present=present)


class PaymentDetailView(ApiView):
    roles = only(Role.CUSTOMER, Role.SUPPORT, Role.SERVICE)

    @extend_schema(responses=PaymentOut)
    def get(self, request: Request, payment_id: int) -> Response:
        """One payment."""
        row = selectors.payment(payment_id=payment_id, owner=self.caller.confined_to)
        return Response(presenters.payment(row, caller=self.caller))


class PaymentRefundView(ApiView):
    roles = only(Role.SUPPORT, Role.SERVICE)
    refuses_cards = True
    body_serializers = {"POST": RefundIn}

    @extend_schema(responses={200: RefundOut, 202: RefundOut})
    def post(self, request: Request, payment_id: int) -> Response:
        """Refund `amount`, or all that is left without one. 202: the provider has not answered yet; it settles by
        itself. The amount is in the payment's currency; a `currency` only says so, and another is a 400."""
        body = self.body()
        amount = body.get("amount")
        key = self.idempotency_key("payments.refund", {"amount": None} | body)

        def begin() -> int:
            payment = selectors.payment(payment_id=payment_id)
            about_order(payment.order_id)
            currency = payment.currency
            if body.get("currency", currency) != currency:
                raise ValidationError({"currency": [f"This payment is in {currency}."]})
            return workflows.begin_refund(
                payment_id=payment_id,
                amount_minor=None if amount is None else minor_units(amount, currency, "amount"),
                reason=body["reason"],
                actor=self.caller.name,
                key=key,
            )

        return commands.resumable(
            "payments",
            key,
            commands.Resumable(
                begin=begin,
                carry_out=lambda refund_id: workflows.carry_out_refund(refund_id=refund_id),
                resume=lambda key, _: workflows.resume_refund(key=key),
                answer=_refunded,
            ),
        )


class PaymentWebhookView(ApiView):
    """The provider's own messages. The signature says who sends them; there is no access token."""

    roles = only(Role.ANONYMOUS)
    authentication_classes = ()
    body_serializers = {"POST": WebhookIn}
    keyed_methods = ()

    @extend_schema(
        responses={200: WebhookOut},
        parameters=[
            OpenApiParameter(name, str, OpenApiParameter.HEADER, required=True, description=description)
            for name, description in (
                ("webhook-id", "The message's own id; a repeated message keeps it."),
                ("webhook-timestamp", f"Unix time in seconds; at most {signing.TOLERANCE} s from now."),
                ("webhook-signature", "`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`; several by spaces."),
            )
        ],
    )
    def post(self, request: Request, provider: str) -> Response:
        """The provider decided an operation: it is asked what became of it. A repeated message is harmless."""
        raw = request.body  # the signature is of these bytes; read them before the body is parsed
        body = self.body()
        if provider != settings.ECI_GATEWAY:
            raise NotFound("There is no such payment provider.")
        try:
            message_id = signing.verified(raw, request.headers, secrets=settings.ECI_WEBHOOK_SECRETS)
        except signing.BadSignature as error:
            raise InvalidRequest(str(error)) from None
        workflows.take_webhook(message_id=f"{provider}:{message_id}", key=body["key"])
        return Response({"received": True})


def _charged(row: Any, caller: Caller) -> tuple[int, dict[str, Any]]:
    if row.status == PaymentStatus.FAILED:
        raise workflows.declined(payment=row)
    return 202 if row.status == PaymentStatus.PENDING else 200, presenters.payment(row, caller=caller)


def _refunded(row: Any) -> tuple[int, dict[str, Any]]:
    if row.status == RefundStatus.FAILED:
        raise workflows.refused(refund=row)
    return 202 if row.status == RefundStatus.PENDING else 200, presenters.refund(row)
