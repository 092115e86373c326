"""Cancel, refund, return: a form, then exactly what it would do, then that and nothing else.

Each dialog reads what its form says into a request to orders, which previews it and carries it out. Forms judge only
what can be judged without the order: whether the order allows it, orders says, also to a form that is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.forms import BoundField

from contexts.inventory.public.api import inventory
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import (
    Done,
    OrderSheet,
    Preview,
    Refunding,
    ReturnExceedsShipped,
    ReturnStatus,
    StockEffect,
    UnitsBack,
)
from contexts.orders.public.events import OrderCancelled, ReturnReceived, ReturnRefused
from contexts.payments.public.events import RefundCompleted
from eci import money
from eci.errors import EciError
from eci.forms import AmountField, CardlessTextField

MAX_UNITS = 1_000_000
_OTHER = "other"
_DISPOSITIONS = [("resell", "as new: back on sale"), ("damaged", "damaged: written off"), ("lost", "lost: written off")]
_MAILS = {
    OrderCancelled.NAME: "order cancellation",
    RefundCompleted.NAME: "refund",
    ReturnReceived.NAME: "return received",
    ReturnRefused.NAME: "return refused",
}
_STOCK = {
    StockEffect.RELEASED: "Frees {units} × {sku} that are held in {warehouse}.",
    StockEffect.RESELL: "Puts {units} × {sku} back on sale in {warehouse}.",
    StockEffect.DAMAGED: "Writes {units} × {sku} off as damaged in {warehouse}.",
    StockEffect.LOST: "Writes {units} × {sku} off as lost in {warehouse}.",
}


class Dialog(forms.Form):
    """``name``: of its page, and of the command in ``OrderSheet.commands``. ``verb``: the permission that it takes.
    ``dangerous``: the session's owner confirms first that it is them."""

    name: ClassVar[str]
    title: ClassVar[str]
    verb: ClassVar[str]
    reasons: ClassVar[tuple[str, ...]] = ()
    dangerous: ClassVar[bool] = False

    def __init__(self, of: OrderSheet, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.of = of
        self.add_fields()
        if self.reasons:
            choices = [("", "choose"), *((one, one) for one in self.reasons), (_OTHER, "other, in words")]
            self.fields["reason"] = forms.ChoiceField(choices=choices)
            self.fields["words"] = CardlessTextField(label="In words", max_length=200, required=False)
        first = next(iter(self.visible_fields()))
        first.field.widget.attrs["autofocus"] = True

    def add_fields(self) -> None:
        """Those of this dialog, above the reason."""

    def clean(self) -> None:
        if self.cleaned_data.get("reason") == _OTHER and not self.cleaned_data.get("words"):
            self.add_error("words", "Say the reason in words.")

    @property
    def reason(self) -> str:
        chosen, words = self.cleaned_data["reason"], self.cleaned_data.get("words", "")
        return words if chosen == _OTHER else ": ".join(filter(None, (chosen, words)))

    def preview(self) -> Preview:
        raise NotImplementedError

    def carry_out(self, *, actor: str, key: str, shown: str) -> Done:
        raise NotImplementedError

    def refuse(self, refusal: EciError) -> None:
        """Say it where it belongs."""
        self.add_error(None, refusal.message)

    @property
    def order_id(self) -> str:
        return self.of.order.order_id

    @property
    def plain_fields(self) -> list[BoundField]:
        return [field for field in self.visible_fields() if not field.name.startswith(("units_", "as_", "to_"))]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A table of products, each with the fields for its units."""
        return []


class CancelDialog(Dialog):
    name, title, verb = "cancel", "Cancel", "orders.cancel"
    reasons = ("customer changed their mind", "out of stock", "wrong price", "suspected fraud", "ordered twice")

    def preview(self) -> Preview:
        return orders.preview_cancel(order_id=self.order_id)

    def carry_out(self, *, actor: str, key: str, shown: str) -> Done:
        return orders.cancel(order_id=self.order_id, reason=self.reason, actor=actor, key=key, shown=shown)


class UnitsDialog(Dialog):
    """A number for each product of the order."""

    asks_where: ClassVar[bool] = False
    may: ClassVar[str] = "can come back"

    def refuse(self, refusal: EciError) -> None:
        """Too many units of a product are told at its line."""
        if not isinstance(refusal, ReturnExceedsShipped):
            super().refuse(refusal)
            return
        for item in refusal.details["items"]:
            self.add_error(f"units_{item['product_id']}", f"At most {item['returnable']} {self.may}.")

    @cached_property
    def products(self) -> dict[int, dict[str, Any]]:
        """By product: what it is, and how many units are not back."""
        found: dict[int, dict[str, Any]] = {}
        for line in self.of.order.lines:
            known = found.setdefault(line.product_id, {"sku": line.sku, "name": line.name, "left": 0})
            known["left"] += line.quantity - line.returned_quantity
        return found

    def add_fields(self) -> None:
        for product_id, product in self.products.items():
            label = f"{product['sku']}, {product['name']}"
            self.fields[f"units_{product_id}"] = forms.IntegerField(
                label=label,
                min_value=0,
                max_value=MAX_UNITS,
                initial=0,
                required=False,
                widget=forms.NumberInput(attrs={"max": product["left"], "inputmode": "numeric"}),
            )
            if self.asks_where:
                self.fields[f"as_{product_id}"] = forms.ChoiceField(label=f"{label} are", choices=_DISPOSITIONS)
                self.fields[f"to_{product_id}"] = forms.ChoiceField(
                    label=f"{label} come to", choices=self.warehouses, required=False
                )

    @cached_property
    def warehouses(self) -> list[tuple[str, str]]:
        known = [(one.code, one.code) for one in inventory.warehouses() if one.is_active]
        return [("", "where they left"), *known]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [
            product | {name: self[f"{name}_{pk}"] for name in ("units", "as", "to") if f"{name}_{pk}" in self.fields}
            for pk, product in self.products.items()
        ]

    @property
    def units(self) -> dict[int, int]:
        return {pk: units for pk in self.products if (units := self.cleaned_data.get(f"units_{pk}") or 0)}

    @property
    def came(self) -> tuple[UnitsBack, ...]:
        return tuple(
            UnitsBack(
                product_id=pk,
                quantity=units,
                disposition=self.cleaned_data[f"as_{pk}"],
                warehouse=self.cleaned_data[f"to_{pk}"],
            )
            for pk, units in self.units.items()
        )


class RefundDialog(UnitsDialog):
    name, title, verb, dangerous = "refund", "Refund money", "payments.refund", True
    may = "can be refunded"
    reasons = ("damaged on the way", "late", "wrong item", "price was wrong", "goodwill")

    def add_fields(self) -> None:
        super().add_fields()
        currency = self.of.order.currency
        fee = f"{money.text(self.of.order.shipping, currency)} {currency}"
        self.fields["shipping"] = forms.BooleanField(label=f"The shipping fee, {fee}", required=False)
        self.fields["more"] = AmountField(label=f"Another amount, in {currency}", required=False)
        self.fields["more"].widget.attrs["step"] = money.step(currency)

    def clean_more(self) -> Decimal:
        amount: Decimal = self.cleaned_data.get("more") or Decimal(0)
        try:
            money.to_minor(amount, self.of.order.currency)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return amount

    @property
    def refunding(self) -> Refunding:
        cleaned = self.cleaned_data
        return Refunding(units=self.units, shipping=cleaned["shipping"], more=cleaned["more"])

    def preview(self) -> Preview:
        return orders.preview_refund(order_id=self.order_id, refunding=self.refunding)

    def carry_out(self, *, actor: str, key: str, shown: str) -> Done:
        return orders.refund(
            order_id=self.order_id, refunding=self.refunding, reason=self.reason, actor=actor, key=key, shown=shown
        )


class ReturnDialog(UnitsDialog):
    name, title, verb, asks_where = "return", "Register a return", "orders.return", True
    reasons: ClassVar[tuple[str, ...]] = (
        "does not fit",
        "not as described",
        "damaged",
        "not wanted any more",
        "could not be delivered",
    )

    @property
    def return_id(self) -> int | None:
        return None

    def preview(self) -> Preview:
        return orders.preview_return(order_id=self.order_id, came=self.came, return_id=self.return_id)

    def carry_out(self, *, actor: str, key: str, shown: str) -> Done:
        return orders.return_units(
            order_id=self.order_id,
            came=self.came,
            reason=self.reason if self.reasons else "",
            actor=actor,
            key=key,
            shown=shown,
            return_id=self.return_id,
        )


class _Answer(forms.Form):
    """The answer to a return that the customer asked for."""

    of: OrderSheet

    def add_return(self) -> None:
        asked = [one for one in self.of.order.returns if self.is_bound or one.status == ReturnStatus.REQUESTED]
        skus = {line.product_id: line.sku for line in self.of.order.lines}
        choices = []
        for one in asked:
            units = ", ".join(f"{item['quantity']} × {skus[item['product_id']]}" for item in one.items)
            choices.append((one.return_id, f"{one.return_id}: {units} ({one.reason})"))
        self.fields["asked"] = forms.TypedChoiceField(label="Return", coerce=int, choices=choices)

    @property
    def asked_id(self) -> int:
        return int(self.cleaned_data["asked"])


class ReceiveDialog(_Answer, ReturnDialog):
    name, title, reasons = "receive", "Receive what was to be returned", ()
    may = "were to come back"

    def add_fields(self) -> None:
        self.add_return()
        super().add_fields()
        requested = [one for one in self.of.order.returns if one.status == ReturnStatus.REQUESTED]
        for item in requested[0].items if requested else ():
            self.fields[f"units_{item['product_id']}"].initial = item["quantity"]

    @property
    def return_id(self) -> int | None:
        return self.asked_id


class RefuseDialog(_Answer, Dialog):
    name, title, verb = "refuse", "Refuse a return", "orders.return"

    def add_fields(self) -> None:
        self.add_return()
        self.fields["reason"] = CardlessTextField(max_length=300, help_text="The customer is told this.")

    def preview(self) -> Preview:
        return orders.preview_refuse(order_id=self.order_id, return_id=self.asked_id)

    def carry_out(self, *, actor: str, key: str, shown: str) -> Done:
        return orders.refuse_return(
            order_id=self.order_id,
            return_id=self.asked_id,
            reason=self.cleaned_data["reason"],
            actor=actor,
            key=key,
            shown=shown,
        )


DIALOGS: dict[str, type[Dialog]] = {
    dialog.name: dialog for dialog in (CancelDialog, RefundDialog, ReturnDialog, ReceiveDialog, RefuseDialog)
}


def in_words(preview: Preview, to: str) -> Iterator[str]:
    """What a command would do, a sentence for each effect. ``to``: who is told."""

    def amount(value: Decimal) -> str:
        return f"{money.text(value, preview.currency)} {preview.currency}"

    if preview.refund:
        named = {"goods": preview.goods, "tax": preview.tax, "shipping": preview.shipping, "on top": preview.more}
        parts = " + ".join(f"{money.text(value, preview.currency)} {name}" for name, value in named.items() if value)
        whole = sum(named.values()) == preview.refund
        yield f"Refunds {amount(preview.refund)}{f' ({parts})' if whole else ''}."
        if parts and not whole:
            yield f"It is worth {parts}, but no more is left of the money beside the shipping fee."
    elif not preview.voided:
        yield "Refunds nothing."
    if preview.voided:
        yield f"Sets {amount(preview.voided)} free, which are authorised and not taken."
    for change in preview.stock:
        yield _STOCK[change.effect].format(**vars(change))
    for shipment_id in preview.shipments:
        yield f"Cancels shipment {shipment_id}."
    mails = ", ".join(_MAILS[name] for name in preview.announces)
    yield f"Tells {to}: {mails}." if mails and to else "Tells nobody."
    if preview.waits:
        yield "The payment provider has not answered yet: it is recorded now, and done once that has."
