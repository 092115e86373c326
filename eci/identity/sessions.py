"""Sessions of staff, in the platform database under a digest of their key: who reads it cannot take one over."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone


class SessionStore(db.SessionStore):
    """Django's, but only the cookie has the key."""

    def _get_session_from_db(self) -> AbstractBaseSession | None:
        key = self.session_key
        kept = self.model.objects.filter(session_key=digest(key), expire_date__gt=timezone.now()) if key else None
        found: AbstractBaseSession | None = kept.first() if kept is not None else None
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            super().delete(digest(key))


def end_all_of(user_id: int) -> None:
    """Sign the account out everywhere. All sessions are read for it: whose each is stands inside."""
    store = SessionStore()
    ended = [
        kept.pk for kept in Session.objects.all() if store.decode(kept.session_data).get(SESSION_KEY) == str(user_id)
    ]
    Session.objects.filter(pk__in=ended).delete()


def digest(key: str) -> str:
    """A key has 165 random bits, so it needs no salt; the column has room for 40 characters."""
    return hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
