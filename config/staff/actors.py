"""Who did it, for the records."""

from __future__ import annotations

import getpass

from django.http import HttpRequest


def at_the_keyboard() -> str:
    """Whoever runs a command: the name of their account on this machine."""
    return f"command:{getpass.getuser()}"


def signed_in(request: HttpRequest) -> str:
    return f"staff:{request.user.get_username()}"
