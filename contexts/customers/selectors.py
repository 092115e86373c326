from __future__ import annotations

from typing import Any

from contexts.customers.domain import email_key
from contexts.customers.models import Address, Customer
from contexts.customers.public.contracts import CustomerNotFound
from eci.errors import NotFound
from eci.paging import Paging

Row = dict[str, Any]

FIELDS = ("id", "email", "full_name", "phone", "created_at", "updated_at")
ADDRESS_FIELDS = (
    "id",
    "full_name",
    "line1",
    "line2",
    "city",
    "region",
    "postal_code",
    "country",
    "phone",
    "created_at",
    "updated_at",
)


def not_found(customer_id: int) -> CustomerNotFound:
    return CustomerNotFound(f"There is no customer {customer_id}.", customer_id=customer_id)


def address_not_found(address_id: int) -> NotFound:
    return NotFound(f"This customer has no address {address_id}.", address_id=address_id)


def customer(*, customer_id: int) -> Row:
    """CustomerNotFound when there is none, or when the person was erased."""
    row: Row | None = Customer.objects.filter(pk=customer_id, erased_at=None).values(*FIELDS).first()
    if row is None:
        raise not_found(customer_id)
    return row


def customers(*, paging: Paging, email: str = "") -> list[Row]:
    """One page of customers, and one row more when there are more; ``email`` matches exactly but for case."""
    found = Customer.objects.filter(erased_at=None)
    if email:
        found = found.filter(email_key=email_key(email))
    return paging.slice(found.values(*FIELDS))


def email_taken(*, email: str, besides: int) -> bool:
    """Has anybody but the customer ``besides`` this address?"""
    return Customer.objects.filter(email_key=email_key(email)).exclude(pk=besides).exists()


def address(*, customer_id: int, address_id: int) -> Row:
    """NotFound."""
    row: Row | None = (
        Address.objects.filter(pk=address_id, customer_id=customer_id, customer__erased_at=None)
        .values(*ADDRESS_FIELDS)
        .first()
    )
    if row is None:
        raise address_not_found(address_id)
    return row


def addresses(*, customer_id: int, paging: Paging) -> list[Row]:
    """One page of a customer's addresses, and one row more when there are more. CustomerNotFound."""
    rows = paging.slice(
        Address.objects.filter(customer_id=customer_id, customer__erased_at=None).values(*ADDRESS_FIELDS)
    )
    if not rows:
        customer(customer_id=customer_id)
    return rows
