"""Payments, requests and refunds for staff to look at.

Money changes only through the services, which ask the provider and keep the books; staff releases or refuses what is
under review.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from contexts.payments import services
from contexts.payments.models import Payment, PaymentRequest, Refund, Trail
from eci.identity.auth import staff_name
from eci.money import from_minor, text
from eci.staff import ReadOnly, StaffAdmin, TrailAdmin

admin.site.register(Trail, TrailAdmin)


@admin.register(PaymentRequest)
class PaymentRequestAdmin(ReadOnly, StaffAdmin):
    list_display = ("order_id", "due", "currency", "customer_id", "state", "closed_reason", "deadline", "created_at")
    list_filter = ("state", "closed_reason", "currency")
    search_fields = ("order_id", "=customer_id")
    ordering = ("-created_at",)

    @admin.display(ordering="amount_minor")
    def due(self, row: PaymentRequest) -> str:
        return text(from_minor(row.amount_minor, row.currency), row.currency) if row.currency else ""


@admin.register(Payment)
class PaymentAdmin(ReadOnly, StaffAdmin):
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
        "review",
        "suspicion",
        "actor",
        "created_at",
    )
    list_filter = ("review", "status", "mode", "method", "currency", "created_at")
    actions = ("release", "refuse")
    search_fields = ("=id", "order_id", "=customer_id", "reference")
    exclude = ("token", "idempotency_fingerprint")
    ordering = ("-id",)

    def has_review_permission(self, request: HttpRequest) -> bool:
        """Staff that may change payments may decide a review, although the rows are read-only here."""
        return request.user.has_perm("payments.change_payment")

    @admin.action(description="Release from review: ask the provider", permissions=["review"])
    def release(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        self._decide(request, queryset, "release", services.release_payment, "released")

    @admin.action(description="Refuse as suspected fraud", permissions=["review"])
    def refuse(self, request: HttpRequest, queryset: QuerySet[Payment]) -> None:
        self._decide(request, queryset, "refuse", services.refuse_payment, "refused")

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[Payment], action: str, decide: Callable[..., bool], done: str
    ) -> None:
        actor = staff_name(request.user)
        chosen = sorted(queryset.values_list("pk", flat=True))

        def decide_all() -> int:
            return sum(decide(payment_id=payment_id, actor=actor) for payment_id in chosen)

        decided = self.once(request, "payments", f"payment.{action}", decide_all)
        self.message_user(request, f"{decided} of {len(chosen)} payments were under review and are now {done}.")

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
class RefundAdmin(ReadOnly, StaffAdmin):
    list_display = ("id", "payment", "amount", "currency", "status", "reason", "actor", "created_at")
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
