"""The actor of an action, for its record."""

from __future__ import annotations

import getpass

from django.http import HttpRequest

from eci.identity.auth import staff_name


def at_the_keyboard() -> str:
    """The actor of a command: the account on this machine that runs it."""
    return f"command:{getpass.getuser()}"


def signed_in(request: HttpRequest) -> str:
    return staff_name(request.user)
