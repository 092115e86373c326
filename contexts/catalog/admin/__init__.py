"""Staff's pages of products and their prices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from contexts.catalog import search, services
from contexts.catalog.admin.filters import CategoryFilter, ChangedFilter, OnSaleFilter
from contexts.catalog.admin.rows import EditedRows
from contexts.catalog.admin.together import BulkChangeAdmin, ChangedTogether
from contexts.catalog.exports import PRICES, PRODUCTS
from contexts.catalog.models import BulkChange, Import, PriceChange, Product, Trail
from eci import money, text
from eci.forms import AmountField, BarcodeField, MetadataField, SkuField, TextField
from eci.identity.auth import staff_name
from eci.identity.roles import Role, only
from eci.staff import MAX_TERM, ReadOnly, StaffAdmin, TrailAdmin, product_sheet
from eci.staff_exports import ExportedList
from eci.staff_imports import ImportAdmin


class ProductForm(forms.ModelForm):
    """A product with its price in major units. The fields are the API's."""

    sku = SkuField(label="SKU")
    name = TextField(max_length=text.NAME)
    category = TextField(max_length=text.CATEGORY, required=False)
    description = TextField(max_length=text.DESCRIPTION, lines=True, required=False)
    price = AmountField()
    barcode = BarcodeField(required=False)
    metadata = MetadataField()

    class Meta:
        model = Product
        fields = ("sku", "name", "category", "description", "price", "currency", "is_active", "barcode", "metadata")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        product = self.instance
        self.fields["price"].widget.attrs["step"] = money.step(product.currency or settings.ECI_CURRENCY)
        if product.pk:
            self.initial["price"] = money.from_minor(product.price_minor, product.currency)
        else:
            self.initial["currency"] = settings.ECI_CURRENCY

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"]
        if not money.is_currency(currency):
            raise forms.ValidationError("This is not an ISO 4217 currency code.")
        return currency

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "price" in cleaned and "currency" in cleaned:
            try:
                money.to_minor(cleaned["price"], cleaned["currency"])
            except ValueError as error:
                self.add_error("price", str(error))
        if self.instance.pk and "currency" in self.changed_data and "price" not in self.changed_data:
            self.add_error("price", services.NEEDS_PRICE)
        return cleaned


@admin.register(Product)
class ProductAdmin(EditedRows, ChangedTogether, ExportedList):
    form = ProductForm
    exports = (PRODUCTS, PRICES)
    export_roles = only(Role.CATALOG)
    list_display = ("id", "sku", "name", "category", "price", "currency", "on_sale", "updated_at")
    list_display_links = ("id", "sku")
    list_filter = (CategoryFilter, OnSaleFilter, ChangedFilter, "currency")
    search_fields = ("sku",)  # that there is a search: what it finds is below
    ordering = ("-created_at", "-id")
    actions = ("deactivate", "activate", "reprice")
    change_form_template = "catalog/product_change_form.html"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        product = kwargs.get("obj")
        sheet = product_sheet(product.pk) if product else ""
        return super().render_change_form(request, context | {"product_sheet": sheet}, *args, **kwargs)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Product], search_term: str
    ) -> tuple[QuerySet[Product], bool]:
        """What the API's search finds."""
        term = search_term.strip()[:MAX_TERM]
        return (search.everything(found=queryset, query=term) if term else queryset), False

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        actor = staff_name(request.user)

        def save() -> int:
            if not change:
                return int(services.create_product(actor=actor, **form.cleaned_data)["id"])
            seen = self.seen_version(request)
            changes = self.changes(form)
            services.update_product(
                product_id=obj.pk, actor=actor, version=seen, replace_metadata="metadata" in changes, **changes
            )
            return int(obj.pk)

        obj.pk = self.once(request, "catalog", "product.save", save)

    def has_delete_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        return False


admin.site.register(BulkChange, BulkChangeAdmin)


class ProductTrailAdmin(TrailAdmin):
    def name_currencies(self, rows: Iterable[Any]) -> None:
        """Where it was not changed, that of the product by now: one question for all."""
        rows = list(rows)
        super().name_currencies(rows)
        of = {row.pk: int(number) for row in rows if (number := row.thing.removeprefix("product:")).isdecimal()}
        currencies = dict(Product.objects.filter(pk__in=of.values()).values_list("pk", "currency"))
        for row in rows:
            row.currency = row.currency or currencies.get(of.get(row.pk, 0), "")


admin.site.register(Trail, ProductTrailAdmin)
admin.site.register(Import, ImportAdmin)


@admin.register(PriceChange)
class PriceChangeAdmin(ReadOnly, StaffAdmin):
    list_display = ("at", "product", "old_price", "new_price", "actor")
    list_filter = ("currency",)
    search_fields = ("actor",)
    search_folded = ("product__search_text",)
    list_select_related = ("product",)
    ordering = ("-at", "-id")

    @admin.display
    def old_price(self, change: PriceChange) -> str:
        return _price(change.old_price_minor, change.old_currency)

    @admin.display(ordering="price_minor")
    def new_price(self, change: PriceChange) -> str:
        return _price(change.price_minor, change.currency)


def _price(minor: int | None, currency: str) -> str:
    return "" if minor is None else f"{money.text(money.from_minor(minor, currency), currency)} {currency}"
