"""Customers' reads: people, accounts, logins and mailed secrets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from contexts.customers.domain import FRESH, HOUR, account_parts, digest, email_key
from contexts.customers.models import Address, Customer, MailRequest, RefreshToken, TokenFamily
from contexts.customers.public.contracts import AccountNotFound, CustomerNotFound
from eci.errors import InvalidRequest, NotFound
from eci.identity import second_factor
from eci.identity.auth import staff_name, staff_roles
from eci.identity.roles import Role, only
from eci.identity.tokens import Claims
from eci.paging import Paging
from eci.statements import reads

Row = dict[str, Any]

FIELDS = (
    "id",
    "email",
    "new_email",
    "full_name",
    "phone",
    "metadata",
    "email_verified_at",
    "blocked_at",
    "created_at",
    "updated_at",
    "version",
)
MAX_ALIKE = 100
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


# -- people -----------------------------------------------------------------------------------------------------------


def row_of(*, customer: Customer) -> Row:
    """The row of a customer who is in memory already."""
    return {field: getattr(customer, field) for field in FIELDS}


def not_found(*, customer_id: int) -> CustomerNotFound:
    return CustomerNotFound(f"There is no customer {customer_id}.", customer_id=customer_id)


def address_not_found(*, address_id: int) -> NotFound:
    return NotFound(f"This customer has no address {address_id}.", address_id=address_id)


@reads
def _customer(*, customer_id: int) -> QuerySet[Customer, Row]:
    rows: QuerySet[Customer, Row] = Customer.objects.filter(pk=customer_id, erased_at=None).values(*FIELDS)
    return rows


def customer(*, customer_id: int) -> Row:
    """CustomerNotFound when there is none, or the person was erased."""
    row = _customer.first(customer_id=customer_id)
    if row is None:
        raise not_found(customer_id=customer_id)
    return row


@reads
def customers_of(*, customer_ids: Collection[int]) -> QuerySet[Customer, Row]:
    """Those of these who are there and not erased, in no order."""
    rows: QuerySet[Customer, Row] = Customer.objects.filter(pk__in=customer_ids, erased_at=None).values(*FIELDS)
    return rows


def customers(*, paging: Paging, email: str = "") -> list[Row]:
    """One page of customers, and one more row when more follow. ``email`` matches whole, in any case."""
    found = Customer.objects.filter(erased_at=None)
    if email:
        found = found.filter(email_key=email_key(email))
    return paging.slice(found.values(*FIELDS))


def email_taken(*, email: str, besides: int) -> bool:
    """Does anybody other than the customer ``besides`` have this address?"""
    return Customer.objects.filter(email_key=email_key(email)).exclude(pk=besides).exists()


def address(*, customer_id: int, address_id: int) -> Row:
    """NotFound."""
    row: Row | None = (
        Address.objects.filter(pk=address_id, customer_id=customer_id, customer__erased_at=None)
        .values(*ADDRESS_FIELDS)
        .first()
    )
    if row is None:
        raise address_not_found(address_id=address_id)
    return row


def addresses(*, paging: Paging, customer_id: int) -> list[Row]:
    """One page of a customer's addresses, and one more row when more follow. CustomerNotFound."""
    rows = paging.slice(
        Address.objects.filter(customer_id=customer_id, customer__erased_at=None).values(*ADDRESS_FIELDS)
    )
    if not rows:
        customer(customer_id=customer_id)
    return rows


def all_addresses(*, customer_id: int) -> list[Row]:
    return list(Address.objects.filter(customer_id=customer_id).order_by("pk").values(*ADDRESS_FIELDS))


# -- accounts: customers, and staff, who are Django users -------------------------------------------------------------


def password_of(*, customer_id: int) -> str:
    """The hash of the customer's password. CustomerNotFound."""
    found: str | None = (
        Customer.objects.filter(pk=customer_id, erased_at=None).values_list("password", flat=True).first()
    )
    if found is None:
        raise not_found(customer_id=customer_id)
    return found


def customer_ids_by_key(*, keys: Collection[str]) -> list[int]:
    """The ids of those who have these ``email_key``s."""
    return list(Customer.objects.filter(email_key__in=keys, erased_at=None).values_list("pk", flat=True))


def customer_by_email(*, email: str) -> Customer | None:
    """The customer who may log in with this address."""
    return Customer.objects.filter(email_key=email_key(email), erased_at=None, blocked_at=None).first()


def customer_with(*, email: str) -> int | None:
    """The id of the customer who has this address, blocked or not."""
    found = Customer.objects.filter(email_key=email_key(email), erased_at=None)
    return found.values_list("pk", flat=True).first()


def customers_with_email_like(*, email: str) -> list[int]:
    """The ids of the customers whose address is, or begins with, this one, in any case: at most ``MAX_ALIKE``."""
    key = email_key(email)
    if not key:
        return []
    found = Customer.objects.filter(erased_at=None)
    exact = found.filter(email_key=key).values_list("pk", flat=True)
    alike = found.filter(email_key__startswith=key).exclude(email_key=key).order_by("pk").values_list("pk", flat=True)
    return [*exact, *alike[: MAX_ALIKE - 1]]


def staff_stamp(*, user: User) -> str:
    """A value that changes with the user's password and second factor, and whenever they are locked."""
    return second_factor.stamp(user)


def _staff() -> QuerySet[User]:
    return second_factor.with_device(User.objects.filter(is_active=True, is_staff=True))


def address_of(*, account: str) -> str:
    """The e-mail address of ``customer:5`` or ``staff:3``. AccountNotFound."""
    kind, number = account_parts(account)
    people: Any = Customer.objects.filter(erased_at=None) if kind == "customer" else _staff()
    found: str | None = people.filter(pk=number).values_list("email", flat=True).first()
    if found is None:
        raise AccountNotFound("There is no such account.")
    return found


# -- logins -----------------------------------------------------------------------------------------------------------


def families(*, customer_id: int) -> list[TokenFamily]:
    """Every login that is kept of this customer, ended or not."""
    return list(TokenFamily.objects.filter(customer_id=customer_id).order_by("pk"))


def live_families() -> QuerySet[TokenFamily]:
    """The logins that have not ended, except those of blocked and erased customers."""
    people = Q(customer=None) | Q(customer__erased_at=None, customer__blocked_at=None)
    return TokenFamily.objects.filter(people, revoked_at=None, expires_at__gt=Now())


@reads
def _live_family(*, family_id: int) -> QuerySet[TokenFamily]:
    return live_families().filter(pk=family_id).only("customer", "staff_id", "staff_stamp")


@reads
def _member_of_staff(*, staff_id: int) -> QuerySet[User]:
    return _staff().filter(pk=staff_id).only("username", "password", "is_superuser")


def is_fresh_login(*, session: str) -> bool:
    """Did this login begin, with the password, only just now?"""
    return live_families().filter(pk=session, created_at__gt=Now() - FRESH).exists()


def refresh_token(*, token: str) -> RefreshToken | None:
    return RefreshToken.objects.select_related("family").filter(digest=digest(token)).first()


def current_claims(*, claims: Claims) -> Claims | None:
    """What the holder of a sound access token may do now; None when its login has ended."""
    family = _live_family.first(family_id=int(claims.session))
    if family is None:
        return None
    now = claims_of(family=family)
    return now if now and now.subject == claims.subject else None


def claims_of(*, family: TokenFamily) -> Claims | None:
    """What tokens of this live login say; None when its member of staff has left, was locked meanwhile, or
    signs in with another password or second factor by now."""
    if family.customer_id is not None:
        return Claims(subject=family.account, name=family.account, session=str(family.pk), roles=only(Role.CUSTOMER))
    user = None if family.staff_id is None else _member_of_staff.first(staff_id=family.staff_id)
    if user is None or not constant_time_compare(family.staff_stamp, staff_stamp(user=user)):
        return None
    roles = staff_roles(user)
    if second_factor.is_missing(device=second_factor.device_id(user), roles=roles):
        return None
    return Claims(subject=family.account, name=staff_name(user), session=str(family.pk), roles=roles | {Role.ANONYMOUS})


# -- mailed secrets ---------------------------------------------------------------------------------------------------


def mail_requests(*, customer_id: int, email: str) -> list[MailRequest]:
    """Every request that is kept for this address, or of this customer to move to another."""
    return list(MailRequest.objects.filter(Q(email_key=email_key(email)) | Q(customer=customer_id)).order_by("pk"))


def owner_of(*, request: MailRequest) -> Customer | None:
    """The customer whom the request is about: whoever has its address now, or is to get it."""
    if request.customer_id is None:
        return customer_by_email(email=request.email_key)
    owner = Customer.objects.filter(pk=request.customer_id, erased_at=None, blocked_at=None).first()
    return owner if owner is not None and email_key(owner.new_email) == request.email_key else None


def former_address(*, request_id: int) -> Row:
    """The address from which an account is to move, or has moved. AccountNotFound when somebody has taken that back."""
    request = MailRequest.objects.select_related("customer").filter(pk=request_id, customer__erased_at=None).first()
    if request is None or request.customer is None:
        raise AccountNotFound("There is nobody to tell.")
    return row_of(customer=request.customer) | {"email": request.moves_from}


def mailed_lately(*, request: MailRequest) -> int:
    """How many other mails of this purpose the address has got within an hour."""
    others = MailRequest.objects.filter(purpose=request.purpose, email_key=request.email_key).exclude(pk=request.pk)
    return others.filter(created_at__gt=Now() - HOUR).exclude(digest=None).count()


def live_requests(*, purpose: MailRequest.Purpose) -> QuerySet[MailRequest]:
    """The requests whose secrets are good: not used, and not expired."""
    return MailRequest.objects.filter(purpose=purpose, used_at=None, expires_at__gt=Now())


def request_with(*, purpose: MailRequest.Purpose, secret: str) -> MailRequest | None:
    """The request that this secret is good for."""
    return live_requests(purpose=purpose).filter(digest=digest(secret)).first()


class BadSecret(InvalidRequest):
    """Somebody guessed. The answer looks like that for any other bad field."""


def bad_secret() -> BadSecret:
    sentence = "This token is invalid or has expired."
    return BadSecret(f"token: {sentence}", token=[sentence])
