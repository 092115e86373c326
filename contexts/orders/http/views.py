"""Orders over HTTP: validate, make one call, answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as drf
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.customers.public.contracts import CustomerNotFound
from contexts.orders import composed, selectors, services
from contexts.orders.composed import OrderView
from contexts.orders.domain import Came, LineAsked, OrderAsked, Outcome
from contexts.orders.exports import ORDERS, order_cells
from contexts.orders.http import presenters, serializers
from contexts.orders.workflows import cancelling, placing, quoting, returning
from contexts.orders.workflows.progress import Caller
from eci.http import commands
from eci.http.exports import FILE, ExportView
from eci.http.paging import page
from eci.http.present import without_staff_names
from eci.http.views import ApiView
from eci.idempotency import Key
from eci.identity.roles import Role, only

BUYERS_AND_STAFF = only(Role.CUSTOMER, Role.SUPPORT, Role.SERVICE)
RETURNS_STAFF = only(Role.STOCK, Role.SUPPORT, Role.SERVICE)


class OrderListView(ApiView):
    roles = BUYERS_AND_STAFF
    refusals = {"POST": {"402": "Payment declined"}}
    refuses_cards = True
    rate = {"POST": "order"}
    query_serializer = serializers.OrderListQuery
    body_serializers = {"POST": serializers.OrderIn}

    @extend_schema(responses=serializers.OrderOut(many=True))
    def get(self, request: Request) -> Response:
        """The orders, newest first; a customer's own. An order being placed is listed only by its status."""
        paging = self.paging()
        filters = {name: value for name, value in self.query.items() if name in serializers.OrderListQuery.FILTERS}
        owner = self.caller.confined_to
        if owner is not None:
            _require_own(owner, filters.get("customer_id"))
            filters["customer_id"] = owner
        return page(
            request,
            paging,
            composed.order_views(paging=paging, **filters),
            position=lambda view: (view.order.created_at, view.order.pk),
            present=_shown(self),
        )

    @extend_schema(responses={201: serializers.OrderOut, 202: serializers.OrderOut})
    def post(self, request: Request) -> Response:
        """Reserve → Pay → Ship → Notify. 202: the payment provider has not answered; the order settles by itself."""
        body = _order_body(self)
        key = self.idempotency_key("orders.place", body)
        caller = None if key is None else Caller(key=key, answer=partial(commands.remembered, _placed))
        command = commands.Resumable(
            begin=partial(placing.begin, asked=_asked(self, body), key=key),
            carry_out=lambda view: placing.carry_on(view=view, caller=caller),
            resume=_resume_order,
            answer=_placed,
            find=lambda key: selectors.record_of_key(key=key),
            remembers=True,
        )
        return commands.resumable("orders", key, command)


def _order_body(view: ApiView) -> dict[str, Any]:
    """What is asked for and for whom. A customer orders for themselves, at the catalog's prices."""
    body = view.body()
    owner = view.caller.confined_to
    if owner is not None:
        if "email" in body:
            raise drf.ValidationError({"email": ["Only staff places orders for guests."]})
        if given := [name for name in ("reference", "metadata") if name in body]:
            raise drf.ValidationError({name: ["Only staff and services give this."] for name in given})
        if any("unit_price" in line for line in body["items"]):
            raise drf.ValidationError({"items": ["Only staff sets prices."]})
        most = settings.ECI_MAX_UNITS_PER_LINE
        units = serializers.units_by_product(body["items"])
        if any(quantity > most for quantity in units.values()):
            raise drf.ValidationError({"items": [f"An order has at most {most} units of a product."]})
        _require_own(owner, body.get("customer_id"))
        return body | {"customer_id": owner}
    if (body.get("customer_id") is None) == ("email" not in body):
        raise drf.ValidationError({"customer_id": ["Give customer_id, or email for a guest."]})
    return body


def _require_own(owner: int, customer_id: int | None) -> None:
    if customer_id not in (None, owner):
        raise CustomerNotFound(f"There is no customer {customer_id}.", customer_id=customer_id)


def _asked(view: ApiView, body: dict[str, Any]) -> OrderAsked:
    means = body.get("payment", {})
    return OrderAsked(
        customer_id=body.get("customer_id"),
        email=body.get("email", ""),
        lines=[LineAsked(**line) for line in body["items"]],
        shipping_address=body.get("shipping_address"),
        method=means.get("method", "credit_card"),
        token=means.get("token", ""),
        pay_later=body["pay_later"],
        fulfilment=body.get("fulfilment", settings.ECI_FULFILMENT),
        by_customer=view.caller.confined_to is not None,
        reference=body.get("reference", ""),
        metadata=body.get("metadata", {}),
        actor=view.caller.name,
    )


def _resume_order(key: Key, order_id: str) -> OrderView:
    return placing.resume(order_id=order_id, caller=Caller(key=key, answer=partial(commands.remembered, _placed)))


def _placed(view: OrderView) -> tuple[int, dict[str, Any]]:
    if view.answer is not None and "data" in view.answer.body:
        return view.answer.status, view.answer.body["data"]
    return 201 if placing.outcome(view) == Outcome.DONE else 202, presenters.order(view)


def _shown(asked: ApiView) -> Callable[[OrderView], dict[str, Any]]:
    """What shows an order as the caller of this view may read it."""
    if asked.caller.confined_to is None:
        return presenters.order
    return lambda view: without_staff_names(presenters.order(view))


class OrderExportView(ExportView):
    roles = only(Role.SUPPORT)
    query_serializer = serializers.OrderExportQuery
    columns = ORDERS.columns

    @extend_schema(responses=FILE)
    def get(self, request: Request) -> HttpResponseBase:
        """The orders that the list's filters find, as a file with a row for each line: `format` is csv or xlsx."""
        return self.exported("orders", self._rows())

    def _rows(self) -> Iterator[list[Any]]:
        filters = {name: value for name, value in self.query.items() if name in serializers.OrderListQuery.FILTERS}
        for orders in self.pages(
            lambda paging: selectors.orders(paging=paging, **filters), lambda row, paging: (row.created_at, row.pk)
        ):
            lines = selectors.lines_of(order_ids=[order.pk for order in orders])
            for order in orders:
                yield from order_cells(order, lines.get(order.pk, []))


class QuoteView(ApiView):
    roles = BUYERS_AND_STAFF
    refuses_cards = True
    rate = {"POST": "quote"}
    body_serializers = {"POST": serializers.OrderIn}

    @extend_schema(responses=serializers.QuoteOut)
    def post(self, request: Request) -> Response:
        """The order's totals; nothing is held."""
        return Response(presenters.quote(quoting.quote(asked=_asked(self, _order_body(self)))))


class OrderDetailView(ApiView):
    roles = {"GET": BUYERS_AND_STAFF, "PATCH": only(Role.SUPPORT, Role.SERVICE)}
    refuses_cards = True
    body_serializers = {"PATCH": serializers.OrderChangesIn}

    @extend_schema(responses=serializers.OrderOut)
    def get(self, request: Request, order_id: str) -> Response:
        """One order with its items, reservation, payments, shipments, returns and timeline."""
        return Response(_shown(self)(composed.order_view(order_id=order_id, owner=self.caller.confined_to)))

    @extend_schema(responses=serializers.OrderOut)
    def patch(self, request: Request, order_id: str) -> Response:
        """Change an order's metadata. All else changes by commands."""
        changes = self.body(partial=True)
        if "metadata" in changes:
            services.update_metadata(order_id=order_id, metadata=changes["metadata"], actor=self.caller.name)
        return Response(_shown(self)(composed.order_view(order_id=order_id)))


class OrderCancelView(ApiView):
    roles = BUYERS_AND_STAFF
    refuses_cards = True
    body_serializers = {"POST": serializers.CancelIn}

    @extend_schema(responses={200: serializers.OrderOut, 202: serializers.OrderOut})
    def post(self, request: Request, order_id: str) -> Response:
        """Before the first dispatch. 202: the payment provider has not answered; the order will end cancelled."""
        body = self.body()
        selectors.require_order(order_id=order_id, owner=self.caller.confined_to)
        key = self.idempotency_key("orders.cancel", body)
        command = commands.Resumable(
            begin=partial(cancelling.begin, order_id=order_id, reason=body["reason"], actor=self.caller.name, key=key),
            carry_out=cancelling.carry_on,
            resume=lambda _, resource: cancelling.resume(order_id=resource) if resource else None,
            answer=partial(_cancelled, self),
        )
        return commands.resumable("orders", key, command)


def _cancelled(asked: ApiView, view: OrderView) -> tuple[int, dict[str, Any]]:
    return 200 if cancelling.outcome(view) == Outcome.DONE else 202, _shown(asked)(view)


class OrderReturnView(ApiView):
    roles = BUYERS_AND_STAFF
    refuses_cards = True
    body_serializers = {"POST": serializers.ReturnIn}

    @extend_schema(responses={201: serializers.ReturnOut, 202: serializers.ReturnOut})
    def post(self, request: Request, order_id: str) -> Response:
        """Units come back after dispatch. A customer asks for it, and nothing moves before the goods are received.

        From staff they are received at once. 202: the refund was not answered, or refused for now; it is tried again.
        """
        body = self.body()
        owner = self.caller.confined_to
        selectors.require_order(order_id=order_id, owner=owner)
        wanted = serializers.units_by_product(body["items"])
        if owner is not None:
            if "disposition" in body:
                raise drf.ValidationError({"disposition": ["Only staff says what becomes of the goods."]})
            ask = partial(
                services.request_return,
                order_id=order_id,
                wanted=wanted,
                reason=body["reason"],
                actor=self.caller.name,
            )
            return commands.once(
                "orders",
                self.idempotency_key("orders.return", body),
                lambda: (201, _returned(ask())),
                about=lambda data: data["return_id"],
            )
        body.setdefault("disposition", "resell")
        key = self.idempotency_key("orders.return", body)
        begin = partial(
            services.open_return,
            order_id=order_id,
            came=[
                Came(product_id=product_id, quantity=units, disposition=body["disposition"])
                for product_id, units in wanted.items()
            ],
            reason=body["reason"],
            actor=self.caller.name,
            key=key,
        )
        return commands.resumable("orders", key, _return_command(begin, status=201))


def _returned(row: Any) -> dict[str, Any]:
    return presenters.returned(row, currency=row.order.currency)


def _return_command(begin: Callable[[], Any], *, status: int) -> commands.Resumable[Any, Any]:
    """Stock and money follow what ``begin`` records; 202 as long as they do."""
    return commands.Resumable(
        begin=begin,
        carry_out=returning.run_return_for_caller,
        resume=lambda _, resource: returning.resume_return(return_id=int(resource)) if resource else None,
        answer=lambda row: (status if returning.outcome(row) == Outcome.DONE else 202, _returned(row)),
    )


class ReturnReceiveView(ApiView):
    roles = RETURNS_STAFF
    refuses_cards = True
    body_serializers = {"POST": serializers.ReceiveIn}

    @extend_schema(responses={200: serializers.ReturnOut, 202: serializers.ReturnOut})
    def post(self, request: Request, order_id: str, return_id: int) -> Response:
        """The goods are back: all that was asked for, or what ``items`` says. Stock and money follow.

        202: the refund was not answered, or refused for now; it is tried again.
        """
        body = self.body()
        key = self.idempotency_key("orders.receive_return", body)
        begin = partial(
            services.receive_return,
            order_id=order_id,
            return_id=return_id,
            came=[Came(**item) for item in body["items"]] if "items" in body else None,
            actor=self.caller.name,
            key=key,
        )
        return commands.resumable("orders", key, _return_command(begin, status=200))


class ReturnRefuseView(ApiView):
    roles = RETURNS_STAFF
    refuses_cards = True
    body_serializers = {"POST": serializers.RefuseIn}

    @extend_schema(responses=serializers.ReturnOut)
    def post(self, request: Request, order_id: str, return_id: int) -> Response:
        """The goods are not taken back. The customer is told why."""
        body = self.body()
        refuse = partial(
            services.refuse_return,
            order_id=order_id,
            return_id=return_id,
            reason=body["reason"],
            actor=self.caller.name,
        )
        return commands.once(
            "orders",
            self.idempotency_key("orders.refuse_return", body),
            lambda: (200, _returned(refuse())),
            about=lambda data: data["return_id"],
        )
