"""What admin pages of several contexts share: what forms carry, and answers in words to whatever people can send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import AllValuesFieldListFilter, SimpleListFilter
from django.contrib.admin.exceptions import DisallowedModelAdminLookup, DisallowedModelAdminToField
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldError, ValidationError
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import CharField, Field, IntegerField, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.views.decorators.csrf import csrf_protect

from eci import staff_forms, trail
from eci.errors import EciError, PreconditionFailed
from eci.remembered import Remembered
from eci.text import email_sought, fold
from eci.watch.requests import about_order

MAX_TERM = 200  # characters of a search
MAX_WORDS = 10
COUNTED = 10_000  # rows: of a list that has more, nobody is told how many
SEARCHED = 10_000  # rows, the newest: where a search looks into each
_MAX_NUMBER = 2**63 - 1  # that a column can hold
CHANGED = "Somebody else has changed this meanwhile. Look at both, choose, and save again."
_PLAIN = frozenset(
    (
        *("exact", "iexact", "in", "isnull", "isempty", "gt", "gte", "lt", "lte", "range"),
        *("contains", "icontains", "startswith", "istartswith", "endswith", "iendswith"),
        *("year", "quarter", "month", "week", "day", "date", "hour", "minute"),
    )
)
"""What may follow a name in a list's address. Not ``regex``, and no column of another table."""
_BAD_LIST = (
    IncorrectLookupParameters,
    DisallowedModelAdminLookup,
    DisallowedModelAdminToField,
    FieldError,
    ValidationError,
    ValueError,
    TypeError,
    OverflowError,
    DataError,
)


_more_filters: dict[str, list[type[SimpleListFilter]]] = {}


def add_filter(label: str, found: type[SimpleListFilter]) -> None:
    """Add a filter to the list of a model (``catalog.product``) whose context cannot answer it. Called at start-up, by
    the room that asks several contexts."""
    filters = _more_filters.setdefault(label, [])
    if found not in filters:
        filters.append(found)


_NUMBERED = re.compile(r"[^\s@]*[0-9][^\s@]*")  # words of names are no order's: its look for endings is not free
_orders_named: Callable[[str], Iterable[str]] | None = None


def find_orders_by(ask: Callable[[str], Iterable[str]]) -> None:
    """From now on searches of rows that belong to orders find them by whatever names the order, its number or its last
    letters: ``ask`` returns the orders' ids. Called at start-up, by the room that asks several contexts."""
    global _orders_named
    _orders_named = ask


_TONES = {
    **dict.fromkeys(("SHIPPED", "DELIVERED", "COMPLETED", "SENT", "PAID", "APPLIED"), "good"),
    **dict.fromkeys(("PENDING", "AWAITING_PAYMENT", "PAYMENT_PENDING", "QUEUED", "PACKED", "AUTHORISED"), "warn"),
    **dict.fromkeys(("FAILED", "REFUSED", "SHORT"), "bad"),
}


class BadList(Exception):
    """A list's address asks for what cannot be."""


class BoundedPaginator(Paginator):
    """Counts no more rows than somebody may want to turn over. ``has_more``: there are others behind the last page.

    ``few``: the keys of all rows where one page has room for them, else None. Looking for them in no order reads a
    table once at most; in the list's order some engines follow its index through all rows.
    """

    @cached_property
    def few(self) -> list[Any] | None:
        rows: Any = self.object_list
        keys = list(rows.order_by().values_list("pk", flat=True)[: self.per_page + 1])
        return keys if len(keys) <= self.per_page else None

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        if self.few is not None:
            return len(self.few)
        return int(rows.order_by().values("pk")[: COUNTED + 1].count())  # what a row shows is not made to be counted

    @property
    def count(self) -> int:  # type: ignore[override]
        return min(self._found, COUNTED)

    @property
    def has_more(self) -> bool:
        return self._found > COUNTED


class RowList(ChangeList):
    """Its rows' links carry the list's filters. Django would resolve the address of each, to see that they belong
    there: half of what a filtered list costs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._behind = f"?{self.preserved_filters}" if self.preserved_filters else ""
        self.preserved_filters = ""

    def url_for_result(self, result: Any) -> str:
        return f"{super().url_for_result(result)}{self._behind}"


class SeenFilter(AllValuesFieldListFilter):
    """The values of a column that the newest rows have; Django's own filter reads them all for each list."""

    def __init__(self, field: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, request, *args, **kwargs)
        seen = _seen.get_or_load((field.model, field.name), lambda: _values_seen(field))
        asked = self.lookup_val[-1:] if self.lookup_val else []
        self.lookup_choices: Any = sorted({*seen, *asked}, key=lambda value: (value is None, value or ""))


_seen: Remembered[tuple[type[Model], str], tuple[str | None, ...]] = Remembered(60.0)


def _values_seen(field: Field[Any, Any]) -> tuple[str | None, ...]:
    rows = newest(field.model._default_manager.all())
    return tuple(rows.order_by().values_list(field.name, flat=True).distinct())


def newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The newest SEARCHED of a table's rows. Keys grow with time: those of our orders do, too."""
    keys = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True)
    oldest = keys[SEARCHED : SEARCHED + 1].first()
    return rows if oldest is None else rows.filter(pk__gt=oldest)


class StaffAdmin(admin.ModelAdmin):
    """The base of every admin.

    - Its lists never count a whole table, and what an address or a form cannot mean is answered in words.
    - ``search_whole``: columns with an index. What has exactly the name that is looked for is found among all rows, and
      then nothing else is; ``ways`` may have more of that. Else ``search_fields`` are looked into, of the newest rows
      where ``grows`` is true.
    - Its forms carry the values and the version they showed, and a one-time key. ``save_model`` writes
      ``self.changes(form)`` through a service, with ``version=self.seen_version(request)``, inside ``self.once``.
      A PreconditionFailed shows theirs and yours; any other refusal is shown above the form.
    - The services have the transactions: Django's own around a change is left out, for calls and wake-ups that follow
      a commit would run before it.
    - ``search_order``: the column of the order's id, with an index, where rows belong to orders.
    - ``search_folded``: columns of folded text that a search looks into, beside ``search_fields``.
    - ``empty_list``: what an empty list says, and how something comes to be in it.
    - ``status_badge``: the column of a status, in the colour of what it means.
    """

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    search_whole: tuple[str, ...] = ()
    search_order = ""
    grows = False
    change_form_template = "eci/change_form.html"
    change_list_template = "eci/change_list.html"
    delete_confirmation_template = "eci/delete_confirmation.html"
    delete_selected_confirmation_template = "eci/delete_selected_confirmation.html"
    search_folded: tuple[str, ...] = ()
    empty_list = "There are none yet."

    # -- for the contexts' own admins ---------------------------------------------------------------------------------

    def seen_version(self, request: HttpRequest) -> int:
        return staff_forms.seen_version(request)

    def once(self, request: HttpRequest, context: str, action: str, function: Callable[[], Any]) -> staff_forms.Kept:
        """As ``staff_forms.once``: one transaction, one effect, and the id that ``function`` returns."""
        return staff_forms.once(request, context, action, function)

    def changes(self, form: forms.ModelForm) -> dict[str, Any]:
        """What the person changed of what the page had shown."""
        return {name: form.cleaned_data[name] for name in form.changed_data}

    def version_of(self, obj: Any) -> int | None:
        """The version that the page of this row shows."""
        version: int | None = getattr(obj, "version", None)
        return version

    def fold(self, text: str) -> str:
        """The form in which ``search_folded`` has its text."""
        return fold(text)

    # -- forms --------------------------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (staff_forms.ShownForm, form), {"refusal": getattr(request, "refusal", "")})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address prefills, without what its field cannot be."""
        fields = self.get_form(request).base_fields
        given = super().get_changeform_initial_data(request)
        return {name: value for name, value in given.items() if name in fields and _fits(fields[name], value)}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        shown = self.version_of(obj) if obj is not None else None
        more = {
            "form_key": staff_forms.key_for(request),
            "form_version": request.POST.get(staff_forms.VERSION, "" if shown is None else shown),
            "differences": getattr(request, "differences", []),
        }
        return super().render_change_form(request, context | more, *args, **kwargs)

    @method_decorator(csrf_protect)
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        def show() -> Any:
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]

        if request.method != "POST":
            return show()
        try:
            kept = staff_forms.sent_before(request, self.opts.app_label)
            if kept is not False:
                return self._as_before(request, object_id or str(kept), add=object_id is None)
            self._require_version(request, object_id)
            request.POST = staff_forms.taken(request.POST)  # type: ignore[assignment,misc]
            page = show()
            if page.status_code == 200 and (kept := staff_forms.sent_before(request, self.opts.app_label)) is not False:
                return self._as_before(request, object_id or str(kept), add=object_id is None)  # by a double click
            return page
        except PreconditionFailed:
            self._show_both(request, object_id)
        except staff_forms.DamagedForm as damaged:
            self._show_both(request, object_id)
            request.refusal = damaged.message  # type: ignore[attr-defined]
        except EciError as refusal:
            request.refusal = refusal.message  # type: ignore[attr-defined]
        return show()

    def _require_version(self, request: HttpRequest, object_id: str | None) -> None:
        """PreconditionFailed for a form of a row that does not say which version its page showed."""
        row = self.get_object(request, unquote(object_id)) if object_id else None
        if row is not None and self.version_of(row) is not None:
            self.seen_version(request)

    def _as_before(self, request: HttpRequest, object_id: str, *, add: bool) -> HttpResponse:
        """The answer that the form had when it was sent first."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            self.message_user(request, "")
            return HttpResponseRedirect(self._list_url())
        response: HttpResponse = self.response_add(request, obj) if add else self.response_change(request, obj)
        return response

    def _show_both(self, request: HttpRequest, object_id: str | None) -> None:
        """Make the request one that shows the row as it is now beside the form."""
        request.refusal = CHANGED  # type: ignore[attr-defined]
        obj = self.get_object(request, unquote(object_id)) if object_id else None
        if obj is None or not self.has_change_permission(request, obj):
            return
        fields = flatten_fieldsets(self.get_fieldsets(request, obj))
        form = self.get_form(request, obj, change=True, fields=fields)
        now = form(instance=obj)
        sent = form(request.POST, instance=self.get_object(request, unquote(str(object_id))))
        again, differences = staff_forms.both(sent, now, request.POST)
        again[staff_forms.VERSION] = str(self.version_of(obj) or "")
        request.POST, request.differences = again, differences  # type: ignore[assignment,attr-defined,misc]

    @method_decorator(csrf_protect)
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            row = self.get_object(request, unquote(object_id))
            shown = self.version_of(row) if row is not None else None
            if request.method == "POST" and self.has_delete_permission(request):
                if staff_forms.sent_before(request, self.opts.app_label) is not False:
                    self.message_user(request, "")
                    return HttpResponseRedirect(self._list_url())
                if shown is not None and self.has_delete_permission(request, row):
                    self._require_unchanged(request, shown)
            more = {"form_key": staff_forms.key_for(request), "form_version": shown, **(extra_context or {})}
            return self._delete_view(request, object_id, more)  # type: ignore[attr-defined]
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def _require_unchanged(self, request: HttpRequest, shown: int) -> None:
        if self.seen_version(request) != shown:
            raise PreconditionFailed("This has changed since its page was opened. Look at it before you delete it.")

    def message_user(  # type: ignore[override]
        self, request: HttpRequest, message: Any, level: int | str = messages.INFO, **more: Any
    ) -> None:
        """As Django's; of a repeated form it says so instead."""
        if staff_forms.is_repeated(request):
            message, level = staff_forms.REPEATED, messages.WARNING
        super().message_user(request, message, level, **more)  # type: ignore[arg-type]

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return None if staff_forms.is_repeated(request) else super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return None if staff_forms.is_repeated(request) else super().log_change(request, obj, message)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        own = ((one, SeenFilter) if self._is_free_text(one) else one for one in super().get_list_filter(request))
        return [*own, *_more_filters.get(self.opts.label_lower, ())]

    def _is_free_text(self, name: Any) -> bool:
        field = self.opts.get_field(name) if isinstance(name, str) else None
        return isinstance(field, CharField) and not field.choices

    # -- lists --------------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            if request.method == "POST" and self.has_view_or_change_permission(request):
                self._require_known_rows(request)
                if staff_forms.sent_before(request, self.opts.app_label) is not False:
                    self.message_user(request, "")
                    return HttpResponseRedirect(request.get_full_path())
            page = super().changelist_view(request, extra_context)
            if isinstance(page, TemplateResponse) and page.context_data is not None:
                page.context_data.setdefault("form_key", staff_forms.new_key(request.path))
            return page
        except BadList as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.path)
        except EciError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RowList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            changelist = super().get_changelist_instance(request)
            changelist.title = str(self.opts.verbose_name_plural).capitalize()
            if changelist.paginator.few is not None:
                changelist.result_list = changelist.result_list.filter(pk__in=changelist.paginator.few)
            len(changelist.result_list)  # asks the database here, where its refusal can be answered
        except _BAD_LIST as error:
            if not request.GET:
                raise
            raise BadList("This list cannot be filtered, sorted or turned like that. Here is all of it.") from error
        return changelist

    @admin.display(description="status", ordering="status")
    def status_badge(self, row: Any) -> str:
        return badge(row.status)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only by what the list shows or filters by: else addresses would tell what no page tells, letter by letter.

        No regular expressions: engines differ in which ones they refuse, and some take for ever.
        """
        return any(
            lookup == name
            or (lookup.startswith(f"{name}__") and _PLAIN.issuperset(lookup[len(name) + 2 :].split("__")))
            for name in self._shown(request)
        )

    def _shown(self, request: HttpRequest | None) -> Iterator[str]:
        """What an address may name: keys, and the list's columns, filters and dates."""
        filters: Any = self.get_list_filter(request) if request else self.list_filter
        named = {*(self.get_list_display(request) if request else self.list_display), str(self.date_hierarchy)}
        for one in filters:
            custom = isinstance(one, type) and issubclass(one, SimpleListFilter)
            named.add(one.parameter_name if custom else one if isinstance(one, str) else one[0])
        yield from ("pk", *map(str, named))
        for field in self.opts.get_fields():
            if isinstance(field, Field) and (field.name in named or field.primary_key):
                yield from (field.name, field.attname)
            if field.name in named and isinstance(field.related_model, type):
                yield from (f"{field.name}__pk", f"{field.name}__{field.related_model._meta.pk.name}")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = " ".join(search_term.split()[:MAX_WORDS])[:MAX_TERM]  # SQLite refuses longer conditions
        if "@" in term:
            term = email_sought(term)
        for way in self.ways(request, queryset, term) if term else ():
            if (meant := queryset.filter(way)).exists():
                return meant, False
        if term and self.grows:
            every, queryset = queryset, newest(queryset)
            if queryset is not every:
                about = f"No {self.opts.verbose_name} has just that name, so parts of names were looked for"
                self.message_user(request, f"{about}, among the newest {SEARCHED:,}.")
        found, duplicates = super().get_search_results(request, queryset, term)
        words = self.fold(term).split()
        if not (words and self.search_folded):
            return found, duplicates
        folded = Q()
        for word in words:
            folded &= Q(*((f"{column}__contains", word) for column in self.search_folded), _connector=Q.OR)
        return found | queryset.filter(folded), duplicates

    def ways(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> Iterator[Q]:
        """Which rows may be meant, the surest first. The first way that leads to some is taken; all have an index."""
        whole = [way for way in self._whole(term) if queryset.filter(way).exists()]
        if whole:
            yield Q(*whole, _connector=Q.OR)

    def _whole(self, term: str) -> Iterator[Q]:
        """How a row could have exactly this name."""
        orders = _orders_named if self.search_order else None
        is_number_of_order = orders is not None and term.startswith("#")
        digits = "" if is_number_of_order else term.removeprefix("#")
        for name in self.search_whole:
            if not isinstance(self.opts.get_field(name), IntegerField):
                yield Q(**{f"{name}__in": {term, term.upper(), term.lower()}})
            elif digits.isascii() and digits.isdecimal() and int(digits) <= _MAX_NUMBER:
                yield Q(**{name: int(digits)})
        if orders and _NUMBERED.fullmatch(term):
            yield Q(**{f"{self.search_order}__in": list(orders(term))})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = None if "\x00" in object_id else super().get_object(request, object_id, from_field)
        about_order(getattr(found, "order_id", None))
        return found

    def _require_known_rows(self, request: HttpRequest) -> None:
        """BadList when the form names rows by what no row can have."""
        for pk in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.clean(pk, None)  # type: ignore[union-attr]
            except (ValidationError, ValueError, TypeError, OverflowError) as error:
                raise BadList("One of the chosen rows does not exist. Choose again.") from error
            if "\x00" in pk:
                raise BadList("One of the chosen rows does not exist. Choose again.")

    def _list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


def badge(status: str) -> str:
    """A status as a coloured word. ``mark-…`` are in the desk's stylesheet."""
    return format_html('<span class="mark mark-{}">{}</span>', _TONES.get(status, "plain"), status)


def page(name: str, *args: object, **query: str) -> str:
    """The address of one of staff's pages; empty where it is not served."""
    try:
        found = reverse(name, args=args)
    except NoReverseMatch:
        return ""
    return f"{found}?{urlencode(query)}" if query else found


def order_sheet(order_id: str) -> str:
    """The address of the page that shows everything about one of our orders; empty where no such page is served."""
    return page("desk-order", order_id)


def product_sheet(product_id: int) -> str:
    """The address of the page that shows everything about a product; empty where no such page is served."""
    return page("desk-product", product_id)


def without_minor_units(model: type[Model], *hidden: str, shown: Iterable[str]) -> tuple[str, ...]:
    """The fields of a page on which amounts are ``shown`` by methods of its admin, in the currency."""
    plain = [field.name for field in model._meta.fields if not field.name.endswith("_minor")]
    return (*(name for name in plain if name not in hidden), *shown)


def _fits(field: forms.Field, value: Any) -> bool:
    if isinstance(field.widget, forms.MultiWidget) or "\x00" in str(value):
        return False
    try:
        field.to_python(value)
    except (ValidationError, ValueError, TypeError, OverflowError, ArithmeticError):
        return False
    return True


class ReadOnly:
    """Mixed into an admin or an inline: rows to look at, changed by services and workflows only."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TrailAdmin(ReadOnly, StaffAdmin):
    """The page of a context's trail: ``admin.site.register(Trail, TrailAdmin)``."""

    list_display: Any = ["at", "actor", "did", "thing", "was", "became"]
    fields = readonly_fields = list_display
    search_fields = ["=thing", "=actor"]
    list_filter = ["at"]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        self.name_currencies(changelist.result_list)
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        self.name_currencies([row] if row else [])
        return row

    def name_currencies(self, rows: Iterable[Any]) -> None:
        """Say in ``currency`` of each row what its amounts are in, if that is known."""
        for row in rows:
            row.currency = str(row.after.get("currency") or row.before.get("currency") or "")

    @admin.display(description="action", ordering="action")
    def did(self, row: Any) -> str:
        return trail.said(row.action)

    @admin.display(description="before")
    def was(self, row: Any) -> str:
        return _in_words(row.before, str(row.before.get("currency") or row.currency))

    @admin.display(description="after")
    def became(self, row: Any) -> str:
        return _in_words(row.after, row.currency)


def _in_words(fields: dict[str, Any], currency: str) -> str:
    told = {trail.name_of(name): trail.in_words(name, value, currency) for name, value in fields.items()}
    return "; ".join(f"{name}: {value or '(none)'}" for name, value in told.items())
