"""Who is calling, and what they may do: API.md's letters.

Default is deny: a view without ``roles`` answers nobody. Tokens are not issued yet; until then callers are staff with a
Django session, or anybody in open mode, which development may switch on and production refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

ANONYMOUS, CUSTOMER, CATALOG, STOCK, SUPPORT, ADMIN, SERVICE = "A", "C", "K", "S", "P", "admin", "V"

_GROUPS = {"catalog staff": CATALOG, "stock staff": STOCK, "support staff": SUPPORT}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The identity of a request: a name for the records (``actor``) and its roles."""

    name: str
    roles: frozenset[str]

    is_authenticated = True  # what DRF and the browsable API ask

    @property
    def is_staff(self) -> bool:
        return bool(self.roles - {ANONYMOUS, CUSTOMER})

    def may(self, allowed: str) -> bool:
        """``allowed`` is letters of API.md, such as ``"ACK"``; admin may everything."""
        return ADMIN in self.roles or any(role in allowed for role in self.roles)

    def get_username(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name


NOBODY = Caller(name="anonymous", roles=frozenset({ANONYMOUS}))
OPEN = Caller(name="open", roles=frozenset({ADMIN}))


class StaffSession(SessionAuthentication):
    """A staff member signed in to the admin: their groups are their roles."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        if found is None or not found[0].is_staff:
            return None
        user = found[0]
        groups = {_GROUPS[name] for name in user.groups.values_list("name", flat=True) if name in _GROUPS}
        roles = frozenset({ADMIN}) if user.is_superuser else frozenset(groups)
        return Caller(name=f"staff:{user.get_username()}", roles=roles | {ANONYMOUS}), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"  # of the first authenticator: without it DRF answers 403 where 401 is meant


class OpenMode(BaseAuthentication):
    """Development only: whoever sends no credentials is admin."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        if not settings.ECI_OPEN or "Authorization" in request.headers:
            return None
        return OPEN, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class RolesAllowed(BasePermission):
    """Lets in whom the view's ``roles`` name: one string of letters, or one for each HTTP method."""

    message = "You may not do this."

    def has_permission(self, request: Request, view: Any) -> bool:
        roles: str | dict[str, str] = getattr(view, "roles", "")
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        allowed = roles.get(method, "") if isinstance(roles, dict) else roles
        return caller(request).may(allowed)


def caller(request: Request) -> Caller:
    user: Any = request.user
    return user if isinstance(user, Caller) else NOBODY
