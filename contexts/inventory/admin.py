"""Stock staff's pages: lists to search, and actions that go through the services. Nobody edits on hand directly."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from contexts.catalog.public.api import catalog
from contexts.inventory import selectors
from contexts.inventory.models import Allocation, Movement, Reservation, Stock, Warehouse
from contexts.inventory.services import stock
from eci import text
from eci.db import run_in_unit_of_work
from eci.errors import EciError
from eci.forms import TextField, WarehouseCodeField
from eci.identity.auth import staff_name
from eci.staff import ReadOnly, StaffAdmin

MAX_UNITS = 1_000_000
MAX_PRODUCT_ID = 2**53
MAX_ROWS = 100


class WarehouseForm(forms.ModelForm):
    code = WarehouseCodeField()
    name = TextField(max_length=text.WAREHOUSE_NAME)
    address = TextField(max_length=300, required=False)

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
        if change:
            stock.update_warehouse(code=obj.pk, **{name: form.cleaned_data[name] for name in form.changed_data})
        else:
            stock.create_warehouse(**form.cleaned_data)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StockRowsForm(forms.Form):
    """A number of units for each of the stock rows."""

    title: ClassVar[str]
    lowest: ClassVar[int]

    def __init__(self, rows: list[Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = rows
        shared = list(self.fields)
        for row in rows:
            self.fields[f"units_{row.pk}"] = forms.IntegerField(
                label=str(row).capitalize(),
                min_value=self.lowest,
                max_value=MAX_UNITS,
                help_text=f"On hand {row.on_hand}, reserved {row.held}, available {row.available}.",
            )
        self.order_fields([name for name in self.fields if name not in shared])

    def apply(self, row: Stock, units: int, actor: str) -> None:
        raise NotImplementedError

    def save(self, actor: str) -> None:
        """Change every row or none."""

        def apply_all() -> None:
            for row in self.rows:
                self.apply(row, self.cleaned_data[f"units_{row.pk}"], actor)

        run_in_unit_of_work("inventory", apply_all)


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
    title = "Record a stock count"
    lowest = 0
    reason = TextField(max_length=200)
    force = forms.BooleanField(
        required=False,
        help_text="Release unpaid reservations that no longer fit. Paid ones that do not fit will need attention.",
    )

    def apply(self, row: Stock, units: int, actor: str) -> None:
        stock.count(
            inventory_id=row.pk,
            on_hand=units,
            reorder_point=None,
            reason=self.cleaned_data["reason"],
            force=self.cleaned_data["force"],
            actor=actor,
        )


class AdjustForm(StockRowsForm):
    title = "Adjust by a difference"
    lowest = -MAX_UNITS
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


class ReceiptForm(forms.Form):
    """Units of any product, for any warehouse."""

    product_id = forms.IntegerField(label="Product", min_value=1, max_value=MAX_PRODUCT_ID)
    warehouse = forms.ModelChoiceField(queryset=Warehouse.objects.order_by("priority", "code"))
    units = forms.IntegerField(min_value=1, max_value=MAX_UNITS)
    reorder_point = forms.IntegerField(min_value=0, max_value=MAX_UNITS, required=False)

    def clean_product_id(self) -> int:
        product_id: int = self.cleaned_data["product_id"]
        if not catalog.known_products(product_ids=[product_id]):
            raise forms.ValidationError(f"There is no product {product_id}.")
        return product_id

    def save(self, actor: str) -> None:
        stock.receive(
            product_id=self.cleaned_data["product_id"],
            warehouse=self.cleaned_data["warehouse"].pk,
            quantity=self.cleaned_data["units"],
            reorder_point=self.cleaned_data["reorder_point"],
            actor=actor,
            create_warehouse=False,
        )


@admin.register(Stock)
class StockAdmin(ReadOnly, StaffAdmin):
    list_display = ("product_id", "warehouse", "on_hand", "reserved_now", "available", "reorder_point", "updated_at")
    list_filter = ("warehouse",)
    list_select_related = ("warehouse",)
    search_fields = ("product_id__exact", "warehouse__code")
    ordering = ("product_id", "warehouse")
    fields = ("product_id", "warehouse", "on_hand", "reserved_now", "available", "reorder_point", "updated_at")
    readonly_fields = ("reserved_now", "available")
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
        rows = list(queryset.order_by("pk")[: MAX_ROWS + 1])
        if len(rows) > MAX_ROWS:
            self.message_user(request, f"Choose at most {MAX_ROWS} rows.", messages.ERROR)
            return None
        form = form_class(rows, request.POST if "apply" in request.POST else None)
        if self._saved(request, form):
            return None
        hidden = [("action", request.POST["action"]), *((ACTION_CHECKBOX_NAME, row.pk) for row in rows)]
        return self._page(request, form_class.title, form, hidden)

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
        if self._saved(request, form):
            return redirect("admin:inventory_stock_changelist")
        return self._page(request, "Receive stock", form)

    def _saved(self, request: HttpRequest, form: StockRowsForm | ReceiptForm) -> bool:
        """True if the form was sent, is valid and was carried out. A refusal changes nothing and is shown."""
        try:
            if not form.is_valid():
                return False
            form.save(staff_name(request.user))
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
            "hidden": hidden or [],
            "opts": Stock._meta,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "inventory/stock_form.html", context)


@admin.register(Movement)
class MovementAdmin(ReadOnly, StaffAdmin):
    list_display = ("at", "product_id", "warehouse", "delta", "on_hand", "reason", "order_id", "actor")
    list_filter = ("warehouse",)
    list_select_related = ("warehouse",)
    search_fields = ("product_id__exact", "order_id__exact", "reference__exact")
    ordering = ("-at", "-id")


class AllocationInline(ReadOnly, admin.TabularInline):
    model = Allocation
    fields = ("product", "warehouse", "quantity", "state", "lapses_at")
    readonly_fields = ("product", "warehouse")
    ordering = ("stock_id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allocation]:
        return super().get_queryset(request).select_related("stock")

    def product(self, allocation: Allocation) -> int:
        return allocation.stock.product_id

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
