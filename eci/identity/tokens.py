"""Access tokens: JWTs that end after ten minutes and that every context can verify by itself.

They are signed with ES256 in the process that hosts the customers context. Other processes read its public keys
(``published_keys.py``).

The keys are files of one folder, outside every database. ``signing.pem`` (private, 0600) signs. Each
``retired-<kid>.pem`` (public) verifies what an earlier key signed, until the last of its tokens has ended. A rotation
is seen by all processes at once, because they read the folder again after each change. Instead of files, keys may come
from the environment, as PEM texts.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from eci.identity.keys import (
    ALGORITHM,
    PrivateKey,
    PublicKey,
    alone,
    key_id,
    new,
    private_pem,
    public_pem,
    read_private,
    read_publics,
    write,
)
from eci.identity.roles import Role, Roles, only

LIFETIME = 600  # seconds
LEEWAY = 5  # seconds by which clocks of different machines may differ
_KEPT = LIFETIME + 60  # seconds that a retired key still verifies
_MOST = 1024  # verified tokens that a process remembers
_TYPE = "at+jwt"  # RFC 9068: no other kind of token signed with this key is an access token
_SIGNING = "signing.pem"
_REQUIRED = ["iss", "aud", "sub", "iat", "exp", "sid", "roles"]


class InvalidToken(Exception):
    """This is not an access token of ours, or it has expired."""


@dataclass(frozen=True, kw_only=True)
class Claims:
    """``subject``: ``customer:5`` or ``staff:3``. ``name``: the actor in records. ``session``: the token's login."""

    subject: str
    name: str
    session: str
    roles: Roles


def issue(claims: Claims) -> str:
    now = int(time.time())
    keys = _keys()
    payload = {
        "iss": settings.ECI_TOKEN_ISSUER,
        "aud": settings.ECI_TOKEN_AUDIENCE,
        "sub": claims.subject,
        "name": claims.name,
        "sid": claims.session,
        "roles": sorted(claims.roles),
        "iat": now,
        "exp": now + LIFETIME,
    }
    return jwt.encode(payload, keys.private, algorithm=ALGORITHM, headers={"kid": keys.kid, "typ": _TYPE})


@dataclass(frozen=True, kw_only=True)
class _Verified:
    """A token whose signature was verified with ``key``. ``ends``: its ``exp``. ``expected``: by whom, and for whom."""

    claims: Claims
    ends: float
    kid: str
    key: PublicKey
    expected: tuple[str, str]


_verified: dict[str, _Verified] = {}
_adding = threading.Lock()


def read(token: str) -> Claims:
    """The claims of a valid token. InvalidToken.

    A signature is verified once. What may change is looked at each time: whether the token has ended, and whether its
    key still verifies.
    """
    expected = (settings.ECI_TOKEN_ISSUER, settings.ECI_TOKEN_AUDIENCE)
    known = _verified.get(token)
    if known is None or known.expected != expected or _verifying(known.kid) is not known.key:
        known = _verify(token, expected)
        _keep(token, known)
    if known.ends <= time.time() - LEEWAY:
        raise InvalidToken
    return known.claims


def _keep(token: str, verified: _Verified) -> None:
    with _adding:
        _verified.pop(token, None)
        while len(_verified) >= _MOST:
            del _verified[next(iter(_verified))]  # the oldest
        _verified[token] = verified


def _verify(token: str, expected: tuple[str, str]) -> _Verified:
    """InvalidToken. The algorithm is fixed: the token's header cannot choose another."""
    issuer, audience = expected
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid", "")
        key = _verifying(kid)
        if key is None or header.get("typ") != _TYPE:
            raise InvalidToken
        payload = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY,
            options={"require": _REQUIRED},
        )
        claims = Claims(
            subject=payload["sub"],
            name=payload.get("name", payload["sub"]),
            session=payload["sid"],
            roles=only(*(role for role in Role if role in payload["roles"])),
        )
        return _Verified(claims=claims, ends=int(payload["exp"]), kid=kid, key=key, expected=expected)
    except (jwt.PyJWTError, TypeError, ValueError):
        raise InvalidToken from None


def _verifying(kid: str) -> PublicKey | None:
    if settings.ECI_SIGNS_TOKENS:
        return _keys().public.get(kid)
    from eci.identity import published_keys  # imported only where it is needed: it loads an HTTP client

    return published_keys.key(kid)


def jwks() -> dict[str, Any]:
    """The public keys, in the format of RFC 7517."""
    return {
        "keys": [
            jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True) | {"kid": kid, "use": "sig", "alg": ALGORITHM}
            for kid, key in _keys().public.items()
        ]
    }


# -- keys -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Keys:
    """``public``: every key that verifies now, by its id, the signing one first."""

    kid: str
    private: PrivateKey
    public: Mapping[str, PublicKey]
    source: object
    until: float


_loaded: _Keys | None = None


def _keys() -> _Keys:
    global _loaded
    source = _source()
    if _loaded is None or _loaded.source != source or _loaded.until < time.time():
        _loaded = _load(source)
    return _loaded


def _source() -> object:
    """A cheap value that changes when the keys change. The first call makes the first key."""
    if settings.ECI_TOKEN_KEY:
        return settings.ECI_TOKEN_KEY, settings.ECI_TOKEN_RETIRED_KEYS
    folder = str(settings.ECI_KEYS_DIR)
    try:
        file = os.stat(f"{folder}/{_SIGNING}")
    except FileNotFoundError:
        _make_first(_folder())
        file = os.stat(f"{folder}/{_SIGNING}")
    return folder, os.stat(folder).st_mtime_ns, file.st_ino, file.st_mtime_ns


def _folder() -> Path:
    return Path(settings.ECI_KEYS_DIR)


def _load(source: object) -> _Keys:
    pem = settings.ECI_TOKEN_KEY.encode() or (_folder() / _SIGNING).read_bytes()
    private = read_private(pem)
    kid = key_id(private.public_key())
    retired = list(_retired())
    public = {key_id(key): key for key, _ in [(private.public_key(), 0), *retired]}
    return _Keys(
        kid=kid, private=private, public=public, source=source, until=min((end for _, end in retired), default=math.inf)
    )


def _retired() -> Iterator[tuple[PublicKey, float]]:
    """Earlier keys that still verify, each with the time when that ends."""
    if settings.ECI_TOKEN_KEY:
        yield from ((key, math.inf) for key in read_publics(settings.ECI_TOKEN_RETIRED_KEYS))
        return
    for path in _folder().glob("retired-*.pem"):
        end = path.stat().st_mtime + _KEPT
        if end > time.time():
            yield from ((key, end) for key in read_publics(path.read_text()))


def rotate() -> str:
    """Sign with a new key from now on, and return its id. Tokens of the old key stay valid until they end."""
    if not settings.ECI_SIGNS_TOKENS:
        raise ImproperlyConfigured("Access tokens are signed where customers runs: rotate the keys there.")
    if settings.ECI_TOKEN_KEY:
        raise ImproperlyConfigured(
            "The key comes from ECI_TOKEN_KEY: set a new one there, and add the old one's public half to "
            "ECI_TOKEN_RETIRED_KEYS."
        )
    folder = _folder()
    with alone(folder):
        old = folder / _SIGNING
        if old.exists():
            public = read_private(old.read_bytes()).public_key()
            write(folder, f"retired-{key_id(public)}.pem", public_pem(public))
        for path in folder.glob("retired-*.pem"):
            if path.stat().st_mtime + _KEPT < time.time():
                path.unlink()
        return _write_new(folder)


def _make_first(folder: Path) -> None:
    with alone(folder):
        if not (folder / _SIGNING).exists():
            _write_new(folder)


def _write_new(folder: Path) -> str:
    private = new()
    write(folder, _SIGNING, private_pem(private))
    return key_id(private.public_key())
