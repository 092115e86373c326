"""Logging in and what follows from it: slow hashing and signing, and the transactions between them.

Every rejected login gets the same words after the same work, so that answers do not reveal which addresses exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from contexts.customers import selectors, services
from contexts.customers.domain import email_key
from contexts.customers.models import Customer, MailRequest, TokenFamily
from contexts.customers.public.contracts import EmailNotVerified
from contexts.customers.selectors import Row
from eci.errors import IdempotencyKeyReused, InvalidRequest, NotAuthenticated
from eci.identity import second_factor, tokens
from eci.identity.names import staff_named
from eci.identity.passwords import Impersonal, hash_password, matches
from eci.identity.second_factor import SecondFactorRequired
from eci.identity.tokens import Claims

_IMPERSONAL = Impersonal()


@dataclass(frozen=True, kw_only=True)
class Login:
    """``refresh`` is shown once, and kept as a digest."""

    claims: Claims
    access: str
    refresh: str


def require_same_password(*, customer_id: int, password: str) -> None:
    """Does a repeated registration bring the password of the first one? IdempotencyKeyReused if not."""
    if not matches(password, selectors.password_of(customer_id=customer_id)):
        raise IdempotencyKeyReused("This idempotency key was used for a different request.")


def require_impersonal(*, password: str, email: str, full_name: str, field: str = "password") -> None:
    """InvalidRequest for a password that is much like the person's own name or address. Open mode takes any."""
    if settings.ECI_OPEN:
        return
    try:
        _IMPERSONAL.validate(password, Customer(email=email, full_name=full_name))
    except ValidationError as error:
        raise InvalidRequest(f"{field}: {error.messages[0]}", **{field: error.messages}) from None


def log_in(*, email: str, password: str) -> Login:
    """NotAuthenticated; EmailNotVerified, but only after the right password."""
    customer = selectors.customer_by_email(email=email)
    if not matches(password, customer.password if customer else None) or customer is None:
        raise _wrong_credentials()
    if settings.ECI_VERIFY_EMAIL and customer.email_verified_at is None:
        raise EmailNotVerified("Please confirm your e-mail address first: we have sent you a mail.")
    return _login(*services.open_family(customer_id=customer.pk))


def log_in_staff(*, email: str, password: str, otp: str = "") -> Login:
    """NotAuthenticated; SecondFactorRequired, but only after the right password."""
    user = staff_named(email)
    if not matches(password, user.password if user else None) or user is None:
        raise _wrong_credentials()
    if second_factor.is_due(user):
        _require_code(user, otp)
    return _login(*services.open_family(staff_id=user.pk, staff_stamp=selectors.staff_stamp(user=user)))


def _require_code(user: User, otp: str) -> None:
    if second_factor.device_id(user) is None:
        raise SecondFactorRequired("Staff sign in with a second factor here. Set yours up at /admin/ first.")
    if not otp:
        raise SecondFactorRequired("This account signs in with a second factor: send its code as otp.")
    if not second_factor.check(user, otp):
        raise NotAuthenticated("This code is wrong, or it was used already. Wait for the next one.")


def refresh(*, token: str, key: str) -> Login:
    """NotAuthenticated, also for a token that was used before: see ``services.exchange_token``."""
    successor = services.exchange_token(token=token, key=key)
    found = selectors.refresh_token(token=token) if successor else None
    if successor is None or found is None:
        raise NotAuthenticated("This refresh token is invalid or has expired. Please log in again.")
    return _login(found.family, successor)


def _login(family: TokenFamily, refresh_token: str) -> Login:
    claims = selectors.claims_of(family=family)
    if claims is None:
        raise NotAuthenticated(
            "This login has ended: the account, its password or its second factor has changed. Please log in again; "
            "where staff must have a second factor, set one up at /admin/ first."
        )
    return Login(claims=claims, access=tokens.issue(claims), refresh=refresh_token)


def _wrong_credentials() -> NotAuthenticated:
    return NotAuthenticated("E-mail address or password is wrong.")


def change_password(*, customer_id: int, current: str, new: str) -> Login:
    """End every login, and give the caller a new one. InvalidRequest without the current password, WrongPassword."""
    before = _confirmed(customer_id, current)
    row = selectors.customer(customer_id=customer_id)
    require_impersonal(password=new, email=row["email"], full_name=row["full_name"], field="new_password")
    if not services.change_password(customer_id=customer_id, before=before, after=hash_password(new)):
        raise _wrong_current()
    return _login(*services.open_family(customer_id=customer_id))


def change_own(
    *,
    customer_id: int,
    actor: str,
    session: str,
    current_password: str,
    changes: dict[str, Any],
    version: int | None = None,
) -> Row:
    """As ``services.update_customer``. A new address needs the password, because a new password can be mailed there.

    InvalidRequest without the password, WrongPassword.
    """
    email = changes.get("email")
    if email is not None and email_key(email) != email_key(selectors.customer(customer_id=customer_id)["email"]):
        _confirmed(customer_id, current_password)
    return services.update_customer(
        customer_id=customer_id, actor=actor, version=version, is_blocked=None, session=session, **changes
    )


def erase_own(*, customer_id: int, actor: str, session: str, current_password: str) -> None:
    """As ``services.erase_customer``. A stolen token is not enough: it takes the password, or a fresh login.

    InvalidRequest without either, WrongPassword.
    """
    if current_password or not selectors.is_fresh_login(session=session):
        _confirmed(customer_id, current_password)
    services.erase_customer(customer_id=customer_id, actor=actor)


class WrongPassword(InvalidRequest):
    """Somebody guessed. The answer looks like that for any other bad field."""


def _confirmed(customer_id: int, password: str) -> str:
    """The customer's hash, which ``password`` has just matched."""
    if not password:
        sentence = "Please give your current password."
        raise InvalidRequest(f"current_password: {sentence}", current_password=[sentence])
    encoded = selectors.password_of(customer_id=customer_id)
    if not matches(password, encoded):
        raise _wrong_current()
    return encoded


def _wrong_current() -> WrongPassword:
    sentence = "This is not your current password."
    return WrongPassword(f"current_password: {sentence}", current_password=[sentence])


def reset_password(*, secret: str, password: str) -> None:
    """See ``services.reset_password``. A bad secret is rejected before the slow hashing."""
    request = selectors.request_with(purpose=MailRequest.Purpose.PASSWORD_RESET, secret=secret)
    owner = selectors.owner_of(request=request) if request else None
    if owner is None:
        raise selectors.bad_secret()
    require_impersonal(password=password, email=owner.email, full_name=owner.full_name, field="new_password")
    services.reset_password(secret=secret, password_hash=hash_password(password))
