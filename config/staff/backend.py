"""Who may have a session of the admin: people. Accounts of machines have tokens only."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from eci.identity.auth import is_machine
from eci.identity.names import staff_named


class PeopleOnly(ModelBackend):
    """Django's, asked at sign-in and at each request: an account that becomes a machine's loses its sessions.

    An address means the same account however it is written, as at POST /v1/staff/token.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        known = staff_named(username) if username else None
        return super().authenticate(request, known.get_username() if known else username, password, **kwargs)

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not is_machine(user)
