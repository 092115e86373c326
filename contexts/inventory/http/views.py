"""Stock, holds and the ledger over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import ProductNotFound
from contexts.inventory import selectors, services
from contexts.inventory.http import presenters, serializers
from contexts.inventory.public.contracts import AllocationState, Reservation, ReservationNotFound
from eci.errors import NotFound, OwnedByOrder
from eci.http import commands
from eci.http.paging import page
from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY, Role, only
from eci.ids import is_our_order


def require_products(product_ids: Iterable[int]) -> None:
    """404 for a product the catalog doesn't know. Only products without any stock row need asking."""
    unseen = selectors.products_without_stock(product_ids=product_ids)
    for product_id in sorted(unseen - catalog.known_products(product_ids=unseen) if unseen else ()):
        raise ProductNotFound(f"There is no product {product_id}.", product_id=product_id)


def _row(inventory_id: int) -> dict[str, Any]:
    row = selectors.stock_row(inventory_id=inventory_id)
    if row is None:
        raise NotFound(f"There is no inventory row {inventory_id}.")
    return presenters.stock(row)


class Warehouses(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.WarehousesQuery
    body_serializers: ClassVar = {"POST": serializers.NewWarehouse}

    @extend_schema(responses=serializers.WarehouseOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        rows = selectors.warehouses(paging)
        return page(
            request,
            paging,
            rows,
            position=lambda row: (getattr(row, paging.field), row.pk),
            present=presenters.warehouse,
        )

    @extend_schema(responses=serializers.WarehouseOut)
    def post(self, request: Request) -> Response:
        body = self.body()
        return commands.once(
            "inventory",
            self.idempotency_key("inventory.create_warehouse", body),
            lambda: (200, presenters.warehouse(services.create_warehouse(**body))),
        )


class StockRows(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.StockQuery
    body_serializers: ClassVar = {"POST": serializers.Receive}

    @extend_schema(responses=serializers.StockOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        rows = selectors.stock_rows(
            paging,
            product_id=self.query.get("product_id"),
            warehouse=self.query.get("warehouse"),
            low_stock=self.query.get("low_stock"),
        )
        return page(request, paging, rows, position=lambda row: (row.created_at, row.pk), present=presenters.stock)

    @extend_schema(responses={201: serializers.StockOut})
    def post(self, request: Request) -> Response:
        body = self.body()

        def execute() -> tuple[int, Any]:
            inventory_id = services.receive(
                product_id=body["product_id"],
                warehouse=body["warehouse"],
                quantity=body["onhand"],
                reorder_point=body.get("reorder_point"),
                actor=self.caller.name,
                create_warehouse=settings.ECI_OPEN,
            )
            return 201, _row(inventory_id)

        return commands.once(
            "inventory",
            self.idempotency_key("inventory.receive", body),
            execute,
            prepare=lambda: require_products([body["product_id"]]),
        )


class StockRow(ApiView):
    roles = only(Role.STOCK)
    keyed_methods = ("PATCH",)
    body_serializers: ClassVar = {"PATCH": serializers.Count}

    @extend_schema(responses=serializers.StockOut)
    def get(self, request: Request, inventory_id: int) -> Response:
        return Response(_row(inventory_id))

    @extend_schema(responses=serializers.StockOut)
    def patch(self, request: Request, inventory_id: int) -> Response:
        body = self.body()

        def execute() -> tuple[int, Any]:
            services.count(
                inventory_id=inventory_id,
                on_hand=body.get("onhand"),
                reorder_point=body.get("reorder_point"),
                reason=body["reason"],
                force=body["force"],
                actor=self.caller.name,
            )
            return 200, _row(inventory_id)

        return commands.once("inventory", self.idempotency_key("inventory.count", body), execute)


class Adjustments(ApiView):
    roles = only(Role.STOCK)
    body_serializers: ClassVar = {"POST": serializers.Adjust}

    @extend_schema(responses=serializers.StockOut)
    def post(self, request: Request) -> Response:
        body = self.body()
        return commands.once(
            "inventory",
            self.idempotency_key("inventory.adjust", body),
            lambda: (200, _row(services.adjust(**body, actor=self.caller.name))),
            prepare=lambda: require_products([body["product_id"]]),
        )


class Transfers(ApiView):
    roles = only(Role.STOCK)
    body_serializers: ClassVar = {"POST": serializers.Transfer}

    @extend_schema(responses=serializers.TransferOut)
    def post(self, request: Request) -> Response:
        body = self.body()

        def execute() -> tuple[int, Any]:
            source, target = services.transfer(**body, actor=self.caller.name)
            return 200, {"from_row": _row(source), "to_row": _row(target)}

        return commands.once(
            "inventory",
            self.idempotency_key("inventory.transfer", body),
            execute,
            prepare=lambda: require_products([body["product_id"]]),
        )


class AvailabilityOfOne(ApiView):
    roles = EVERYBODY

    @extend_schema(responses=serializers.AvailabilityOut)
    def get(self, request: Request, product_id: int) -> Response:
        rows = selectors.availability(product_ids=[product_id])[product_id]
        if not rows:
            require_products([product_id])
        return Response(presenters.availability(product_id, rows))


class AvailabilityOfMany(ApiView):
    roles = EVERYBODY
    query_serializer = serializers.AvailabilityQuery

    @extend_schema(responses=serializers.AvailabilityOut(many=True))
    def get(self, request: Request) -> Response:
        product_ids = [int(part) for part in self.query["product_ids"].split(",")]
        found = self.read_public("inventory", lambda: selectors.availability(product_ids=product_ids))
        require_products([product_id for product_id, rows in found.items() if not rows])
        return Response([presenters.availability(product_id, rows) for product_id, rows in found.items()])


class Reserve(ApiView):
    roles = only(Role.STOCK, Role.SERVICE)
    body_serializers: ClassVar = {"POST": serializers.Reserve}

    @extend_schema(responses=serializers.ReservationOut)
    def post(self, request: Request) -> Response:
        body = self.body()
        key = self.idempotency_key("inventory.reserve", body, scope="")
        demand: dict[int, int] = {}
        for line in body.get("items") or [body]:
            demand[line["product_id"]] = demand.get(line["product_id"], 0) + line["quantity"]
        minutes = body.get("reservation_minutes")

        def prepare() -> None:
            refuse_our_order(body.get("order_id", ""))
            require_products(demand)
            if "warehouse" in body:
                services.require_warehouses(body["warehouse"])

        def execute() -> tuple[int, Any]:
            hold = services.reserve(
                key=key.key if key else uuid.uuid4().hex,
                order_id=body.get("order_id", ""),
                demand=demand,
                seconds=settings.ECI_RESERVATION_SECONDS if minutes is None else minutes * 60,
                warehouse=body.get("warehouse"),
            )
            return 200, presenters.reservation(hold)

        return commands.once("inventory", key, execute, prepare=prepare)


def refuse_our_order(order_id: str) -> None:
    """Our own orders hold stock only through the orders context."""
    if not is_our_order(order_id):
        return
    if selectors.order_has_hold(order_id=order_id):
        raise OwnedByOrder(f"Stock for {order_id} is held through the order itself.")
    raise NotFound(f"There is no order {order_id}.")


class HoldView(ApiView):
    """A command on a reservation that its body names. The header's key is the command's own."""

    roles = only(Role.STOCK, Role.SERVICE)

    def hold_named(self, body: dict[str, Any]) -> Reservation:
        """The reservation; 404 when there is none or it is another order's, 409 when it belongs to an order of ours."""
        if "reservation_id" in body:
            hold = selectors.reservation(reservation_id=body["reservation_id"])
        else:
            hold = selectors.reservations_by_key(keys=[body["idempotency_key"]]).get(body["idempotency_key"])
        if (
            hold is None
            or body.get("idempotency_key", hold.key) != hold.key
            or body.get("order_id", hold.order_id) != hold.order_id
        ):
            raise ReservationNotFound("There is no such reservation.")
        if is_our_order(hold.order_id):
            raise OwnedByOrder(f"This reservation changes only through its order {hold.order_id}.")
        return hold

    def command(self, name: str, run: Any) -> Response:
        body = self.body()
        asked = {("reservation" if field == "idempotency_key" else field): value for field, value in body.items()}
        return commands.once(
            "inventory", self.idempotency_key(name, asked), lambda: (200, run(self.hold_named(body).key, body))
        )


class Confirm(HoldView):
    body_serializers: ClassVar = {"POST": serializers.HoldCommand}

    @extend_schema(responses=serializers.ReservationOut)
    def post(self, request: Request) -> Response:
        return self.command("inventory.confirm", lambda key, body: presenters.reservation(services.confirm(key=key)))


class Release(HoldView):
    body_serializers: ClassVar = {"POST": serializers.PartCommand}

    @extend_schema(responses=serializers.ReleasedOut)
    def post(self, request: Request) -> Response:
        def run(key: str, body: dict[str, Any]) -> dict[str, Any]:
            warehouse = body.get("warehouse")
            hold = services.release(key=key, warehouse=warehouse)
            units = presenters.units_in(hold, AllocationState.RELEASED, warehouse)
            return presenters.reservation(hold) | {"released_quantity": units}

        return self.command("inventory.release", run)


class Ship(HoldView):
    body_serializers: ClassVar = {"POST": serializers.PartCommand}

    @extend_schema(responses=serializers.ShippedOut)
    def post(self, request: Request) -> Response:
        def run(key: str, body: dict[str, Any]) -> dict[str, Any]:
            warehouse = body.get("warehouse")
            hold = services.ship(key=key, warehouse=warehouse, actor=self.caller.name)
            units = presenters.units_in(hold, AllocationState.SHIPPED, warehouse)
            return presenters.reservation(hold) | {"shipped_quantity": units}

        return self.command("inventory.ship", run)


class Reservations(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.ReservationsQuery

    @extend_schema(responses=serializers.ReservationOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging()
        rows = selectors.reservation_rows(paging, status=self.query.get("status"), order_id=self.query.get("order_id"))
        return page(
            request,
            paging,
            rows,
            position=lambda pair: (pair[0].created_at, pair[0].pk),
            present=lambda pair: presenters.reservation(pair[1]),
        )


class ReservationById(ApiView):
    roles = only(Role.STOCK)

    @extend_schema(responses=serializers.ReservationOut)
    def get(self, request: Request, reservation_id: int) -> Response:
        hold = selectors.reservation(reservation_id=reservation_id)
        if hold is None:
            raise ReservationNotFound(f"There is no reservation {reservation_id}.")
        return Response(presenters.reservation(hold))


class ReservationsStatus(ApiView):
    roles = only(Role.STOCK)

    @extend_schema(responses=serializers.ReservationStatisticsOut)
    def get(self, request: Request) -> Response:
        return Response(presenters.statistics(selectors.reservation_statistics()))


class Movements(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.MovementsQuery

    @extend_schema(responses=serializers.MovementOut(many=True))
    def get(self, request: Request) -> Response:
        paging = self.paging(default="-at")
        rows = selectors.movements(
            paging,
            product_id=self.query.get("product_id"),
            warehouse=self.query.get("warehouse"),
            order_id=self.query.get("order_id"),
        )
        return page(request, paging, rows, position=lambda row: (row.at, row.pk), present=presenters.movement)
