"""The packing desk's pages: a warehouse's queue, one parcel, and what is printed for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from config.desk import packing
from config.desk.asking import address
from contexts.catalog.public.api import catalog
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment, ShipmentStatus
from eci.errors import EciError, PreconditionFailed
from eci.forms import TextField, TrackingNumberField
from eci.identity.auth import staff_name

CHANGES = "shipping.change_shipment"
MAX_ID = 2**53
_WANTED = {
    "pack": ShipmentStatus.PACKED,
    "dispatch": ShipmentStatus.SHIPPED,
    "deliver": ShipmentStatus.DELIVERED,
    "save": None,
}
_DONE = {"pack": "packed", "dispatch": "dispatched", "deliver": "delivered", "save": "saved"}


class LabelsForm(forms.Form):
    """Carrier and tracking number, as they are scanned in. ``version``: of the shipment as its page showed it."""

    carrier = TextField(max_length=64)
    tracking_no = TrackingNumberField(label="Tracking number")
    version = forms.IntegerField(min_value=0, max_value=MAX_ID, widget=forms.HiddenInput)


@require_http_methods(["GET", "HEAD", "POST"])
def _queue(request: HttpRequest) -> HttpResponse:
    """The queue of a warehouse; by POST, a command for the shipments that are marked in it."""
    _require(request, "shipping.view_shipment")
    warehouse = _plain(request.GET.get("warehouse", ""))
    if request.method == "POST":
        _require(request, CHANGES)
        _for_all(request, request.POST.get("do", ""), request.POST.getlist("shipment"))
        return redirect(request.get_full_path())
    found = packing.queue(warehouse, after=_number(request.GET.get("after", "")))
    more = {"warehouse": found.warehouse, "after": found.parcels[-1].shipment.shipment_id} if found.more else {}
    context = {
        "title": f"To pack in {found.warehouse}" if found.warehouse else "To pack",
        "queue": found,
        "next": urlencode(more),
        "may_change": request.user.has_perm(CHANGES),
    }
    return render(request, "desk/pack.html", admin.site.each_context(request) | context)


def _for_all(request: HttpRequest, command: str, marked: Iterable[str]) -> None:
    """Each on its own: what is refused is told, and stops none of the others."""
    if command not in ("pack", "dispatch"):
        return
    done = 0
    for mark in list(marked)[: packing.BATCH]:
        shipment_id, _, version = mark.partition("-")
        try:
            _change(request, _number(shipment_id), command, version=_number(version))
            done += 1
        except EciError as refusal:
            messages.error(request, f"Shipment {_number(shipment_id)}: {refusal.message}")
    if done:
        messages.success(request, f"{done} shipments are {_DONE[command]}.")


@require_http_methods(["GET", "HEAD", "POST"])
def _parcel(request: HttpRequest, shipment_id: int) -> HttpResponse:
    """One parcel to pack: its units to scan, its labels, and the commands. What is dispatched leads to the next."""
    _require(request, "shipping.view_shipment")
    shipment = _shipment(shipment_id)
    form = LabelsForm(request.POST if request.method == "POST" else None, initial=_labels(shipment))
    if request.method == "POST":
        _require(request, CHANGES)
        command = request.POST.get("do", "save")
        if command in _WANTED and form.is_valid() and _changed(request, shipment, command, form):
            return redirect(_after(shipment) if command == "dispatch" else request.path)
        shipment = _shipment(shipment_id)
    away: list[str] = []
    [parcel] = packing.parcels([shipment], away)
    ids = [item.product_id for item in parcel.items or ()]
    barcodes = catalog.barcodes(product_ids=ids) if ids and "catalog" not in away else {}
    context = {
        "title": f"Shipment {shipment_id}",
        "parcel": parcel,
        "items": [(item, barcodes.get(item.product_id, "")) for item in parcel.items or ()],
        "address": address(shipment.ship_to),
        "form": form,
        "version": shipment.version,
        "unavailable": away,
        "may_change": request.user.has_perm(CHANGES),
    }
    return render(request, "desk/parcel.html", admin.site.each_context(request) | context)


def _changed(request: HttpRequest, shipment: Shipment, command: str, form: LabelsForm) -> bool:
    """Whether the command was carried out. A refusal is told, and what was typed stays."""
    given = form.cleaned_data
    labels = {} if command == "deliver" else {name: given[name] for name in ("carrier", "tracking_no")}
    try:
        _change(request, shipment.shipment_id, command, version=given["version"], **labels)
    except EciError as refusal:
        form.add_error(None, refusal.message)
        return False
    messages.success(request, f"Shipment {shipment.shipment_id} is {_DONE[command]}.")
    return True


def _change(request: HttpRequest, shipment_id: int, command: str, *, version: int, **labels: str) -> None:
    """A form that is sent again finds that all is as it wants it, and changes nothing."""
    wanted = _WANTED[command]
    try:
        shipping.change(
            shipment_id=shipment_id, actor=staff_name(request.user), status=wanted, version=version, **labels
        )
    except PreconditionFailed:
        now = _shipment(shipment_id)
        if wanted in (None, now.status) and all(getattr(now, name) == label for name, label in labels.items()):
            return
        told = f"It is {now.status} now, with {now.carrier} {now.tracking_no}"
        raise PreconditionFailed(f"Somebody has changed it since the page was opened. {told}.") from None


def _after(shipment: Shipment) -> str:
    """The page of the next parcel of the warehouse; the queue, when nothing is left."""
    warehouse = shipment.warehouse or ""
    following = packing.next_in(warehouse, after=shipment.shipment_id)
    if following:
        return reverse("desk-parcel", args=[following])
    return f"{reverse('desk-pack')}?{urlencode({'warehouse': warehouse})}"


@require_http_methods(["GET", "HEAD", "POST"])
def _papers(request: HttpRequest, paper: str) -> HttpResponse:
    """A PDF for the shipments that are marked, in the order of the queue. Nothing is changed, by POST either."""
    _require(request, "shipping.view_shipment")
    from config.desk import papers  # late: what makes PDFs takes as much memory as all our code

    make = papers.PAPERS.get(paper)
    if make is None:
        raise Http404
    sent = request.POST if request.method == "POST" else request.GET
    ids = [_number(mark.partition("-")[0]) for mark in sent.getlist("shipment")[: packing.BATCH]]
    found = packing.parcels(shipping.shipments(shipment_ids=ids), []) if ids else ()
    if not found:
        messages.warning(request, "Mark the shipments first.")
        return redirect("desk-pack")
    if any(parcel.items is None for parcel in found):
        messages.error(request, "Inventory cannot be asked just now, so nobody knows what goes into the parcels.")
        return redirect("desk-pack")
    pdf = HttpResponse(make(found), content_type="application/pdf")
    pdf["Content-Disposition"] = f'inline; filename="{paper}.pdf"'
    return pdf


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _shipment(shipment_id: int) -> Shipment:
    found = shipping.shipments(shipment_ids=[shipment_id]) if shipment_id <= MAX_ID else ()
    if not found:
        raise Http404
    return found[0]


def _labels(shipment: Shipment) -> dict[str, Any]:
    return {"carrier": shipment.carrier, "tracking_no": shipment.tracking_no, "version": shipment.version}


def _number(written: str) -> int:
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 15 else 0


def _plain(written: str) -> str:
    return "".join(filter(str.isprintable, written)).strip()[:64]


queue_page = admin.site.admin_view(_queue)
parcel_page = admin.site.admin_view(_parcel)
papers_page = admin.site.admin_view(_papers)
