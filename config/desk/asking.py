"""What the desk's pages share: contexts that may be away or run elsewhere, and what their reader may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db import InterfaceError, OperationalError

from contexts.shipping.public.contracts import ShipTo
from eci.errors import ContextUnavailable

A = TypeVar("A")
User = AbstractBaseUser | AnonymousUser


def may(user: User, permission: str) -> bool:
    return isinstance(user, PermissionsMixin) and user.has_perm(permission)


def unless_away(context: str, away: list[str], ask: Callable[[], A]) -> A | None:
    """The answer; None, and the context added to ``away``, if it cannot be asked just now."""
    try:
        return ask()
    except (ContextUnavailable, OperationalError, InterfaceError):
        if context not in away:
            away.append(context)
        return None


def address(to: ShipTo) -> list[str]:
    """The lines of an address, as a label has them."""
    place = " ".join(part for part in (to.postal_code, to.city) if part)
    parts = (to.name, to.company, *to.lines, place, to.region, to.country, to.phone)
    return [part for part in parts if part]
