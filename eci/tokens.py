"""Access tokens: JWTs of ten minutes, signed with ES256, that any context verifies without asking anybody.

The keys are files of one folder, outside every database: ``signing.pem`` (private, 0600) signs; ``retired-<kid>.pem``
(public) verifies what an earlier key signed, until the last such token has ended. Processes see a rotation at once,
because the folder is looked at again whenever it has changed. Or both come from the environment, as PEM texts.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import math
import os
import re
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

LIFETIME = 600  # seconds
LEEWAY = 5  # seconds by which clocks of different machines may differ
_KEPT = LIFETIME + 60  # seconds a retired key still verifies
_ALGORITHM = "ES256"
_TYPE = "at+jwt"  # RFC 9068: another kind of token signed with the same key is no access token
_SIGNING = "signing.pem"
_REQUIRED = ["iss", "aud", "sub", "iat", "exp", "sid", "roles"]


class InvalidToken(Exception):
    """Not an access token of ours, or no longer."""


@dataclass(frozen=True, kw_only=True)
class Claims:
    """``subject`` is ``customer:5`` or ``staff:3``, ``name`` how records call it, ``session`` the login it stems from,
    ``roles`` are letters of API.md."""

    subject: str
    name: str
    session: str
    roles: frozenset[str]


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
    return jwt.encode(payload, keys.private, algorithm=_ALGORITHM, headers={"kid": keys.kid, "typ": _TYPE})


def read(token: str) -> Claims:
    """InvalidToken. The algorithm is ours, whatever the token's header says."""
    try:
        header = jwt.get_unverified_header(token)
        key = _keys().public.get(header.get("kid", ""))
        if key is None or header.get("typ") != _TYPE:
            raise InvalidToken
        payload = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            issuer=settings.ECI_TOKEN_ISSUER,
            audience=settings.ECI_TOKEN_AUDIENCE,
            leeway=LEEWAY,
            options={"require": _REQUIRED},
        )
        return Claims(
            subject=payload["sub"],
            name=payload.get("name", payload["sub"]),
            session=payload["sid"],
            roles=frozenset(payload["roles"]),
        )
    except (jwt.PyJWTError, TypeError, ValueError):
        raise InvalidToken from None


def jwks() -> dict[str, Any]:
    """The public keys, as RFC 7517 has them."""
    return {
        "keys": [
            jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True) | {"kid": kid, "use": "sig", "alg": _ALGORITHM}
            for kid, key in _keys().public.items()
        ]
    }


# -- keys -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Keys:
    """``public`` holds every key that verifies now, the signing one first, by its id."""

    kid: str
    private: ec.EllipticCurvePrivateKey
    public: Mapping[str, ec.EllipticCurvePublicKey]
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
    """What tells one state of the keys from another, cheaply. The first call makes the first key."""
    if settings.ECI_TOKEN_KEY:
        return settings.ECI_TOKEN_KEY, settings.ECI_TOKEN_RETIRED_KEYS
    folder = _folder()
    try:
        file = (folder / _SIGNING).stat()
    except FileNotFoundError:
        _make_first(folder)
        file = (folder / _SIGNING).stat()
    return str(folder), folder.stat().st_mtime_ns, file.st_ino, file.st_mtime_ns


def _folder() -> Path:
    return Path(settings.ECI_KEYS_DIR)


def _load(source: object) -> _Keys:
    pem = settings.ECI_TOKEN_KEY.encode() or (_folder() / _SIGNING).read_bytes()
    private = _read_private(pem)
    kid = key_id(private.public_key())
    retired = list(_retired())
    public = {key_id(key): key for key, _ in [(private.public_key(), 0), *retired]}
    return _Keys(
        kid=kid, private=private, public=public, source=source, until=min((end for _, end in retired), default=math.inf)
    )


def _retired() -> Iterator[tuple[ec.EllipticCurvePublicKey, float]]:
    """Earlier keys that still verify, each with the moment until which."""
    if settings.ECI_TOKEN_KEY:
        for text in re.findall(r"-----BEGIN.*?-----END[^\n]*", settings.ECI_TOKEN_RETIRED_KEYS, re.DOTALL):
            yield _read_public(text.encode()), math.inf
        return
    for path in _folder().glob("retired-*.pem"):
        end = path.stat().st_mtime + _KEPT
        if end > time.time():
            yield _read_public(path.read_bytes()), end


def _read_private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ImproperlyConfigured("The key that signs tokens is a P-256 private key, in PEM.")
    return key


def _read_public(pem: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ImproperlyConfigured("A retired key is a P-256 public key, in PEM.")
    return key


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """RFC 7638: the same key has the same id everywhere."""
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
    canonical = f'{{"crv":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    return urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")


def rotate() -> str:
    """Sign with a new key from now on; the id of it. What the old one signed stays valid to its end."""
    if settings.ECI_TOKEN_KEY:
        raise ImproperlyConfigured(
            "The key comes from ECI_TOKEN_KEY: set a new one there, and the old one's public half in "
            "ECI_TOKEN_RETIRED_KEYS."
        )
    folder = _folder()
    with _alone(folder):
        old = folder / _SIGNING
        if old.exists():
            public = _read_private(old.read_bytes()).public_key()
            _write(folder, f"retired-{key_id(public)}.pem", _public_pem(public))
        for path in folder.glob("retired-*.pem"):
            if path.stat().st_mtime + _KEPT < time.time():
                path.unlink()
        return _write_new(folder)


def _make_first(folder: Path) -> None:
    with _alone(folder):
        if not (folder / _SIGNING).exists():
            _write_new(folder)


def _write_new(folder: Path) -> str:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder, _SIGNING, pem)
    return key_id(private.public_key())


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write(folder: Path, name: str, content: bytes) -> None:
    """Whole or not at all, readable by its owner alone."""
    descriptor, path = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path, folder / name)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
