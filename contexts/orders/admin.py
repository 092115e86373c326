"""Orders for support staff: lists to search, and one page for all that belongs to an order.

Nothing is edited here: what staff asks for, it asks for on the desk's pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.messages import WARNING
from django.db import InterfaceError, OperationalError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from contexts.catalog.public.api import catalog
from contexts.customers.public.api import customers
from contexts.orders import selectors
from contexts.orders.exports import ORDERS
from contexts.orders.models import Order, OrderLine, Return, Switch, TimelineEntry, Trail
from eci import money
from eci.calls import rpc
from eci.errors import ContextUnavailable
from eci.identity.roles import Role, only
from eci.staff import ReadOnly, StaffAdmin, TrailAdmin, without_minor_units
from eci.staff_exports import ExportedList

AWAY = (ContextUnavailable, OperationalError, InterfaceError)
MAX_PRODUCTS = 100  # that a search by name means

admin.site.register(Trail, TrailAdmin)


class LineInline(ReadOnly, admin.TabularInline):
    model = OrderLine
    fields = ["line_no", "product_id", "sku", "name", "quantity", "returned_quantity", "unit_price"]
    readonly_fields = ["unit_price"]

    @admin.display(description="unit price")
    def unit_price(self, line: OrderLine) -> str:
        return amount(line.unit_price_minor, line.order.currency)


class TimelineInline(ReadOnly, admin.TabularInline):
    model = TimelineEntry
    fields = ["at", "event", "detail", "actor"]


class ReturnInline(ReadOnly, admin.TabularInline):
    model = Return
    fields = [
        "created_at",
        "status",
        "items",
        "received",
        "reason",
        "refusal",
        "refund",
        "actor",
        "answered_by",
        "done_at",
    ]
    readonly_fields = ["refund"]

    @admin.display(description="refund")
    def refund(self, row: Return) -> str:
        return amount(row.refund_minor, row.order.currency)


class SoldFilter(admin.SimpleListFilter):
    """What counts as sold: the order passed the pivot, whatever became of it."""

    title = "sale"
    parameter_name = "sold"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "it was paid"), ("0", "not yet, or never")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        if self.value() not in ("0", "1"):
            return queryset
        return queryset.filter(confirmed_at__isnull=self.value() == "0")


@admin.register(Order)
class OrderAdmin(ReadOnly, ExportedList):
    exports = (ORDERS,)
    export_roles = only(Role.SUPPORT)
    empty_list = "There is no order yet. The storefront places them."
    list_display = [
        "order_id",
        "number",
        "created_at",
        "status_badge",
        "payment_status",
        "total",
        "buyer",
        "reference",
        "needs_attention",
    ]
    list_filter = [SoldFilter, "status", "payment_status", "needs_attention", "fulfilment", "created_at"]
    search_fields = ["order_id", "reference", "email"]
    grows = True
    ordering = ["-created_at", "-order_id"]
    readonly_fields = ["sheet", "subtotal", "tax", "shipping", "total", "refunded", "returned_goods", "returned_tax"]
    fields = without_minor_units(
        Order,
        *("token", "lease_owner", "lease_until", "idempotency_scope", "idempotency_fingerprint"),
        shown=readonly_fields,
    )
    inlines = [LineInline, TimelineInline, ReturnInline]

    def ways(self, request: HttpRequest, queryset: QuerySet[Order], term: str) -> Iterator[Q]:
        """Orders of that name, of that buyer, with that product."""
        if "@" in term:
            yield self._buyer_is(request, term) | Q(pk__in=selectors.orders_named(name=term))
            return
        named = Q(pk__in=selectors.orders_named(name=term))
        yield named | Q(customer_id=term) if term.isascii() and term.isdecimal() and len(term) < 19 else named
        try:
            with rpc.briefly():
                coded = catalog.product_ids_by_code(codes={term, term.upper()})
                products = catalog.search(text=term, limit=MAX_PRODUCTS)
        except AWAY:
            self.message_user(request, "The catalog cannot be asked just now, so no product is looked for.", WARNING)
            return
        for meant in (coded.values(), products):
            yield Q(pk__in=selectors.of_products(product_ids=list(meant)).values("order_id"))

    def _buyer_is(self, request: HttpRequest, address: str) -> Q:
        """An e-mail address, in any case, is that of guests' orders and, by asking customers, of their customer's."""
        found = Q(pk__in=selectors.orders_of_guest(email=address))
        try:
            with rpc.briefly():
                return found | Q(customer_id__in=customers.customer_ids_by_email(email=address))
        except AWAY:
            self.message_user(request, "Customers cannot be asked just now, so only guests' orders are found.", WARNING)
            return found

    @admin.display(description="buyer")
    def buyer(self, order: Order) -> str:
        return order.email if order.customer_id is None else f"customer {order.customer_id}"

    @admin.display(description="total", ordering="total_minor")
    def total(self, order: Order) -> str:
        return amount(order.total_minor, order.currency)

    @admin.display(description="everything about it")
    def sheet(self, order: Order) -> str:
        return format_html('<a href="{}">what all contexts know of it</a>', reverse("desk-order", args=[order.pk]))

    def subtotal(self, order: Order) -> str:
        return amount(order.subtotal_minor, order.currency)

    def tax(self, order: Order) -> str:
        return amount(order.tax_minor, order.currency)

    def shipping(self, order: Order) -> str:
        return amount(order.shipping_minor, order.currency)

    def refunded(self, order: Order) -> str:
        return amount(order.refunded_minor, order.currency)

    def returned_goods(self, order: Order) -> str:
        return amount(order.returned_goods_minor, order.currency)

    def returned_tax(self, order: Order) -> str:
        return amount(order.returned_tax_minor, order.currency)


def amount(minor: int, currency: str) -> str:
    return f"{money.text(money.from_minor(minor, currency), currency)} {currency}"


@admin.register(Switch)
class SwitchAdmin(ReadOnly, StaffAdmin):
    list_display = ["at", "taking", "reason", "actor"]
