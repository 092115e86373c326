"""What the sign-in provider says: Authlib's client of OpenID Connect, told what we insist on.

Authlib makes state, nonce and PKCE's secret, asks for the token, and checks its signature, times and nonce. We besides:
who the provider must be, which algorithms count, for whom the token must be, how long a sign-in may take, and that no
request waits, follows or reads for longer or further than it should.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.django_client import DjangoOAuth2App, OAuthError
from authlib.integrations.requests_client import OAuth2Session
from cryptography.exceptions import UnsupportedAlgorithm
from django.conf import settings
from django.utils.crypto import constant_time_compare
from joserfc import jws
from joserfc.errors import JoseError

from eci.db import require_no_unit_of_work
from eci.errors import ContextUnavailable, NotAuthenticated
from eci.remembered import Remembered
from eci.watch.requests import logger

log = logger(__name__)

PATIENCE = 10 * 60  # seconds that somebody may take at the provider
_TIMEOUT = 5.0  # seconds for each of its answers
_LEEWAY = 30  # seconds that its clock may differ from ours
_WHOLE = 15.0  # seconds until the end of an answer that comes in small pieces
_LONGEST = 1_000_000  # bytes of an answer
_LISTS = 2_000  # lists and objects in an answer: more are nonsense, and may lie too deep in each other to be read
_LONGEST_LIFE = 24 * 3600  # seconds that an ID token may be valid
_OLDEST = 946_684_800  # the year 2000
# What the libraries raise at answers that they cannot read.
_NONSENSE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError),
    *(UnsupportedAlgorithm, JoseError),
)
# Only asymmetric ones: a token that is "signed" with our own client secret, or not at all, proves nothing.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_BEGIN_AGAIN = "This sign-in is over, or was begun in another browser. Please begin again."

_clients: Remembered[str, Any] = Remembered(600.0)  # with what the provider says of itself, and its keys
_pauses: Remembered[str, bool] = Remembered(5.0)  # after asking in vain


def begin(*, back: str, again: bool) -> dict[str, Any]:
    """What the session must keep; its ``url`` is where the browser goes, ``back`` where it comes back. ``again``: the
    provider shall ask for the password. ContextUnavailable."""
    asked = {"prompt": "login", "max_age": "0"} if again else {}
    begun: dict[str, Any] = _client().create_authorization_url(back, **asked)
    return begun | {"back": back, "since": int(time.time()), "again": again}


def claims(given: Mapping[str, str], begun: Mapping[str, Any]) -> dict[str, Any]:
    """What the ID token says, for which the browser brings the code. NotAuthenticated for anything but the answer to
    what it has just begun, ContextUnavailable."""
    issuer, client = settings.ECI_OIDC_ISSUER, _client()
    code = _code(given, begun)
    with _asking():
        token = client.fetch_access_token(begun["back"], code=code, code_verifier=begun["code_verifier"])
        given_token = token.get("id_token")
    if not isinstance(given_token, str):
        raise NotAuthenticated("The provider did not say who you are.")
    # Authlib alone would take a token for somebody else, if only its authorised party is us.
    ours = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client.client_id}}
    with _asking():
        try:
            found = dict(client.parse_id_token(token, begun["nonce"], claims_options=ours, leeway=_LEEWAY))
            _require_sane(found, jws.extract_compact(given_token.encode()).headers())
        except _NONSENSE:
            raise NotAuthenticated("The provider's answer is not valid. Please begin again.") from None
    asked_at = found.get("auth_time")
    if begun["again"] and not (isinstance(asked_at, int) and asked_at >= begun["since"] - _LEEWAY):
        raise NotAuthenticated("The provider did not ask for your password again.")
    return found


def _require_sane(found: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Of what Authlib takes as it is: the token's times, and that it is no other kind of token. ValueError."""
    now = time.time()
    if not (_OLDEST <= found["iat"] <= now + _LEEWAY and found["exp"] <= now + _LONGEST_LIFE):
        raise ValueError("the token's times cannot be")
    if header.get("typ", "JWT").upper() != "JWT":
        raise ValueError("another kind of token")


def _code(given: Mapping[str, str], begun: Mapping[str, Any]) -> str:
    if not begun or not 0 <= time.time() - begun["since"] < PATIENCE:
        raise NotAuthenticated(_BEGIN_AGAIN)
    if not constant_time_compare(given.get("state", ""), begun["state"]):
        raise NotAuthenticated(_BEGIN_AGAIN)
    if given.get("iss", settings.ECI_OIDC_ISSUER) != settings.ECI_OIDC_ISSUER:
        raise NotAuthenticated("Another provider has answered than was asked.")
    if not (code := given.get("code", "")):
        why = re.fullmatch("[a-z_]{1,40}", given.get("error", ""))
        raise NotAuthenticated(f"The provider did not sign you in{f': {why[0]}' if why else ''}.")
    return code


# -- the client -------------------------------------------------------------------------------------------------------


class _Session(OAuth2Session):  # type: ignore[misc]
    """Asks the provider itself: by no proxy, without following, and not at once again after asking in vain."""

    def request(self, method: str, url: str, *args: Any, **sent: Any) -> requests.Response:
        require_no_unit_of_work("The sign-in provider was asked")
        if url in _pauses:
            raise _unavailable("does not answer")
        self.trust_env = False
        try:
            answer: requests.Response = super().request(
                method, url, *args, **sent | {"timeout": _TIMEOUT, "allow_redirects": False, "stream": True}
            )
            _read(answer)
        except requests.RequestException as error:
            log.warning("provider_unreachable", error=type(error).__name__)
            _pauses.put(url, True)
            raise _unavailable("does not answer") from None
        return answer


def _read(answer: requests.Response) -> None:
    """The whole answer, now. ContextUnavailable, requests.RequestException."""
    content, until = b"", time.monotonic() + _WHOLE
    with answer:
        for piece in answer.iter_content(65_536):
            content += piece
            if len(content) > _LONGEST or time.monotonic() > until:
                break
    if len(content) > _LONGEST or time.monotonic() > until or content.count(b"[") + content.count(b"{") > _LISTS:
        raise _unavailable("answers nonsense")
    answer._content = content


class _Client(DjangoOAuth2App):  # type: ignore[misc]
    client_cls = _Session


def _client() -> Any:
    """ContextUnavailable."""
    return _clients.get_or_load(settings.ECI_OIDC_ISSUER, _new_client)


def _new_client() -> Any:
    issuer = settings.ECI_OIDC_ISSUER
    client = _Client(
        None,
        client_id=settings.ECI_OIDC_CLIENT_ID,
        client_secret=settings.ECI_OIDC_CLIENT_SECRET,
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256"},
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
    )
    with _asking():
        found = client.load_server_metadata()
        places = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        are_urls = all(_is_url(str(one), urlsplit(issuer).scheme) for one in places)
        methods = list(found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]))
    if found.get("issuer") != issuer or not are_urls:
        raise _unavailable("describes itself as somebody else")
    if "client_secret_basic" not in methods:
        client.client_kwargs["token_endpoint_auth_method"] = "client_secret_post"  # noqa: S105 - a method's name
    found["id_token_signing_alg_values_supported"] = _ALGORITHMS
    return client


def _is_url(text: str, scheme: str) -> bool:
    parts = urlsplit(text)
    return text.isprintable() and " " not in text and parts.scheme == scheme and bool(parts.hostname)


@contextmanager
def _asking() -> Iterator[None]:
    """NotAuthenticated when the provider refuses, ContextUnavailable when it cannot answer."""
    try:
        yield
    except (OAuthError, requests.RequestException, *_NONSENSE) as error:
        answer = getattr(error, "response", None)
        refused = answer is not None and answer.request.method == "POST" and answer.status_code < 500
        if refused or isinstance(error, OAuthError):
            raise NotAuthenticated("The provider did not confirm this sign-in. Please begin again.") from None
        raise _unavailable("answers nonsense") from None


def _unavailable(what: str) -> ContextUnavailable:
    host = urlsplit(settings.ECI_OIDC_ISSUER).hostname
    return ContextUnavailable(f"The sign-in provider {host} {what}. Try again later, or sign in with your password.")
