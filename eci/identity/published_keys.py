"""Public keys of access tokens, for a process that signs none: from settings, or from the process that signs them."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import httpx
import jwt
from django.conf import settings

from eci.errors import ContextUnavailable
from eci.identity.keys import PublicKey, key_id, read_publics
from eci.remembered import Remembered
from eci.watch.requests import logger

log = logger(__name__)

_TIMEOUT = 2.0  # seconds

_asking = threading.Lock()
_known: dict[str, Mapping[str, PublicKey]] = {}  # by address; used for as long as nothing newer can be read
_fresh: Remembered[str, bool] = Remembered(60.0)
_pauses: Remembered[str, bool] = Remembered(5.0)  # after asking in vain: strangers can make up any number of key ids


def key(kid: str) -> PublicKey | None:
    """The key of this id, if it verifies access tokens now. ContextUnavailable before any keys could be read."""
    if settings.ECI_TOKEN_PUBLIC_KEYS:
        return {key_id(one): one for one in read_publics(settings.ECI_TOKEN_PUBLIC_KEYS)}.get(kid)
    address = settings.ECI_TOKEN_JWKS_URL
    if not _is_current(address, kid):
        with _asking:
            if address not in _pauses:
                _ask(address)
                if not _is_current(address, kid):
                    _pauses.put(address, True)
    if not _known.get(address):
        raise ContextUnavailable("Access tokens cannot be verified just now. Please try again.")
    return _known[address].get(kid)


def _is_current(address: str, kid: str) -> bool:
    return address in _fresh and kid in _known[address]


def _ask(address: str) -> None:
    try:
        answer = httpx.get(address, timeout=_TIMEOUT, trust_env=False).raise_for_status()
        _known[address] = {one.key_id or "": one.key for one in jwt.PyJWKSet.from_dict(answer.json()).keys}
        _fresh.put(address, True)
    except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError):  # the last: JSON, but no key set
        log.warning("token_keys_unreachable")
