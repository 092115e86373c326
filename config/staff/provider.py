"""Staff sign in at an OpenID Connect provider that settings name: its code flow, with state, nonce and PKCE.

1. ``start`` remembers three secrets in the session and sends the browser to the provider.
2. ``callback`` takes what the browser brings back, once, and fetches the ID token for it from the provider itself.
3. The token must be signed by the provider, for us, now, and for this very sign-in (``_claims``).
4. Whoever it names must have an account here: an address that the provider has verified, and one account with it.

Nobody gets an account by signing in, and nobody becomes an administrator. The provider vouches for who signs in, so
that the second factor is its affair too.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from django.conf import settings
from django.contrib import admin, auth
from django.contrib.auth.models import Group, User
from django.db import DEFAULT_DB_ALIAS
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from config.staff import accounts
from config.staff.second_factor import signed_in_at
from eci import text, trail
from eci.db import require_no_unit_of_work, unit_of_work
from eci.errors import ContextUnavailable, EciError, NotAuthenticated
from eci.http import rates
from eci.identity.auth import NOBODY, staff_name, staff_roles
from eci.identity.roles import Role
from eci.limits import Throttled
from eci.remembered import Remembered
from eci.staff_confirm import PROVED_BY
from eci.watch.requests import logger

log = logger(__name__)

PATIENCE = 10 * 60  # seconds that somebody may take at the provider
_TIMEOUT = 5.0  # seconds for each of its answers
_LEEWAY = 30  # seconds that its clock may differ from ours
_UNDER_WAY = "provider_sign_in"  # in the session
# Only asymmetric ones: a token that is "signed" with our own client secret, or not at all, proves nothing.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_BEGIN_AGAIN = "This sign-in is over, or was begun in another browser. Please begin again."

_read: Remembered[str, Any] = Remembered(600.0)  # by address: what the provider says of itself, and its keys
_pauses: Remembered[str, bool] = Remembered(5.0)  # after asking in vain
_asked_again: Remembered[str, bool] = Remembered(30.0)  # for keys that were not there


def is_on() -> bool:
    return bool(settings.ECI_OIDC_ISSUER)


# -- the pages --------------------------------------------------------------------------------------------------------


@never_cache
@require_GET
def start(request: HttpRequest) -> HttpResponse:
    """``next``: where to go then. ``again``: the provider shall ask for the password, whoever is signed in there."""
    if not is_on():
        raise Http404
    state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
    again = "again" in request.GET
    try:
        rates.take(request, NOBODY, "login")
        address = _metadata()["authorization_endpoint"]
    except (Throttled, ContextUnavailable) as refusal:
        return _refused(request, refusal)
    asked = {
        "response_type": "code",
        "scope": "openid email profile",
        "client_id": settings.ECI_OIDC_CLIENT_ID,
        "redirect_uri": _callback_url(request),
        "state": state,
        "nonce": nonce,
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if again:
        asked |= {"prompt": "login", "max_age": "0"}
    request.session[_UNDER_WAY] = {
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "then": _safe(request, request.GET.get("next", "")),
        "since": int(time.time()),
        "again": again,
    }
    return redirect(f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}")


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    if not is_on():
        raise Http404
    under_way = request.session.pop(_UNDER_WAY, None)
    try:
        code = _code(request, under_way)
        claims = _claims(_token(request, code, under_way["verifier"]), under_way)
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


def _callback_url(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("staff-provider-callback"))


# -- what the browser brings back -------------------------------------------------------------------------------------


def _code(request: HttpRequest, under_way: Mapping[str, Any] | None) -> str:
    """NotAuthenticated for anything but the answer to what this browser has just begun."""
    if under_way is None or not 0 <= time.time() - under_way["since"] < PATIENCE:
        raise NotAuthenticated(_BEGIN_AGAIN)
    if not constant_time_compare(request.GET.get("state", ""), under_way["state"]):
        raise NotAuthenticated(_BEGIN_AGAIN)
    if request.GET.get("iss", settings.ECI_OIDC_ISSUER) != settings.ECI_OIDC_ISSUER:
        raise NotAuthenticated("Another provider has answered than was asked.")
    if not (code := request.GET.get("code", "")):
        why = re.fullmatch("[a-z_]{1,40}", request.GET.get("error", ""))
        raise NotAuthenticated(f"The provider did not sign you in{f': {why[0]}' if why else ''}.")
    return code


# -- what the provider says -------------------------------------------------------------------------------------------


def _metadata() -> Mapping[str, Any]:
    """The provider's description of itself. ContextUnavailable."""
    issuer = settings.ECI_OIDC_ISSUER
    found: Any = _read_from(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    scheme = urlsplit(issuer).scheme
    places = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if found.get("issuer") != issuer or any(urlsplit(str(place)).scheme != scheme for place in places):
        raise _unavailable("describes itself as somebody else")
    return dict(found)


def _token(request: HttpRequest, code: str, verifier: str) -> str:
    """The ID token for the code. NotAuthenticated when the provider does not know the code, ContextUnavailable."""
    metadata = _metadata()
    sent = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": _callback_url(request),
        "code_verifier": verifier,
    }
    client, secret = settings.ECI_OIDC_CLIENT_ID, settings.ECI_OIDC_CLIENT_SECRET
    basic = None
    if "client_secret_basic" in metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]):
        basic = (client, secret)
    else:
        sent |= {"client_id": client, "client_secret": secret}
    answer = _ask("POST", metadata["token_endpoint"], data=sent, auth=basic)
    token = answer.get("id_token")
    if not isinstance(token, str):
        raise NotAuthenticated("The provider did not say who you are.")
    return token


def _claims(token: str, under_way: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the ID token says, if the provider made it, for us, now, and for this sign-in. NotAuthenticated."""
    wrong = NotAuthenticated("The provider's answer is not valid. Please begin again.")
    client = settings.ECI_OIDC_CLIENT_ID
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(jwt.get_unverified_header(token)),
            algorithms=_ALGORITHMS,
            audience=client,
            issuer=settings.ECI_OIDC_ISSUER,
            leeway=_LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise wrong from None
    party = claims.get("azp", client if claims["aud"] in (client, [client]) else None)
    if party != client or not constant_time_compare(str(claims["nonce"]), under_way["nonce"]):
        raise wrong
    asked_at = claims.get("auth_time")
    if under_way["again"] and not (isinstance(asked_at, int) and asked_at >= under_way["since"] - _LEEWAY):
        raise NotAuthenticated("The provider did not ask for your password again.")
    return claims


def _key(header: Mapping[str, Any]) -> Any:
    """The provider's key that the token names; if it names none, the only one. For a new one they are read again."""
    address = _metadata()["jwks_uri"]
    found = _key_in(_read_from(address), header.get("kid"))
    if found is None and _asked_again.add(address, True):  # not for each: strangers can make up any number of keys
        fresh = _ask("GET", address)
        _read.put(address, fresh)
        found = _key_in(fresh, header.get("kid"))
    if found is None:
        raise ValueError("no such key")
    return found


def _key_in(published: Any, kid: str | None) -> Any:
    keys = jwt.PyJWKSet.from_dict(published).keys
    if kid is None and len(keys) == 1:
        return keys[0].key
    return next((one.key for one in keys if one.key_id == kid), None)


def _read_from(address: str) -> Any:
    return _read.get_or_load(address, lambda: _ask("GET", address))


def _ask(method: str, address: str, **sent: Any) -> dict[str, Any]:
    """One JSON object from the provider. NotAuthenticated when it refuses, ContextUnavailable when it cannot answer."""
    import httpx  # a process without a provider does without

    require_no_unit_of_work("The sign-in provider was asked")
    if address in _pauses:
        raise _unavailable("does not answer")
    try:
        answer = httpx.request(method, address, timeout=_TIMEOUT, trust_env=False, **sent)
        found = answer.json() if answer.status_code < 500 else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        log.warning("provider_unreachable", error=type(error).__name__)
        _pauses.put(address, True)
        raise _unavailable("does not answer") from None
    if method == "POST" and 400 <= answer.status_code < 500:
        raise NotAuthenticated("The provider did not confirm this sign-in. Please begin again.")
    if answer.status_code != 200 or not isinstance(found, dict):
        raise _unavailable("answers nonsense")
    return found


def _unavailable(what: str) -> ContextUnavailable:
    host = urlsplit(settings.ECI_OIDC_ISSUER).hostname
    return ContextUnavailable(f"The sign-in provider {host} {what}. Try again later, or sign in with your password.")


# -- whom it names ----------------------------------------------------------------------------------------------------


def _account(claims: Mapping[str, Any]) -> User:
    """The one account with the address that the provider has verified. NotAuthenticated."""
    try:
        address = text.email(str(claims.get("email", "")))
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
