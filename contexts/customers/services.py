from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError

from contexts.customers import selectors
from contexts.customers.domain import email_key
from contexts.customers.models import Address, Customer
from contexts.customers.public.contracts import DuplicateEmail
from contexts.customers.selectors import ADDRESS_FIELDS, FIELDS, Row
from eci.clock import utcnow
from eci.db import require_no_unit_of_work, writes


def hash_password(password: str) -> str:
    """Slow on purpose, so never inside a unit of work: on SQLite every other writer would wait."""
    require_no_unit_of_work("a password hashed")
    return make_password(password)


@writes("customers")
def register_customer(*, email: str, full_name: str, password_hash: str, phone: str = "") -> Row:
    """The new customer's row. DuplicateEmail."""
    now = utcnow()
    try:
        customer = Customer.objects.create(
            email=email,
            email_key=email_key(email),
            full_name=full_name,
            phone=phone,
            password=password_hash,
            created_at=now,
            updated_at=now,
        )
    except IntegrityError:
        raise _duplicate() from None
    return {field: getattr(customer, field) for field in FIELDS}


@writes("customers")
def update_customer(*, customer_id: int, **changes: str) -> Row:
    """``changes``: any of email, full_name, phone. The row after them. CustomerNotFound, DuplicateEmail."""
    if "email" in changes:
        changes["email_key"] = email_key(changes["email"])
    if changes:
        try:
            updated = Customer.objects.filter(pk=customer_id, erased_at=None).update(**changes, updated_at=utcnow())
        except IntegrityError:
            raise _duplicate() from None
        if not updated:
            raise selectors.not_found(customer_id)
    return selectors.customer(customer_id=customer_id)


@writes("customers")
def add_address(*, customer_id: int, **fields: str) -> Row:
    """The new address's row. CustomerNotFound."""
    selectors.customer(customer_id=customer_id)
    now = utcnow()
    address = Address.objects.create(customer_id=customer_id, created_at=now, updated_at=now, **fields)
    return {field: getattr(address, field) for field in ADDRESS_FIELDS}


@writes("customers")
def update_address(*, customer_id: int, address_id: int, **changes: str) -> Row:
    """The address's row after the changes. NotFound."""
    if changes:
        Address.objects.filter(pk=address_id, customer_id=customer_id).update(**changes, updated_at=utcnow())
    return selectors.address(customer_id=customer_id, address_id=address_id)


@writes("customers")
def delete_address(*, customer_id: int, address_id: int) -> None:
    """NotFound."""
    deleted, _ = Address.objects.filter(pk=address_id, customer_id=customer_id).delete()
    if not deleted:
        raise selectors.address_not_found(address_id)


def _duplicate() -> DuplicateEmail:
    return DuplicateEmail("There is a customer with this e-mail address already.")
