"""The admin's pages that check a password. Wrong ones are counted together with the API's."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from config.staff import accounts
from config.staff.second_factor import ask
from eci import limits
from eci.http.rates import client_address, named
from eci.identity import second_factor
from eci.identity.names import staff_named
from eci.staff_confirm import account_of

MAX_NAME = 150  # characters: Django's form takes no more


@never_cache
def login(request: HttpRequest) -> HttpResponseBase:
    response = _counted(request, request.POST.get("username", ""), _login)
    if _done(response) and second_factor.is_due(account_of(request)):
        return ask(request, then=response.headers["Location"])
    if _done(response) and accounts.has_one_time_password(request.user.get_username()):
        return redirect("admin:password_change")
    return response


def _login(request: HttpRequest) -> HttpResponse:
    provider = urlsplit(settings.ECI_OIDC_ISSUER).hostname
    return admin.site.login(request, extra_context={"provider": provider})


@admin.site.admin_view
def password_change(request: HttpRequest) -> HttpResponseBase:
    """Counted too, so that somebody who finds an open session cannot guess its password here."""
    response = _counted(request, request.user.get_username(), admin.site.password_change)
    if _done(response):
        accounts.forget_one_time_password(request.user.get_username())
        accounts.record_new_password(request.user)
    return response


def _counted(request: HttpRequest, username: str, view: Callable[[HttpRequest], HttpResponse]) -> HttpResponseBase:
    if request.method != "POST" or settings.ECI_OPEN:
        return view(request)
    found = staff_named(unicodedata.normalize("NFKC", username[:MAX_NAME]))  # as Django's form does
    account = f"staff:{found.pk}" if found else ""
    try:
        attempt = limits.begin_login(account=account, name=named("staff", username), address=client_address(request))
    except limits.Throttled as refusal:
        page = render(request, "staff/throttled.html", {"minutes": refusal.retry_after // 60 + 1}, status=429)
        page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    response = view(request)
    if _done(response):
        attempt.was_right()
    return response


def _done(response: HttpResponseBase) -> bool:
    return response.status_code == 302
