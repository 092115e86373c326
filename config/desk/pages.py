"""The pages: each asks one of the modules beside it and shows what that found, as far as its reader may see it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from config.desk import finding, front, sheets
from contexts.orders.public.contracts import OrderNotFound

MAX_TEXT = 200  # of what is looked for


def _front_page(request: HttpRequest) -> HttpResponseBase:
    """The admin's own, with today's figures."""
    return admin.site.index(request, {"tiles": front.tiles(request.user), "title": "Today"})


@require_safe
def _go(request: HttpRequest) -> HttpResponse:
    text = "".join(filter(str.isprintable, request.GET.get("q", ""))).strip()[:MAX_TEXT]
    found = finding.find(text, request.user)
    if len(found.hits) == 1 and not found.unavailable:
        return redirect(found.hits[0].url)
    return render(request, "desk/found.html", _context(request, title=f"Found for {text}", text=text, found=found))


@require_safe
def _order_sheet(request: HttpRequest, order_id: str) -> HttpResponse:
    if not request.user.has_perm("orders.view_order"):
        raise PermissionDenied
    try:
        sheet = sheets.sheet(order_id)
    except OrderNotFound as missing:
        messages.warning(request, missing.message)
        return redirect(reverse("admin:orders_order_changelist"))
    commands = sheets.commands(sheet, request.user)
    context = _context(request, title=f"Order {order_id}", sheet=sheet, commands=commands)
    return render(request, "desk/order.html", context)


def _context(request: HttpRequest, **more: Any) -> dict[str, Any]:
    return admin.site.each_context(request) | more


front_page = admin.site.admin_view(_front_page)
go = admin.site.admin_view(_go)
order_sheet = admin.site.admin_view(_order_sheet)
