from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.payments import selectors, workflows
from contexts.payments.adapters import signing
from contexts.payments.http import presenters
from contexts.payments.http.serializers import (
    ChargeIn,
    PaymentOut,
    PaymentsQuery,
    RefundIn,
    RefundOut,
    WebhookIn,
    WebhookOut,
)
from contexts.payments.public.contracts import Payment, PaymentStatus, Refund, RefundStatus
from eci.errors import IdempotencyInProgress, InvalidRequest, NotFound
from eci.http import commands
from eci.http.fields import exact, minor_units
from eci.http.paging import page
from eci.http.views import ApiView
from eci.idempotency import Key
from eci.identity.roles import Role, only


class ChargeView(ApiView):
    roles = only(Role.CUSTOMER, Role.SUPPORT, Role.SERVICE)
    refusals = {"POST": {"402": "Payment declined"}}
    refuses_cards = True
    rate: ClassVar = {"POST": "charge"}
    body_serializers = {"POST": ChargeIn}

    @extend_schema(responses={200: PaymentOut, 202: PaymentOut})
    def post(self, request: Request) -> Response:
        """Authorise and capture at once. 202: the provider has not answered; the payment settles by itself."""
        body = self.body()
        body["amount"] = exact(body["amount"], body["currency"], "amount")
        payer = self.caller.confined_to
        if payer is not None:
            selectors.require_payer(order_id=body["order_id"], payer=payer, claimed=body["customer_id"])
        key = self.idempotency_key("payments.charge", body)
        return commands.resumable(
            "payments",
            key,
            commands.Resumable(
                begin=partial(
                    workflows.begin_charge,
                    order_id=body["order_id"],
                    amount_minor=minor_units(body["amount"], body["currency"], "amount"),
                    currency=body["currency"],
                    customer_id=body["customer_id"],
                    method=body["method"],
                    token=body["token"],
                    key=key,
                    screened=payer is not None,
                ),
                carry_out=workflows.charge,
                resume=_resume_charge,
                answer=_charged,
            ),
        )


class PaymentsView(ChargeView):
    roles = only(Role.CUSTOMER, Role.SUPPORT, Role.SERVICE)
    query_serializer = PaymentsQuery

    @extend_schema(responses=PaymentOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        return page(
            request,
            paging,
            selectors.payments_page(paging, order_id=self.query.get("order_id"), owner=self.caller.confined_to),
            position=lambda row: (row.created_at, row.payment_id),
            present=presenters.payment,
        )


class PaymentView(ApiView):
    roles = only(Role.CUSTOMER, Role.SUPPORT, Role.SERVICE)

    @extend_schema(responses=PaymentOut)
    def get(self, request: Request, payment_id: int) -> Response:
        return Response(presenters.payment(selectors.payment(payment_id, owner=self.caller.confined_to)))


class RefundView(ApiView):
    roles = only(Role.SUPPORT, Role.SERVICE)
    refuses_cards = True
    body_serializers = {"POST": RefundIn}

    @extend_schema(responses={200: RefundOut, 202: RefundOut})
    def post(self, request: Request, payment_id: int) -> Response:
        """Give back ``amount``, or all that is left. 202: the provider has not answered; it settles by itself."""
        body = self.body()
        if body["amount"] is not None:
            body["amount"] = body["amount"].normalize()  # its currency is the payment's, which may not exist
        key = self.idempotency_key("payments.refund", body)

        def begin() -> int:
            payment = selectors.payment(payment_id)
            given = body["amount"]
            return workflows.begin_refund(
                payment_id=payment_id,
                amount_minor=None if given is None else minor_units(given, payment.currency, "amount"),
                reason=body["reason"],
                key=key,
            )

        return commands.resumable(
            "payments",
            key,
            commands.Resumable(
                begin=begin,
                carry_out=workflows.give_back,
                resume=_resume_refund,
                answer=_refunded,
            ),
        )


class WebhookView(ApiView):
    """The provider's own news. Who sends it is told by its signature, not by a token."""

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
        """An operation was decided: the provider is asked what became of its key. A repeated message is harmless."""
        raw = request.body  # what is signed, before it is parsed
        body = self.body()
        if provider != settings.ECI_GATEWAY:
            raise NotFound("There is no such payment provider.")
        try:
            message_id = signing.verified(raw, request.headers, secrets=settings.ECI_WEBHOOK_SECRETS)
        except signing.BadSignature as error:
            raise InvalidRequest(str(error)) from None
        workflows.hear(message_id=f"{provider}:{message_id}", key=body["key"])
        return Response({"received": True})


def _resume_charge(key: Key, resource: str) -> Payment | None:
    begun = _not_under_way(selectors.begun_payment(key))
    return None if begun is None else workflows.resume_charge(begun.row_id)


def _resume_refund(key: Key, resource: str) -> Refund | None:
    begun = _not_under_way(selectors.begun_refund(key))
    return None if begun is None else workflows.resume_refund(begun.row_id)


def _not_under_way(begun: selectors.Begun | None) -> selectors.Begun | None:
    if begun is not None and begun.under_way:
        raise IdempotencyInProgress("A request with this idempotency key is still running.")
    return begun


def _charged(payment: Payment) -> tuple[int, dict[str, Any]]:
    if payment.status == PaymentStatus.FAILED:
        raise workflows.declined(payment)
    return 202 if payment.status == PaymentStatus.PENDING else 200, presenters.payment(payment)


def _refunded(refund: Refund) -> tuple[int, dict[str, Any]]:
    if refund.status == RefundStatus.FAILED:
        raise workflows.refused(refund)
    return 202 if refund.status == RefundStatus.PENDING else 200, presenters.refund(refund)
