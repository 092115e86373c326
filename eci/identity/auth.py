"""Who is calling, and what they may do.

The default is to deny: a view without ``roles`` answers nobody. A caller sends an access token, or is staff with a
Django session. In open mode every caller without credentials is admin; only development can switch it on.
"""

from __future__ import annotations

import getpass
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from eci.errors import NotFound
from eci.identity import tokens
from eci.identity.roles import GROUPS, Role, Roles, only
from eci.identity.tokens import Claims
from eci.statements import reads
from eci.watch import requests

log = requests.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a request. ``name`` is the actor in records; ``session`` the login that the token comes from.

    ``subject`` is the caller's number, ``customer:4`` or ``staff:3``, for logs, which name nobody. A stranger has none.
    ``customer_id`` is None for everybody who is not a customer.
    """

    name: str
    roles: Roles
    subject: str = ""
    customer_id: int | None = None
    session: str = ""

    is_authenticated = True  # DRF and the browsable API read it

    @property
    def is_staff(self) -> bool:
        return bool(self.roles - {Role.ANONYMOUS, Role.CUSTOMER})

    def may(self, allowed: Roles) -> bool:
        """Whether one of the caller's roles is allowed. Admins may do everything."""
        return Role.ADMIN in self.roles or not self.roles.isdisjoint(allowed)

    @property
    def confined_to(self) -> int | None:
        """The only customer whose data this caller can reach. None for staff and services, who reach everybody's."""
        return self.own() if Role.CUSTOMER in self.roles else None

    def own(self) -> int:
        """The caller's customer id. NotFound for a caller who is not a customer, and so has nothing of their own."""
        if self.customer_id is None:
            raise NotFound("You are not signed in as a customer.")
        return self.customer_id

    def get_username(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name


NOBODY = Caller(name="anonymous", roles=only(Role.ANONYMOUS))
OPEN = Caller(name="open", roles=only(Role.ADMIN), subject="open")


def staff_name(user: AbstractBaseUser | AnonymousUser) -> str:
    """A staff member's name in records: the actor."""
    return f"staff:{user.get_username()}"


def command_name() -> str:
    """The actor of a command: the account on this machine that runs it. A container's may have a number only."""
    try:
        return f"command:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"command:{os.getuid()}"


@reads
def _groups_of(*, user_id: int) -> QuerySet[Group, str]:
    return Group.objects.filter(user=user_id).values_list("name", flat=True)


def staff_roles(user: User) -> Roles:
    """A staff member's roles, from their groups. A machine has that one role, whatever other groups it is in."""
    if user.is_superuser:
        return only(Role.ADMIN)
    roles = frozenset(GROUPS[name] for name in _groups_of(user_id=user.pk) if name in GROUPS)
    return only(Role.SERVICE) if Role.SERVICE in roles else roles


def is_machine(user: User) -> bool:
    """Whether the account is another system's: one of the group ``services`` that is no administrator."""
    return Role.SERVICE in staff_roles(user)


Vouch = Callable[[Claims], Claims | None]
_vouch: Vouch | None = None


def vouched_by(vouch: Vouch) -> None:
    """Let the issuer of tokens, where it runs in this process, update a valid token's claims. None revokes the token.

    In other processes a token is good for the rest of its ten minutes.
    """
    global _vouch
    _vouch = vouch


class AccessToken(BaseAuthentication):
    """``Authorization: Bearer``. Wrong credentials are a 401 on public routes too."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        header = request._request.META.get("HTTP_AUTHORIZATION")  # request.headers is made of all headers at once
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _refused()
        try:
            claims = _as_of_now(tokens.read(token.strip()))
        except tokens.InvalidToken:
            raise _refused() from None
        if claims is None:
            raise _refused()
        return caller_of(claims), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"  # without it on the first authenticator, DRF answers 403 instead of 401


def is_metrics_token(authorization: str) -> bool:
    """Whether this is the header that Prometheus is configured to send."""
    expected = f"Bearer {settings.ECI_METRICS_TOKEN}"
    return bool(settings.ECI_METRICS_TOKEN) and hmac.compare_digest(authorization.encode(), expected.encode())


class MetricsToken(BaseAuthentication):
    """The first authenticator of the metrics pages. It asks no database, because these pages report lost ones."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        if not is_metrics_token(request.headers.get("Authorization", "")):
            return None
        return Caller(name="prometheus", roles=only(Role.SCRAPER)), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _refused() -> AuthenticationFailed:
    return AuthenticationFailed("This access token is invalid or has expired.")


def _as_of_now(claims: Claims) -> Claims | None:
    if _vouch is None:
        return claims
    try:
        return _vouch(claims)
    except (OperationalError, InterfaceError):
        if claims.roles != {Role.CUSTOMER}:
            raise
        log.warning("token_not_vouched_for", subject=claims.subject)
        return claims  # without the customers context, customers can still use all the others


def caller_of(claims: Claims) -> Caller:
    kind, _, number = claims.subject.partition(":")
    customer_id = int(number) if kind == "customer" else None
    return Caller(
        name=claims.name,
        roles=claims.roles,
        subject=claims.subject,
        customer_id=customer_id,
        session=claims.session,
    )


class StaffSession(SessionAuthentication):
    """A staff member who is signed in to the admin. Their groups give them their roles."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        if found is None or not found[0].is_staff:
            return None
        user = found[0]
        roles = staff_roles(user) | {Role.ANONYMOUS}
        return Caller(name=staff_name(user), roles=roles, subject=f"staff:{user.pk}"), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class OpenMode(BaseAuthentication):
    """For development only: a caller without credentials is admin."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        if not settings.ECI_OPEN or "Authorization" in request.headers:
            return None
        return OPEN, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class RolesAllowed(BasePermission):
    """Allows the callers that the view's ``roles`` name: one set, or a set for each HTTP method."""

    message = "You may not do this."

    def has_permission(self, request: Request, view: Any) -> bool:
        roles: Roles | Mapping[str, Roles] = getattr(view, "roles", only())
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        allowed = roles if isinstance(roles, frozenset) else roles.get(method, only())
        return caller(request).may(allowed)


def caller(request: Request) -> Caller:
    user: Any = request.user
    return user if isinstance(user, Caller) else NOBODY
