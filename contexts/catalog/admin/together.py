"""Several products at once: on sale, off sale, prices by a percentage; and the page on which that is undone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from contexts.catalog import services
from contexts.catalog.domain import ROUNDINGS, repriced
from contexts.catalog.models import BulkChange, Product
from contexts.catalog.selectors import Row
from eci import money
from eci.errors import EciError, PreconditionFailed
from eci.forms import AmountField
from eci.identity.auth import staff_name
from eci.staff import ReadOnly, StaffAdmin
from eci.staff_commands import CommandForm, CommandPages
from eci.staff_forms import OnceForm, key_for, new_key

MOST = 1_000  # products at once
_MORE, _LESS = "more", "less"
_ENDINGS = [(name, f"to multiples of {name}" if name[0] != "." else f"ending in {name}") for name in ROUNDINGS]


class PriceForm(OnceForm):
    direction = forms.ChoiceField(label="Prices become", choices=[(_MORE, "higher"), (_LESS, "lower")])
    percent = AmountField(allow_zero=False, label="by percent", help_text="Such as 5 or 2.5.")
    rounding = forms.ChoiceField(
        label="Rounded", required=False, choices=[("", "to the smallest unit of the currency"), *_ENDINGS]
    )

    def clean_percent(self) -> Decimal:
        percent: Decimal = self.cleaned_data["percent"]
        if percent > 1000 or percent != round(percent, 2):
            raise forms.ValidationError("A percentage is at most 1000, with at most two decimal places.")
        return percent

    @property
    def signed(self) -> Decimal:
        percent: Decimal = self.cleaned_data["percent"]
        return -percent if self.cleaned_data["direction"] == _LESS else percent

    @property
    def what(self) -> str:
        rounding = self.cleaned_data["rounding"]
        return f"prices {self.signed:+f} %" + (f", {dict(_ENDINGS)[rounding]}" if rounding else "")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A product whose price is to change. ``why_not``: it stays as it is, for this reason."""

    product: Product
    old: str
    new: str
    why_not: str = ""


def lines_of(products: list[Product], form: PriceForm) -> list[Line]:
    """What the form does to each product: first those that stay as they are."""
    found: list[tuple[Product, Decimal | None, str]] = []
    for product in products:
        old = money.from_minor(product.price_minor, product.currency)
        try:
            rounding = form.cleaned_data["rounding"]
            found.append((product, repriced(old, product.currency, percent=form.signed, rounding=rounding), ""))
        except ValueError as error:
            found.append((product, None, str(error)))
    rows: list[Row] = [{"sku": product.sku, "price": price} for product, price, _ in found if price is not None]
    plans = dict(zip([row["sku"] for row in rows], services.plan_products(rows=rows, create=False), strict=True))
    lines = [_line(product, price, why_not, plans.get(product.sku)) for product, price, why_not in found]
    return sorted(lines, key=lambda line: not line.why_not)


def _line(product: Product, price: Decimal | None, why_not: str, plan: services.Planned | None) -> Line:
    old = f"{money.text_of(product.price_minor, product.currency)} {product.currency}"
    if plan is None or price is None:
        return Line(product=product, old=old, new="", why_not=why_not)
    if plan.refusal:
        return Line(product=product, old=old, new="", why_not=plan.refusal.removeprefix("price: "))
    if not plan.changes:
        return Line(product=product, old=old, new="", why_not="Its price stays the same.")
    return Line(product=product, old=old, new=money.text(price, product.currency))


def digest_of(lines: list[Line]) -> str:
    """What the page showed."""
    said = [(line.product.sku, line.product.version, line.new) for line in lines]
    return hashlib.sha256(repr(said).encode()).hexdigest()


class ChangedTogether(StaffAdmin):
    """Actions on marked products. Each is one transaction, and leaves a ``BulkChange``."""

    @admin.action(description="Take the selected products off sale", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        self._put(request, queryset, is_active=False)

    @admin.action(description="Put the selected products on sale", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        self._put(request, queryset, is_active=True)

    @admin.action(description="Change the prices of the selected products", permissions=["change"])
    def reprice(self, request: HttpRequest, queryset: QuerySet[Product]) -> HttpResponse | None:
        """A form; what it would do, product by product; that and nothing else."""
        products = self._chosen(request, queryset)
        if products is None:
            return None
        stage = request.POST.get("stage")
        form = PriceForm(request.POST if stage else None)
        if not stage or stage == "edit" or not form.is_valid():
            return self._page(request, products, form)
        lines = lines_of(products, form)
        shown = digest_of(lines)
        changed = stage == "confirm" and shown != request.POST.get("shown")
        if stage == "confirm" and not changed:
            rows: list[Row] = [
                {"sku": line.product.sku, "price": Decimal(line.new)} for line in lines if not line.why_not
            ]
            if not rows:
                self.message_user(request, "Nothing was changed.", messages.WARNING)
                return None
            try:
                self._change(request, "product.reprice", rows, [line.product for line in lines], form.what)
                return None
            except PreconditionFailed:  # somebody was faster, just now
                changed = True
                lines = lines_of(list(queryset.order_by("pk")[:MOST]), form)
                shown = digest_of(lines)
        return self._page(request, products, form, lines=lines, shown=shown, changed=changed)

    def _put(self, request: HttpRequest, queryset: QuerySet[Product], *, is_active: bool) -> None:
        products = self._chosen(request, queryset)
        if products is None:
            return
        rows: list[Row] = [{"sku": product.sku, "is_active": is_active} for product in products]
        try:
            self._change(request, "product.put", rows, products, "put on sale" if is_active else "taken off sale")
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Product]) -> list[Product] | None:
        products = list(queryset.order_by("pk")[: MOST + 1])
        if len(products) > MOST:
            self.message_user(request, f"Choose at most {MOST} products.", messages.ERROR)
            return None
        return products

    def _change(self, request: HttpRequest, action: str, rows: list[Row], products: list[Product], what: str) -> None:
        actor = staff_name(request.user)
        versions = {product.sku: product.version for product in products}
        seen = {row["sku"]: versions[row["sku"]] for row in rows}

        def change() -> int | None:
            made = services.change_together(rows=rows, seen=seen, what=what, actor=actor)
            return made.pk if made else None

        pk = self.once(request, "catalog", action, change)
        made = BulkChange.objects.filter(pk=pk).first() if pk else None
        if made is None:
            self.message_user(request, "Nothing was changed: they are so already.", messages.WARNING)
            return
        undo = reverse("admin:catalog_bulkchange_undo", args=[made.pk])
        said = f"{_count(made)}: {what}."
        told = format_html('{} <a href="{}">Undo</a> (for an hour)', said, undo)
        self.message_user(request, told, messages.SUCCESS)

    def _page(self, request: HttpRequest, products: list[Product], form: PriceForm, **more: Any) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        hidden = [("action", "reprice"), ("select_across", "1" if across else "0")]
        hidden += [(ACTION_CHECKBOX_NAME, str(product.pk)) for product in products[: 1 if across else MOST]]
        context = {
            **self.admin_site.each_context(request),
            "title": "Change prices",
            "form": form,
            "form_key": key_for(request) if "stage" in request.POST else new_key(request.path),
            "hidden": hidden,
            "count": len(products),
            "opts": self.opts,
            "media": self.media + form.media,
            "back": request.get_full_path(),
        }
        return TemplateResponse(request, "catalog/reprice.html", context | more)


def _count(change: BulkChange) -> str:
    return "One product" if len(change.lines) == 1 else f"{len(change.lines)} products"


class UndoForm(CommandForm):
    name, title, verb = "undo", "Undo this change", "catalog.change_product"

    @classmethod
    def facts(cls, row: BulkChange) -> dict[str, str]:
        return {"Undone by": row.undone_by or "nobody"}

    @classmethod
    def fits(cls, row: BulkChange) -> bool:
        return services.can_be_undone(change=row)

    def explanation(self) -> str:
        return (
            f"{_count(self.row)}, {self.row.what} by {self.row.actor}: each becomes what it was before, as a new"
            " change. What somebody has changed since stays as it is, and is named."
        )

    def begin(self, *, actor: str, version: int) -> BulkChange:
        return services.undo_together(change_id=self.row.pk, version=version, actor=actor)

    def carry_on(self, begun: BulkChange) -> str:
        undone = len(begun.lines) - len(begun.kept)
        kept = f" Somebody has changed these since, and they stay as they are: {', '.join(begun.kept)}."
        return f"{undone} of {len(begun.lines)} are as they were before.{kept if begun.kept else ''}"


class BulkChangeAdmin(ReadOnly, CommandPages):
    commands = (UndoForm,)
    list_display = ("at", "what", "products", "actor", "undone_at", "undone_by")
    list_display_links = ("at", "what")
    search_fields = ("=actor",)
    ordering = ("-at", "-id")
    fields = ("what", "at", "actor", "what_changed", "undone_at", "undone_by", "stayed")
    readonly_fields = ("what_changed", "stayed")

    @admin.display
    def products(self, row: BulkChange) -> int:
        return len(row.lines)

    @admin.display
    def what_changed(self, row: BulkChange) -> str:
        skus = [sku for sku, _ in row.lines]
        currencies = dict(Product.objects.filter(sku__in=skus).values_list("sku", "currency"))
        return "\n".join(f"{sku}: {_in_words(changes, currencies.get(sku, ''))}" for sku, changes in row.lines)

    @admin.display(description="stayed as they were, for somebody had changed them")
    def stayed(self, row: BulkChange) -> str:
        return ", ".join(row.kept)


def _in_words(changes: Mapping[str, Any], currency: str) -> str:
    units = {"price": f" {currency}"}
    return ", ".join(f"{_word(old)} → {_word(new)}{units.get(name, '')}" for name, (old, new) in changes.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on sale" if value else "off sale"
    return str(value)
