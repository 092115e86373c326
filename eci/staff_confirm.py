"""Dangerous acts of staff: a session that began a while ago shows first that it is still its owner's.

``@confirmed`` stands around a view. More than ``FRESH`` after the last proof it answers with a page that asks for the
password, and for a code where the account has a second factor. The page holds what was sent, so that nothing is lost.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from eci.errors import NotAuthenticated
from eci.http.rates import password_guess
from eci.identity import second_factor
from eci.identity.passwords import matches
from eci.limits import Throttled

FRESH = 15 * 60  # seconds
# In the session: when its owner proved who they are, and the page where they do so again if it is not this one.
PROVED_AT, PROVED_BY = "proved_at", "proved_by"
PASSWORD, CODE, ASKED_BY = "_confirm_password", "_confirm_code", "_confirm_asked_by"  # noqa: S105 - fields' names

View = Callable[..., HttpResponseBase]


def confirmed(view: View) -> View:
    """For a view whose user is signed in; for a method, inside Django's ``method_decorator``."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if settings.ECI_OPEN or not request.user.is_authenticated or _is_fresh(request):
            return view(request, *args, **kwargs)
        if PASSWORD not in request.POST:
            return _ask(request)
        try:
            _prove(request)
        except (NotAuthenticated, Throttled) as refusal:
            return _ask(request, refusal)
        if request.POST.get(ASKED_BY) != "POST":
            return redirect(request.get_full_path())
        return view(request, *args, **kwargs)

    return guarded


def account_of(request: HttpRequest) -> User:
    """Who is signed in, as a row of our own."""
    return User.objects.get(pk=str(request.user.pk))


def guess(request: HttpRequest, user: User) -> AbstractContextManager[None]:
    """Around the check of what the account's owner knows. Wrong ones count with the passwords of logins. Throttled."""
    return password_guess(request, f"staff:{user.pk}")


def proved(request: HttpRequest) -> None:
    """The session's owner has just given what it takes to sign in."""
    request.session[PROVED_AT] = int(time.time())


def _begin(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    proved(request)


user_logged_in.connect(_begin, dispatch_uid="eci.staff_confirm")


def _is_fresh(request: HttpRequest) -> bool:
    proved_at = int(request.session.get(PROVED_AT, 0))
    return 0 <= time.time() - proved_at < FRESH


def _prove(request: HttpRequest) -> None:
    """NotAuthenticated, Throttled. Wrong passwords and codes count with those of logins."""
    user = account_of(request)
    with guess(request, user):
        if not matches(request.POST[PASSWORD], user.password):
            raise NotAuthenticated("This is not your password.")
        has_device = second_factor.device_id(user) is not None
        if has_device and not second_factor.check(user, request.POST.get(CODE, "")):
            raise NotAuthenticated("This code is wrong, or it was used already. Wait for the next one.")
    proved(request)


def _ask(request: HttpRequest, refusal: NotAuthenticated | Throttled | None = None) -> HttpResponseBase:
    asked_by = request.POST.get(ASKED_BY, request.method)
    context = admin.site.each_context(request) | {
        "title": "Confirm that it is you",
        "refusal": refusal.message if refusal else "",
        "asked_by": asked_by,
        "elsewhere": request.session.get(PROVED_BY, ""),
        "back": request.get_full_path() if asked_by == "GET" else reverse("admin:index"),
        "sent": list(_sent(request)),
        "needs_code": second_factor.device_id(account_of(request)) is not None,
    }
    status = refusal.status if isinstance(refusal, Throttled) else 403
    page = render(request, "eci/confirm.html", context, status=status)
    if isinstance(refusal, Throttled):
        page.headers["Retry-After"] = str(refusal.retry_after)
    add_never_cache_headers(page)
    return page


def _sent(request: HttpRequest) -> Iterator[tuple[str, str]]:
    for name, values in request.POST.lists():
        if name not in (PASSWORD, CODE, ASKED_BY, "csrfmiddlewaretoken"):
            yield from ((name, str(value)) for value in values)
