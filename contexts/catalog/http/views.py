"""Products and categories over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from contexts.catalog import exports, selectors, services
from contexts.catalog.exports import PRICES, PRODUCTS
from contexts.catalog.http import presenters
from contexts.catalog.http.serializers import (
    CategoryOut,
    NewProductIn,
    PriceOut,
    ProductExportQuery,
    ProductIn,
    ProductListQuery,
    ProductOut,
    ProductSearchQuery,
)
from contexts.catalog.selectors import Row
from eci.http import commands, conditional
from eci.http.envelope import Page
from eci.http.exports import FILE, ExportView
from eci.http.imports import ImportListView
from eci.http.paging import QuerySerializer, page
from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY, Role, only
from eci.paging import Paging


class ProductListView(ApiView):
    roles = {"GET": EVERYBODY, "POST": only(Role.CATALOG)}
    query_serializer = ProductListQuery
    body_serializers = {"POST": NewProductIn}

    @extend_schema(responses=ProductOut(many=True))
    def get(self, request: Request) -> Response:
        """The products, newest first unless `ordering` says otherwise. The public sees those on sale."""
        return _products(self, default="-created_at")

    @extend_schema(responses={201: ProductOut})
    def post(self, request: Request) -> Response:
        """Add a product. `currency` is the shop's unless given."""
        body = self.body()
        return commands.once(
            "catalog",
            self.idempotency_key("catalog.create_product", body),
            lambda: (201, presenters.product(services.create_product(actor=self.caller.name, **body))),
        )


class ProductSearchView(ApiView):
    roles = EVERYBODY
    query_serializer = ProductSearchQuery

    @extend_schema(responses=ProductOut(many=True))
    def get(self, request: Request) -> Response:
        """`q` finds products that have all its words, or words that begin so, in SKU, barcode, name, category or
        description; if there are none, those that have them but for one mistake in a word. The best match comes first
        unless `ordering` says otherwise. With a price bound, products of `currency` are found, which is the shop's
        unless given. With `facets=true` `meta` counts categories and price bands, of up to 1,000 products."""
        answer = _products(self, default="-rank" if self.query.get("q") else "-created_at")
        if self.query.get("facets"):
            counted = self.read_public("catalog", lambda: selectors.facets(**_filters(self)))
            answer.meta["facets"] = presenters.facets(counted)
        return answer


class ProductImportView(ImportListView):
    roles = only(Role.CATALOG)
    kinds = ("products", "prices")


class ProductExportView(ExportView):
    roles = only(Role.CATALOG)
    query_serializer = ProductExportQuery
    columns = PRODUCTS.columns

    @extend_schema(responses=FILE)
    def get(self, request: Request) -> HttpResponseBase:
        """The products that the list's filters find, as a file that can be imported: `format` is csv or xlsx."""
        return self.exported("products", map(exports.product_cells, _all_products(self)))


class PriceExportView(ExportView):
    roles = only(Role.CATALOG)
    query_serializer = ProductExportQuery
    columns = PRICES.columns

    @extend_schema(responses=FILE)
    def get(self, request: Request) -> HttpResponseBase:
        """The prices of these products, as a file that can be imported: `format` is csv or xlsx."""
        return self.exported("prices", map(exports.price_cells, _all_products(self)))


class ProductDetailView(ApiView):
    roles = {"GET": EVERYBODY, "PUT": only(Role.CATALOG), "PATCH": only(Role.CATALOG), "DELETE": only(Role.CATALOG)}
    keyed_methods = ("PUT", "PATCH")
    conditional_methods = ("PUT", "PATCH", "DELETE")
    body_serializers = {"PUT": ProductIn, "PATCH": ProductIn}

    @extend_schema(responses=ProductOut)
    def get(self, request: Request, product_id: int) -> HttpResponseBase:
        """One product, on sale or not. With `If-None-Match` an unchanged product is a 304."""
        row = selectors.product(product_id=product_id)
        return conditional.answer(request, presenters.product(row), version=row["version"], detail=_detail(row))

    @extend_schema(responses=ProductOut)
    def put(self, request: Request, product_id: int) -> Response:
        """Replace a product. An optional field that is left out keeps its value."""
        return self._update(product_id, self.body(), whole=True)

    @extend_schema(responses=ProductOut)
    def patch(self, request: Request, product_id: int) -> Response:
        """Change the given fields of a product."""
        return self._update(product_id, self.body(partial=True))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, product_id: int) -> Response:
        """Take the product off sale. It is kept, because orders refer to it."""
        services.update_product(product_id=product_id, actor=self.caller.name, version=self.if_match(), is_active=False)
        return Response(status=204)

    def _update(self, product_id: int, changes: dict[str, Any], *, whole: bool = False) -> Response:
        version = self.if_match()
        written: list[Row] = []

        def execute() -> tuple[int, Any]:
            row = services.update_product(
                product_id=product_id, actor=self.caller.name, version=version, replace_metadata=whole, **changes
            )
            written[:] = [row]
            return 200, presenters.product(row)

        answer = commands.once("catalog", self.idempotency_key("catalog.update_product", changes), execute)
        for row in written:  # none in a replay, which tells of the past
            answer["ETag"] = conditional.etag(row["version"], _detail(row))["ETag"]
        return answer


class ProductBySkuView(ApiView):
    roles = EVERYBODY

    @extend_schema(responses=ProductOut)
    def get(self, request: Request, sku: str) -> HttpResponseBase:
        """One product by its SKU, which is compared exactly and may contain slashes."""
        row = selectors.product_by_sku(sku=sku)
        # Another product may have this SKU, and this version, tomorrow.
        detail = conditional.digest([row["id"], _detail(row)])
        return conditional.answer(request, presenters.product(row), version=row["version"], detail=detail)


class ProductPricesView(ApiView):
    roles = EVERYBODY
    query_serializer = QuerySerializer

    @extend_schema(responses=PriceOut(many=True))
    def get(self, request: Request, product_id: int) -> Response:
        """Every price that the product was given, newest first, and who gave it; the public reads `staff`."""
        paging = self.paging(default="-at")
        rows = self.read_public("catalog", lambda: selectors.prices(paging=paging, product_id=product_id))
        present = partial(presenters.price, by_name=self.caller.is_staff)
        return page(request, paging, rows, position=_position(paging, "id"), present=present)


class CategoryListView(ApiView):
    roles = EVERYBODY
    query_serializer = QuerySerializer

    @extend_schema(responses=CategoryOut(many=True))
    def get(self, request: Request) -> Response:
        """The categories in alphabetical order, with the number of their products; for the public, of those on sale."""
        paging = self.paging(default="category_key")
        staff = self.caller.is_staff
        rows = self.read_public("catalog", lambda: selectors.categories(paging=paging, include_inactive=staff))
        position = _position(paging, "category_key")
        return page(request, paging, rows, position=position, present=presenters.category)


_PAGING = {"limit", "cursor", "ordering", "facets"}


def _all_products(view: ExportView) -> Iterator[Row]:
    filters = _filters(view)
    pages = view.pages(
        lambda paging: selectors.products(paging=paging, **filters),
        lambda row, paging: (row[paging.field], row["id"]),
    )
    return (row for page in pages for row in page)


def _products(view: ApiView, *, default: str) -> Page:
    paging = view.paging(default=default)
    rows = view.read_public("catalog", lambda: selectors.products(paging=paging, **_filters(view)))
    return page(view.request, paging, rows, position=_position(paging, "id"), present=presenters.product)


def _filters(view: ApiView) -> dict[str, Any]:
    given = {name: value for name, value in view.query.items() if name not in _PAGING}
    return given | {"include_inactive": view.caller.is_staff}


def _position(paging: Paging, pk: str) -> Callable[[Row], tuple[Any, Any]]:
    return lambda row: (row[paging.field], row[pk])


def _detail(row: Row) -> int | None:
    """What changes by time alone: the lowest price of the last days, where it is another than that of now."""
    return None if row["lowest_minor"] == row["price_minor"] else int(row["lowest_minor"])
