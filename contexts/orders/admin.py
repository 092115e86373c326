"""Orders for support staff: lists to search, and one page for all that belongs to an order.

Nothing is edited here: staff cancels orders and registers returns, by the workflows that the API uses.
"""

from __future__ import annotations

from typing import Any

from django import forms
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
from contexts.orders import services
from contexts.orders.domain import Came, Outcome, why_not_cancel, why_not_return
from contexts.orders.models import Order, OrderLine, Return, Switch, TimelineEntry, Trail
from contexts.orders.public.contracts import ReturnStatus
from contexts.orders.workflows import cancelling, returning
from contexts.orders.workflows.cancelling import Cancellation
from eci import money
from eci.calls import rpc
from eci.errors import ContextUnavailable
from eci.forms import CardlessTextField
from eci.staff import ReadOnly, StaffAdmin, TrailAdmin, without_minor_units
from eci.staff_commands import CommandForm, CommandPages

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


class OrderCommand(CommandForm):
    @classmethod
    def facts(cls, row: Order) -> dict[str, str]:
        requested = len(_requested(row))
        return {"Status": row.status, "Payment": row.payment_status, "Returns to be answered": str(requested)}


class CancelForm(OrderCommand):
    name, title, verb = "cancel", "Cancel this order", "orders.cancel"
    reason = CardlessTextField(max_length=300)

    @classmethod
    def fits(cls, row: Order) -> bool:
        return not why_not_cancel(status=row.status, undone=bool(row.undo))

    def explanation(self) -> str:
        return "Its stock is released, what was paid is refunded, and the customer is told."

    def begin(self, *, actor: str, version: int | None) -> Cancellation:
        begun = cancelling.begin(
            order_id=self.row.pk, reason=self.cleaned_data["reason"], actor=actor, key=None, version=version
        )
        if not begun.asked:
            cancelling.outcome(begun.view)
        return begun

    def carry_on(self, begun: Cancellation) -> str:
        done = cancelling.outcome(cancelling.carry_on(begun)) == Outcome.DONE
        return "The order is cancelled." if done else "The order will be cancelled, once its payment is settled."


_DISPOSITIONS = [
    ("resell", "as new: back into stock"),
    ("damaged", "damaged: written off"),
    ("lost", "lost: written off"),
]


class ReturnForm(OrderCommand):
    """Units that are back: a number for each product of the order."""

    name, title, verb = "return", "Register a return", "orders.return"
    disposition = forms.ChoiceField(label="The units are", choices=_DISPOSITIONS)
    reason = CardlessTextField(max_length=300)

    def __init__(self, row: Order, *args: Any, **kwargs: Any) -> None:
        super().__init__(row, *args, **kwargs)
        self.left: dict[int, int] = {}
        names = {}
        for line in row.lines.all():
            units = line.quantity - line.returned_quantity - line.requested_quantity
            self.left[line.product_id] = self.left.get(line.product_id, 0) + units
            names[line.product_id] = f"{line.sku}, {line.name}"
        for product_id, units in self.left.items():
            self.fields[f"units_{product_id}"] = forms.IntegerField(
                label=names[product_id], min_value=0, max_value=units, initial=0, help_text=f"At most {units}."
            )
        self.order_fields([f"units_{product_id}" for product_id in self.left])

    @classmethod
    def fits(cls, row: Order) -> bool:
        return not why_not_return(status=row.status)

    def explanation(self) -> str:
        return "The units are back. Their price and tax are refunded, without the shipping fee."

    def clean(self) -> None:
        self.units = {pk: units for pk in self.left if (units := self.cleaned_data.get(f"units_{pk}"))}
        if not self.units and not self.errors:
            self.add_error(None, "Say how many units are back.")

    def begin(self, *, actor: str, version: int | None) -> Return:
        return services.open_return(
            order_id=self.row.pk,
            wanted=self.units,
            reason=self.cleaned_data["reason"],
            disposition=self.cleaned_data["disposition"],
            actor=actor,
            key=None,
            version=version,
        )

    def carry_on(self, begun: Return) -> str:
        return _in_words(returning.run_return_for_caller(begun), self.row)


def _in_words(back: Return, order: Order) -> str:
    if returning.outcome(back) == Outcome.PENDING:
        return f"Return {back.pk} is registered. Its stock and money will follow."
    return f"Return {back.pk} is registered, and {amount(back.refund_minor, order.currency)} were refunded."


class AnswerForm(OrderCommand):
    """The answer to a return that the customer has asked for."""

    return_id = forms.TypedChoiceField(label="Return", coerce=int)

    def __init__(self, row: Order, *args: Any, **kwargs: Any) -> None:
        super().__init__(row, *args, **kwargs)
        self.asked = {one.pk: one for one in _requested(row)}
        skus = {line.product_id: line.sku for line in row.lines.all()}
        units = {
            pk: ", ".join(f"{item['quantity']} × {skus[item['product_id']]}" for item in one.items)
            for pk, one in self.asked.items()
        }
        choices = [(pk, f"{units[pk]}: {one.reason}") for pk, one in self.asked.items()]
        self.fields["return_id"].choices = choices  # type: ignore[attr-defined]

    @classmethod
    def fits(cls, row: Order) -> bool:
        return bool(_requested(row))


def _requested(order: Order) -> list[Return]:
    return list(order.returns.filter(status=ReturnStatus.REQUESTED).order_by("pk"))


class ReceiveForm(AnswerForm):
    name, title, verb = "receive", "Receive what was to be returned", "orders.return"
    disposition = forms.ChoiceField(label="The units are", choices=_DISPOSITIONS)

    def explanation(self) -> str:
        return "All units are back that the customer asked to return. Less, or units of several kinds: over the API."

    def begin(self, *, actor: str, version: int | None) -> Return:
        asked = self.asked[self.cleaned_data["return_id"]]
        return services.receive_return(
            order_id=self.row.pk,
            return_id=asked.pk,
            came=[Came(**item, disposition=self.cleaned_data["disposition"]) for item in asked.items],
            actor=actor,
            key=None,
        )

    def carry_on(self, begun: Return) -> str:
        return _in_words(returning.run_return_for_caller(begun), self.row)


class RefuseForm(AnswerForm):
    name, title, verb = "refuse", "Refuse a return", "orders.return"
    reason = CardlessTextField(max_length=300, help_text="The customer is told this.")

    def begin(self, *, actor: str, version: int | None) -> Return:
        return services.refuse_return(
            order_id=self.row.pk,
            return_id=self.cleaned_data["return_id"],
            reason=self.cleaned_data["reason"],
            actor=actor,
        )

    def carry_on(self, begun: Return) -> str:
        return f"Return {begun.pk} is refused, and the customer is told why."


@admin.register(Order)
class OrderAdmin(ReadOnly, CommandPages):
    commands = (CancelForm, ReturnForm, ReceiveForm, RefuseForm)
    list_display = [
        "order_id",
        "number",
        "reference",
        "created_at",
        "status",
        "payment_status",
        "buyer",
        "total",
        "needs_attention",
    ]
    list_filter = ["status", "payment_status", "needs_attention", "fulfilment", "created_at"]
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
