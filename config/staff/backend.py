"""Who may have a session of the admin: people. Accounts of machines have tokens only."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend

from eci.identity.auth import is_machine


class PeopleOnly(ModelBackend):
    """Django's, asked at sign-in and at each request: an account that becomes a machine's loses its sessions."""

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not is_machine(user)
