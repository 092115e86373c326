"""Orders for support staff: lists to search, and one page for all that belongs to an order. Nothing is edited here."""

from __future__ import annotations

from django.contrib import admin

from contexts.orders.models import Order, OrderLine, Return, Switch, TimelineEntry
from eci import money
from eci.staff import ReadOnly, StaffAdmin


class LineInline(ReadOnly, admin.TabularInline):
    model = OrderLine
    fields = ["line_no", "product_id", "sku", "name", "quantity", "returned_quantity", "unit_price"]
    readonly_fields = ["unit_price"]

    @admin.display(description="unit price")
    def unit_price(self, line: OrderLine) -> str:
        return amount(line.unit_price_minor, line.order.currency)


class TimelineInline(ReadOnly, admin.TabularInline):
    model = TimelineEntry
    fields = ["at", "event", "detail"]


class ReturnInline(ReadOnly, admin.TabularInline):
    model = Return
    fields = ["created_at", "items", "reason", "disposition", "refund", "done_at"]
    readonly_fields = ["refund"]

    @admin.display(description="refund")
    def refund(self, row: Return) -> str:
        return amount(row.refund_minor, row.order.currency)


@admin.register(Order)
class OrderAdmin(ReadOnly, StaffAdmin):
    list_display = ["order_id", "created_at", "status", "payment_status", "buyer", "total", "needs_attention"]
    list_filter = ["status", "payment_status", "needs_attention", "fulfilment", "created_at"]
    search_fields = ["order_id", "email", "=customer_id", "lines__sku"]
    ordering = ["-created_at", "-order_id"]
    exclude = ["token", "lease_owner", "lease_until", "idempotency_scope", "idempotency_fingerprint"]
    inlines = [LineInline, TimelineInline, ReturnInline]

    @admin.display(description="buyer")
    def buyer(self, order: Order) -> str:
        return order.email if order.customer_id is None else f"customer {order.customer_id}"

    @admin.display(description="total", ordering="total_minor")
    def total(self, order: Order) -> str:
        return amount(order.total_minor, order.currency)


def amount(minor: int, currency: str) -> str:
    return f"{money.text(money.from_minor(minor, currency), currency)} {currency}"


@admin.register(Switch)
class SwitchAdmin(ReadOnly, StaffAdmin):
    list_display = ["at", "taking", "reason", "actor"]
