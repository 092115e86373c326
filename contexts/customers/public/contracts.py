"""Customers: what other contexts may ask of people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from eci.errors import Conflict, EciError, NotFound


@dataclass(frozen=True, kw_only=True)
class Customer:
    customer_id: int
    email: str
    full_name: str
    phone: str


@dataclass(frozen=True, kw_only=True)
class MailedSecret:
    """A secret that shows who reads the mail of this address. No database has it: hand it to the mail and forget it."""

    email: str
    secret: str


class CustomerNotFound(NotFound):
    """``details.customer_id`` names the unknown customer."""


class AccountNotFound(NotFound):
    pass


class EmailNotVerified(EciError):
    status = 403
    code = "email_not_verified"


class DuplicateEmail(Conflict):
    code = "duplicate_email"


class Customers(ABC):
    @abstractmethod
    def customer(self, *, customer_id: int) -> Customer:
        """CustomerNotFound when there is none, or when the person was erased."""

    @abstractmethod
    def address_of(self, *, account: str) -> str:
        """The e-mail address of ``customer:5`` or ``staff:3``. AccountNotFound."""

    @abstractmethod
    def new_secret(self, *, request_id: int) -> MailedSecret:
        """A new secret for a mail that was asked for; an earlier one of the same request is void.

        AccountNotFound when nobody has the address, or the request is used or too old.
        """
