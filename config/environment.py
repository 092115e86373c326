"""Reads settings from the environment: secrets, also from files, of which weak ones are rejected; amounts; sign-in."""

from __future__ import annotations

import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from eci.identity.roles import GROUPS, Role

_SHORTEST = 24  # characters of a secret that signs
_FEWEST = 10  # distinct characters among them


def secret(name: str, default: str = "") -> str:
    """The variable ``name``, or the contents of the file that ``<name>_FILE`` names, as containers mount secrets.

    ImproperlyConfigured.
    """
    given, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if given and path:
        raise ImproperlyConfigured(f"Set {name} or {name}_FILE, not both.")
    if not path:
        return given or default
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE: {path} cannot be read ({type(error).__name__}).") from None


def strong(name: str, value: str) -> str:
    """``value``, a secret that signs, if it is hard to guess. ImproperlyConfigured."""
    if len(value) < _SHORTEST or len(set(value)) < _FEWEST or value.startswith("django-insecure"):
        raise ImproperlyConfigured(
            f"{name} is too weak. Generate a random one: at least {_SHORTEST} characters, at least {_FEWEST} distinct. "
            """Try `python -c "import secrets; print(secrets.token_urlsafe(50))"`."""
        )
    return value


def amount(name: str) -> Decimal | None:
    """The variable ``name`` as an amount above 0, or None if it is not set. ImproperlyConfigured."""
    given = os.environ.get(name, "").strip()
    if not given:
        return None
    try:
        found = Decimal(given)
        if not (found.is_finite() and found > 0):
            raise InvalidOperation
    except InvalidOperation:
        raise ImproperlyConfigured(f"{name}: '{given}' is not an amount above 0, such as 5000.") from None
    return found


def provider_url(name: str) -> str:
    """The variable ``name`` as the URL of a sign-in provider: https, or http on this machine. ImproperlyConfigured."""
    given = os.environ.get(name, "").strip()
    parts = urlsplit(given)
    is_here = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if given and not (parts.hostname and (parts.scheme == "https" or is_here)):
        raise ImproperlyConfigured(f"{name}: '{given}' is not an https URL.")
    return given


def staff_groups(name: str) -> tuple[tuple[str, str], ...]:
    """The variable ``name`` as pairs of a provider's group and one of ours: ``shop-stock=stock staff,…``.

    ImproperlyConfigured, also for the group of machines, who sign in at no provider.
    """
    ours = [group for group, role in GROUPS.items() if role is not Role.SERVICE]
    pairs = []
    for entry in filter(None, (part.strip() for part in os.environ.get(name, "").split(","))):
        theirs, _, group = entry.rpartition("=")
        if not theirs or group not in ours:
            raise ImproperlyConfigured(f"{name}: '{entry}' is not <group there>=<one of {', '.join(ours)}>.")
        pairs.append((theirs, group))
    return tuple(pairs)
