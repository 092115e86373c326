from __future__ import annotations

from django.contrib import admin

from contexts.payments.models import Payment, PaymentRequest, Refund
from eci.money import from_minor, text
from eci.staff import ReadOnly


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Money changes through the services, which ask the provider and keep the books; never by hand."""

    actions = None


@admin.register(PaymentRequest)
class PaymentRequestAdmin(ReadOnlyAdmin):
    list_display = ("order_id", "due", "currency", "customer_id", "state", "closed_reason", "deadline", "created_at")
    list_filter = ("state", "closed_reason", "currency")
    search_fields = ("order_id", "=customer_id")
    ordering = ("-created_at",)

    @admin.display(ordering="amount_minor")
    def due(self, row: PaymentRequest) -> str:
        return text(from_minor(row.amount_minor, row.currency), row.currency) if row.currency else ""


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "order_id",
        "customer_id",
        "amount",
        "captured",
        "refunded",
        "currency",
        "method",
        "status",
        "reference",
        "created_at",
    )
    list_filter = ("status", "mode", "method", "currency", "created_at")
    search_fields = ("=id", "order_id", "=customer_id", "reference")
    exclude = ("token", "idempotency_fingerprint")
    ordering = ("-id",)

    @admin.display(ordering="amount_minor")
    def amount(self, row: Payment) -> str:
        return text(from_minor(row.amount_minor, row.currency), row.currency)

    @admin.display(ordering="captured_minor")
    def captured(self, row: Payment) -> str:
        return text(from_minor(row.captured_minor, row.currency), row.currency)

    @admin.display(ordering="refunded_minor")
    def refunded(self, row: Payment) -> str:
        return text(from_minor(row.refunded_minor, row.currency), row.currency)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("id", "payment", "amount", "currency", "status", "reason", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("payment",)
    search_fields = ("=id", "=payment__id", "payment__order_id", "reason")
    exclude = ("idempotency_fingerprint",)
    ordering = ("-id",)

    @admin.display(ordering="amount_minor")
    def amount(self, row: Refund) -> str:
        return text(from_minor(row.amount_minor, row.payment.currency), row.payment.currency)

    @admin.display(ordering="payment__currency")
    def currency(self, row: Refund) -> str:
        return str(row.payment.currency)
