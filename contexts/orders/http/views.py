"""Orders over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as drf
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.customers.public.contracts import CustomerNotFound
from contexts.orders import selectors, workflows
from contexts.orders.http import presenters, serializers
from eci import idempotency
from eci.errors import ContextUnavailable, EciError, IdempotencyInProgress
from eci.http.paging import page
from eci.http.views import ApiView, replayed
from eci.identity.roles import Role, only

ROLES = only(Role.CUSTOMER, Role.SUPPORT, Role.SERVICE)


def _order_body(view: ApiView) -> dict[str, Any]:
    """What is asked for and for whom. A customer orders for themselves, at the catalog's prices."""
    body = view.body()
    owner = view.caller.confined_to
    if owner is not None:
        if "email" in body:
            raise drf.ValidationError({"email": ["Only staff places orders for guests."]})
        if any("unit_price" in line for line in body["items"]):
            raise drf.ValidationError({"items": ["Only staff sets prices."]})
        _require_own(owner, body.get("customer_id"))
        return body | {"customer_id": owner}
    if (body.get("customer_id") is None) == ("email" not in body):
        raise drf.ValidationError({"customer_id": ["Give customer_id, or email for a guest."]})
    return body


def _require_own(owner: int, customer_id: int | None) -> None:
    if customer_id not in (None, owner):
        raise CustomerNotFound(f"There is no customer {customer_id}.", customer_id=customer_id)


def _asked(view: ApiView, body: dict[str, Any]) -> workflows.OrderAsked:
    means = body.get("payment", {})
    return workflows.OrderAsked(
        customer_id=body.get("customer_id"),
        email=body.get("email", ""),
        lines=[workflows.LineAsked(**line) for line in body["items"]],
        shipping_address=body.get("shipping_address"),
        method=means.get("method", "credit_card"),
        token=means.get("token", ""),
        pay_later=body["pay_later"],
        fulfilment=body.get("fulfilment", settings.ECI_FULFILMENT),
        by_customer=view.caller.confined_to is not None,
    )


class Orders(ApiView):
    roles = ROLES
    refusals = {"POST": {"402": "Payment declined"}}
    refuses_cards = True
    rate: ClassVar = {"POST": "order"}
    query_serializer = serializers.OrdersQuery
    body_serializers: ClassVar = {"POST": serializers.Place}

    @extend_schema(responses=serializers.OrderOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        customer_id = self.query.get("customer_id")
        owner = self.caller.confined_to
        if owner is not None:
            _require_own(owner, customer_id)
        views = selectors.order_views(
            paging,
            customer_id=customer_id if owner is None else owner,
            status=self.query.get("status"),
            created_after=self.query.get("created_after"),
            created_before=self.query.get("created_before"),
        )
        return page(
            request,
            paging,
            views,
            position=lambda view: (view.order.created_at, view.order.pk),
            present=presenters.order,
        )

    @extend_schema(responses={201: serializers.OrderOut, 202: serializers.OrderOut})
    def post(self, request: Request) -> Response:
        body = _order_body(self)
        asked = _asked(self, body)
        key = self.idempotency_key("orders.place", body)
        found = idempotency.find("orders", key) if key else None
        if key is not None and found is not None:
            return self._again(found, key)
        try:
            status, view = self._place(asked, key)
        except IdempotencyInProgress:
            found = idempotency.find("orders", key) if key else None
            if key is None or found is None:
                raise
            return self._again(found, key)
        except workflows.KeyHasOrder as existing:
            return self._outcome(existing.order_id, existing.key)
        return Response(presenters.order(view), status=status)

    def _place(self, asked: workflows.OrderAsked, key: idempotency.Key | None) -> tuple[int, selectors.OrderView]:
        try:
            priced = workflows.admit(asked=asked)
        except EciError as refusal:
            self.claim_refusal("orders", key, refusal)
            raise
        return workflows.place(asked=asked, priced=priced, key=key, present=presenters.order)

    def _again(self, record: idempotency.IdempotencyRecord, key: idempotency.Key) -> Response:
        answer = idempotency.answer_of(record)
        return self._outcome(record.resource, key) if answer is None else replayed(answer)

    def _outcome(self, order_id: str, key: idempotency.Key) -> Response:
        """The outcome, as it is now, of an order placed before; kept for the key unless it is a 202."""
        try:
            status, view = workflows.resume(order_id=order_id, key=key, present=presenters.order)
        except (IdempotencyInProgress, ContextUnavailable):  # not an outcome: the same request may be sent again
            raise
        except EciError as refusal:
            answer = idempotency.refusal_answer(refusal)
        else:
            answer = idempotency.Answer(status=status, body={"data": presenters.order(view)})
        found = idempotency.find("orders", key)  # whoever carried the order on may have kept its answer by now
        kept = idempotency.answer_of(found) if found else None
        if kept is None and answer.status != 202:
            idempotency.finish("orders", key, answer)
        return replayed(kept or answer)


class Quote(ApiView):
    roles = ROLES
    refuses_cards = True
    rate: ClassVar = {"POST": "quote"}
    body_serializers: ClassVar = {"POST": serializers.Place}

    @extend_schema(responses=serializers.QuoteOut)
    def post(self, request: Request) -> Response:
        return Response(presenters.quote(workflows.quote(asked=_asked(self, _order_body(self)))))


class OrderById(ApiView):
    roles = ROLES

    @extend_schema(responses=serializers.OrderOut)
    def get(self, request: Request, order_id: str) -> Response:
        return Response(presenters.order(selectors.order_view(order_id=order_id, owner=self.caller.confined_to)))


class Cancel(ApiView):
    roles = ROLES
    refuses_cards = True
    body_serializers: ClassVar = {"POST": serializers.Cancel}

    @extend_schema(responses={200: serializers.OrderOut, 202: serializers.OrderOut})
    def post(self, request: Request, order_id: str) -> Response:
        body = self.body()
        selectors.require_order(order_id=order_id, owner=self.caller.confined_to)
        key = self.idempotency_key("orders.cancel", body)
        found = idempotency.find("orders", key) if key else None
        answer = idempotency.answer_of(found) if found else None
        if answer is not None:
            return replayed(answer)
        try:
            status, view = workflows.cancel(order_id=order_id, reason=body["reason"])
        except EciError as refusal:
            self.keep_refusal("orders", key, refusal)
            raise
        answer = idempotency.Answer(status=status, body={"data": presenters.order(view)})
        if key is not None:  # cancelling twice is cancelling once: nothing is lost if the answer isn't kept
            if found is None:
                idempotency.begin("orders", key, resource=order_id)
            if status == 200:
                idempotency.finish("orders", key, answer)
        return replayed(answer) if found else Response(answer.body["data"], status=status)


class Returns(ApiView):
    roles = ROLES
    refuses_cards = True
    body_serializers: ClassVar = {"POST": serializers.Return}

    @extend_schema(responses={201: serializers.ReturnOut, 202: serializers.ReturnOut})
    def post(self, request: Request, order_id: str) -> Response:
        body = self.body()
        owner = self.caller.confined_to
        selectors.require_order(order_id=order_id, owner=owner)
        if owner is not None and "disposition" in body:
            raise drf.ValidationError({"disposition": ["Only staff says what becomes of the goods."]})
        body.setdefault("disposition", "resell")
        key = self.idempotency_key("orders.return", body)
        found = idempotency.find("orders", key) if key else None
        if key is not None and found is not None:
            return self._again(found, key)
        wanted: dict[int, int] = {}
        for line in body["items"]:
            wanted[line["product_id"]] = wanted.get(line["product_id"], 0) + line["quantity"]
        try:
            opened = workflows.return_items(
                order_id=order_id,
                wanted=wanted,
                reason=body["reason"],
                disposition=body["disposition"],
                key=key,
                present=presenters.returned,
            )
        except EciError as refusal:
            found = idempotency.find("orders", key) if key else None
            if key is not None and found is not None:  # the same key was taken in this moment, and may be why
                return self._again(found, key)
            self.keep_refusal("orders", key, refusal)
            raise
        return Response(presenters.returned(opened), status=201 if opened.done_at else 202)

    def _again(self, record: idempotency.IdempotencyRecord, key: idempotency.Key) -> Response:
        answer = idempotency.answer_of(record)
        if answer is None:
            opened = workflows.resume_return(return_id=int(record.resource), key=key, present=presenters.returned)
            done = opened.done_at is not None
            answer = idempotency.Answer(status=201 if done else 202, body={"data": presenters.returned(opened)})
            if done:
                idempotency.finish("orders", key, answer)
        return replayed(answer)
