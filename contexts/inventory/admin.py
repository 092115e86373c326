"""Stock staff's pages: lists to search, and actions that go through the services. Nobody edits on hand directly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.inventory import composed, selectors
from contexts.inventory.models import Allocation, Movement, Reservation, Stock, Trail, Warehouse
from contexts.inventory.public.contracts import ChangedMeanwhile
from contexts.inventory.services import stock
from eci import text
from eci.errors import EciError
from eci.forms import SkuField, TextField, WarehouseCodeField
from eci.identity.auth import staff_name
from eci.staff import MAX_TERM, ReadOnly, StaffAdmin, TrailAdmin
from eci.staff_forms import OnceForm, key_for, new_key, sent_before

MAX_PRODUCT_ID = 2**53
MAX_ROWS = 100
MAX_TOLD = 10  # movements


class WarehouseForm(forms.ModelForm):
    code = WarehouseCodeField()
    name = TextField(max_length=text.WAREHOUSE_NAME)
    address = TextField(max_length=300, required=False)
    priority = forms.IntegerField(
        initial=100, min_value=-1_000_000, max_value=1_000_000, help_text="The lowest number is asked first."
    )

    class Meta:
        model = Warehouse
        fields = ("code", "name", "priority", "address", "is_active")


@admin.register(Warehouse)
class WarehouseAdmin(StaffAdmin):
    form = WarehouseForm
    fields = ("code", "name", "priority", "address", "is_active")
    list_display = ("code", "name", "priority", "is_active")
    list_filter = ("is_active",)
    search_fields = ("code", "name")
    ordering = ("priority", "code")

    def get_readonly_fields(self, request: HttpRequest, obj: Warehouse | None = None) -> tuple[str, ...]:
        return ("code",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Warehouse, form: Any, change: bool) -> None:
        actor = staff_name(request.user)

        def save() -> str:
            if not change:
                return stock.create_warehouse(**form.cleaned_data, actor=actor).code
            seen = self.seen_version(request)
            return stock.update_warehouse(code=obj.pk, actor=actor, version=seen, **self.changes(form)).code

        obj.pk = self.once(request, "inventory", "warehouse.save", save)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ShowsProducts(StaffAdmin):
    """Rows of a product, with its SKU and name: one question to the catalog for a page. A search finds both."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        _name_products(changelist.result_list)
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        _name_products([row] if row else [])
        return row

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        ids = composed.products_like(text=search_term[:MAX_TERM])
        return (found | queryset.filter(product_id__in=ids) if ids else found), duplicates

    @admin.display(description="SKU")
    def sku(self, row: Any) -> str | None:
        return row.product.sku if row.product else None

    @admin.display(description="name")
    def product_name(self, row: Any) -> str | None:
        return row.product.name if row.product else None


def _name_products(rows: Iterable[Any]) -> None:
    products = composed.products_of(product_ids=[row.product_id for row in rows]) or {}
    for row in rows:
        row.product = products.get(row.product_id)


class StockRowsForm(OnceForm):
    """A number of units for each of the stock rows."""

    title: ClassVar[str]
    lowest: ClassVar[int]

    def __init__(self, rows: list[Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = rows
        shared = list(self.fields)
        for row in rows:
            self.fields[f"units_{row.pk}"] = forms.IntegerField(
                label=_label(row),
                min_value=self.lowest,
                max_value=stock.MAX_UNITS,
                help_text=(
                    f"On hand {row.on_hand}, reserved {row.held}, owed {row.owed}, available {row.available}."
                    if row.owed
                    else f"On hand {row.on_hand}, reserved {row.held}, available {row.available}."
                ),
            )
        self.order_fields([name for name in self.fields if name not in shared])

    def apply(self, row: Stock, units: int, actor: str) -> None:
        raise NotImplementedError

    def save(self, actor: str) -> None:
        """Change every row or none: the caller has opened the transaction."""
        for row in self.rows:
            self.apply(row, self.cleaned_data[f"units_{row.pk}"], actor)


def _label(row: Any) -> str:
    product = f"{row.product.sku}, {row.product.name}" if row.product else f"Product {row.product_id}"
    return f"{product}, in {row.warehouse_id}"


class ReceiveForm(StockRowsForm):
    title = "Receive units"
    lowest = 1

    def apply(self, row: Stock, units: int, actor: str) -> None:
        stock.receive(
            product_id=row.product_id,
            warehouse=row.warehouse_id,
            quantity=units,
            reorder_point=None,
            actor=actor,
            create_warehouse=False,
        )


class CountForm(StockRowsForm):
    """A count, with on hand as its page showed it: a sale made meanwhile is told, and not overwritten.

    ``shown_…`` is the last movement before the person saw the page first, ``expected_…`` on hand as they saw it last.
    ``told_of``: they have been told what moved since.
    """

    title = "Record a stock count"
    lowest = 0
    reason = TextField(max_length=200)
    force = forms.BooleanField(
        required=False,
        help_text="Release unpaid reservations that no longer fit. Paid ones that do not fit will need attention.",
    )
    counted_before = forms.BooleanField(
        required=False,
        label="Counted before these movements",
        help_text="Add what has come and gone since this page was opened to what was counted.",
    )
    told_of = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, rows: list[Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(rows, *args, **kwargs)
        for row in rows:
            for name, seen in ((f"shown_{row.pk}", row.last_movement), (f"expected_{row.pk}", row.on_hand)):
                self.fields[name] = forms.IntegerField(
                    required=False, min_value=0, max_value=MAX_PRODUCT_ID, initial=seen, widget=forms.HiddenInput
                )
        if not self.data.get("told_of"):
            del self.fields["counted_before"]

    def clean(self) -> None:
        seen = (self.cleaned_data.get(f"{name}_{row.pk}") for row in self.rows for name in ("shown", "expected"))
        if None in seen:
            raise forms.ValidationError("This form is damaged. Open its page again.")

    def apply(self, row: Stock, units: int, actor: str) -> None:
        before = self.cleaned_data.get("counted_before")
        stock.count(
            inventory_id=row.pk,
            on_hand=units,
            reorder_point=None,
            reason=self.cleaned_data["reason"],
            force=self.cleaned_data["force"],
            actor=actor,
            expected_on_hand=self.cleaned_data[f"expected_{row.pk}"],
            counted_after=self.cleaned_data[f"shown_{row.pk}"] if before else None,
        )

    def told(self, rows: list[Any]) -> CountForm:
        """The same form, beside the rows as they are now and what has moved since they were shown. The counts of those
        are asked for again: nobody records a late count by pressing twice."""
        data = cast(QueryDict, self.data).copy()
        data.pop("counted_before", None)
        data["told_of"] = "on"
        moved = {}
        for row in rows:
            expected = self.cleaned_data[f"expected_{row.pk}"]
            if expected != row.on_hand:
                moved[row.pk] = selectors.movements_since(row=row, on_hand=expected, since=None, limit=MAX_TOLD)
                data[f"expected_{row.pk}"] = str(row.on_hand)
                data[f"units_{row.pk}"] = ""
        form = CountForm(rows, data)
        for pk, movements in moved.items():
            lines = "; ".join(f"{one['delta']:+d} {one['reason']} {one['order_id'] or ''}".strip() for one in movements)
            said = f"On hand has changed since this page was opened: {lines}."
            form.errors.pop(f"units_{pk}", None)  # that it is empty now
            form.add_error(f"units_{pk}", f"{said} You counted {self.cleaned_data[f'units_{pk}']}. Enter it again.")
        return form


class AdjustForm(StockRowsForm):
    title = "Adjust by a difference"
    lowest = -stock.MAX_UNITS
    reason = TextField(max_length=200)

    def clean(self) -> None:
        for name, value in list(self.cleaned_data.items()):
            if value == 0 and name.startswith("units_"):
                self.add_error(name, "An adjustment must not be 0.")

    def apply(self, row: Stock, units: int, actor: str) -> None:
        stock.adjust(
            product_id=row.product_id,
            warehouse=row.warehouse_id,
            delta=units,
            reason=self.cleaned_data["reason"],
            actor=actor,
        )


class ReceiptForm(OnceForm):
    """Units of any product, for any warehouse."""

    sku = SkuField(label="SKU", required=False)
    product_id = forms.IntegerField(
        label="Product number", min_value=1, max_value=MAX_PRODUCT_ID, required=False, help_text="Without a SKU."
    )
    warehouse = forms.ModelChoiceField(queryset=Warehouse.objects.order_by("priority", "code"))
    units = forms.IntegerField(min_value=1, max_value=stock.MAX_UNITS)
    reorder_point = forms.IntegerField(min_value=0, max_value=stock.MAX_UNITS, required=False)

    def clean(self) -> None:
        sku, product_id = self.cleaned_data.get("sku"), self.cleaned_data.get("product_id")
        if {"sku", "product_id"} & set(self.errors):
            return
        if bool(sku) == (product_id is not None):
            self.add_error("sku", "Give the SKU or the number of the product.")
        elif sku:
            self.cleaned_data["product_id"] = catalog.product_ids(skus=[sku]).get(sku)
            if self.cleaned_data["product_id"] is None:
                self.add_error("sku", f"There is no product {sku}.")
        elif product_id is not None and not catalog.known_products(product_ids=[product_id]):
            self.add_error("product_id", f"There is no product {product_id}.")

    def save(self, actor: str) -> None:
        stock.receive(
            product_id=self.cleaned_data["product_id"],
            warehouse=self.cleaned_data["warehouse"].pk,
            quantity=self.cleaned_data["units"],
            reorder_point=self.cleaned_data["reorder_point"],
            actor=actor,
            create_warehouse=False,
        )


class LowFilter(admin.SimpleListFilter):
    title = "stock"
    parameter_name = "low"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "below the reorder point")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return selectors.low(rows=queryset) if self.value() == "1" else queryset


@admin.register(Stock)
class StockAdmin(ReadOnly, ShowsProducts):
    list_display = (
        "product_id",
        "sku",
        "product_name",
        "warehouse",
        "on_hand",
        "reserved_now",
        "owed",
        "available",
        "reorder_point",
        "updated_at",
    )
    list_filter = (LowFilter, "warehouse")
    list_select_related = ("warehouse",)
    search_fields = ("product_id__exact", "warehouse__code")
    ordering = ("product_id", "warehouse")
    fields = (*list_display, "explanation")
    readonly_fields = ("sku", "product_name", "reserved_now", "available", "explanation")
    actions = ("receive", "count", "adjust")
    change_list_template = "inventory/stock_change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stock]:
        return selectors.with_available(rows=super().get_queryset(request))

    @admin.display(description="reserved", ordering="held")
    def reserved_now(self, row: Any) -> int:
        return int(row.held)

    @admin.display(ordering="available")
    def available(self, row: Any) -> int:
        return int(row.available)

    def explanation(self, row: Any) -> str:
        return selectors.explanation(row=row).sentence

    def has_stocktaking_permission(self, request: HttpRequest) -> bool:
        """True for staff who may change stock. They do so by actions: the rows are read-only for everybody."""
        return request.user.has_perm("inventory.change_stock")

    @admin.action(description="Receive units", permissions=["stocktaking"])
    def receive(self, request: HttpRequest, queryset: QuerySet[Stock]) -> HttpResponse | None:
        return self._change_rows(request, queryset, ReceiveForm)

    @admin.action(description="Record a stock count", permissions=["stocktaking"])
    def count(self, request: HttpRequest, queryset: QuerySet[Stock]) -> HttpResponse | None:
        return self._change_rows(request, queryset, CountForm)

    @admin.action(description="Adjust by a difference", permissions=["stocktaking"])
    def adjust(self, request: HttpRequest, queryset: QuerySet[Stock]) -> HttpResponse | None:
        return self._change_rows(request, queryset, AdjustForm)

    def _change_rows(
        self, request: HttpRequest, queryset: QuerySet[Stock], form_class: type[StockRowsForm]
    ) -> HttpResponse | None:
        rows = self._rows(queryset)
        if len(rows) > MAX_ROWS:
            self.message_user(request, f"Choose at most {MAX_ROWS} rows.", messages.ERROR)
            return None
        form = form_class(rows, request.POST if "apply" in request.POST else None)
        try:
            if self._saved(request, form):
                return None
        except ChangedMeanwhile:
            assert isinstance(form, CountForm)
            form = form.told(self._rows(queryset))
        hidden = [("action", request.POST["action"]), *((ACTION_CHECKBOX_NAME, row.pk) for row in rows)]
        return self._page(request, form_class.title, form, hidden)

    def _rows(self, queryset: QuerySet[Stock]) -> list[Any]:
        rows = list(selectors.with_last_movement(rows=queryset).order_by("pk")[: MAX_ROWS + 1])
        _name_products(rows)
        return rows

    def get_urls(self) -> list[URLPattern]:
        receipt = path("receipt/", self.admin_site.admin_view(self.receipt), name="inventory_stock_receipt")
        return [receipt, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        extra = {"may_receive": self.has_stocktaking_permission(request)}
        response: HttpResponse = super().changelist_view(request, {**extra, **(extra_context or {})})
        return response

    def receipt(self, request: HttpRequest) -> HttpResponse:
        """Receive units of any product, even the first ones in a warehouse."""
        if not self.has_stocktaking_permission(request):
            raise PermissionDenied
        form = ReceiptForm(request.POST or None)
        try:
            repeated = request.method == "POST" and sent_before(request, "inventory") is not False
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return self._page(request, "Receive stock", form)
        if repeated:
            self.message_user(request, "")
        if repeated or self._saved(request, form):
            return redirect("admin:inventory_stock_changelist")
        return self._page(request, "Receive stock", form)

    def _saved(self, request: HttpRequest, form: StockRowsForm | ReceiptForm) -> bool:
        """True if the form was sent, is valid and was carried out, once. A refusal changes nothing and is shown;
        ChangedMeanwhile is the caller's."""
        try:
            if not form.is_valid():
                return False
            self.once(request, "inventory", "stock.change", lambda: form.save(staff_name(request.user)))
        except ChangedMeanwhile:
            raise
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return False
        self.message_user(request, "The stock was changed.", messages.SUCCESS)
        return True

    def _page(
        self, request: HttpRequest, title: str, form: forms.Form, hidden: list[tuple[str, Any]] | None = None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "form": form,
            "form_key": key_for(request) if "apply" in request.POST else new_key(request.path),
            "hidden": hidden or [],
            "opts": Stock._meta,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "eci/form.html", context)


@admin.register(Movement)
class MovementAdmin(ReadOnly, ShowsProducts):
    list_display = (
        "at",
        "product_id",
        "sku",
        "product_name",
        "warehouse",
        "delta",
        "on_hand",
        "reason",
        "order_id",
        "actor",
    )
    list_filter = ("warehouse",)
    list_select_related = ("warehouse",)
    search_fields = ("product_id__exact", "order_id__exact", "reference__exact")
    ordering = ("-at", "-id")


class AllocationInline(ReadOnly, admin.TabularInline):
    model = Allocation
    fields = ("product", "sku", "product_name", "warehouse", "quantity", "state", "lapses_at")
    readonly_fields = ("product", "sku", "product_name", "warehouse")
    ordering = ("stock_id",)
    _products: dict[int, Product] | None = None  # of this page: an inline is made for each request

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allocation]:
        return super().get_queryset(request).select_related("stock")

    def product(self, allocation: Allocation) -> int:
        return allocation.stock.product_id

    @admin.display(description="SKU")
    def sku(self, allocation: Allocation) -> str | None:
        product = self._product(allocation)
        return product.sku if product else None

    @admin.display(description="name")
    def product_name(self, allocation: Allocation) -> str | None:
        product = self._product(allocation)
        return product.name if product else None

    def _product(self, allocation: Allocation) -> Product | None:
        if self._products is None:
            siblings = Allocation.objects.filter(reservation=allocation.reservation_id)
            self._products = (
                composed.products_of(product_ids=siblings.values_list("stock__product_id", flat=True)) or {}
            )
        return self._products.get(allocation.stock.product_id)

    def warehouse(self, allocation: Allocation) -> str:
        return allocation.stock.warehouse_id


@admin.register(Reservation)
class ReservationAdmin(ReadOnly, StaffAdmin):
    list_display = ("key", "order_id", "status_now", "paying", "needs_attention", "expires_at", "created_at")
    list_filter = ("needs_attention", "paying", "status")
    search_fields = ("key__exact", "order_id__exact")
    ordering = ("-created_at", "-id")
    fields = (
        "key",
        "order_id",
        "status_now",
        "paying",
        "paying_since",
        "needs_attention",
        "why",
        "actor",
        "choice",
        "expires_at",
        "created_at",
        "updated_at",
    )
    readonly_fields = ("status_now",)
    inlines = (AllocationInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reservation]:
        return selectors.with_current(rows=super().get_queryset(request))

    @admin.display(description="status", ordering="current")
    def status_now(self, reservation: Any) -> str:
        return str(reservation.current)


admin.site.register(Trail, TrailAdmin)
