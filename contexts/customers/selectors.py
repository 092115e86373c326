from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from contexts.customers.domain import FRESH, digest, email_key
from contexts.customers.models import Address, Customer, MailRequest, RefreshToken, TokenFamily
from contexts.customers.public import contracts
from contexts.customers.public.contracts import AccountNotFound, CustomerNotFound
from eci.errors import NotFound
from eci.identity.auth import staff_roles
from eci.identity.roles import Role, only
from eci.identity.tokens import Claims
from eci.paging import Paging

Row = dict[str, Any]

FIELDS = ("id", "email", "full_name", "phone", "email_verified_at", "blocked_at", "created_at", "updated_at")
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


def record(*, customer_id: int) -> contracts.CustomerRecord:
    """CustomerNotFound."""
    person = customer(customer_id=customer_id)
    key = email_key(person["email"])
    addresses = Address.objects.filter(customer_id=customer_id).order_by("pk").values(*ADDRESS_FIELDS)
    logins = TokenFamily.objects.filter(customer_id=customer_id).order_by("pk")
    mails = MailRequest.objects.filter(email_key=key).order_by("pk")
    return contracts.CustomerRecord(
        customer_id=person.pop("id"),
        **person,
        addresses=tuple(contracts.AddressRecord(address_id=row.pop("id"), **row) for row in addresses),
        logins=tuple(
            contracts.LoginRecord(begun_at=row.created_at, expires_at=row.expires_at, ended_at=row.revoked_at)
            for row in logins
        ),
        mails=tuple(
            contracts.MailRecord(purpose=row.purpose, asked_at=row.created_at, used_at=row.used_at) for row in mails
        ),
    )


# -- accounts: customers, and staff, who are Django users -------------------------------------------------------------


def password_of(*, customer_id: int) -> str:
    """The hash. CustomerNotFound."""
    found: str | None = (
        Customer.objects.filter(pk=customer_id, erased_at=None).values_list("password", flat=True).first()
    )
    if found is None:
        raise not_found(customer_id)
    return found


def customer_by_email(*, email: str) -> Customer | None:
    """Who may log in with this address."""
    return Customer.objects.filter(email_key=email_key(email), erased_at=None, blocked_at=None).first()


def customer_with(*, email: str) -> int | None:
    """As ``customer_by_email``, blocked or not."""
    found = Customer.objects.filter(email_key=email_key(email), erased_at=None)
    return found.values_list("pk", flat=True).first()


def staff_by_email(*, email: str) -> User | None:
    """The member of staff with this address; None for an address that several have."""
    found = list(_staff().filter(Q(email__iexact=email) | Q(username__iexact=email))[:2])
    return found[0] if len(found) == 1 else None


def _staff() -> QuerySet[User]:
    return User.objects.filter(is_active=True, is_staff=True)


def address_of(*, account: str) -> str:
    """AccountNotFound."""
    kind, _, number = account.partition(":")
    people: Any = Customer.objects.filter(erased_at=None) if kind == "customer" else _staff()
    found: str | None = people.filter(pk=number).values_list("email", flat=True).first()
    if found is None:
        raise AccountNotFound("There is no such account.")
    return found


# -- logins -----------------------------------------------------------------------------------------------------------


def live_families() -> QuerySet[TokenFamily]:
    """Logins that count: not ended, and of nobody who was blocked or erased."""
    people = Q(customer=None) | Q(customer__erased_at=None, customer__blocked_at=None)
    return TokenFamily.objects.filter(people, revoked_at=None, expires_at__gt=Now())


def is_fresh_login(*, session: str) -> bool:
    """Was the password given only just now, when this login began?"""
    return live_families().filter(pk=session, created_at__gt=Now() - FRESH).exists()


def refresh_token(*, token: str) -> RefreshToken | None:
    return RefreshToken.objects.select_related("family").filter(digest=digest(token)).first()


def vouch(claims: Claims) -> Claims | None:
    """What the holder of a sound access token may now; None when its login has ended."""
    family = live_families().filter(pk=claims.session).first()
    if family is None:
        return None
    now = claims_of(family)
    return now if now and now.subject == claims.subject else None


def claims_of(family: TokenFamily) -> Claims | None:
    """What tokens of this live login say; None when its member of staff is gone or has another password."""
    if family.customer_id is not None:
        subject = f"customer:{family.customer_id}"
        return Claims(subject=subject, name=subject, session=str(family.pk), roles=only(Role.CUSTOMER))
    user = None if family.staff_id is None else _staff().filter(pk=family.staff_id).first()
    if user is None or not constant_time_compare(family.staff_stamp, staff_stamp(user)):
        return None
    return Claims(
        subject=f"staff:{user.pk}",
        name=f"staff:{user.get_username()}",
        session=str(family.pk),
        roles=staff_roles(user) | {Role.ANONYMOUS},
    )


def staff_stamp(user: User) -> str:
    """Another one after every change of the password."""
    return user.get_session_auth_hash()


# -- mailed secrets ---------------------------------------------------------------------------------------------------


def live_requests(purpose: MailRequest.Purpose) -> QuerySet[MailRequest]:
    return MailRequest.objects.filter(purpose=purpose, used_at=None, expires_at__gt=Now())


def is_live_secret(purpose: MailRequest.Purpose, secret: str) -> bool:
    return live_requests(purpose).filter(digest=digest(secret)).exists()
