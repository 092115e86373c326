"""What other contexts may ask customers about people."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from eci.activity import KeepsTrail
from eci.errors import Conflict, EciError, NotFound


@dataclass(frozen=True, kw_only=True)
class Customer:
    customer_id: int
    email: str
    full_name: str
    phone: str
    email_verified: bool = False


@dataclass(frozen=True, kw_only=True)
class MailedSecret:
    """A secret that proves who reads the mail of this address. No database has it: put it in the mail and forget it."""

    customer_id: int
    email: str
    secret: str
    email_verified: bool = False


@dataclass(frozen=True, kw_only=True)
class FormerAddress:
    customer_id: int
    email: str
    email_verified: bool


@dataclass(frozen=True, kw_only=True)
class AddressRecord:
    address_id: int
    full_name: str
    line1: str
    line2: str
    city: str
    region: str
    postal_code: str
    country: str
    phone: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class LoginRecord:
    begun_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class MailRecord:
    """A mail with a secret that somebody asked for. ``used_at``: when the secret was used."""

    purpose: str
    asked_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class CustomerRecord:
    """Everything that customers knows of a person, except hashes and digests."""

    customer_id: int
    email: str
    full_name: str
    phone: str
    email_verified_at: datetime | None
    blocked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    new_email: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    addresses: tuple[AddressRecord, ...]
    logins: tuple[LoginRecord, ...]
    mails: tuple[MailRecord, ...]


class CustomerNotFound(NotFound):
    """``details.customer_id`` is the unknown customer."""


class AccountNotFound(NotFound):
    """Nobody has the account, or the address."""


class EnoughMails(NotFound):
    """This address has had as many mails of this kind as it gets in an hour."""


class EmailNotVerified(EciError):
    status = 403
    code = "email_not_verified"


class DuplicateEmail(Conflict):
    code = "duplicate_email"


class Customers(KeepsTrail):
    @abstractmethod
    def customer(self, *, customer_id: int) -> Customer:
        """CustomerNotFound when there is none, or the person was erased."""

    @abstractmethod
    def customers(self, *, customer_ids: Iterable[int]) -> tuple[Customer, ...]:
        """In no order; those for whom ``customer`` has none are left out."""

    @abstractmethod
    def record(self, *, customer_id: int) -> CustomerRecord:
        """CustomerNotFound, as for ``customer``."""

    @abstractmethod
    def customer_with(self, *, email: str) -> int | None:
        """The id of the customer with this e-mail address, in any case; None when nobody has it."""

    @abstractmethod
    def customer_ids_by_email(self, *, email: str) -> tuple[int, ...]:
        """The ids of the customers whose e-mail address is, or begins with, ``email``, in any case: at most 100, the
        whole address first. For searching; empty for an empty ``email``."""

    @abstractmethod
    def address_of(self, *, account: str) -> str:
        """The e-mail address of ``customer:5`` or ``staff:3``. AccountNotFound."""

    @abstractmethod
    def new_secret(self, *, request_id: int) -> MailedSecret:
        """A new secret for a mail that somebody asked for. An earlier secret of the same request becomes void.

        AccountNotFound when nobody has the address, or the request has been used or has expired. EnoughMails.
        """

    @abstractmethod
    def former_address(self, *, request_id: int) -> FormerAddress:
        """The address from which somebody asked to move an account: it is told. AccountNotFound when that is off."""
