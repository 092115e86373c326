"""Stock, reservations and the ledger over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers as drf
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product, ProductNotFound
from contexts.inventory import composed, past, selectors
from contexts.inventory.exports import MOVEMENTS, STOCK, movement_lines, stock_lines
from contexts.inventory.http import presenters, serializers
from contexts.inventory.public.contracts import AllocationState, ReservationNotFound
from contexts.inventory.services import counts, holds, stock
from eci.clock import iso
from eci.errors import NotFound, OwnedByOrder
from eci.http import commands, conditional
from eci.http.exports import FILE, PAGE, ExportView
from eci.http.imports import ImportListView
from eci.http.paging import page
from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY, Role, only
from eci.ids import is_our_order


def _require_products(product_ids: Iterable[int]) -> None:
    """404 for a product that the catalog does not know. Products with a stock row need no asking."""
    unseen = selectors.products_without_stock(product_ids=product_ids)
    for product_id in sorted(unseen - catalog.known_products(product_ids=unseen) if unseen else ()):
        raise ProductNotFound(f"There is no product {product_id}.", product_id=product_id)


def _refuse_our_order(order_id: str) -> None:
    """Our own orders hold stock only through the orders context."""
    if not is_our_order(order_id):
        return
    if selectors.order_has_reservation(order_id=order_id):
        raise OwnedByOrder(f"Stock for {order_id} is held through the order itself.")
    raise NotFound(f"There is no order {order_id}.")


def _filters(query: dict[str, Any], *names: str) -> dict[str, Any]:
    """What a list or an export is filtered by, None where that is not said. 404 for a warehouse that there is not."""
    if "warehouse" in query:
        selectors.require_warehouses(codes=[query["warehouse"]])
    return {name: query.get(name) for name in names}


def _stock_row(inventory_id: int) -> Any:
    row = selectors.stock_row(inventory_id=inventory_id)
    if row is None:
        raise NotFound(f"There is no stock row {inventory_id}.")
    return row


class Products:
    """What stock rows show of their products. The catalog is asked before a command's transaction, never in it."""

    def __init__(self) -> None:
        self.found: dict[int, Product] | None = {}

    def ask(self, product_ids: Iterable[int]) -> None:
        self.found = composed.products_of(product_ids=product_ids)

    @property
    def unavailable(self) -> dict[str, list[str]]:
        return {"unavailable": ["catalog"]} if self.found is None else {}

    def of(self, row: Any) -> Product | None:
        return (self.found or {}).get(row.product_id)

    def row(self, row: Any) -> dict[str, Any]:
        return presenters.stock_row(row, self.of(row))

    def shown(self, row: Any) -> dict[str, Any]:
        """One row as an answer of its own, which says itself what is missing."""
        return self.row(row) | self.unavailable

    def detail(self, row: Any) -> int:
        """Of the ETag: what the catalog says, and what is reserved at this moment, are no part of the version."""
        return conditional.digest(self.shown(row))


def _with_etag(answer: Response, written: list[Any], detail: Callable[[Any], int] | None = None) -> Response:
    """With the ETag of the row that was just written; a replay, which tells of the past, has written none."""
    for row in written:
        answer["ETag"] = conditional.etag(row.version, detail(row) if detail else None)["ETag"]
    return answer


class WarehouseListView(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.WarehouseListQuery
    body_serializers = {"POST": serializers.WarehouseIn}

    @extend_schema(responses=serializers.WarehouseOut(many=True))
    def get(self, request: Request) -> Response:
        """All warehouses."""
        paging = self.paging()
        return page(
            request,
            paging,
            selectors.warehouses(paging=paging),
            position=lambda row: (getattr(row, paging.field), row.pk),
            present=presenters.warehouse,
        )

    @extend_schema(responses=serializers.WarehouseOut)
    def post(self, request: Request) -> Response:
        """Creates a warehouse."""
        body = self.body()
        return commands.once(
            "inventory",
            self.idempotency_key("inventory.create_warehouse", body),
            lambda: (200, presenters.warehouse(stock.create_warehouse(**body, actor=self.caller.name))),
        )


class WarehouseDetailView(ApiView):
    roles = only(Role.STOCK)
    keyed_methods = conditional_methods = ("PATCH",)
    body_serializers = {"PATCH": serializers.WarehouseIn}

    @extend_schema(responses=serializers.WarehouseOut)
    def get(self, request: Request, code: str) -> HttpResponseBase:
        """One warehouse."""
        row = selectors.warehouse(code=code)
        return conditional.answer(request, presenters.warehouse(row), version=row.version)

    @extend_schema(responses=serializers.WarehouseOut)
    def patch(self, request: Request, code: str) -> Response:
        """Changes a warehouse; its code stays. One that is not active is not allocated from."""
        body, version, written = self.body(partial=True), self.if_match(), []
        if body.pop("code", code) != code:
            raise drf.ValidationError({"code": ["The code of a warehouse stays."]})
        if not body:
            raise drf.ValidationError({"name": ["Say what is to change."]})

        def execute() -> tuple[int, Any]:
            row = stock.update_warehouse(code=code, actor=self.caller.name, version=version, **body)
            written.append(row)
            return 200, presenters.warehouse(row)

        answer = commands.once("inventory", self.idempotency_key("inventory.update_warehouse", body), execute)
        return _with_etag(answer, written)


class StockRowListView(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.StockRowListQuery
    body_serializers = {"POST": serializers.ReceiptIn}

    @extend_schema(responses=serializers.StockRowOut(many=True))
    def get(self, request: Request) -> Response:
        """Stock rows: what each warehouse has of each product."""
        paging = self.paging()
        rows = selectors.stock_rows(paging=paging, **_filters(self.query, "product_id", "warehouse", "low_stock"))
        products = Products()
        products.ask(row.product_id for row in rows)
        found = page(request, paging, rows, position=lambda row: (row.created_at, row.pk), present=products.row)
        found.meta.update(products.unavailable)
        return found

    @extend_schema(responses={201: serializers.StockRowOut})
    def post(self, request: Request) -> Response:
        """Receives units: adds them to on hand. What is owed to paid orders gets them first."""
        body, products = self.body(), Products()

        def execute() -> tuple[int, Any]:
            row = stock.receive(
                product_id=body["product_id"],
                warehouse=body["warehouse"],
                quantity=body["onhand"],
                reorder_point=body.get("reorder_point"),
                reference=body.get("reference", ""),
                actor=self.caller.name,
                create_warehouse=settings.ECI_OPEN,
            )
            return 201, products.shown(_stock_row(row.pk))

        return commands.once(
            "inventory",
            self.idempotency_key("inventory.receive", body),
            execute,
            prepare=lambda: _prepare(products, body["product_id"]),
        )


def _prepare(products: Products, product_id: int) -> None:
    _require_products([product_id])
    products.ask([product_id])


class StockRowDetailView(ApiView):
    roles = only(Role.STOCK)
    keyed_methods = conditional_methods = ("PATCH",)
    body_serializers = {"PATCH": serializers.CountIn}

    @extend_schema(responses=serializers.StockRowOut)
    def get(self, request: Request, inventory_id: int) -> HttpResponseBase:
        """One stock row."""
        row, products = _stock_row(inventory_id), Products()
        products.ask([row.product_id])
        return conditional.answer(request, products.shown(row), version=row.version, detail=products.detail(row))

    @extend_schema(responses=serializers.StockRowOut)
    def patch(self, request: Request, inventory_id: int) -> Response:
        """Records a stock count: sets on hand to what was counted.

        With `expected_onhand`, a row that has moved meanwhile is a 409 that tells the movements. With `counted_at`,
        what has moved since is added to the count.

        Fewer units than are reserved are a 409. With `force`, unpaid reservations are released instead, the newest
        first; paid ones that still do not fit need attention, and their units are owed to them.
        """
        body, products, version, written = self.body(), Products(), self.if_match(), []

        def execute() -> tuple[int, Any]:
            stock.count(
                inventory_id=inventory_id,
                on_hand=body.get("onhand"),
                reorder_point=body.get("reorder_point"),
                reason=body["reason"],
                force=body["force"],
                actor=self.caller.name,
                expected_on_hand=body.get("expected_onhand"),
                counted_at=body.get("counted_at"),
                version=version,
            )
            row = _stock_row(inventory_id)
            written.append(row)
            return 200, products.shown(row)

        answer = commands.once(
            "inventory",
            self.idempotency_key("inventory.count", body),
            execute,
            prepare=lambda: products.ask([_stock_row(inventory_id).product_id]),
        )
        return _with_etag(answer, written, products.detail)


class StockExplainView(ApiView):
    roles = only(Role.STOCK)

    @extend_schema(responses=serializers.ExplainedOut)
    def get(self, request: Request, inventory_id: int) -> Response:
        """Why a stock row's numbers are what they are: who holds what, what moved last, and one sentence."""
        row, products = _stock_row(inventory_id), Products()
        products.ask([row.product_id])
        why, movements = selectors.explanation(row=row), selectors.last_movements(row=row)
        return Response(presenters.explained(row, why, movements, products.of(row)) | products.unavailable)


class StockAdjustView(ApiView):
    roles = only(Role.STOCK)
    body_serializers = {"POST": serializers.AdjustmentIn}

    @extend_schema(responses=serializers.StockRowOut)
    def post(self, request: Request) -> Response:
        """Corrects on hand by a difference."""
        body, products = self.body(), Products()
        return commands.once(
            "inventory",
            self.idempotency_key("inventory.adjust", body),
            lambda: (200, products.shown(_stock_row(stock.adjust(**body, actor=self.caller.name).pk))),
            prepare=lambda: _prepare(products, body["product_id"]),
        )


class StockCountView(ApiView):
    roles = only(Role.STOCK)
    body_serializers = {"POST": serializers.CountsIn}

    @extend_schema(responses=serializers.CountsOut)
    def post(self, request: Request) -> Response:
        """Records a stock count of up to 1,000 products and warehouses: all or none.

        A refusal names the item, and `details.items` has all that are refused. With `partial` the others are recorded,
        and the answer has the outcome of each.
        """
        body, products, asked = self.body(), Products(), Asked()

        def prepare() -> None:
            asked.ask(body["items"])
            if body["mode"] == "set":
                _refuse_repeated(asked.counts)
            products.ask(one.product_id for one in asked.counts if one.product_id)

        def execute() -> tuple[int, Any]:
            outcomes = counts.record(
                counts=asked.counts,
                add=body["mode"] == "add",
                partial=body["partial"],
                reason=body["reason"],
                actor=self.caller.name,
            )
            rows = selectors.stock_rows_of(inventory_ids={one.stock_id for one in outcomes if one.stock_id})
            shown = {pk: products.row(row) for pk, row in rows.items()}
            return 200, presenters.counts(outcomes, shown) | products.unavailable

        key = self.idempotency_key("inventory.counts", body)
        return commands.once("inventory", key, execute, prepare=prepare)


class Asked:
    """The counts of a request, once the catalog has said which products they mean."""

    def __init__(self) -> None:
        self.counts: list[counts.Counted] = []

    def ask(self, items: list[dict[str, Any]]) -> None:
        skus = {item["sku"] for item in items if "sku" in item}
        by_sku = catalog.product_ids(skus=skus) if skus else {}
        given = {item["product_id"] for item in items if "product_id" in item}
        unseen = selectors.products_without_stock(product_ids=given)
        known = given - unseen | (catalog.known_products(product_ids=unseen) if unseen else set())
        for item in items:
            product = item["sku"] if "sku" in item else item["product_id"]
            self.counts.append(
                counts.Counted(
                    product=product,
                    product_id=by_sku.get(product, product if product in known else None),
                    warehouse=item["warehouse"],
                    units=item["onhand"],
                    expected_on_hand=item.get("expected_onhand"),
                    counted_at=item.get("counted_at"),
                )
            )


def _refuse_repeated(asked: list[counts.Counted]) -> None:
    """Two counts of one row contradict each other."""
    first: dict[tuple[int, str], int] = {}
    errors: dict[str, Any] = {}
    for index, one in enumerate(asked):
        at = first.setdefault((one.product_id, one.warehouse), index) if one.product_id else index
        if at != index:
            errors[str(index)] = {"onhand": [f"Item {at} counts the same product in the same warehouse."]}
    if errors:
        raise drf.ValidationError({"items": errors})


class StockExportView(ExportView):
    roles = only(Role.STOCK)
    query_serializer = serializers.StockRowExportQuery
    columns = STOCK.columns

    @extend_schema(responses=FILE)
    def get(self, request: Request) -> HttpResponseBase:
        """The stock rows that the list's filters find, as a file that can be imported: `format` is csv or xlsx."""
        return self.exported("stock", self._rows(_filters(self.query, "product_id", "warehouse", "low_stock")))

    def _rows(self, filters: dict[str, Any]) -> Iterator[list[Any]]:
        for rows in self.pages(
            lambda paging: selectors.stock_rows(paging=paging, **filters), lambda row, paging: (row.created_at, row.pk)
        ):
            yield from stock_lines(rows)


class StockImportView(ImportListView):
    tag = "inventory"
    roles = only(Role.STOCK)
    kinds = ("stock_counts", "receipts")


class StockTransferView(ApiView):
    roles = only(Role.STOCK)
    body_serializers = {"POST": serializers.TransferIn}

    @extend_schema(responses=serializers.TransferOut)
    def post(self, request: Request) -> Response:
        """Moves available units from one warehouse to another."""
        body, products = self.body(), Products()

        def execute() -> tuple[int, Any]:
            source, target = stock.transfer(**body, actor=self.caller.name)
            rows = {"from_row": _stock_row(source.pk), "to_row": _stock_row(target.pk)}
            return 200, {name: products.row(row) for name, row in rows.items()} | products.unavailable

        return commands.once(
            "inventory",
            self.idempotency_key("inventory.transfer", body),
            execute,
            prepare=lambda: _prepare(products, body["product_id"]),
        )


class AvailabilityDetailView(ApiView):
    roles = EVERYBODY
    query_serializer = serializers.AvailabilityAsOfQuery

    @extend_schema(
        responses=PolymorphicProxySerializer(
            component_name="AvailabilityNowOrThen",
            serializers=[serializers.AvailabilityOut, serializers.AvailabilityThenOut],
            resource_type_field_name=None,
        )
    )
    def get(self, request: Request, product_id: int) -> Response:
        """The units of one product that can be sold now; with `as_of`, what was on hand, reserved, owed and available
        at that instant."""
        if "as_of" in self.query:
            return Response(self._then(product_id, self.query["as_of"]))
        rows = selectors.availability(product_ids=[product_id])[product_id]
        if not rows:
            _require_products([product_id])
        return Response(presenters.availability(product_id, rows))

    def _then(self, product_id: int, moment: datetime) -> dict[str, Any]:
        rows = past.product_as_of(product_id=product_id, moment=moment)
        if not rows:
            _require_products([product_id])
        known_from = past.holds_known_from()
        return presenters.availability_then(product_id, rows, moment=moment, known_from=known_from)


class StockAsOfListView(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.StockAsOfListQuery

    @extend_schema(responses=serializers.StockThenOut(many=True))
    def get(self, request: Request) -> Response:
        """Stock rows as they were at an instant, in one warehouse or in all. `meta.holds_known_from`: before then, only
        on hand is known."""
        paging, moment = self.paging(), self.query["as_of"]
        rows = past.stock_rows(paging=paging, **_filters(self.query, "warehouse"))
        then = past.rows_as_of(rows=rows, moment=moment)
        products = Products()
        products.ask(row.product_id for row in rows)
        found = page(
            request,
            paging,
            list(zip(rows, then, strict=True)),
            position=lambda both: (both[0].created_at, both[0].pk),
            present=lambda both: presenters.stock_then(both[1], products.of(both[0])),
        )
        found.meta |= {"as_of": iso(moment), "holds_known_from": iso(past.holds_known_from())} | products.unavailable
        return found


class StockAsOfExportView(ExportView):
    roles = only(Role.STOCK)
    query_serializer = serializers.StockAsOfExportQuery
    columns = ("product_id", "sku", "name", "warehouse", "on_hand", "reserved", "owed", "available")

    @extend_schema(responses=FILE)
    def get(self, request: Request) -> HttpResponseBase:
        """A whole warehouse as it was at an instant, by product, as a file: `format` is csv or xlsx."""
        return self.exported("stock-as-of", self._rows(**_filters(self.query, "warehouse")))

    def _rows(self, warehouse: str) -> Iterator[list[Any]]:
        rows = past.warehouse_as_of(warehouse=warehouse, moment=self.query["as_of"])
        for start in range(0, len(rows), PAGE):
            part = rows[start : start + PAGE]
            products = composed.products_of(product_ids=[row.product_id for row in part]) or {}
            for row in part:
                yield presenters.stock_then_cells(row, products.get(row.product_id))


class AvailabilityListView(ApiView):
    roles = EVERYBODY
    query_serializer = serializers.AvailabilityQuery

    @extend_schema(responses=serializers.AvailabilityOut(many=True))
    def get(self, request: Request) -> Response:
        """The units of several products that can be sold now, asked for by id or by SKU."""
        product_ids = self._product_ids()
        found = self.read_public("inventory", lambda: selectors.availability(product_ids=product_ids))
        _require_products([product_id for product_id, rows in found.items() if not rows])
        return Response([presenters.availability(product_id, rows) for product_id, rows in found.items()])

    def _product_ids(self) -> list[int]:
        if "skus" not in self.query:
            return list(self.query["product_ids"])
        by_sku = catalog.product_ids(skus=self.query["skus"])
        for sku in self.query["skus"]:
            if sku not in by_sku:
                raise ProductNotFound(f"There is no product {sku}.", sku=sku)
        return [by_sku[sku] for sku in self.query["skus"]]


class StockReserveView(ApiView):
    roles = only(Role.STOCK, Role.SERVICE)
    body_serializers = {"POST": serializers.ReservationIn}

    @extend_schema(responses=serializers.ReservationOut)
    def post(self, request: Request) -> Response:
        """Reserves all units or none."""
        body = self.body()
        key = self.idempotency_key("inventory.reserve", body, scope="")
        demand: dict[int, int] = {}
        for line in body.get("items") or [body]:
            demand[line["product_id"]] = demand.get(line["product_id"], 0) + line["quantity"]
        minutes = body.get("reservation_minutes")

        def prepare() -> None:
            _refuse_our_order(body.get("order_id", ""))
            _require_products(demand)
            if "warehouse" in body:
                selectors.require_warehouses(codes=[body["warehouse"]])

        def execute() -> tuple[int, Any]:
            reserved = holds.reserve(
                key=key.key if key else uuid.uuid4().hex,
                order_id=body.get("order_id", ""),
                demand=demand,
                seconds=settings.ECI_RESERVATION_SECONDS if minutes is None else minutes * 60,
                warehouse=body.get("warehouse"),
                actor=self.caller.name,
            )
            return 200, presenters.reservation(reserved)

        return commands.once("inventory", key, execute, prepare=prepare)


class ReservationCommandView(ApiView):
    """A command on a reservation that its body names. A key in the header belongs to the command, not to the
    reservation."""

    roles = only(Role.STOCK, Role.SERVICE)

    def command(self, name: str, run: Any) -> Response:
        """Answer ``run(key, body)``, where ``key`` is the named reservation's."""
        body = self.body()
        asked = {("reservation" if field == "idempotency_key" else field): value for field, value in body.items()}
        return commands.once(
            "inventory", self.idempotency_key(name, asked), lambda: (200, run(_key_of_reservation(body), body))
        )


def _key_of_reservation(body: dict[str, Any]) -> str:
    """The key of the reservation that has every name in the body.

    404 if there is none, or if its key or order is another one; 409 if it belongs to one of our orders.
    """
    if "reservation_id" in body:
        found = selectors.reservation(reservation_id=body["reservation_id"])
    else:
        found = selectors.reservations_by_key(keys=[body["idempotency_key"]]).get(body["idempotency_key"])
    row = found.reservation if found else None
    if (
        row is None
        or body.get("idempotency_key", row.key) != row.key
        or body.get("order_id", row.order_id) != row.order_id
    ):
        raise ReservationNotFound("There is no such reservation.")
    if is_our_order(row.order_id):
        raise OwnedByOrder(f"This reservation changes only through its order {row.order_id}.")
    return row.key


class ReservationConfirmView(ReservationCommandView):
    body_serializers = {"POST": serializers.ReservationCommandIn}

    @extend_schema(responses=serializers.ReservationOut)
    def post(self, request: Request) -> Response:
        """Makes the reservation firm: it no longer expires."""

        def run(key: str, body: dict[str, Any]) -> dict[str, Any]:
            return presenters.reservation(holds.confirm(key=key, actor=self.caller.name))

        return self.command("inventory.confirm", run)


class ReservationReleaseView(ReservationCommandView):
    body_serializers = {"POST": serializers.AllocationCommandIn}

    @extend_schema(responses=serializers.ReservationReleasedOut)
    def post(self, request: Request) -> Response:
        """Gives back the units still held, in one warehouse or in all."""

        def run(key: str, body: dict[str, Any]) -> dict[str, Any]:
            warehouse = body.get("warehouse")
            rows = holds.release(key=key, warehouse=warehouse, actor=self.caller.name)
            units = presenters.units_in(rows, AllocationState.RELEASED, warehouse)
            return presenters.reservation(rows) | {"released_quantity": units}

        return self.command("inventory.release", run)


class ReservationShipView(ReservationCommandView):
    body_serializers = {"POST": serializers.AllocationCommandIn}

    @extend_schema(responses=serializers.ReservationShippedOut)
    def post(self, request: Request) -> Response:
        """Ships the units, from one warehouse or from all: on hand and reserved go down."""

        def run(key: str, body: dict[str, Any]) -> dict[str, Any]:
            warehouse = body.get("warehouse")
            rows = holds.ship(key=key, warehouse=warehouse, actor=self.caller.name)
            units = presenters.units_in(rows, AllocationState.SHIPPED, warehouse)
            return presenters.reservation(rows) | {"shipped_quantity": units}

        return self.command("inventory.ship", run)


class ReservationListView(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.ReservationListQuery

    @extend_schema(responses=serializers.ReservationOut(many=True))
    def get(self, request: Request) -> Response:
        """Reservations, by the status they have now."""
        paging = self.paging()
        found = selectors.reservations(
            paging=paging, **_filters(self.query, "status", "order_id", "product_id", "warehouse")
        )
        return page(
            request,
            paging,
            found,
            position=lambda rows: (rows.reservation.created_at, rows.reservation.pk),
            present=presenters.reservation,
        )


class ReservationDetailView(ApiView):
    roles = only(Role.STOCK)

    @extend_schema(responses=serializers.ReservationOut)
    def get(self, request: Request, reservation_id: int) -> Response:
        """One reservation."""
        found = selectors.reservation(reservation_id=reservation_id)
        if found is None:
            raise ReservationNotFound(f"There is no reservation {reservation_id}.")
        return Response(presenters.reservation(found))


class ReservationStatisticsView(ApiView):
    roles = only(Role.STOCK)

    @extend_schema(responses=serializers.ReservationStatisticsOut)
    def get(self, request: Request) -> Response:
        """The number of reservations by status, and when expired ones were last tidied up.

        Of more than 10,000 reservations, the numbers by status are counted once a minute, or more rarely
        where that takes long: `counted_at` says when.
        """
        return Response(presenters.reservation_statistics(selectors.reservation_statistics()))


class MovementExportView(ExportView):
    roles = only(Role.STOCK)
    query_serializer = serializers.MovementExportQuery
    columns = MOVEMENTS.columns

    @extend_schema(responses=FILE)
    def get(self, request: Request) -> HttpResponseBase:
        """The movements that the list's filters find, as a file: `format` is csv or xlsx."""
        filters = _filters(self.query, "product_id", "warehouse", "order_id", "reference")
        pages = self.pages(
            lambda paging: selectors.movements(paging=paging, **filters),
            lambda row, paging: (row.at, row.pk),
            default="-at",
        )
        return self.exported("movements", (line for rows in pages for line in movement_lines(rows)))


class MovementListView(ApiView):
    roles = only(Role.STOCK)
    query_serializer = serializers.MovementListQuery

    @extend_schema(responses=serializers.MovementOut(many=True))
    def get(self, request: Request) -> Response:
        """The stock ledger, the newest movements first."""
        paging = self.paging(default="-at")
        filters = _filters(self.query, "product_id", "warehouse", "order_id", "reference")
        rows = selectors.movements(paging=paging, **filters)
        return page(request, paging, rows, position=lambda row: (row.at, row.pk), present=presenters.movement)
