"""Orders for support staff: lists to search, and one page for all that belongs to an order.

Nothing is edited here: what staff asks for, it asks for on the desk's pages.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.messages import WARNING
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.db.models.lookups import Contains
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from contexts.customers.public.api import customers
from contexts.orders.exports import ORDERS
from contexts.orders.models import Order, OrderLine, Return, Switch, TimelineEntry, Trail
from eci import money
from eci.calls import rpc
from eci.errors import ContextUnavailable
from eci.identity.roles import Role, only
from eci.staff import ReadOnly, StaffAdmin, TrailAdmin, without_minor_units
from eci.staff_exports import ExportedList

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
    empty_list = "There is no order yet. The storefront places them: POST /v1/orders."
    list_display = [
        "order_id",
        "number",
        "reference",
        "created_at",
        "status_badge",
        "payment_status",
        "buyer",
        "total",
        "needs_attention",
    ]
    list_filter = [SoldFilter, "status", "payment_status", "needs_attention", "fulfilment", "created_at"]
    search_fields = ["order_id", "=number", "reference", "email", "=customer_id", "lines__sku"]
    ordering = ["-created_at", "-order_id"]
    readonly_fields = ["sheet", "subtotal", "tax", "shipping", "total", "refunded", "returned_goods", "returned_tax"]
    fields = without_minor_units(
        Order,
        *("token", "lease_owner", "lease_until", "idempotency_scope", "idempotency_fingerprint"),
        shown=readonly_fields,
    )
    inlines = [LineInline, TimelineInline, ReturnInline]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """An e-mail address, in any case, finds guests' orders and, by asking customers, those of its customer."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        address = search_term.strip()
        if "@" not in address:
            return found, may_repeat
        found |= queryset.filter(Contains(Lower("email"), address.lower()))  # MySQL's collation tells case
        try:
            with rpc.briefly():
                theirs = customers.customer_ids_by_email(email=address)
        except (ContextUnavailable, OperationalError, InterfaceError):
            self.message_user(request, "Customers cannot be asked just now, so only guests' orders are found.", WARNING)
            return found, may_repeat
        return found | queryset.filter(customer_id__in=theirs), may_repeat

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
