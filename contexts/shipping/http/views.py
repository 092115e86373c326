"""Shipments under /v1: one class for each resource."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.shipping import selectors, services
from contexts.shipping.http import presenters
from contexts.shipping.http.serializers import (
    ShipmentChangeIn,
    ShipmentIn,
    ShipmentListQuery,
    ShipmentOut,
    ShipmentWithEventsOut,
    TrackingOut,
)
from eci.http import commands, conditional
from eci.http.paging import page
from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY, Role, only


class ShipmentListView(ApiView):
    roles = {"GET": only(Role.CUSTOMER, Role.STOCK, Role.SUPPORT, Role.SERVICE), "POST": only(Role.STOCK, Role.SERVICE)}
    query_serializer = ShipmentListQuery
    body_serializers = {"POST": ShipmentIn}

    @extend_schema(responses=ShipmentOut(many=True))
    def get(self, request: Request) -> Response:
        """Shipments, newest first."""
        paging = self.paging()
        rows = selectors.shipments(
            paging=paging,
            order_id=self.query.get("order_id"),
            status=self.query.get("status"),
            owner=self.caller.confined_to,
        )
        return page(request, paging, rows, position=lambda row: (row.created_at, row.pk), present=presenters.shipment)

    @extend_schema(responses={201: ShipmentOut})
    def post(self, request: Request) -> Response:
        """Make a shipment for another system's order. Our orders make their own: 409 `owned_by_order`."""
        body = self.body()

        def execute() -> tuple[int, Any]:
            row = services.create_foreign_shipment(**body, actor=self.caller.name)
            return 201, presenters.shipment(row)

        return commands.once("shipping", self.idempotency_key("shipments.create", body), execute)


class ShipmentDetailView(ApiView):
    roles = {
        "GET": only(Role.CUSTOMER, Role.STOCK, Role.SUPPORT, Role.SERVICE),
        "PATCH": only(Role.STOCK, Role.SERVICE),
    }
    keyed_methods = ("PATCH",)
    conditional_methods = ("PATCH",)
    body_serializers = {"PATCH": ShipmentChangeIn}

    @extend_schema(responses=ShipmentWithEventsOut)
    def get(self, request: Request, shipment_id: int) -> HttpResponseBase:
        """One shipment with its events."""
        owner = self.caller.confined_to
        row = selectors.shipment(shipment_id=shipment_id, owner=owner)
        present = presenters.shipment_with_events if owner is None else presenters.shipment_for_customer
        return conditional.answer(request, present(row), version=row.version, detail=owner)

    @extend_schema(responses=ShipmentOut)
    def patch(self, request: Request, shipment_id: int) -> Response:
        """Change a shipment's status, which may skip some, or until it is delivered its carrier and tracking number.
        What it already has changes nothing. One that is withheld is not dispatched."""
        body = self.body()
        if body["force"] and not self.caller.may(only(Role.STOCK)):
            raise serializers.ValidationError({"force": ["Only stock staff may dispatch what was refunded."]})

        seen = self.if_match()
        now: list[int] = []  # none, when an earlier answer is repeated

        def execute() -> tuple[int, Any]:
            row = services.change_shipment(shipment_id=shipment_id, **body, version=seen, actor=self.caller.name)
            now[:] = [row.version]
            return 200, presenters.shipment(row)

        key = self.idempotency_key("shipping.change_status", body)
        answer = commands.once("shipping", key, execute, about=lambda data: shipment_id)
        for version in now:
            answer["ETag"] = conditional.etag(version)["ETag"]
        return answer


class TrackingView(ApiView):
    roles = EVERYBODY

    @extend_schema(responses=TrackingOut)
    def get(self, request: Request, tracking_no: str) -> Response:
        """Where a shipment is, for anybody who knows its tracking number: without names or address."""
        return Response(presenters.tracking(selectors.tracked_shipment(tracking_no=tracking_no)))
