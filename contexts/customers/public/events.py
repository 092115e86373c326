"""Customers' events. They name an account as tokens do: ``customer:5``, ``staff:3``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class PasswordResetRequested(Event):
    """Somebody asked to reset a password. Whether there is such an account is looked up when the mail is sent."""

    NAME: ClassVar[str] = "customers.password_reset_requested.v1"
    AGGREGATE: ClassVar[str] = "request_id"

    request_id: int


@dataclass(frozen=True, kw_only=True)
class EmailVerificationRequested(Event):
    NAME: ClassVar[str] = "customers.email_verification_requested.v1"
    AGGREGATE: ClassVar[str] = "request_id"

    request_id: int


@dataclass(frozen=True, kw_only=True)
class EmailChangeRequested(Event):
    """Somebody wants an account to have another address, which gets a link to follow. The old one is told."""

    NAME: ClassVar[str] = "customers.email_change_requested.v1"
    AGGREGATE: ClassVar[str] = "request_id"

    request_id: int


@dataclass(frozen=True, kw_only=True)
class PasswordChanged(Event):
    """``version`` counts the passwords that the account has had."""

    NAME: ClassVar[str] = "customers.password_changed.v1"
    AGGREGATE: ClassVar[str] = "account"

    account: str


@dataclass(frozen=True, kw_only=True)
class RefreshTokenReused(Event):
    """A refresh token was used twice, so somebody has a copy. Its login was ended."""

    NAME: ClassVar[str] = "customers.refresh_token_reused.v1"
    AGGREGATE: ClassVar[str] = "account"

    account: str
    family_id: int


@dataclass(frozen=True, kw_only=True)
class CustomerErased(Event):
    """Every context forgets what it keeps of this person. The event may overtake work of theirs that is under way.

    ``email_digest`` (``eci.erasure``) names their mailbox, for what they did as a guest.
    """

    NAME: ClassVar[str] = "customers.customer_erased.v1"
    AGGREGATE: ClassVar[str] = "customer_id"

    customer_id: int
    email_digest: str = ""
