"""Reads settings from the environment: secrets, also from files, of which weak ones are rejected; numbers; sign-in.

What cannot be is an ImproperlyConfigured with the setting's name. A variable that is empty is not set.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from decimal import Decimal, InvalidOperation
from email.utils import formataddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from eci import text
from eci.identity.roles import GROUPS, Role

_SHORTEST = 24  # characters of a secret that signs
_FEWEST = 10  # distinct characters among them
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


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


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


def flag(name: str, default: bool = False) -> bool:
    """The variable ``name`` as yes or no. ImproperlyConfigured."""
    given = _given(name).lower()
    if given not in ("", *_YES, *_NO):
        raise ImproperlyConfigured(f"{name}: '{given}' is not 1 or 0.")
    return given in _YES if given else default


def choice(name: str, default: str, *others: str) -> str:
    """The variable ``name`` as one of these words. ImproperlyConfigured."""
    given = _given(name) or default
    if given not in (default, *others):
        raise ImproperlyConfigured(f"{name}: '{given}' is not one of {', '.join((default, *others))}.")
    return given


def whole(name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
    """The variable ``name`` as a whole number. ImproperlyConfigured."""
    given = _given(name)
    found = int(given) if re.fullmatch(r"-?[0-9]{1,12}", given) else None
    if given and (found is None or not least <= found <= most):
        raise ImproperlyConfigured(f"{name}: '{given}' is not a whole number from {least} to {most}.")
    return default if found is None else found


def number(name: str, default: float, *, least: float = 0.0, most: float = 1_000_000.0) -> float:
    """The variable ``name`` as a number. ImproperlyConfigured."""
    given = _given(name)
    try:
        found = float(given or default)
    except ValueError:
        found = math.nan
    if not (least <= found <= most):
        raise ImproperlyConfigured(f"{name}: '{given}' is not a number from {least:g} to {most:.0f}.")
    return found


def fraction(name: str, default: str) -> Decimal:
    """The variable ``name`` as a fraction from 0 to less than 1. ImproperlyConfigured."""
    given = _given(name)
    try:
        found = Decimal(given or default)
        if not (found.is_finite() and 0 <= found < 1):
            raise InvalidOperation
    except InvalidOperation:
        raise ImproperlyConfigured(f"{name} must be a fraction from 0 to less than 1, such as 0.05.") from None
    return found


def folder(name: str) -> Path | None:
    """The variable ``name`` as a folder's whole path: processes begin in different places. ImproperlyConfigured."""
    given = _given(name)
    if given and not Path(given).is_absolute():
        raise ImproperlyConfigured(f"{name}: '{given}' is not a whole path, such as /backups.")
    return Path(given) if given else None


def networks(name: str) -> list[str]:
    """The variable ``name`` as networks and addresses, comma separated. ImproperlyConfigured."""
    found = [part.strip() for part in _given(name).split(",") if part.strip()]
    for one in found:
        try:
            meant = ipaddress.ip_network(one, strict=False)
        except ValueError:
            raise ImproperlyConfigured(f"{name}: '{one}' is not a network, such as 10.0.0.0/8.") from None
        if "/" in one and ipaddress.ip_interface(one).ip != meant.network_address:
            raise ImproperlyConfigured(
                f"{name}: '{one}' is an address with a network's length. Write {meant}, or the address alone."
            )
    return found


def database(name: str, url: str, **options: Any) -> dict[str, Any]:
    """The database of this URL, which is a secret: no error shows it. ImproperlyConfigured."""
    try:
        return dict(dj_database_url.parse(url, **options))
    except Exception:
        raise ImproperlyConfigured(
            f"{name} is not the URL of a database, such as postgres://user:password@host:5432/name."
        ) from None


def scratch_server(name: str, engine: str) -> str:
    """The variable ``name`` as the URL of a database of this engine; a secret, as in ``database``.

    ImproperlyConfigured.
    """
    given = secret(name).strip()
    if given and not database(name, given)["ENGINE"].endswith(f".{engine}"):
        raise ImproperlyConfigured(f"{name} is the URL of another kind of database. It must begin with {engine}://.")
    return given


def amount(name: str) -> Decimal | None:
    """The variable ``name`` as an amount above 0, or None if it is not set. ImproperlyConfigured."""
    given = _given(name)
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
    given = _given(name)
    host = _host(given, "https") or _host(given, "http")
    if given and not (_host(given, "https") or host in ("localhost", "127.0.0.1", "::1")):
        raise ImproperlyConfigured(
            f"{name} is not an https URL without account, query and fragment, such as https://login.example.com."
        )
    return given


def server_url(name: str) -> str:
    """The variable ``name`` as the URL of a server: http or https, nothing behind the host. ImproperlyConfigured."""
    given = _given(name)
    if given and not (_host(given, "https") or _host(given, "http")):
        raise ImproperlyConfigured(
            f"{name} is not a URL without account, query and fragment, such as https://s3.example.com."
        )
    return given


def _host(url: str, scheme: str) -> str:
    """The host of a URL of this scheme, which has no more than host, port and path; else nothing."""
    try:
        parts = urlsplit(url)
        is_plain = url.isprintable() and not set(url) & set(" ?#@\\")
        return (parts.hostname or "") if is_plain and parts.scheme == scheme and parts.port != 0 else ""
    except ValueError:
        return ""


def domains(name: str) -> list[str]:
    """The variable ``name`` as domains of e-mail addresses, comma separated, as ``text.email`` writes them.

    ImproperlyConfigured.
    """
    found = []
    for one in (part.strip() for part in _given(name).split(",") if part.strip()):
        try:
            found.append(text.email(f"x@{one}").removeprefix("x@"))
        except ValueError:
            raise ImproperlyConfigured(f"{name}: '{one}' is not a domain, such as shop.example.") from None
    return found


def mailboxes(name: str) -> list[str]:
    """The variable ``name`` as e-mail addresses, comma separated, as ``text.email`` writes them.

    ImproperlyConfigured.
    """
    found = []
    for one in filter(None, (part.strip() for part in _given(name).split(","))):
        try:
            found.append(text.email(one))
        except ValueError:
            raise ImproperlyConfigured(f"{name}: '{one}' is not an e-mail address.") from None
    return found


_SENDER = re.compile(r'"?(?P<words>[^"<>]*?)"? *<(?P<inside>[^<>]+)>|(?P<alone>[^<>]+)')


def sender(name: str, usual: str) -> str:
    """The variable ``name`` as the sender of mails, with or without a name: ``The Shop <shop@shop.example>``.

    ImproperlyConfigured.
    """
    given = _given(name) or usual
    parts = _SENDER.fullmatch(given)
    try:
        if parts is None or not given.isprintable():
            raise ValueError(given)
        return formataddr((parts["words"] or "", text.email(parts["inside"] or parts["alone"])))
    except ValueError:
        raise ImproperlyConfigured(f"{name}: {given!r} is not an e-mail address, nor a name with one in <>.") from None


def staff_groups(name: str) -> tuple[tuple[str, str], ...]:
    """The variable ``name`` as pairs of a provider's group and one of ours: ``shop-stock=stock staff,…``.

    ImproperlyConfigured, also for the group of machines, who sign in at no provider.
    """
    ours = [group for group, role in GROUPS.items() if role is not Role.SERVICE]
    pairs: list[tuple[str, str]] = []
    for entry in filter(None, (part.strip() for part in os.environ.get(name, "").split(","))):
        theirs, group = (part.strip() for part in entry.rpartition("=")[::2])
        if not theirs or group not in ours:
            raise ImproperlyConfigured(f"{name}: '{entry}' is not <group there>=<one of {', '.join(ours)}>.")
        if theirs in dict(pairs):
            raise ImproperlyConfigured(f"{name}: '{theirs}' is there twice. A group there is one group here.")
        pairs.append((theirs, group))
    return tuple(pairs)
