"""Payments, requests and refunds for staff to look at.

Money changes only through the services, which ask the provider and keep the books: staff refunds, and releases or
refuses what is under review.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from contexts.payments import services, workflows
from contexts.payments.models import Payment, PaymentRequest, Refund, Trail
from contexts.payments.public.contracts import RefundStatus
from eci import money
from eci.forms import AmountField, CardlessTextField
from eci.identity.auth import staff_name
from eci.staff import ReadOnly, StaffAdmin, TrailAdmin, without_minor_units
from eci.staff_commands import CommandForm, CommandPages

admin.site.register(Trail, TrailAdmin)


def _amount(minor: int, row: Payment | PaymentRequest) -> str:
    return money.text(money.from_minor(minor, row.currency), row.currency)


@admin.register(PaymentRequest)
class PaymentRequestAdmin(ReadOnly, StaffAdmin):
    list_display = ("order_id", "due", "currency", "customer_id", "state", "closed_reason", "deadline", "created_at")
    list_filter = ("state", "closed_reason", "currency")
    search_whole = ("order_id",)
    search_order = "order_id"
    search_fields = ("order_id", "=customer_id")
    grows = True
    ordering = ("-created_at",)
    fields = without_minor_units(PaymentRequest, shown=("due",))
    readonly_fields = ("due",)

    @admin.display(ordering="amount_minor")
    def due(self, row: PaymentRequest) -> str:
        return _amount(row.amount_minor, row) if row.currency else ""


class RefundForm(CommandForm):
    name, title, verb, dangerous = "refund", "Refund this payment", "payments.refund", True
    amount = AmountField(allow_zero=False)
    reason = CardlessTextField(max_length=500)

    def __init__(self, row: Payment, *args: Any, **kwargs: Any) -> None:
        super().__init__(row, *args, **kwargs)
        self.fields["amount"].widget.attrs["step"] = money.step(row.currency)

    @classmethod
    def facts(cls, row: Payment) -> dict[str, str]:
        return {"Status": row.status, "Refunded": f"{_amount(row.refunded_minor, row)} {row.currency}"}

    @classmethod
    def fits(cls, row: Payment) -> bool:
        return row.captured_minor > row.refunded_minor

    def explanation(self) -> str:
        left = _amount(self.row.captured_minor - self.row.refunded_minor, self.row)
        return f"{left} {self.row.currency} of this payment can be refunded."

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        try:
            money.to_minor(amount, self.row.currency)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return amount

    def begin(self, *, actor: str, version: int | None) -> int:
        return workflows.begin_refund(
            payment_id=self.row.pk,
            amount_minor=money.to_minor(self.cleaned_data["amount"], self.row.currency),
            reason=self.cleaned_data["reason"],
            actor=actor,
            key=None,
            version=version,
        )

    def carry_on(self, begun: int) -> str:
        refund = workflows.carry_out_refund(refund_id=begun)
        amount = f"{_amount(refund.amount_minor, self.row)} {self.row.currency}"
        if refund.status == RefundStatus.FAILED:
            raise workflows.refused(refund=refund)
        if refund.status == RefundStatus.PENDING:
            return f"The provider has not answered yet. {amount} will be refunded once it does."
        return f"{amount} were refunded."


@admin.register(Payment)
class PaymentAdmin(ReadOnly, CommandPages):
    commands = (RefundForm,)
    empty_list = "No payment has begun yet. One begins with an order."
    list_display = (
        "id",
        "order_id",
        "customer_id",
        "amount",
        "captured",
        "refunded",
        "currency",
        "method",
        "status_badge",
        "review",
        "suspicion",
        "actor",
        "created_at",
    )
    list_filter = ("review", "status", "mode", "method", "currency", "created_at")
    actions = ("release", "refuse")
    search_whole = ("id", "order_id", "customer_id")
    search_order = "order_id"
    search_fields = ("order_id", "reference")
    grows = True
    ordering = ("-id",)
    readonly_fields = ("amount", "captured", "refunded")
    fields = without_minor_units(Payment, "token", "idempotency_fingerprint", shown=readonly_fields)

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.review")

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
        return _amount(row.amount_minor, row)

    @admin.display(ordering="captured_minor")
    def captured(self, row: Payment) -> str:
        return _amount(row.captured_minor, row)

    @admin.display(ordering="refunded_minor")
    def refunded(self, row: Payment) -> str:
        return _amount(row.refunded_minor, row)


@admin.register(Refund)
class RefundAdmin(ReadOnly, StaffAdmin):
    list_display = ("id", "payment", "amount", "currency", "status_badge", "reason", "actor", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("payment",)
    search_order = "payment__order_id"
    search_fields = ("=id", "=payment__id", "payment__order_id", "reason")
    ordering = ("-id",)
    readonly_fields = ("amount", "currency")
    fields = without_minor_units(Refund, "idempotency_fingerprint", shown=readonly_fields)

    @admin.display(ordering="amount_minor")
    def amount(self, row: Refund) -> str:
        return _amount(row.amount_minor, row.payment)

    @admin.display(ordering="payment__currency")
    def currency(self, row: Refund) -> str:
        return str(row.payment.currency)
