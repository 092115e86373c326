"""The admin's own login, with its wrong passwords counted as those of the API are."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from eci import limits
from eci.http.rates import client_address


@never_cache
def login(request: HttpRequest) -> HttpResponse:
    if request.method != "POST" or settings.ECI_OPEN:
        return admin.site.login(request)
    account = f"staff:{request.POST.get('username', '').strip().lower()}"
    try:
        attempt = limits.begin_login(account=account, address=client_address(request))
    except limits.Throttled as refusal:
        page = render(request, "staff/throttled.html", {"minutes": refusal.retry_after // 60 + 1}, status=429)
        page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    response = admin.site.login(request)
    if response.status_code == 302:
        attempt.take_back()
    return response
