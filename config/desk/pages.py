"""The pages: each asks one of the modules beside it and shows what that found, as far as its reader may see it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from config.desk import activity, again, dialogs, finding, front, products, sheets
from config.desk.dialogs import Dialog
from contexts.catalog.public.contracts import ProductNotFound
from contexts.notifications.public.api import notifications
from contexts.notifications.public.contracts import NotificationNotFound
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import Done, OrderNotFound
from eci import staff_forms
from eci.clock import utcnow
from eci.errors import EciError, PreconditionFailed
from eci.forms import CardlessTextField
from eci.identity.auth import staff_name
from eci.ids import is_our_order
from eci.staff_confirm import confirmed

MAX_TEXT = 200  # of what is looked for


def _front_page(request: HttpRequest) -> HttpResponseBase:
    """The admin's own, with today's figures."""
    mine = activity.own(staff_name(request.user)) if request.user.is_authenticated else None
    return admin.site.index(
        request,
        {
            "tiles": front.tiles(request.user),
            "lines": front.lines(request.user),
            "mine": mine,
            "title": "Today",
        },
    )


@require_safe
def _go(request: HttpRequest) -> HttpResponse:
    text = "".join(filter(str.isprintable, request.GET.get("q", ""))).strip()[:MAX_TEXT]
    found = finding.find(text, request.user)
    if len(found.hits) == 1 and not found.unavailable:
        return redirect(found.hits[0].url)
    return render(request, "desk/found.html", _context(request, title=f"Found for {text}", text=text, found=found))


@require_http_methods(["GET", "HEAD", "POST"])
def _order_sheet(request: HttpRequest, order_id: str) -> HttpResponse:
    """The sheet; a POST is a note that staff writes on it."""
    if not request.user.has_perm("orders.view_order"):
        raise PermissionDenied
    form = NoteForm(request.POST if request.method == "POST" else None)
    try:
        if request.method == "POST" and _noted(request, order_id, form):
            return redirect(request.path)
        sheet = sheets.sheet(order_id)
    except OrderNotFound as missing:
        messages.warning(request, missing.message)
        return redirect(reverse("admin:orders_order_changelist"))
    context = _context(
        request,
        title=f"Order {order_id}",
        sheet=sheet,
        commands=sheets.commands(sheet, request.user),
        note=form if request.user.has_perm("orders.note") else None,
        may_send_again=request.user.has_perm("notifications.send_again"),
        form_key=staff_forms.key_for(request),
    )
    return render(request, "desk/order.html", context)


class NoteForm(forms.Form):
    text = CardlessTextField(label="Note", max_length=1000, lines=True, widget=forms.Textarea(attrs={"rows": 3}))


def _noted(request: HttpRequest, order_id: str, form: NoteForm) -> bool:
    if not request.user.has_perm("orders.note"):
        raise PermissionDenied
    try:
        key = staff_forms.key_of(request, "note").key
        if not form.is_valid():
            return False
        text = form.cleaned_data["text"]
        done = orders.note(order_id=order_id, text=text, actor=staff_name(request.user), key=key)
    except OrderNotFound:
        raise
    except EciError as refusal:
        form.add_error(None, refusal.message)
        return False
    if done.repeated:
        messages.warning(request, staff_forms.REPEATED)
    return True


@require_safe
def _product_sheet(request: HttpRequest, product_id: int) -> HttpResponse:
    if not any(request.user.has_perm(code) for code in products.SEES):
        raise PermissionDenied
    try:
        found = products.sheet(product_id, request.user)
    except ProductNotFound as missing:
        messages.warning(request, missing.message)
        return redirect("admin:index")
    title = f"{found.product.sku}, {found.product.name}"
    return render(request, "desk/product.html", _context(request, title=title, sheet=found))


@require_http_methods(["GET", "HEAD", "POST"])
def _dialog(request: HttpRequest, order_id: str, command: str) -> HttpResponseBase:
    """A form; what it would do; that. The form has no effect before its person has seen it."""
    dialog = dialogs.DIALOGS.get(command)
    if dialog is None:
        raise Http404
    if not request.user.has_perm(dialog.verb):
        raise PermissionDenied
    view = confirmed(_ask) if dialog.dangerous else _ask
    return view(request, order_id, dialog)


def _ask(request: HttpRequest, order_id: str, dialog: type[Dialog]) -> HttpResponseBase:
    try:
        of = orders.sheet(order_id=order_id)
    except OrderNotFound as missing:
        messages.warning(request, missing.message)
        return redirect(reverse("admin:orders_order_changelist"))
    back = reverse("desk-order", args=[order_id])
    if request.method != "POST":
        if why_not := of.commands[dialog.name]:
            messages.warning(request, f"{dialog.title}: {why_not}")
            return redirect(back)
        return _show(request, dialog(of), back)
    form, stage, changed = dialog(of, request.POST), request.POST.get("stage"), False
    try:
        key = staff_forms.key_of(request, dialog.name).key
        shown = request.POST.get("shown", "")
        if stage == "confirm" and shown and form.is_valid():
            done = form.carry_out(actor=staff_name(request.user), key=key, shown=shown)
            _tell(request, dialog, done)
            return redirect(back)
    except PreconditionFailed:
        changed = True
    except EciError as refusal:
        form.refuse(refusal)
    if stage == "edit" or not form.is_valid():
        return _show(request, form, back)
    try:
        preview = form.preview()
    except EciError as refusal:
        form.refuse(refusal)
        return _show(request, form, back)
    effects = list(dialogs.in_words(preview, sheets.told(of)))
    return _show(request, form, back, effects=effects, shown=preview.digest, changed=changed)


def _tell(request: HttpRequest, dialog: type[Dialog], done: Done) -> None:
    if done.repeated:
        messages.warning(request, staff_forms.REPEATED)
    elif done.finished:
        messages.success(request, f"{dialog.title}: done.")
    else:
        messages.success(request, f"{dialog.title}: recorded. The rest follows by itself.")


def _show(request: HttpRequest, form: Dialog, back: str, **more: Any) -> HttpResponse:
    order_id = form.of.order.order_id
    context = {
        "title": form.title,
        "trail": [("Orders", reverse("admin:orders_order_changelist")), (order_id, back)],
        "form": form,
        "form_key": staff_forms.key_for(request),
        "back": back,
    }
    return render(request, "desk/dialog.html", _context(request, **context, **more))


@require_http_methods(["GET", "HEAD", "POST"])
def _send_again(request: HttpRequest, notification_id: int) -> HttpResponse:
    if not request.user.has_perm("notifications.send_again"):
        raise PermissionDenied
    listed = reverse("admin:notifications_notification_changelist")
    try:
        notice = notifications.notice(notification_id=notification_id)
    except NotificationNotFound as missing:
        messages.warning(request, missing.message)
        return redirect(listed)
    back = reverse("desk-order", args=[notice.order_id]) if is_our_order(notice.order_id) else listed
    form = again.AgainForm(request.POST) if request.method == "POST" else again.opened(notice)
    try:
        if request.method == "POST":
            key = staff_forms.key_of(request, "again").key
            if form.is_valid():
                sent = form.send(notice, actor=staff_name(request.user), key=key)
                told = f"Notification {sent.notification_id} is queued and will be sent in a moment."
                level = messages.WARNING if sent.repeated else messages.SUCCESS
                messages.add_message(request, level, staff_forms.REPEATED if sent.repeated else told)
                return redirect(back)
    except EciError as refusal:
        form.add_error(None, refusal.message)
    context = {
        "title": f"Send notification {notification_id} again",
        "notice": notice,
        "form": form,
        "form_key": staff_forms.key_for(request),
        "back": back,
    }
    return render(request, "desk/again.html", _context(request, **context))


@require_safe
def _activity_page(request: HttpRequest) -> HttpResponse:
    contexts = activity.may_see(request.user)
    if not contexts:
        raise PermissionDenied
    asked = activity.asked_for(request.GET)
    found = activity.find(asked, contexts)

    def url(**other: str) -> str:
        given = {"actor": asked.actor, "kind": asked.kind, "day": asked.day.isoformat() if asked.day else ""}
        return "?" + urlencode({name: value for name, value in (given | other).items() if value})

    days = {step: _day_beside(asked.day, step) for step in (-1, 1)}
    context = {
        "title": "Activity",
        "asked": asked,
        "activity": found,
        "kinds": [(name, kind.title) for name, kind in activity.KINDS.items() if kind.context in contexts],
        "following": url(after=found.following) if found.following else "",
        "before": url(day=days[-1]) if days[-1] else "",
        "then": url(day=days[1]) if days[1] else "",
    }
    return render(request, "desk/activity.html", _context(request, **context))


def _day_beside(day: date | None, step: int) -> str:
    """Not beyond today, and not before the calendar's beginning."""
    try:
        other = day + timedelta(days=step) if day else None
    except OverflowError:
        return ""
    return other.isoformat() if other and other <= utcnow().date() else ""


def _context(request: HttpRequest, **more: Any) -> dict[str, Any]:
    return admin.site.each_context(request) | more


activity_page = admin.site.admin_view(_activity_page)
front_page = admin.site.admin_view(_front_page)
go = admin.site.admin_view(_go)
order_sheet = admin.site.admin_view(_order_sheet)
dialog = admin.site.admin_view(_dialog)
product_sheet = admin.site.admin_view(_product_sheet)
send_again = admin.site.admin_view(_send_again)
