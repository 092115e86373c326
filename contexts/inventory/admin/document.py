"""One page to receive, count, adjust and move: a document of many lines, by scanner or keyboard, booked at once.

The page itself carries the lines, in hidden fields, until they are booked: nothing is stored before, and nothing is
lost by a refusal. Each command is a form; ``document.js`` sends the same forms without loading the page anew, and keeps
the lines in the browser's tab, with the form's key, so that leaving the page loses none and books none twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.inventory import composed, selectors
from contexts.inventory.admin.lines import MAX_LINES, MAX_UNDONE, Document, Line, Refused, Unknown, What
from contexts.inventory.models import MovementKind, Warehouse
from contexts.inventory.selectors import Moved
from contexts.inventory.services import counts, stock
from contexts.inventory.services.counts import Counted
from eci.clock import utcnow
from eci.errors import ContextUnavailable, EciError
from eci.forms import TextField
from eci.identity.auth import staff_name
from eci.staff import MAX_TERM, StaffAdmin
from eci.staff_forms import FORM_KEY, key_for, new_key, sent_before

MAX_UNKNOWN = 50
MAX_LIKE = 9  # products that are offered for a text that is no code
DAMAGED = "The lines of this page are damaged, so nothing was done. Open the page again."
BOOKED = "The lines that stood here are booked already. A new document begins: enter again what came after."
_TIMES = re.compile(r"\s*([+-]?[0-9]+(?:[.,][0-9]+)?)\s*([*\u00d7xX])\s*(.+)")
_FRACTION = re.compile(r"[+-]?[0-9]*[.,][0-9]+")


_TITLES = {What.RECEIVE: "Receive", What.COUNT: "Count", What.ADJUST: "Adjust", What.MOVE: "Move"}
_DONE = {What.RECEIVE: "Received", What.COUNT: "Counted", What.ADJUST: "Adjusted", What.MOVE: "Moved"}


# -- the page's form --------------------------------------------------------------------------------------------------


class Head(forms.Form):
    """What is done, where, and what it is called. Whether that is enough is asked when it is booked."""

    what = forms.ChoiceField(label="What", choices=[(one.value, _TITLES[one]) for one in What])
    warehouse = forms.ChoiceField(label="Warehouse", required=False)
    to_warehouse = forms.ChoiceField(label="To", required=False, help_text="Of a move.")
    reference = TextField(
        label="Reference", max_length=255, required=False, help_text="The delivery note, the sheet of the count."
    )
    reason = TextField(
        label="Reason", max_length=200, required=False, help_text="Of an adjustment or a count: broken, lost, found."
    )

    def __init__(self, warehouses: Iterable[Warehouse], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "choose"), *((one.pk, one.pk if one.is_active else f"{one.pk} (closed)") for one in warehouses)]
        for name in ("warehouse", "to_warehouse"):
            self.fields[name].choices = choices  # type: ignore[attr-defined]
        self.fields["reason"].widget.attrs["list"] = "reasons"

    def place(self) -> list[forms.BoundField]:
        return [self[name] for name in ("what", "warehouse", "to_warehouse")]

    def about(self) -> list[forms.BoundField]:
        return [self["reference"], self["reason"]]


def _read(head: Head, sent: Mapping[str, Any], lists: Any) -> Document:
    """The document as the page carries it. Refused for one that no page of ours wrote."""
    head.full_clean()
    said = head.cleaned_data
    document = Document(
        what=What(said.get("what") or What.RECEIVE),
        warehouse=said.get("warehouse", ""),
        to_warehouse=said.get("to_warehouse", ""),
        reference=said.get("reference", ""),
        reason=said.get("reason", ""),
    )
    try:
        lines = [Line.read(written) for written in lists("line")]
        entries = [tuple(map(int, written.split(" "))) for written in lists("entry")]
        document.lines = {line.product_id: line for line in lines}
        document.entries = [(product_id, units) for product_id, units in entries][-MAX_UNDONE:]
    except (ValueError, OverflowError):
        raise Refused(DAMAGED) from None
    numbers = [number for line in lines for number in (line.product_id, line.units, line.seen)]
    if len(lines) > MAX_LINES or any(abs(number) > 2**53 for number in numbers):
        raise Refused(DAMAGED)
    document.unknown = [_plain(one) for one in lists("unknown") if _plain(one)][-MAX_UNKNOWN:]
    if sent.get("of", document.warehouse) != document.warehouse:
        _see_anew(document)
    return document


def _plain(written: str) -> str:
    return "".join(filter(str.isprintable, written)).strip()[:MAX_TERM]


def _see_anew(document: Document) -> None:
    """It is another warehouse now: what is on hand there."""
    now = utcnow()
    seen = _on_hand(document, document.lines)
    document.lines = {pk: replace(line, seen=seen.get(pk, 0), at=now) for pk, line in document.lines.items()}


def _on_hand(document: Document, product_ids: Iterable[int]) -> dict[int, int]:
    rows = selectors.stock_in(places=[(pk, document.warehouse) for pk in product_ids]) if document.warehouse else {}
    return {product_id: row.on_hand for (product_id, _), row in rows.items()}


# -- what was entered -------------------------------------------------------------------------------------------------


def _entered(document: Document, scan: str, quantity: str) -> tuple[str, list[Product], str]:
    """Take a scanned or typed product in: what to say, or the products among which to choose and how many of it.

    ``5*SKU`` is five of it, and so are ``5×SKU`` and ``5xSKU`` where nothing is called so. A code that no product has,
    is kept in ``unknown``. Refused.
    """
    if not document.warehouse:
        raise Refused("Choose the warehouse first.")
    scan = _plain(scan)
    if not scan:
        raise Refused("Scan a product, or type its SKU, barcode or name.")
    times = _TIMES.fullmatch(scan)
    ways = [(scan, quantity), *([(times[3], times[1])] if times else [])]
    try:
        found = catalog.product_ids_by_code(codes=[code for code, _ in ways])
        for code, units in ways:
            if code in found:
                return _taken(document, found[code], _units(document, units)), [], ""
        if times and times[2] not in "xX":
            ways = ways[1:]
        likes = [(code, units, _alike(code)) for code, units in ways]
    except ContextUnavailable:
        raise Refused("The catalog cannot be asked just now. Send it again.") from None
    for code, units, alike in likes:
        for one in alike:
            if one.sku.casefold() == code.casefold():
                return _taken(document, one.product_id, _units(document, units)), [], ""
    for code, units, alike in likes:
        if alike:
            _units(document, units)
            return f"{code} is no SKU and no barcode. Which product is it?", alike, units
    document.unknown = list(dict.fromkeys([*document.unknown, scan]))[-MAX_UNKNOWN:]
    raise Unknown(f"There is no product {ways[-1][0]}.")


def _units(document: Document, written: str) -> int:
    shown = _plain(written)[:30]
    if _FRACTION.fullmatch(written.strip()):
        raise Refused(f"Units are whole, and {shown} is not.")
    try:
        units = int(written.strip() or "1") if len(written) <= MAX_TERM else None
    except ValueError:
        units = None
    if units is None:
        raise Refused(f"{shown} is no number of units.")
    if abs(units) > stock.MAX_UNITS:
        raise Refused(f"{shown} units are too many: a line has at most {stock.MAX_UNITS:,}.")
    document.require_units(units)
    return units


def _alike(words: str) -> list[Product]:
    ids = catalog.search(text=words, limit=MAX_LIKE)
    known = catalog.products(product_ids=ids) if ids else {}
    return [known[pk] for pk in ids]


def _taken(document: Document, product_id: int, units: int) -> str:
    at = utcnow()  # before on hand is read: what moves between the two is told when the count is booked
    document.add(product_id, units, seen=_on_hand(document, [product_id]).get(product_id, 0), at=at)
    return f"{units:+d}: {document.lines[product_id].units} of"


# -- booking ----------------------------------------------------------------------------------------------------------


def _require_complete(document: Document) -> None:
    if not document.warehouse:
        raise Refused("Choose the warehouse first.")
    if not document.lines:
        raise Refused("There is no line yet.")
    if document.what == What.MOVE and document.to_warehouse in ("", document.warehouse):
        raise Refused("Choose another warehouse to move the units to.")
    if document.what == What.ADJUST and not document.reason:
        raise Refused("Give the reason: broken, lost, found.")
    for line in document.lines.values():
        document.require_units(line.units)


def _book(document: Document, skus: Mapping[int, str], actor: str) -> None:
    """All lines or none. The services' refusals."""
    what = document.what
    if what == What.MOVE:
        stock.transfer_all(
            units={line.product_id: line.units for line in document.lines.values()},
            from_warehouse=document.warehouse,
            to_warehouse=document.to_warehouse,
            actor=actor,
            reference=document.reference,
        )
        return
    counting = what == What.COUNT
    counts.record(
        counts=[
            Counted(
                product=skus.get(line.product_id, line.product_id),
                product_id=line.product_id,
                warehouse=document.warehouse,
                units=line.units,
                expected_on_hand=line.seen if counting else None,
                counted_at=line.at if counting else None,
            )
            for line in document.lines.values()
        ],
        add=not counting,
        partial=False,
        reason=document.reason or ("receipt" if what == What.RECEIVE else "stock count"),
        actor=actor,
        kind=_KINDS[what],
        reference=document.reference,
    )


_KINDS = {What.RECEIVE: MovementKind.RECEIPT, What.COUNT: MovementKind.COUNT, What.ADJUST: MovementKind.ADJUSTMENT}


def _refusals(document: Document, refusal: EciError) -> dict[int, str]:
    """What was refused of which product."""
    products = list(document.lines)
    found = {}
    for item in refusal.details.get("items", []):
        if "item" in item:
            found[products[item["item"]]] = str(item["error"])
        else:
            found[item["product_id"]] = f"{item['available']} are available."
    return found


# -- the page ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A line as the page shows it. ``change``: what booking it does to on hand; ``moved``: units since it was seen."""

    line: Line
    sku: str
    name: str
    on_hand: int
    moved: int
    after: int
    refusal: str
    off_sale: bool

    @property
    def change(self) -> int:
        return self.after - self.on_hand


def _shown(document: Document, refusals: Mapping[int, str], products: Mapping[int, Product]) -> list[Shown]:
    """The lines, the last one first: one question for stock and one for movements, however many there are."""
    on_hand = _on_hand(document, document.lines)
    times = {(pk, document.warehouse): line.at for pk, line in document.lines.items()}
    since = selectors.units_moved_since(times=times) if document.what == What.COUNT else {}
    shown = []
    for pk, line in reversed(document.lines.items()):
        product = products.get(pk)
        now, moved = on_hand.get(pk, 0), since.get((pk, document.warehouse), Moved()).units
        after = {What.COUNT: line.units + moved, What.MOVE: now - line.units}.get(document.what, now + line.units)
        shown.append(
            Shown(
                line=line,
                sku=product.sku if product else f"product {pk}",
                name=product.name if product else "",
                on_hand=now,
                moved=moved,
                after=after,
                refusal=refusals.get(pk, ""),
                off_sale=bool(product and not product.is_active),
            )
        )
    return shown


class DocumentPage(StaffAdmin):
    """Mixed into the admin of stock: its page for documents."""

    def get_urls(self) -> list[URLPattern]:
        page = path("document/", self.admin_site.admin_view(self.document), name="inventory_stock_document")
        return [page, *super().get_urls()]

    def document_url(self, row: Any) -> str:
        """The page, with the product and warehouse of this row filled in."""
        given = {"warehouse": row.warehouse_id, "scan": row.product.sku if row.product else ""}
        return f"{reverse('admin:inventory_stock_document')}?{urlencode(given)}"

    def document(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("inventory.change_stock"):
            raise PermissionDenied
        warehouses = selectors.all_warehouses()
        if request.method != "POST":
            first = next((one.pk for one in sorted(warehouses, key=lambda one: one.priority) if one.is_active), "")
            given = {"what": What.RECEIVE.value, "warehouse": first, **request.GET.dict()}
            document = _read(Head(warehouses, given), {}, lambda name: [])
            head = Head(warehouses, initial=vars(document))
            return self._show(request, head, document, scan=_plain(given.get("scan", "")))
        head = Head(warehouses, request.POST)
        try:
            document = _read(head, request.POST, request.POST.getlist)
        except Refused as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return redirect(request.path)
        try:
            if sent_before(request, "inventory") is not False:
                return self._booked_before(request, head, document)
            if not head.is_valid():
                raise Refused("Correct what is marked first.")
            return self._command(request, head, document)
        except EciError as refusal:
            return self._show(request, head, document, bad=refusal.message, scan=_plain(request.POST.get("scan", "")))
        except Refused as refused:
            scan = "" if isinstance(refused, Unknown) else _plain(request.POST.get("scan", ""))
            return self._show(request, head, document, bad=str(refused), scan=scan)

    def _booked_before(self, request: HttpRequest, head: Head, document: Document) -> HttpResponse:
        """The lines have been booked: by a form sent twice, or the person went back and scans on."""
        if request.POST.get("do") == "book":
            self.message_user(request, "")
            return self._next(request, document)
        document.lines, document.entries = {}, []
        scan = _plain(request.POST.get("scan", ""))
        return self._show(request, head, document, bad=BOOKED, scan=scan, form_key=new_key(request.path))

    def _command(self, request: HttpRequest, head: Head, document: Document) -> HttpResponse:
        command, _, about = request.POST.get("do", "add").partition("-")
        product_id = int(about) if about.isascii() and about.isdigit() and len(about) < 16 else 0
        if command == "look":  # another warehouse, or another kind of document
            pass
        elif command == "undo":
            document.undo()
        elif command == "remove":
            document.remove(product_id)
        elif command == "forget":
            document.unknown = []
        elif command == "pick" and catalog.known_products(product_ids=[product_id]):
            units = _units(document, request.POST.get("picked_units", ""))
            return self._show(request, head, document, good=_taken(document, product_id, units), said_of=product_id)
        elif command in ("check", "book"):
            return self._check_or_book(request, head, document, book=command == "book")
        else:
            scan, quantity = request.POST.get("scan", ""), request.POST.get("quantity", "")
            good, alike, units_each = _entered(document, scan, quantity)
            if alike:
                return self._show(request, head, document, bad=good, alike=alike, units=units_each)
            return self._show(request, head, document, good=good, said_of=next(reversed(document.lines)))
        return self._show(request, head, document)

    def _check_or_book(self, request: HttpRequest, head: Head, document: Document, *, book: bool) -> HttpResponse:
        _require_complete(document)
        if document.what == What.COUNT and (not book or request.POST.get("checked") != document.mark):
            return self._show(request, head, document, checked=True)
        skus = {pk: one.sku for pk, one in (composed.products_of(product_ids=document.lines) or {}).items()}
        try:
            self.once(request, "inventory", "stock.document", lambda: _book(document, skus, staff_name(request.user)))
        except EciError as refusal:
            found = _refusals(document, refusal)
            bad = "Nothing was booked. See the lines in red." if found else refusal.message
            return self._show(request, head, document, bad=bad, refusals=found)
        self.message_user(request, self._booked(document), messages.SUCCESS)
        if document.unknown:
            left = ", ".join(document.unknown)
            self.message_user(request, f"Not booked, for no product has that code: {left}.", messages.WARNING)
        return self._next(request, document)

    def _next(self, request: HttpRequest, document: Document) -> HttpResponse:
        """An empty document of the same kind, in the same place; ``booked`` tells the tab which lines to forget."""
        again = {
            "booked": request.POST[FORM_KEY],
            "what": document.what.value,
            "warehouse": document.warehouse,
            "to_warehouse": document.to_warehouse,
        }
        return redirect(f"{request.path}?{urlencode(again)}")

    def _booked(self, document: Document) -> str:
        units = sum(line.units for line in document.lines.values())
        where = f"in {document.warehouse}"
        if document.what == What.MOVE:
            where = f"from {document.warehouse} to {document.to_warehouse}"
        products = "one product" if len(document.lines) == 1 else f"{len(document.lines)} products"
        said = f"{_DONE[document.what]} {units} units of {products} {where}"
        if not document.reference:
            return f"{said}."
        url = f"{reverse('admin:inventory_movement_changelist')}?{urlencode({'q': document.reference})}"
        return format_html('{}: <a href="{}">{}</a>.', said, url, document.reference)

    def _show(
        self,
        request: HttpRequest,
        head: Head,
        document: Document,
        *,
        good: str = "",
        bad: str = "",
        said_of: int = 0,
        scan: str = "",
        units: str = "",
        form_key: str = "",
        alike: Iterable[Product] = (),
        checked: bool = False,
        refusals: Mapping[int, str] | None = None,
    ) -> HttpResponse:
        products = composed.products_of(product_ids=document.lines) or {}
        lines = _shown(document, refusals or {}, products)
        moved_from = request.POST.get("of", "")
        if said_of and lines:
            good = f"{good} {lines[0].sku}, {lines[0].name}"
        context = {
            **self.admin_site.each_context(request),
            "title": "Receive, count, adjust, move",
            "opts": self.opts,
            "media": self.media,
            "form_key": form_key or (key_for(request) if request.method == "POST" else new_key(request.path)),
            "head": head,
            "document": document,
            "lines": lines,
            "units": sum(line.line.units for line in lines),
            "differences": [line for line in lines if line.change],
            "counting": document.what == What.COUNT,
            "moved_from": moved_from if document.lines and moved_from != document.warehouse else "",
            "good": good,
            "bad": bad,
            "scan": scan,
            "quantity": units or (request.POST.get("quantity", "") if scan else ""),
            "picked_units": units,
            "alike": alike,
            "checked": checked,
            "verb": _TITLES[document.what],
        }
        return TemplateResponse(request, "inventory/document.html", context)
