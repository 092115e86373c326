"""Customers: what other contexts may ask of people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from eci.errors import Conflict, NotFound


@dataclass(frozen=True, kw_only=True)
class Customer:
    customer_id: int
    email: str
    full_name: str
    phone: str


class CustomerNotFound(NotFound):
    """``details.customer_id`` names the unknown customer."""


class DuplicateEmail(Conflict):
    code = "duplicate_email"


class Customers(ABC):
    @abstractmethod
    def customer(self, *, customer_id: int) -> Customer:
        """CustomerNotFound when there is none, or when the person was erased."""
