"""Customers' contract, answered in this process. Rows become contracts here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

from contexts.customers import models, selectors, services
from contexts.customers.public.contracts import (
    AddressRecord,
    Customer,
    CustomerRecord,
    Customers,
    FormerAddress,
    LoginRecord,
    MailedSecret,
    MailRecord,
)
from contexts.customers.selectors import Row
from eci import metadata
from eci.trail import TellsTrail


def customer(row: Row) -> Customer:
    return Customer(
        customer_id=row["id"],
        email=row["email"],
        full_name=row["full_name"],
        phone=row["phone"],
        email_verified=row["email_verified_at"] is not None,
    )


def customer_record(
    row: Row,
    *,
    addresses: Iterable[Row],
    families: Iterable[models.TokenFamily],
    mails: Iterable[models.MailRequest],
) -> CustomerRecord:
    return CustomerRecord(
        customer_id=row["id"],
        email=row["email"],
        full_name=row["full_name"],
        phone=row["phone"],
        new_email=row["new_email"],
        metadata=metadata.shown(row["metadata"]),
        email_verified_at=row["email_verified_at"],
        blocked_at=row["blocked_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        addresses=tuple(map(address_record, addresses)),
        logins=tuple(map(login_record, families)),
        mails=tuple(map(mail_record, mails)),
    )


def address_record(row: Row) -> AddressRecord:
    return AddressRecord(
        address_id=row["id"],
        full_name=row["full_name"],
        line1=row["line1"],
        line2=row["line2"],
        city=row["city"],
        region=row["region"],
        postal_code=row["postal_code"],
        country=row["country"],
        phone=row["phone"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def login_record(family: models.TokenFamily) -> LoginRecord:
    return LoginRecord(begun_at=family.created_at, expires_at=family.expires_at, ended_at=family.revoked_at)


def mail_record(request: models.MailRequest) -> MailRecord:
    return MailRecord(purpose=request.purpose, asked_at=request.created_at, used_at=request.used_at)


def mailed_secret(row: Row, secret: str) -> MailedSecret:
    verified = row["email_verified_at"] is not None
    return MailedSecret(customer_id=row["id"], email=row["email"], secret=secret, email_verified=verified)


def former_address(row: Row) -> FormerAddress:
    verified = row["email_verified_at"] is not None
    return FormerAddress(customer_id=row["id"], email=row["email"], email_verified=verified)


class LocalCustomers(TellsTrail, Customers):
    context = "customers"

    def customer(self, *, customer_id: int) -> Customer:
        return customer(selectors.customer(customer_id=customer_id))

    def customers(self, *, customer_ids: Iterable[int]) -> tuple[Customer, ...]:
        return tuple(customer(row) for row in selectors.customers_of(customer_ids=list(customer_ids)))

    def record(self, *, customer_id: int) -> CustomerRecord:
        row = selectors.customer(customer_id=customer_id)
        return customer_record(
            row,
            addresses=selectors.all_addresses(customer_id=customer_id),
            families=selectors.families(customer_id=customer_id),
            mails=selectors.mail_requests(customer_id=customer_id, email=row["email"]),
        )

    def customer_with(self, *, email: str) -> int | None:
        return selectors.customer_with(email=email)

    def customer_ids_by_email(self, *, email: str) -> tuple[int, ...]:
        return tuple(selectors.customers_with_email_like(email=email))

    def address_of(self, *, account: str) -> str:
        return selectors.address_of(account=account)

    def new_secret(self, *, request_id: int) -> MailedSecret:
        return mailed_secret(*services.issue_secret(request_id=request_id))

    def former_address(self, *, request_id: int) -> FormerAddress:
        return former_address(selectors.former_address(request_id=request_id))
