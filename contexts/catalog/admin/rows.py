"""The list of products as a form: price, and whether a product is on sale, are edited in their rows.

A row carries the values that it showed. What was changed is saved, of all rows or of none; what somebody
else changed meanwhile stands beside it, and nothing is written before its person has chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from contexts.catalog import services
from contexts.catalog.models import Product
from eci import money, staff_forms
from eci.errors import EciError, PreconditionFailed
from eci.forms import AmountField
from eci.identity.auth import staff_name
from eci.staff import CHANGED, StaffAdmin
from eci.staff_forms import DAMAGED, DamagedForm

SAVE = "save_rows"
_DIGITS = 19  # fewer, and it is an id on every engine


@dataclass(frozen=True, kw_only=True)
class Row:
    """A product in its row: ``price`` and ``is_active`` as they stand there, ``was_…`` as the page showed them."""

    product_id: int
    currency: str
    price: str
    is_active: bool
    was_price: str
    was_active: bool

    @property
    def is_changed(self) -> bool:
        return (self.price, self.is_active) != (self.was_price, self.was_active)

    @property
    def seen(self) -> str:
        """What the page's hidden field holds."""
        return f"{self.was_price} {self.currency} {int(self.was_active)}"

    def is_of_now(self, product: Product) -> bool:
        """Nobody has changed what the page showed. What else of the product was changed is not written over."""
        return shown(product).seen == self.seen


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``take``: the name of the choice between theirs and yours."""

    sku: str
    label: str
    theirs: str
    yours: str
    take: str


def shown(product: Product) -> Row:
    """The row of a product as it is now."""
    price = money.text_of(product.price_minor, product.currency)
    return Row(
        product_id=product.pk,
        currency=product.currency,
        price=price,
        is_active=product.is_active,
        was_price=price,
        was_active=product.is_active,
    )


def sent(post: Mapping[str, str]) -> list[Row]:
    """The rows of the form, with theirs in place of yours where that was chosen. DamagedForm."""
    rows = []
    for name, seen in post.items():
        pk = name.removeprefix("seen-")
        if pk == name:
            continue
        parts = seen.split(" ")
        if not (pk.isascii() and pk.isdigit() and len(pk) < _DIGITS and len(parts) == 3 and parts[2] in ("0", "1")):
            raise DamagedForm(DAMAGED)
        was_price, currency, was_active = parts
        mine = {name: post.get(f"take-{name}-{pk}") != "theirs" for name in ("price", "active")}
        rows.append(
            Row(
                product_id=int(pk),
                currency=currency,
                price=post.get(f"price-{pk}", "").strip() if mine["price"] else was_price,
                is_active=f"active-{pk}" in post if mine["active"] else was_active == "1",
                was_price=was_price,
                was_active=was_active == "1",
            )
        )
    return rows


def changes_of(row: Row, product: Product | None) -> dict[str, Any]:
    """What the row's person changed, for ``services.update_product``. ValueError with a sentence."""
    if product is None:
        raise ValueError(f"There is no product {row.product_id}.")
    changes: dict[str, Any] = {}
    if row.price != row.was_price:
        try:
            price: Decimal = AmountField().clean(row.price)
            money.to_minor(price, product.currency)
        except ValidationError as error:
            raise ValueError(f"{product.sku}: {' '.join(error.messages)}") from None
        except ValueError as error:
            raise ValueError(f"{product.sku}: {error}") from None
        changes["price"] = price
    if row.is_active != row.was_active:
        changes["is_active"] = row.is_active
    return changes


def beside(row: Row, product: Product) -> tuple[Row, list[Difference]]:
    """The row as if its person had seen the product as it is now, and where that differs from what they want."""
    now = shown(product)
    price = row.price if row.price != row.was_price else now.price
    is_active = row.is_active if row.is_active != row.was_active else now.is_active
    prices = [f"{one} {product.currency}" for one in (now.price, price)]
    told = [("price", "Price", *prices), ("active", "On sale", _words(now.is_active), _words(is_active))]
    return replace(now, price=price, is_active=is_active), [
        Difference(sku=product.sku, label=label, theirs=theirs, yours=yours, take=f"take-{name}-{product.pk}")
        for name, label, theirs, yours in told
        if theirs != yours
    ]


def _words(is_active: bool) -> str:
    return "yes" if is_active else "no"


class EditedRows(StaffAdmin):
    """An admin of products whose list is such a form, for those who may change products."""

    change_list_template = "catalog/product_change_list.html"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        typed: dict[int, Row] = getattr(request, "typed_rows", {})
        may_edit = self.has_change_permission(request)
        for product in changelist.result_list:
            product.may_edit = may_edit
            product.row = typed.get(product.pk) or shown(product)
        return changelist

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        more: dict[str, Any] = {"may_edit": self.has_change_permission(request)}
        if request.method == "POST" and SAVE in request.POST:
            if not self.has_change_permission(request):
                raise PermissionDenied
            found = self._save_rows(request)
            if isinstance(found, HttpResponse):
                return found
            more |= found
            again = QueryDict(mutable=True)
            again[staff_forms.FORM_KEY] = request.POST[staff_forms.FORM_KEY]
            request.POST = again  # type: ignore[assignment,misc]
        return super().changelist_view(request, more | (extra_context or {}))

    def _save_rows(self, request: HttpRequest) -> HttpResponse | dict[str, Any]:
        """The way back to the list; or what it shows above the rows, which then stand as they were typed."""
        try:
            if staff_forms.sent_before(request, "catalog") is not False:
                self.message_user(request, "")
                return HttpResponseRedirect(request.get_full_path())
            rows = sent(request.POST)
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        changed = [row for row in rows if row.is_changed]
        if not changed:
            self.message_user(request, "Nothing was changed.", messages.WARNING)
            return HttpResponseRedirect(request.get_full_path())
        refusals: list[str] = []
        try:
            products = _products(changed)
            wanted = {}
            for row in changed:
                try:
                    wanted[row] = changes_of(row, products.get(row.product_id))
                except ValueError as error:
                    refusals.append(str(error))
            if not refusals and all(row.is_of_now(products[row.product_id]) for row in changed):
                self._write(request, wanted, products)
                after = rows.index(changed[-1]) + 1
                at = f"#price-{rows[after].product_id}" if after < len(rows) else ""
                return HttpResponseRedirect(request.get_full_path() + at)
        except PreconditionFailed:  # somebody was faster, just now
            products = _products(changed)
        except EciError as refusal:
            refusals.append(refusal.message)
        return self._beside(request, changed, products, refusals)

    def _write(
        self, request: HttpRequest, wanted: Mapping[Row, dict[str, Any]], products: Mapping[int, Product]
    ) -> None:
        actor = staff_name(request.user)

        def write() -> None:
            for row, changes in sorted(wanted.items(), key=lambda one: one[0].product_id):
                seen = products[row.product_id].version
                services.update_product(product_id=row.product_id, actor=actor, version=seen, **changes)

        self.once(request, "catalog", "product.rows", write)
        count = "One product was" if len(wanted) == 1 else f"{len(wanted)} products were"
        self.message_user(request, f"{count} changed.", messages.SUCCESS)

    def _beside(
        self, request: HttpRequest, changed: Iterable[Row], products: Mapping[int, Product], refusals: list[str]
    ) -> dict[str, Any]:
        typed, differences = {}, []
        for row in changed:
            if (product := products.get(row.product_id)) is None:
                continue
            typed[row.product_id] = row
            if not row.is_of_now(product):
                typed[row.product_id], told = beside(row, product)
                differences += told
        request.typed_rows = typed  # type: ignore[attr-defined]
        if differences:
            refusals = [CHANGED, *refusals]
        return {"refusals": refusals, "row_differences": differences}

    @admin.display(ordering="price_thousandths")
    def price(self, product: Any) -> str:
        if not hasattr(product, "row"):  # on its page, for who may only look
            return money.text_of(product.price_minor, product.currency)
        row: Row = product.row
        if not product.may_edit:
            return row.price
        return format_html(
            '<input type="text" inputmode="decimal" name="price-{0}" id="price-{0}" value="{1}" size="9" maxlength="20"'
            ' autocomplete="off" aria-label="Price of {2}"><input type="hidden" name="seen-{0}" value="{3}">',
            product.pk,
            row.price,
            product.sku,
            row.seen,
        )

    @admin.display(ordering="is_active")
    def on_sale(self, product: Any) -> str:
        row: Row = product.row
        if not product.may_edit:
            return _words(row.is_active)
        return format_html(
            '<input type="checkbox" name="active-{}" aria-label="{} is on sale"{}>',
            product.pk,
            product.sku,
            SafeString(" checked" if row.is_active else ""),
        )


def _products(rows: Iterable[Row]) -> dict[int, Product]:
    return Product.objects.in_bulk([row.product_id for row in rows])
