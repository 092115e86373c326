"""Stock staff's pages: lists to search, and actions that go through the services. Nobody edits on hand directly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.inventory import composed, selectors
from contexts.inventory.admin.document import DocumentPage
from contexts.inventory.domain import Explanation, Hold
from contexts.inventory.exports import MOVEMENTS, STOCK
from contexts.inventory.models import Allocation, Import, Movement, MovementKind, Reservation, Stock, Trail, Warehouse
from contexts.inventory.public.contracts import AllocationState, ChangedMeanwhile, ReservationStatus
from contexts.inventory.selectors import ReservationRows
from contexts.inventory.services import holds, stock
from eci import text
from eci.errors import EciError, OwnedByOrder
from eci.forms import SkuField, TextField, WarehouseCodeField
from eci.identity.auth import staff_name
from eci.identity.roles import Role, only
from eci.ids import is_our_order
from eci.staff import MAX_TERM, ReadOnly, StaffAdmin, TrailAdmin, order_sheet
from eci.staff_commands import CommandForm, CommandPages
from eci.staff_exports import ExportedList
from eci.staff_forms import OnceForm, focus_first, key_for, new_key, sent_before
from eci.staff_imports import ImportAdmin

MAX_PRODUCT_ID = 2**53
MAX_ROWS = 100
MAX_TOLD = 10  # movements
CLOSED = "closed, nothing is sold from it"


class WarehouseForm(forms.ModelForm):
    """``close_anyway`` is asked for only where units or holds are in a warehouse that is to be closed."""

    code = WarehouseCodeField()
    name = TextField(max_length=text.WAREHOUSE_NAME)
    address = TextField(max_length=300, required=False)
    priority = forms.IntegerField(
        initial=100, min_value=-1_000_000, max_value=1_000_000, help_text="The lowest number is asked first."
    )
    close_anyway = forms.BooleanField(
        label="Close it with what is in it", required=False, widget=forms.HiddenInput, show_hidden_initial=False
    )

    class Meta:
        model = Warehouse
        fields = ("code", "name", "priority", "address", "is_active")

    def clean(self) -> None:
        closing = not self.instance._state.adding and self.instance.is_active and not self.cleaned_data["is_active"]
        if not closing or self.cleaned_data["close_anyway"]:
            return
        contents = selectors.contents(warehouse=self.instance.pk)
        if contents.units or contents.holds:
            self.fields["close_anyway"].widget = forms.CheckboxInput()
            self.add_error(
                "is_active",
                f"{contents.sentence} Once it is closed, nothing of it is sold; what is held stays held and is shipped."
                " Tick the box below to close it all the same.",
            )


@admin.register(Warehouse)
class WarehouseAdmin(StaffAdmin):
    form = WarehouseForm
    fields = ("code", "name", "priority", "address", "is_active", "close_anyway")
    empty_list = "There is no warehouse yet. Add one: stock lies in warehouses."
    list_display = ("code", "name", "priority", "in_use")
    list_filter = ("is_active",)
    search_fields = ("code", "name")
    ordering = ("priority", "code")

    def get_fields(self, request: HttpRequest, obj: Warehouse | None = None) -> tuple[str, ...]:
        return (*self.fields, "contents") if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Warehouse | None = None) -> tuple[str, ...]:
        return ("code", "contents") if obj else ()

    @admin.display(description="in use", ordering="is_active")
    def in_use(self, row: Warehouse) -> str:
        return "yes" if row.is_active else f"no: {CLOSED}"

    @admin.display(description="what is in it")
    def contents(self, row: Warehouse) -> str:
        return selectors.contents(warehouse=row.pk).sentence

    def changes(self, form: forms.ModelForm) -> dict[str, Any]:
        return {name: value for name, value in super().changes(form).items() if name in WarehouseForm.Meta.fields}

    def save_model(self, request: HttpRequest, obj: Warehouse, form: Any, change: bool) -> None:
        actor = staff_name(request.user)

        def save() -> str:
            if not change:
                given = {name: form.cleaned_data[name] for name in WarehouseForm.Meta.fields}
                return stock.create_warehouse(**given, actor=actor).code
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

    def ways(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> Iterator[Q]:
        yield from super().ways(request, queryset, term)
        yield Q(product_id__in=composed.products_like(text=term))

    @admin.display(description="SKU", ordering="product_id")
    def sku(self, row: Any) -> str:
        return row.product.sku if row.product else f"product {row.product_id}"

    @admin.display(description="name")
    def product_name(self, row: Any) -> str | None:
        return row.product.name if row.product else None


class LinksOrders(StaffAdmin):
    """Rows of orders: the order's id is a link to its sheet for those who may open it."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        for row in changelist.result_list:
            row.order_url = _order_url(request, row.order_id)
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row:
            row.order_url = _order_url(request, row.order_id)
        return row


def _order_url(request: HttpRequest, order_id: str) -> str:
    return order_sheet(order_id) if request.user.has_perm("orders.view_order") else ""


def _order(order_id: str, url: str) -> str:
    return format_html('<a href="{}">{}</a>', url, order_id) if url else order_id


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


def _prefilled(request: HttpRequest) -> dict[str, str]:
    """What a link to the form of a receipt says of it."""
    given = {name: request.GET.get(name, "") for name in ("sku", "product_id", "warehouse", "units")}
    return {name: value[:MAX_TERM] for name, value in given.items() if value.isprintable()}


def _held(hold: Hold, *, url: str, may_release: bool) -> dict[str, Any]:
    """A hold for a stock row's page: what it is, until when, and how it can be released."""
    is_orders_own = is_our_order(hold.order_id)
    return {
        "quantity": hold.quantity,
        "order": _order(hold.order_id, url),
        "key": hold.key,
        "url": reverse("admin:inventory_reservation_change", args=[hold.reservation_id]),
        "state": hold.in_words,
        "expires_at": hold.expires_at,
        "why_here": hold.why_here,
        "reservation_id": hold.reservation_id,
        "is_orders_own": is_orders_own,
        "order_url": url,
        "may_be_released": may_release and not is_orders_own,
    }


class LowFilter(admin.SimpleListFilter):
    title = "stock"
    parameter_name = "low"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "below the reorder point")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return selectors.low(rows=queryset) if self.value() == "1" else queryset


@admin.register(Stock)
class StockAdmin(ReadOnly, DocumentPage, ShowsProducts, ExportedList):
    exports = (STOCK,)
    export_roles = only(Role.STOCK)
    empty_list = "There is no stock yet. Receive the first units, or import a file of counts."
    list_display = (
        "sku",
        "product_name",
        "place",
        "on_hand",
        "reserved_now",
        "owed",
        "available",
        "reorder_point",
        "to_order",
        "updated_at",
        "product_id",
    )
    list_display_links = ("sku", "product_name")
    list_filter = (LowFilter, "warehouse")
    list_select_related = ("warehouse",)
    search_whole = ("product_id",)
    search_fields = ("warehouse__code",)
    ordering = ("product_id", "warehouse")
    fields = (*list_display, "explanation")
    readonly_fields = ("sku", "product_name", "place", "reserved_now", "available", "to_order", "explanation")
    actions = ("receive", "count", "adjust")
    change_list_template = "inventory/stock_change_list.html"
    change_form_template = "inventory/stock_change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stock]:
        return selectors.with_available(rows=super().get_queryset(request))

    @admin.display(description="reserved", ordering="held")
    def reserved_now(self, row: Any) -> int:
        return int(row.held)

    @admin.display(ordering="available")
    def available(self, row: Any) -> int:
        return int(row.available)

    @admin.display(description="warehouse", ordering="warehouse")
    def place(self, row: Any) -> str:
        return row.warehouse_id if row.warehouse.is_active else f"{row.warehouse_id}: {CLOSED}"

    @admin.display(description="to order", ordering=F("reorder_point") - F("available"))
    def to_order(self, row: Any) -> int:
        """What is missing to the reorder point. Nobody orders for a warehouse that is closed."""
        return max(0, row.reorder_point - row.available) if row.warehouse.is_active else 0

    def explanation(self, row: Any) -> str:
        return self._why(row).sentence

    def _why(self, row: Any) -> Explanation:
        """Asked once for a page."""
        if not hasattr(row, "why"):
            row.why = selectors.explanation(row=row)
        found: Explanation = row.why
        return found

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = kwargs["obj"]
        may_release = request.user.has_perm("inventory.change_reservation")
        more = {
            "title": _label(row),
            "subtitle": None,
            "why": self._why(row),
            "holds": [
                _held(hold, url=_order_url(request, hold.order_id), may_release=may_release)
                for hold in self._why(row).holds
            ],
            "movements": selectors.last_movements(row=row),
            "document_url": self.document_url(row) if self.has_stocktaking_permission(request) else "",
        }
        return super().render_change_form(request, context | more, *args, **kwargs)

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
        form = ReceiptForm(request.POST or None, initial=_prefilled(request))
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
        focus_first(form)
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


class KindFilter(admin.ChoicesFieldListFilter):
    """Kinds have an index without shipments, of which there are most: they are told that it is theirs."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found: QuerySet[Any] = super().queryset(request, queryset)  # type: ignore[assignment]
        others = self.lookup_val and MovementKind.SHIPMENT not in self.lookup_val
        return found.exclude(kind=MovementKind.SHIPMENT) if others else found


@admin.register(Movement)
class MovementAdmin(ReadOnly, LinksOrders, ShowsProducts, ExportedList):
    exports = (MOVEMENTS,)
    export_roles = only(Role.STOCK)
    list_display = (
        "at",
        "sku",
        "product_name",
        "warehouse",
        "delta",
        "on_hand",
        "kind",
        "reason",
        "order",
        "reference",
        "actor",
        "product_id",
    )
    list_filter = (("kind", KindFilter), "warehouse")
    list_select_related = ("warehouse",)
    search_whole = ("product_id", "order_id")
    search_order = "order_id"
    search_fields = ("reference__exact",)  # that there is a search
    ordering = ("-at", "-id")

    def ways(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> Iterator[Q]:
        yield Q(reference__in={term, term.upper(), term.lower()}) & Q(reference__gt="")  # as the index has it
        yield from super().ways(request, queryset, term)

    @admin.display(description="order", ordering="order_id")
    def order(self, line: Any) -> str:
        return _order(line.order_id, line.order_url)


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


class ReleaseForm(CommandForm):
    name, title, verb = "release", "Release this hold", "inventory.change_reservation"

    @classmethod
    def facts(cls, row: Any) -> dict[str, str]:
        return {"Status": row.current}

    @classmethod
    def fits(cls, row: Any) -> bool:
        return not is_our_order(row.order_id) and row.current in _RELEASABLE

    def explanation(self) -> str:
        return "Its units can be sold again. Whoever asked for them is not told."

    def begin(self, *, actor: str, version: int) -> ReservationRows:
        if is_our_order(self.row.order_id):
            raise OwnedByOrder(f"This hold ends only with its order {self.row.order_id}: cancel the order instead.")
        return holds.release(key=self.row.key, actor=actor)

    def carry_on(self, begun: ReservationRows) -> str:
        units = sum(one.quantity for one in begun.allocations if one.state == AllocationState.RELEASED)
        return f"The hold is released: {units} units."


_RELEASABLE = (ReservationStatus.RESERVED, ReservationStatus.CONFIRMED)


class EndingFilter(admin.SimpleListFilter):
    title = "payment"
    parameter_name = "ends"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("alive", "awaited"), ("soon", "awaited for at most ten minutes more")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "alive":
            return selectors.waiting(rows=queryset)
        return selectors.waiting(rows=queryset, seconds=600) if self.value() == "soon" else queryset


@admin.register(Reservation)
class ReservationAdmin(ReadOnly, LinksOrders, CommandPages):
    commands = (ReleaseForm,)
    list_display = (
        "key",
        "order",
        "units",
        "status_now",
        "paying",
        "needs_attention",
        "runs_out",
        "created_at",
    )
    list_filter = (EndingFilter, "needs_attention", "paying", "status")
    search_whole = ("key", "order_id")
    search_order = "order_id"
    search_fields = ("key__exact",)  # that there is a search
    ordering = ("-created_at", "-id")
    fields = (
        "key",
        "order",
        "status_now",
        "paying",
        "paying_since",
        "needs_attention",
        "why",
        "actor",
        "choice",
        "runs_out",
        "created_at",
        "updated_at",
    )
    readonly_fields = ("order", "status_now", "runs_out")
    inlines = (AllocationInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reservation]:
        return selectors.with_current(rows=super().get_queryset(request))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With what each of the page's reservations holds."""
        changelist = super().get_changelist_instance(request)
        _name_units(changelist.result_list)
        return changelist

    def ways(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> Iterator[Q]:
        yield from super().ways(request, queryset, term)
        yield Q(pk__in=selectors.holding(product_ids=composed.products_like(text=term)))

    def order(self, reservation: Any) -> str:
        return _order(reservation.order_id, reservation.order_url)

    @admin.display(description="status", ordering="current")
    def status_now(self, reservation: Any) -> str:
        return str(reservation.current)

    @admin.display(description="expires at", ordering="expires_at")
    def runs_out(self, reservation: Any) -> datetime | None:
        """Only what is neither firm nor being paid for runs out."""
        unpaid = reservation.current in (ReservationStatus.RESERVED, ReservationStatus.EXPIRED)
        return reservation.expires_at if unpaid and not reservation.paying else None

    @admin.display(description="units")
    def units(self, reservation: Any) -> str:
        return ", ".join(reservation.units)


def _name_units(reservations: Iterable[Any]) -> None:
    parts = selectors.allocations_of(reservation_ids=[one.pk for one in reservations])
    ids = {allocation.product_id for allocations in parts.values() for allocation in allocations}
    products = composed.products_of(product_ids=ids) or {}
    for one in reservations:
        one.units = [_units(allocation, products) for allocation in parts[one.pk]]


def _units(allocation: selectors.Part, products: dict[int, Product]) -> str:
    product = products.get(allocation.product_id)
    sku = product.sku if product else f"product {allocation.product_id}"
    return f"{allocation.quantity} × {sku} in {allocation.warehouse_id}"


admin.site.register(Trail, TrailAdmin)
admin.site.register(Import, ImportAdmin)
