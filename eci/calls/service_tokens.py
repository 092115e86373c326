"""Service tokens: how a process shows another one who it is, for one call of the internal endpoint.

A JWT of half a minute, signed with ES256 by the caller's own key and bound to the context that is called, to the path
and to the body; good once. The called process has its callers' public keys in files, ``<caller>.pem`` in one folder;
nothing that it knows lets it call anybody in their name. A file may hold several keys: the next one is put there before
its owner signs with it, so that a rotation refuses nobody.
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
_TYPE = "eci-service+jwt"  # so that neither kind of token can pass for the other
_SIGNING, _NEXT = "service.pem", "service-next.pem"
_REQUIRED = ["iss", "aud", "iat", "exp", "jti", "path", "digest"]
_REMEMBERED = LIFETIME + 60  # seconds after which a used token is refused for its age alone, by any process's clock


class InvalidToken(Exception):
    """Not a token of a caller we know for this very call, or no longer, or used before."""


class UsedTokenRow(models.Model):
    """A token that was accepted once, and so is refused from now on in every process of its context."""

    digest = models.CharField(max_length=64, primary_key=True)
    used_at = models.DateTimeField()

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["used_at"], name="%(app_label)s_token_age")]


def issue(*, audience: str, path: str, body: bytes) -> str:
    """For one call of the context ``audience`` by this process."""
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
    """The caller's name, once; what the token was not issued for, and a second use, is InvalidToken."""
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
    """In the called context's own database: it alone is shared by all of its processes, with or without Redis."""
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
    """Key id -> the caller and its key. Looked at again whenever a file has changed."""
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
                raise ImproperlyConfigured(f"{file.stem} and {owners[key_id(key)]} cannot be called by the same key.")
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
    """What tells one signing key from another, cheaply. The first call makes the first key."""
    file = _folder() / _SIGNING
    if not file.exists():
        with alone(_folder()):
            if not file.exists():
                write(_folder(), _SIGNING, private_pem(new()))
    status = file.stat()
    return str(file), status.st_ino, status.st_mtime_ns


def public_key() -> str:
    """Of the key that signs now, in PEM: what the processes that we call must have of us."""
    return public_pem(_signing()[0].public_key()).decode()


def prepare_next() -> str:
    """Make the key that will sign after ``switch_to_next``, unless it is there; its public half, in PEM."""
    _require_folder()
    with alone(_folder()):
        if not (_folder() / _NEXT).exists():
            write(_folder(), _NEXT, private_pem(new()))
    return public_pem(read_private((_folder() / _NEXT).read_bytes()).public_key()).decode()


def switch_to_next() -> None:
    """Every process signs with the prepared key from its next call on."""
    _require_folder()
    with alone(_folder()):
        if not (_folder() / _NEXT).exists():
            raise ImproperlyConfigured("There is no next key: prepare one, and let the called processes have it first.")
        (_folder() / _NEXT).rename(_folder() / _SIGNING)


def _require_folder() -> None:
    if settings.ECI_SERVICE_KEY:
        raise ImproperlyConfigured("The key comes from ECI_SERVICE_KEY: set a new one there, once its callees know it.")
