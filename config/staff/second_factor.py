"""Staff's second factor: the code after the password, the page to set one up, and sessions that end without it.

Between password and code nobody is signed in: the session only remembers whose password was right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import segno
from django.conf import settings
from django.contrib import admin, auth, messages
from django.contrib.auth.models import AnonymousUser, User
from django.db import DEFAULT_DB_ALIAS
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from config.staff import accounts
from config.staff.models import SecurityMail
from eci.db import unit_of_work
from eci.errors import NotAuthenticated
from eci.http.pages import is_call
from eci.identity import second_factor
from eci.identity.auth import staff_roles
from eci.limits import Throttled
from eci.staff_confirm import account_of, guess

PATIENCE = 10 * 60  # seconds between the password and the code
WRONG = "This code is wrong, or it was used already. Wait for the next one."
# What sessions remember: the device they began with, whose password was right, and the key of a device to be set up.
_DEVICE, _WAITING, _NEW_KEY = "second_factor", "second_factor_for", "second_factor_key"
_PROVIDER = "signed_in_at"


# -- sessions ---------------------------------------------------------------------------------------------------------


class SecondFactorMiddleware:
    """Nobody is signed in by a session that began with another second factor than the account has or needs now."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_call(request):
            return self.get_response(request)
        user: Any = request.user
        request.user = SimpleLazyObject(lambda: _user_of(request, user))  # type: ignore[assignment]
        return self.get_response(request)


def _user_of(request: HttpRequest, user: User | AnonymousUser) -> User | AnonymousUser:
    """Looked up when somebody asks. ``_cached_user`` is where Django keeps it, and the log finds who has called."""
    if not _is_current(request, user):
        request._cached_user = AnonymousUser()  # type: ignore[attr-defined]
        return AnonymousUser()
    return user


def signed_in_at(request: HttpRequest, provider: str) -> None:
    """The session began at a sign-in provider, whose affair second factors are then."""
    request.session[_PROVIDER] = provider


def _is_current(request: HttpRequest, user: User | AnonymousUser) -> bool:
    if isinstance(user, User) and _PROVIDER in request.session:
        return bool(request.session[_PROVIDER] == settings.ECI_OIDC_ISSUER)
    if not isinstance(user, User) or not second_factor.is_on():
        return True
    device = second_factor.device_id(user)
    if request.session.get(_DEVICE) != device:
        return False
    return device is not None or not second_factor.is_missing(device=None, roles=staff_roles(user))


# -- after the password -----------------------------------------------------------------------------------------------


def ask(request: HttpRequest, *, then: str) -> HttpResponse:
    """Take the login that a password has just made back until there is a code. ``then``: where it leads."""
    user = account_of(request)
    waiting = {
        "user": user.pk,
        "stamp": user.get_session_auth_hash(),
        "backend": request.session[auth.BACKEND_SESSION_KEY],
        "then": then,
        "since": int(time.time()),
    }
    auth.logout(request)
    request.session[_WAITING] = waiting
    return redirect("staff-second-factor-code")


def _waiting(request: HttpRequest) -> User | None:
    """Whose password was right a moment ago, and still is."""
    waiting = request.session.get(_WAITING)
    if not waiting or not 0 <= time.time() - waiting["since"] < PATIENCE:
        return None
    user = User.objects.filter(pk=waiting["user"], is_active=True, is_staff=True).first()
    return user if user and user.get_session_auth_hash() == waiting["stamp"] else None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def code_page(request: HttpRequest) -> HttpResponse:
    user = _waiting(request)
    if user is None:
        return redirect("admin:login")
    if second_factor.device_id(user) is None:
        return _set_up(request, user, signing_in=True)
    if request.method != "POST":
        return _page(request, "staff/code.html", "Second factor")
    try:
        with guess(request, user):
            if not second_factor.check(user, request.POST.get("code", "")):
                raise NotAuthenticated(WRONG)
    except NotAuthenticated as refusal:
        return _page(request, "staff/code.html", "Second factor", refusal=refusal.message)
    except Throttled as refusal:
        return _throttled(request, refusal)
    return redirect(_sign_in(request, user))


def _sign_in(request: HttpRequest, user: User) -> str:
    """Sign in whoever has given password and code. Where they go."""
    waiting = request.session.pop(_WAITING)
    auth.login(request, user, backend=waiting["backend"])
    request.session[_DEVICE] = second_factor.device_id(user)
    if accounts.has_one_time_password(user.get_username()):
        return reverse("admin:password_change")
    return str(waiting["then"])


# -- one's own device -------------------------------------------------------------------------------------------------


def own_page(request: HttpRequest) -> HttpResponse:
    """What the member of staff has, with what they may do about it."""
    user = _owner(request)
    if second_factor.device_id(user) is None:
        return _set_up(request, user)
    return _page(request, "staff/second_factor.html", "Second factor", left=second_factor.recovery_codes_left(user))


def replace_page(request: HttpRequest) -> HttpResponse:
    return _set_up(request, _owner(request))


def recovery_codes(request: HttpRequest) -> HttpResponse:
    user = _owner(request)
    with unit_of_work(DEFAULT_DB_ALIAS):
        codes = second_factor.new_recovery_codes(user)
        second_factor.record(user, "recovery codes made")
    return _codes(request, codes, then=reverse("staff-second-factor"))


def remove(request: HttpRequest) -> HttpResponse:
    take_away(_owner(request))
    request.session.pop(_DEVICE, None)
    messages.info(request, "Your second factor was removed. Your other sessions and tokens have ended.")
    return redirect("staff-second-factor")


def take_away(user: User, *, actor: str = "") -> bool:
    """Remove the second factor, with its line in the trail and a mail. Whether there was one."""
    with unit_of_work(DEFAULT_DB_ALIAS):
        removed = second_factor.remove(user)
        if removed:
            second_factor.record(user, "second factor removed", actor=actor)
            SecurityMail.objects.create(user=user, kind=SecurityMail.Kind.REMOVED)
    return removed


def _owner(request: HttpRequest) -> User:
    if not second_factor.is_on():
        raise Http404
    return account_of(request)


def _set_up(request: HttpRequest, user: User, *, signing_in: bool = False) -> HttpResponse:
    """Show a new key, and make it the account's device once a code proves that the app has it."""
    key = request.session.setdefault(_NEW_KEY, second_factor.new_key())
    refusal = ""
    if request.method == "POST" and "code" in request.POST:
        with unit_of_work(DEFAULT_DB_ALIAS):
            codes = second_factor.confirm(user, key, request.POST["code"])
            if codes:
                second_factor.record(user, "second factor set up")
                SecurityMail.objects.create(user=user, kind=SecurityMail.Kind.SET_UP)
        if codes:
            del request.session[_NEW_KEY]
            then = _sign_in(request, user) if signing_in else reverse("staff-second-factor")
            request.session[_DEVICE] = second_factor.device_id(user)
            return _codes(request, codes, then=then)
        refusal = "This is not the code that belongs to this picture. Try the next one."
    address = second_factor.address_of(user, key)
    picture = segno.make(address, error="m").svg_data_uri(scale=5, border=3, light="white")
    more = {"picture": picture, "secret": second_factor.secret_of(key), "refusal": refusal, "address": address}
    return _page(request, "staff/set_up_second_factor.html", "Set up a second factor", **more)


def _codes(request: HttpRequest, codes: list[str], *, then: str) -> HttpResponse:
    return _page(request, "staff/recovery_codes.html", "Recovery codes", codes=codes, then=then)


def _page(request: HttpRequest, template: str, title: str, **more: Any) -> HttpResponse:
    return render(request, template, admin.site.each_context(request) | {"title": title} | more)


def _throttled(request: HttpRequest, refusal: Throttled) -> HttpResponse:
    page = render(request, "staff/throttled.html", {"minutes": refusal.retry_after // 60 + 1}, status=429)
    page.headers["Retry-After"] = str(refusal.retry_after)
    return page
