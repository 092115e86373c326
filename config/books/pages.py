"""The page of problems: what is stuck or at odds, and the switch for new orders.

Whoever sees orders or stock may look, whoever has the verb ``orders.repair`` may do what is safe; superusers stop and
start new orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from config.books import checkup, mending, reconcile
from config.books.reasons import MAX_REASON, reason_to_stop
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import Switch
from eci import staff_forms
from eci.clock import iso
from eci.identity.auth import staff_name

LOOKS = ("orders.view_order", "inventory.view_stock")  # who has one of these may look
REPAIRS = "orders.repair"


@admin.site.admin_view
@require_http_methods(["GET", "HEAD"])
def reconcile_page(request: HttpRequest) -> HttpResponse:
    """Shows the last check-up, because a new one takes seconds."""
    _require(request, *LOOKS)
    last, switch = checkup.last(), orders.switch()
    context = admin.site.each_context(request) | {
        "title": "Problems",
        "last": last,
        "items": [
            (item, staff_forms.new_key(reverse("staff-repair")), mends)
            for item, mends in zip(last.items, mending.mends_of(last.items, request.user), strict=True)
        ]
        if last
        else [],
        "switch": switch,
        "switch_seen": _seen(switch),
        "look_key": staff_forms.new_key(reverse("staff-look-again")),
        "switch_key": staff_forms.new_key(reverse("staff-switch-orders")),
        "may_repair": request.user.has_perm(REPAIRS),
        "may_switch": request.user.is_superuser,
    }
    return render(request, "books/reconcile.html", context)


@admin.site.admin_view
@require_POST
def look_again(request: HttpRequest) -> HttpResponse:
    _require(request, *LOOKS)
    _once(request, "look", checkup.check_up)
    return redirect("staff-reconcile")


@admin.site.admin_view
@require_POST
def repair(request: HttpRequest) -> HttpResponse:
    """Do the safe action of one item, if the item is still there."""
    _require(request, REPAIRS)
    name = request.POST.get("item", "")

    def act() -> None:
        found = next((item for item in reconcile.find().items if item.name == name), None)
        outcome = reconcile.apply(found, actor=staff_name(request.user)) if found else "it is no longer there"
        messages.info(request, f"{name[:MAX_REASON]}: {outcome}")
        checkup.check_up()

    _once(request, "repair", act)
    return redirect("staff-reconcile")


@admin.site.admin_view
@require_POST
def switch_orders(request: HttpRequest) -> HttpResponse:
    if not request.user.is_superuser:
        raise PermissionDenied
    actor, taking = staff_name(request.user), request.POST.get("taking") == "yes"
    try:
        reason = "" if taking else reason_to_stop(request.POST.get("reason", ""))
    except ValueError as error:
        messages.error(request, str(error))
        return redirect("staff-reconcile")

    def change() -> None:
        if request.POST.get(staff_forms.VERSION) != _seen(orders.switch()):
            messages.error(request, "Somebody else has changed this meanwhile. It is as you see it now.")
        elif taking:
            orders.start(actor=actor)
        else:
            orders.stop(reason=reason, actor=actor)

    _once(request, "switch", change)
    return redirect("staff-reconcile")


def _once(request: HttpRequest, action: str, function: Callable[[], Any]) -> None:
    """Orders keeps the keys: the page is served where orders is."""
    try:
        if not staff_forms.once_outside(request, "orders", f"reconcile.{action}", function):
            messages.warning(request, staff_forms.REPEATED)
    except staff_forms.DamagedForm as damaged:
        messages.error(request, damaged.message)


def _seen(switch: Switch) -> str:
    """What a form carries, to tell whether the switch was changed since."""
    return f"{switch.taking} {iso(switch.at)}"


def _require(request: HttpRequest, *codes: str) -> None:
    if not any(request.user.has_perm(code) for code in codes):
        raise PermissionDenied
