"""The reconcile page: what is stuck or at odds, and the switch for new orders. Staff may look, superusers may act."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from config.books import checkup, reconcile
from contexts.orders.public.api import orders
from eci import text
from eci.identity.auth import staff_name

MAX_REASON = 300


@staff_member_required
@require_http_methods(["GET", "HEAD"])
def reconcile_page(request: HttpRequest) -> HttpResponse:
    """Shows the last check-up, because a new one takes seconds."""
    context = admin.site.each_context(request) | {
        "title": "Reconcile",
        "last": checkup.last(),
        "switch": orders.switch(),
        "may_act": request.user.is_active and request.user.is_superuser,
    }
    return render(request, "books/reconcile.html", context)


@staff_member_required
@require_POST
def look_again(request: HttpRequest) -> HttpResponse:
    checkup.check_up()
    return redirect("staff-reconcile")


@staff_member_required
@require_POST
def repair(request: HttpRequest) -> HttpResponse:
    """Do the safe action of one item, if the item is still there."""
    _require_superuser(request)
    name = request.POST.get("item", "")
    found = next((item for item in reconcile.find().items if item.name == name), None)
    outcome = reconcile.apply(found, actor=staff_name(request.user)) if found else "it is no longer there"
    messages.info(request, f"{name[:MAX_REASON]}: {outcome}")
    checkup.check_up()
    return redirect("staff-reconcile")


@staff_member_required
@require_POST
def switch_orders(request: HttpRequest) -> HttpResponse:
    _require_superuser(request)
    if request.POST.get("taking") == "yes":
        orders.start(actor=staff_name(request.user))
        return redirect("staff-reconcile")
    try:
        reason = text.clean(request.POST.get("reason", ""), limit=MAX_REASON)
    except ValueError as error:
        messages.error(request, str(error))
    else:
        if reason:
            orders.stop(reason=reason, actor=staff_name(request.user))
        else:
            messages.error(request, "Give a reason: customers see it.")
    return redirect("staff-reconcile")


def _require_superuser(request: HttpRequest) -> None:
    if not request.user.is_superuser:
        raise PermissionDenied
