"""Service tokens: a process proves to another one who it is, for one call of the internal endpoint.

A token is a JWT that ends after half a minute and is accepted once. The caller signs it with ES256 and its own key, and
binds it to the called context, to the path and to the body. The called process has only its callers' public keys, as
``<caller>.pem`` in one folder, so it cannot make tokens in their name. A file may hold several keys. For a rotation the
next key is added there before its owner signs with it, so no call is rejected.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models

from eci.db import unit_of_work
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
from eci.remembered import Remembered

LIFETIME = 30  # seconds
LEEWAY = 5  # seconds by which clocks of different machines may differ
_TYPE = "eci-service+jwt"  # so a service token and an access token cannot be confused
_SIGNING, _NEXT = "service.pem", "service-next.pem"
_REQUIRED = ["iss", "aud", "iat", "exp", "jti", "path", "digest"]
_REMEMBERED = LIFETIME + 60  # seconds: any older token is rejected for its age, by every process's clock


class InvalidToken(Exception):
    """The token is not from a known caller, not for this call, has expired, or was used before."""


class UsedTokenRow(models.Model):
    """A token that has been accepted. Every process of its context rejects it from now on."""

    digest = models.CharField(max_length=64, primary_key=True)
    used_at = models.DateTimeField()

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["used_at"], name="%(app_label)s_token_age")]


def issue(*, audience: str, path: str, body: bytes) -> str:
    """A token for one call of the context ``audience`` by this process."""
    key, kid = _signing()
    now = int(time.time())
    payload = {
        "iss": settings.ECI_SERVICE_NAME,
        "aud": audience,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": uuid.uuid4().hex,
        "path": path,
        "digest": hashlib.sha256(body).hexdigest(),
    }
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": _TYPE})


def accept(token: str, *, audience: str, path: str, body: bytes) -> str:
    """Use the token up, and return the caller's name. InvalidToken for another call, and for a second use."""
    claims = _read(token, audience)
    if claims["path"] != path or claims["digest"] != hashlib.sha256(body).hexdigest():
        raise InvalidToken
    caller: str = claims["iss"]
    _use(audience, f"{caller}:{claims['jti']}")
    return caller


def _read(token: str, audience: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        caller, key = _callers().get(header.get("kid", ""), ("", None))
        if key is None or header.get("typ") != _TYPE:
            raise InvalidToken
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=caller,
            audience=audience,
            leeway=LEEWAY,
            options={"require": _REQUIRED, "strict_aud": True},
        )
        if claims["exp"] - claims["iat"] > LIFETIME or not claims["jti"]:
            raise InvalidToken
    except (jwt.PyJWTError, TypeError, ValueError):
        raise InvalidToken from None
    return claims


# -- used once --------------------------------------------------------------------------------------------------------


def _used(context: str) -> type[UsedTokenRow]:
    return apps.get_model(context, "UsedServiceToken")


def _use(context: str, name: str) -> None:
    """Note the use in the called context's database: all processes of the context share it, even without Redis."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    try:
        with unit_of_work(context):
            _used(context)(digest=digest, used_at=_moment(time.time())).save(force_insert=True)
    except IntegrityError:
        raise InvalidToken from None
    if _pruned.add(context, True):
        _used(context)._default_manager.filter(used_at__lt=_moment(time.time() - _REMEMBERED)).delete()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# Each process prunes once in this time: thousands of calls may come between two rounds of beat's own pruning.
_pruned: Remembered[str, bool] = Remembered(60.0)


# -- the callers' public keys -----------------------------------------------------------------------------------------

_Callers = Mapping[str, tuple[str, PublicKey]]
_known: tuple[object, _Callers] = (None, {})


def _callers() -> _Callers:
    """Key id -> the caller and its key. The files are read again after every change."""
    global _known
    files = sorted(Path(settings.ECI_SERVICE_CALLERS_DIR).glob("*.pem"))
    source = [(str(file), status.st_ino, status.st_mtime_ns) for file in files for status in [file.stat()]]
    if _known[0] != source:
        _known = source, {key_id(key): (caller, key) for caller, key in _read_callers(files)}
    return _known[1]


def _read_callers(files: list[Path]) -> Iterator[tuple[str, PublicKey]]:
    owners: dict[str, str] = {}
    for file in files:
        for key in read_publics(file.read_text()):
            if owners.setdefault(key_id(key), file.stem) != file.stem:
                raise ImproperlyConfigured(
                    f"{file.stem} and {owners[key_id(key)]} have the same key: each needs its own."
                )
            yield file.stem, key


# -- our own key ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Signing:
    key: PrivateKey
    kid: str
    source: object


_loaded: _Signing | None = None


def _signing() -> tuple[PrivateKey, str]:
    global _loaded
    source = settings.ECI_SERVICE_KEY or _file_state()
    if _loaded is None or _loaded.source != source:
        key = read_private(settings.ECI_SERVICE_KEY.encode() or (_folder() / _SIGNING).read_bytes())
        _loaded = _Signing(key=key, kid=key_id(key.public_key()), source=source)
    return _loaded.key, _loaded.kid


def _folder() -> Path:
    return Path(settings.ECI_KEYS_DIR)


def _file_state() -> object:
    """A cheap value that changes when the signing key changes. The first call makes the first key."""
    file = _folder() / _SIGNING
    if not file.exists():
        with alone(_folder()):
            if not file.exists():
                write(_folder(), _SIGNING, private_pem(new()))
    status = file.stat()
    return str(file), status.st_ino, status.st_mtime_ns


def public_key() -> str:
    """The public half of the signing key, in PEM. The processes that we call must have it."""
    return public_pem(_signing()[0].public_key()).decode()


def prepare_next() -> str:
    """Make the key that signs after ``switch_to_next``, unless it is there already. Returns its public half, in PEM."""
    _require_folder()
    with alone(_folder()):
        if not (_folder() / _NEXT).exists():
            write(_folder(), _NEXT, private_pem(new()))
    return public_pem(read_private((_folder() / _NEXT).read_bytes()).public_key()).decode()


def switch_to_next() -> None:
    """From its next call on, every process signs with the prepared key."""
    _require_folder()
    with alone(_folder()):
        if not (_folder() / _NEXT).exists():
            raise ImproperlyConfigured("There is no next key: prepare one, and give it to the called processes first.")
        (_folder() / _NEXT).rename(_folder() / _SIGNING)


def _require_folder() -> None:
    if settings.ECI_SERVICE_KEY:
        raise ImproperlyConfigured(
            "The key comes from ECI_SERVICE_KEY: set a new one there, once the called side has it."
        )
