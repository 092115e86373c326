"""Public keys of access tokens, in a process where none are signed: from settings, or from whoever signs them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import httpx
import jwt
from django.conf import settings

from eci.errors import ContextUnavailable
from eci.identity.keys import PublicKey, key_id, read_publics
from eci.watch.requests import logger

log = logger(__name__)

_FRESH = 60.0  # seconds after which published keys are looked at again
_PAUSE = 5.0  # seconds until the next look after one in vain: strangers make up key ids
_TIMEOUT = 2.0  # seconds


def key(kid: str) -> PublicKey | None:
    """The key of this id, if it verifies access tokens now. ContextUnavailable before any could be read."""
    if settings.ECI_TOKEN_PUBLIC_KEYS:
        return {key_id(one): one for one in read_publics(settings.ECI_TOKEN_PUBLIC_KEYS)}.get(kid)
    return _published.key(kid)


class _Published:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: Mapping[str, PublicKey] = {}
        self._fresh_until = 0.0
        self._pause_until = 0.0

    def key(self, kid: str) -> PublicKey | None:
        if kid not in self._keys or time.monotonic() > self._fresh_until:
            with self._lock:
                if time.monotonic() > self._pause_until:
                    self._look_again(kid)
        if not self._keys:
            raise ContextUnavailable("Access tokens cannot be verified just now. Please try again.")
        return self._keys.get(kid)

    def _look_again(self, kid: str) -> None:
        try:
            answer = httpx.get(settings.ECI_TOKEN_JWKS_URL, timeout=_TIMEOUT, trust_env=False).raise_for_status()
            self._keys = {one.key_id or "": one.key for one in jwt.PyJWKSet.from_dict(answer.json()).keys}
            self._fresh_until = time.monotonic() + _FRESH
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError):  # the last: JSON, but no key set
            log.warning("token_keys_unreachable")  # those we have are good for as long as nothing else is known
        if kid not in self._keys or time.monotonic() > self._fresh_until:
            self._pause_until = time.monotonic() + _PAUSE


_published = _Published()
