"""What customers announces. An account is named as tokens name it: ``customer:5``, ``staff:3``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class PasswordResetRequested(Event):
    """Somebody asked for it; whether there is such an account shows when the mail is to be sent."""

    NAME: ClassVar[str] = "customers.password_reset_requested.v1"
    AGGREGATE: ClassVar[str] = "request_id"

    request_id: int


@dataclass(frozen=True, kw_only=True)
class EmailVerificationRequested(Event):
    NAME: ClassVar[str] = "customers.email_verification_requested.v1"
    AGGREGATE: ClassVar[str] = "request_id"

    request_id: int


@dataclass(frozen=True, kw_only=True)
class PasswordChanged(Event):
    """``version`` counts the account's passwords."""

    NAME: ClassVar[str] = "customers.password_changed.v1"
    AGGREGATE: ClassVar[str] = "account"

    account: str


@dataclass(frozen=True, kw_only=True)
class RefreshTokenReused(Event):
    """A refresh token was used a second time, so somebody else has a copy: its login was ended."""

    NAME: ClassVar[str] = "customers.refresh_token_reused.v1"
    AGGREGATE: ClassVar[str] = "account"

    account: str
    family_id: int


@dataclass(frozen=True, kw_only=True)
class CustomerErased(Event):
    """Whoever keeps something of this person keeps it no longer. It may come before what they still had under way."""

    NAME: ClassVar[str] = "customers.customer_erased.v1"
    AGGREGATE: ClassVar[str] = "customer_id"

    customer_id: int
