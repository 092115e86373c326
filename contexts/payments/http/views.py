from __future__ import annotations

from functools import partial
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.payments import selectors, workflows
from contexts.payments.http import commands, presenters
from contexts.payments.http.serializers import ChargeIn, PaymentOut, PaymentsQuery, RefundIn, RefundOut
from contexts.payments.public.contracts import Payment, PaymentStatus, Refund, RefundStatus
from eci.http.fields import exact, minor_units
from eci.http.paging import page
from eci.http.views import ApiView


class ChargeView(ApiView):
    roles = {"POST": "CPV"}
    takes_payment = True
    body_serializers = {"POST": ChargeIn}

    @extend_schema(responses={200: PaymentOut, 202: PaymentOut})
    def post(self, request: Request) -> Response:
        """Authorise and capture at once. 202: the provider has not answered; the payment settles by itself."""
        body = self.body()
        body["amount"] = exact(body["amount"], body["currency"], "amount")
        key = self.idempotency_key("payments.charge", body)
        return commands.run(
            self,
            key,
            commands.Command(
                begin=partial(
                    workflows.begin_charge,
                    order_id=body["order_id"],
                    amount_minor=minor_units(body["amount"], body["currency"], "amount"),
                    currency=body["currency"],
                    customer_id=body["customer_id"],
                    method=body["method"],
                    token=body["token"],
                    key=key,
                ),
                execute=workflows.charge,
                begun=selectors.begun_payment,
                resume=workflows.resume_charge,
                answer=_charged,
            ),
        )


class PaymentsView(ChargeView):
    roles = {"GET": "CPV", "POST": "CPV"}
    query_serializer = PaymentsQuery

    @extend_schema(responses=PaymentOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        return page(
            request,
            paging,
            selectors.payments_page(paging, order_id=self.query.get("order_id")),
            position=lambda row: (row.created_at, row.payment_id),
            present=presenters.payment,
        )


class PaymentView(ApiView):
    roles = "CPV"

    @extend_schema(responses=PaymentOut)
    def get(self, request: Request, payment_id: int) -> Response:
        return Response(presenters.payment(selectors.payment(payment_id)))


class RefundView(ApiView):
    roles = "PV"
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

        return commands.run(
            self,
            key,
            commands.Command(
                begin=begin,
                execute=workflows.give_back,
                begun=selectors.begun_refund,
                resume=workflows.resume_refund,
                answer=_refunded,
            ),
        )


def _charged(payment: Payment) -> tuple[int, dict[str, Any]]:
    if payment.status == PaymentStatus.FAILED:
        raise workflows.declined(payment)
    return 202 if payment.status == PaymentStatus.PENDING else 200, presenters.payment(payment)


def _refunded(refund: Refund) -> tuple[int, dict[str, Any]]:
    if refund.status == RefundStatus.FAILED:
        raise workflows.refused(refund)
    return 202 if refund.status == RefundStatus.PENDING else 200, presenters.refund(refund)
