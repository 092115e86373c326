"""Reads secrets from the environment, or from files that the environment names, and rejects weak ones. And amounts."""

from __future__ import annotations

import os
from decimal import Decimal, InvalidOperation
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

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
