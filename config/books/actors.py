"""Who did it, for the records."""

from __future__ import annotations

import getpass

from django.http import HttpRequest

from eci.identity.auth import staff_name


def at_the_keyboard() -> str:
    """Whoever runs a command: the name of their account on this machine."""
    return f"command:{getpass.getuser()}"


def signed_in(request: HttpRequest) -> str:
    return staff_name(request.user)
