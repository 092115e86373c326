"""Staff sign in at an OpenID Connect provider that settings name: its code flow, with state, nonce and PKCE.

1. ``start`` remembers three secrets in the session and sends the browser to the provider.
2. ``callback`` takes what the browser brings back, once, and fetches the ID token for it from the provider itself.
3. The token must be signed by the provider, for us, now, and for this very sign-in (``config/staff/openid.py``).
4. Whoever it names must have an account here: an address that the provider has verified, and one account with it.

Nobody gets an account by signing in, and nobody becomes an administrator. The provider vouches for who signs in, so
that the second factor is its affair too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin, auth
from django.contrib.auth.models import Group, User
from django.db import DEFAULT_DB_ALIAS
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from config.staff import accounts
from config.staff.second_factor import signed_in_at
from eci import text, trail
from eci.db import unit_of_work
from eci.errors import ContextUnavailable, EciError, NotAuthenticated
from eci.http import rates
from eci.identity.auth import NOBODY, staff_name, staff_roles
from eci.identity.roles import Role
from eci.limits import Throttled
from eci.staff_confirm import PROVED_BY
from eci.watch.requests import logger

log = logger(__name__)

_UNDER_WAY = "provider_sign_in"  # in the session


def is_on() -> bool:
    return bool(settings.ECI_OIDC_ISSUER)


# -- the pages --------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """``next``: where to go then. ``again``: the provider shall ask for the password, whoever is signed in there.

    Only a form of ours begins, with its CSRF token: no other site's page can. The answer is a page that goes on by
    itself, because browsers let no form of ours lead to another site (``form-action``).
    """
    if not is_on():
        raise Http404
    if request.method == "GET":
        return redirect(reverse("admin:login", query={"next": _safe(request, request.GET.get("next", ""))}))
    from config.staff import openid  # a process without a provider does without its libraries

    back = request.build_absolute_uri(reverse("staff-provider-callback"))
    try:
        rates.take(request, NOBODY, "sign_in")
        begun = openid.begin(back=back, again="again" in request.POST)
    except (Throttled, ContextUnavailable) as refusal:
        return _refused(request, refusal)
    request.session[_UNDER_WAY] = begun | {"then": _safe(request, request.POST.get("next", ""))}
    return render(request, "staff/to_provider.html", {"title": "Sign in elsewhere", "url": begun["url"]})


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    if not is_on():
        raise Http404
    from config.staff import openid

    under_way = request.session.pop(_UNDER_WAY, {})
    try:
        claims = openid.claims(request.GET, under_way)
        user = _account(claims)
    except EciError as refusal:
        log.warning("provider_sign_in_refused", error=type(refusal).__name__)
        return _refused(request, refusal)
    _set_groups(user, claims)
    auth.login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    signed_in_at(request, settings.ECI_OIDC_ISSUER)
    request.session[PROVED_BY] = reverse("staff-provider")
    return redirect(under_way["then"])


def _refused(request: HttpRequest, refusal: EciError) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": "Not signed in", "refusal": refusal.message}
    page = render(request, "staff/not_signed_in.html", context, status=refusal.status)
    if isinstance(refusal, Throttled):
        page.headers["Retry-After"] = str(refusal.retry_after)
    return page


def _safe(request: HttpRequest, path: str) -> str:
    ours = url_has_allowed_host_and_scheme(path, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return path if ours else reverse("admin:index")


# -- whom it names ----------------------------------------------------------------------------------------------------


def _account(claims: Mapping[str, Any]) -> User:
    """The one account with the address that the provider has verified. NotAuthenticated."""
    try:
        given = str(claims.get("email", ""))
        address = text.email(given)
        if not given.isascii() or given != given.strip():  # people may write so, a provider that knows does not
            raise ValueError
    except ValueError:
        raise NotAuthenticated("The provider did not say your e-mail address.") from None
    if claims.get("email_verified") is not True:
        raise NotAuthenticated("The provider has not verified your e-mail address.")
    domain = address.rpartition("@")[2].lower()
    if settings.ECI_OIDC_DOMAINS and domain not in settings.ECI_OIDC_DOMAINS:
        raise NotAuthenticated(f"Nobody signs in here with an address at {domain}.")
    user = _holder(address)
    if user is None or Role.SERVICE in staff_roles(user):
        raise NotAuthenticated("You have no account here. An administrator can make one for your e-mail address.")
    return user


def _holder(address: str) -> User | None:
    """Whose address it is: who has a password too, or else the one account that has none and signs in only here."""
    user = accounts.holder(address)
    if user is None:
        staff = User.objects.filter(is_active=True, is_staff=True)
        found = [one for one in staff if text.email_key(address) in (_key_of(one.username), _key_of(one.email))]
        user = found[0] if len(found) == 1 else None
    return user if user and user.is_staff else None


def _key_of(address: str) -> str:
    try:
        return text.email_key(address)
    except ValueError:
        return ""


def _set_groups(user: User, claims: Mapping[str, Any]) -> None:
    """Put the account into those of our groups that settings give to its groups at the provider, and take it out of the
    others that settings name."""
    given = claims.get(settings.ECI_OIDC_GROUPS_CLAIM, [])
    theirs = set(map(str, given)) if isinstance(given, list) else set()
    ours = {group for name, group in settings.ECI_OIDC_GROUPS if name in theirs}
    named = {group for _, group in settings.ECI_OIDC_GROUPS}
    with unit_of_work(DEFAULT_DB_ALIAS):
        before = accounts.facts(user)
        user.groups.remove(*Group.objects.filter(name__in=named - ours))
        user.groups.add(*Group.objects.filter(name__in=ours))
        trail.record(
            "staff",
            actor=staff_name(user),
            action="groups as at the provider",
            thing=accounts.thing(user),
            before=before,
            after=accounts.facts(user),
        )
