"""Customers' writes, each one transaction on its database: people, logins, passwords and mailed secrets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Cast, Coalesce, Concat, Now

from contexts.customers import selectors
from contexts.customers.domain import (
    FAMILY_LIFETIME,
    MOVES,
    REPLAYABLE,
    RESET_LIFETIME,
    RESETS,
    VERIFICATION_LIFETIME,
    customer_account,
    digest,
    email_key,
    name_key,
    new_secret,
    successor_of,
)
from contexts.customers.models import Address, Customer, MailRequest, RefreshToken, TokenFamily
from contexts.customers.public.contracts import AccountNotFound, DuplicateEmail, EnoughMails
from contexts.customers.public.events import (
    CustomerErased,
    EmailChangeRequested,
    EmailVerificationRequested,
    PasswordChanged,
    PasswordResetRequested,
    RefreshTokenReused,
)
from contexts.customers.selectors import ADDRESS_FIELDS, Row
from eci import erasure, idempotency, trail
from eci import metadata as labels
from eci.clock import utcnow
from eci.db import Stale, after_commit, locked, writes
from eci.errors import PreconditionFailed
from eci.identity.passwords import NO_PASSWORD
from eci.imports import asking
from eci.outbox import deliver_after_commit, emit
from eci.watch.requests import logger

log = logger(__name__)

_NOT_IN_TRAIL = ("created_at", "updated_at", "version")


# -- people -----------------------------------------------------------------------------------------------------------


@writes("customers")
def register_customer(*, email: str, full_name: str, password_hash: str, phone: str = "") -> Row:
    """The new customer's row. DuplicateEmail."""
    now = utcnow()
    try:
        customer = Customer.objects.create(
            email=email,
            email_key=email_key(email),
            full_name=full_name,
            name_key=name_key(full_name),
            phone=phone,
            password=password_hash,
            created_at=now,
            updated_at=now,
        )
    except IntegrityError:
        raise _duplicate() from None
    if settings.ECI_VERIFY_EMAIL:
        _request_verification(customer.email_key)
    return selectors.row_of(customer=customer)


@writes("customers")
def update_customer(
    *,
    customer_id: int,
    actor: str,
    version: int | None = None,
    is_blocked: bool | None = None,
    session: str = "",
    metadata: Mapping[str, str | None] | None = None,
    replace_metadata: bool = False,
    **given: str,
) -> Row:
    """The row after the changes. ``given``: any of email, full_name, phone. Metadata is merged into what is kept,
    unless it is to replace it.

    A new address counts once the link that is mailed to it is followed (``verify_email``); ``session``: the login that
    then goes on. The address of now takes that back. Blocking a customer ends all their logins. CustomerNotFound,
    DuplicateEmail; PreconditionFailed when the customer has another ``version``; InvalidRequest for too much metadata.
    """
    customer = locked(Customer.objects.filter(pk=customer_id, erased_at=None)).first()
    if customer is None:
        raise selectors.not_found(customer_id=customer_id)
    if version not in (None, customer.version):
        raise PreconditionFailed("This customer has changed meanwhile.", version=customer.version)
    changes: dict[str, Any] = {field: value for field, value in given.items() if value != getattr(customer, field)}
    if "full_name" in changes:
        changes["name_key"] = name_key(changes["full_name"])
    new_email = given.get("email", "")
    if new_email and email_key(new_email) != customer.email_key:
        changes |= {"new_email": new_email}
        del changes["email"]
        _request_move(customer, new_email, session=session)
    elif new_email and customer.new_email:
        changes |= {"new_email": ""}
        _void_moves(customer_id)
    if is_blocked is not None and is_blocked != (customer.blocked_at is not None):
        changes["blocked_at"] = Now() if is_blocked else None
    if metadata is not None:
        kept = labels.merged(None if replace_metadata else customer.metadata, metadata)
        changes |= {"metadata": kept} if kept != customer.metadata else {}
    if not changes:
        return selectors.row_of(customer=customer)
    Customer.objects.filter(pk=customer_id).update(**changes, updated_at=utcnow(), version=F("version") + 1)
    if is_blocked:
        _end_families(customer_id)
    row = selectors.customer(customer_id=customer_id)
    _keep_trail("changed", customer_id, actor=actor, before=selectors.row_of(customer=customer), after=row)
    return row


@writes("customers")
def add_address(*, customer_id: int, actor: str, **fields: str) -> Row:
    """The new address's row. CustomerNotFound."""
    if not locked(Customer.objects.filter(pk=customer_id, erased_at=None)):  # erasing waits, then deletes it too
        raise selectors.not_found(customer_id=customer_id)
    now = utcnow()
    address = Address.objects.create(customer_id=customer_id, created_at=now, updated_at=now, **fields)
    row = {field: getattr(address, field) for field in ADDRESS_FIELDS}
    _keep_trail("address added", customer_id, actor=actor, after=row)
    return row


@writes("customers")
def update_address(*, customer_id: int, actor: str, address_id: int, **changes: str) -> Row:
    """The address's row after the changes. NotFound."""
    before = selectors.address(customer_id=customer_id, address_id=address_id)
    if not changes:
        return before
    Address.objects.filter(pk=address_id, customer_id=customer_id).update(**changes, updated_at=utcnow())
    after = selectors.address(customer_id=customer_id, address_id=address_id)
    _keep_trail("address changed", customer_id, actor=actor, before=before, after=after)
    return after


@writes("customers")
def delete_address(*, customer_id: int, actor: str, address_id: int) -> None:
    """Remove the address. NotFound."""
    before = selectors.address(customer_id=customer_id, address_id=address_id)
    Address.objects.filter(pk=address_id, customer_id=customer_id).delete()
    _keep_trail("address removed", customer_id, actor=actor, before=before)


def _keep_trail(
    action: str, customer_id: int, *, actor: str, before: Row | None = None, after: Row | None = None
) -> None:
    """All lines about a person are about the customer, so that they can be erased together."""
    sides = [{field: row[field] for field in row if field not in _NOT_IN_TRAIL} for row in (before or {}, after or {})]
    trail.record(
        "customers", actor=actor, action=action, thing=customer_account(customer_id), before=sides[0], after=sides[1]
    )


@writes("customers")
def record_export(*, actor: str, filters: Mapping[str, str]) -> None:
    """Keep who took all customers' data, and which."""
    trail.record("customers", actor=actor, action="exported", thing="customers", after=filters)


def _duplicate() -> DuplicateEmail:
    return DuplicateEmail("There already is a customer with this e-mail address.")


@writes("customers")
def erase_customer(*, customer_id: int, actor: str) -> None:
    """Forget the person, and announce it. Only the id stays, because orders refer to it. CustomerNotFound."""
    if not _erase(customer_ids=[customer_id], actor=actor):
        raise selectors.not_found(customer_id=customer_id)


def _erase(*, customer_ids: Collection[int], actor: str) -> int:
    """Forget these people. Returns how many had not been forgotten before."""
    people = {
        one.pk: one for one in locked(Customer.objects.filter(pk__in=customer_ids, erased_at=None).order_by("pk"))
    }
    if not people:
        return 0
    Customer.objects.filter(pk__in=people).update(
        email="",
        email_key=Concat(Value("erased:"), Cast("pk", CharField())),
        new_email="",
        full_name="",
        name_key="",
        phone="",
        metadata=None,
        password=NO_PASSWORD,
        email_verified_at=None,
        erased_at=Now(),
        updated_at=utcnow(),
        version=F("version") + 1,
    )
    emails = {one.email_key: one.email for one in people.values()}
    MailRequest.objects.filter(Q(email_key__in=emails) | Q(customer__in=people)).delete()
    Address.objects.filter(customer_id__in=people).delete()
    TokenFamily.objects.filter(customer_id__in=people).delete()
    things = [customer_account(customer_id) for customer_id in people]
    trail.erase("customers", things=things)
    asking.forget("customers", kind="customers", words=emails)
    trail.record_all("customers", actor=actor, action="erased", lines=[(thing, {}, {}) for thing in things])
    for endpoint in ("customers.register", "customers.add_address"):
        idempotency.erase("customers", endpoint=endpoint, resources=list(map(str, people)))
    digests = {customer_id: erasure.email_digest(one.email) for customer_id, one in people.items()}
    emit("customers", *[CustomerErased(version=1, customer_id=pk, email_digest=of) for pk, of in digests.items()])
    for customer_id, thing in zip(people, things, strict=True):
        deliver_after_commit("customers", str(customer_id))
        after_commit("customers", partial(log.info, "customer_erased", subject=thing))
    return len(people)


# -- many at once -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What one row does to a customer. ``changes``: field -> old and new value; nothing old for a new customer."""

    is_new: bool
    changes: Mapping[str, tuple[Any, Any]]
    refusal: str = ""


_OF_ROWS = ("full_name", "phone")


def plan_customers(*, rows: Sequence[Row]) -> list[Planned]:
    """What ``write_customers`` would do. It writes and locks nothing."""
    found = {one.email_key: one for one in Customer.objects.filter(email_key__in=_keys(rows))}
    return [_plan(found.get(email_key(row["email"])), row) for row in rows]


@writes("customers")
def write_customers(*, rows: Sequence[Row], actor: str) -> list[Planned]:
    """Register or change the customer of each row, which has an ``email`` and any of full_name, phone; no address comes
    twice. Who is new has no password and gets no mail. Rows that are refused have no effect."""
    found = {one.email_key: one for one in locked(Customer.objects.filter(email_key__in=_keys(rows)).order_by("pk"))}
    now = utcnow()
    plans, new, changed = [], [], []
    lines: list[tuple[str, Row, Row]] = []
    for row in rows:
        customer = found.get(email_key(row["email"]))
        plan = _plan(customer, row)
        plans.append(plan)
        if plan.refusal or not plan.changes:
            continue
        if customer is None:
            said = {name: value for name, (_, value) in plan.changes.items()}
            key = email_key(row["email"])
            new.append(Customer(email_key=key, password=NO_PASSWORD, created_at=now, updated_at=now, **said))
            new[-1].name_key = name_key(new[-1].full_name)
            continue
        for name, (_, value) in plan.changes.items():
            setattr(customer, name, value)
        customer.name_key, customer.updated_at = name_key(customer.full_name), now
        customer.version += 1
        changed.append(customer)
        old, after = ({name: pair[side] for name, pair in plan.changes.items()} for side in (0, 1))
        lines.append((customer_account(customer.pk), old, after))
    try:
        Customer.objects.bulk_create(new)
    except IntegrityError:  # somebody has registered one of them meanwhile
        raise Stale from None
    Customer.objects.bulk_update(changed, [*_OF_ROWS, "name_key", "updated_at", "version"], batch_size=100)
    made: list[tuple[str, Row, Row]] = [
        (customer_account(one.pk), {}, {"email": one.email, "full_name": one.full_name}) for one in new
    ]
    trail.record_all("customers", actor=actor, action="created", lines=made)
    trail.record_all("customers", actor=actor, action="changed", lines=lines)
    return plans


def _keys(rows: Sequence[Row]) -> set[str]:
    return {email_key(row["email"]) for row in rows}


def _plan(customer: Customer | None, row: Row) -> Planned:
    said = {name: row[name] for name in _OF_ROWS if row.get(name) is not None}
    if customer is None:
        if not said.get("full_name"):
            refusal = "full_name: Nobody has this address, and a new customer needs a name."
            return Planned(is_new=True, changes={}, refusal=refusal)
        new = {"email": row["email"], **said}
        return Planned(is_new=True, changes={name: (None, value) for name, value in new.items()})
    if said.get("full_name") == "":
        return Planned(is_new=False, changes={}, refusal="full_name: This is blank.")
    changes = {name: (getattr(customer, name), value) for name, value in said.items()}
    return Planned(is_new=False, changes={name: pair for name, pair in changes.items() if pair[0] != pair[1]})


@writes("customers")
def restore_customers(
    *, done: Sequence[tuple[str, Mapping[str, tuple[Any, Any]]]], tied: Collection[int], actor: str
) -> list[str]:
    """Take back changes, each an ``email_key`` and what ``Planned.changes`` said; who was new is erased.

    ``tied``: the ids of people to whom something in another context belongs. Returns for each why it stays as it is, or
    "": somebody has changed it since, the person has logged in, or is one of those.
    """
    keys = [key for key, _ in done]
    found = {one.email_key: one for one in locked(Customer.objects.filter(email_key__in=keys).order_by("pk"))}
    ids = [one.pk for one in found.values()]
    active = set(TokenFamily.objects.filter(customer__in=ids).values_list("customer_id", flat=True))
    active |= set(Address.objects.filter(customer__in=ids).values_list("customer_id", flat=True))
    why: list[str] = []
    new: list[int] = []
    rows: dict[int, Row] = {}
    for number, (key, changes) in enumerate(done):
        customer = found.get(key)
        if customer is None:
            why.append("nobody has this address any more")
            continue
        since = [name for name, (_, new) in changes.items() if getattr(customer, name) != new]
        if all(old is None for old, _ in changes.values()):
            used = customer.pk in active or customer.version > 1 or customer.password != NO_PASSWORD
            changed = "the person has used the account, or somebody has changed it since" if used or since else ""
            why.append("the person has an order or a payment" if customer.pk in tied else changed)
            if not why[-1]:
                new.append(customer.pk)
            continue
        back = {name: old for name, (old, _) in changes.items() if name not in since}
        rows[number] = {"email": customer.email} | back
        why.append(f"somebody has changed it since: {', '.join(since)}" if since else "")
    _erase(customer_ids=new, actor=actor)
    for number, plan in zip(rows, write_customers(rows=list(rows.values()), actor=actor), strict=True):
        if plan.refusal:
            why[number] = f"it cannot be as it was: {plan.refusal}"
    return why


# -- logins -----------------------------------------------------------------------------------------------------------


@writes("customers")
def open_family(
    *, customer_id: int | None = None, staff_id: int | None = None, staff_stamp: str = ""
) -> tuple[TokenFamily, str]:
    """Begin a login. Returns it with its first refresh token."""
    family = TokenFamily.objects.create(
        customer_id=customer_id, staff_id=staff_id, staff_stamp=staff_stamp, expires_at=Now() + FAMILY_LIFETIME
    )
    token = new_secret()
    RefreshToken.objects.create(family=family, digest=digest(token))
    return family, token


@writes("customers")
def exchange_token(*, token: str, key: str) -> str | None:
    """Use up a refresh token. Returns the one that follows it, or None when the token is invalid or has expired.

    1. The first use returns a successor, and remembers it and the idempotency key as digests.
    2. A client that lost the answer gets the same successor again: with the same key, which a thief of the token does
       not have, within ``REPLAYABLE``, and before the successor is used. So the chain never forks.
    3. Any other second use means that somebody has a copy of the token: the whole family ends, which is announced.
    """
    used = selectors.refresh_token(token=token)
    if used is None or not selectors.live_families().filter(pk=used.family_id).exists():
        return None
    successor = successor_of(token, key=key, pepper=settings.SECRET_KEY)
    mine = RefreshToken.objects.filter(pk=used.pk)
    if used.used_at is None:
        changes = {"used_at": Now(), "used_key": digest(key) if key else "", "successor": digest(successor)}
        if not mine.filter(used_at=None).update(**changes):
            raise Stale
        RefreshToken.objects.create(family=used.family, digest=digest(successor))
        return successor
    again = mine.filter(used_key=digest(key), used_at__gt=Now() - REPLAYABLE, successor=digest(successor))
    unused = RefreshToken.objects.filter(digest=digest(successor), used_at=None)
    if key and again.exists() and unused.exists():
        return successor
    _end_stolen(used.family)
    return None


def _end_stolen(family: TokenFamily) -> None:
    if TokenFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=Now()):
        emit("customers", RefreshTokenReused(version=1, account=family.account, family_id=family.pk))


@writes("customers")
def end_family(*, token: str) -> None:
    """Log out: end the login that the refresh token stems from, if there is one."""
    TokenFamily.objects.filter(tokens__digest=digest(token), revoked_at=None).update(revoked_at=Now())


@writes("customers")
def end_families(*, customer_id: int) -> int:
    """Log the customer out everywhere. Returns how many logins that ended."""
    return _end_families(customer_id)


def _end_families(customer_id: int, *, besides: int | None = None) -> int:
    ended = TokenFamily.objects.filter(customer_id=customer_id, revoked_at=None).exclude(pk=besides or 0)
    return ended.update(revoked_at=Now())


@writes("customers")
def forget_ended_logins(*, keep: timedelta) -> None:
    """Delete logins, and requests of mails, that expired longer ago than ``keep``."""
    limit = Now() - keep
    TokenFamily.objects.filter(expires_at__lt=limit).delete()
    MailRequest.objects.filter(expires_at__lt=limit).delete()


# -- passwords and mailed secrets -------------------------------------------------------------------------------------


@writes("customers")
def change_password(*, customer_id: int, before: str, after: str) -> bool:
    """Replace the hash ``before`` by ``after``, and end every login. False when ``before`` is not the hash any more."""
    unchanged = Customer.objects.filter(pk=customer_id, password=before, erased_at=None, blocked_at=None)
    new = {"password": after, "password_version": F("password_version") + 1, "version": F("version") + 1}
    if not unchanged.update(**new, new_email="", updated_at=utcnow()):
        return False
    _after_new_password(customer_id)
    return True


def _after_new_password(customer_id: int) -> None:
    """Whoever knew the old one may have begun to move the account away: that is off, too."""
    _end_families(customer_id)
    _void_moves(customer_id)
    version = Customer.objects.values_list("password_version", flat=True).get(pk=customer_id)
    emit("customers", PasswordChanged(version=version, account=customer_account(customer_id)))


@writes("customers")
def request_password_reset(*, email: str) -> None:
    """Record and announce the request, without looking up whether anybody has the address."""
    request = MailRequest.objects.create(
        purpose=MailRequest.Purpose.PASSWORD_RESET,
        email_key=email_key(email),
        expires_at=Now() + RESET_LIFETIME,
    )
    emit("customers", PasswordResetRequested(version=1, request_id=request.pk))


def _request_verification(key: str) -> None:
    request = MailRequest.objects.create(
        purpose=MailRequest.Purpose.EMAIL_VERIFICATION, email_key=key, expires_at=Now() + VERIFICATION_LIFETIME
    )
    emit("customers", EmailVerificationRequested(version=1, request_id=request.pk))


def _request_move(customer: Customer, new_email: str, *, session: str) -> None:
    """Ask the new address, and tell the one of now. An earlier question is void."""
    if selectors.email_taken(email=new_email, besides=customer.pk):
        raise _duplicate()
    _void_moves(customer.pk)
    request = MailRequest.objects.create(
        purpose=MailRequest.Purpose.EMAIL_CHANGE,
        email_key=email_key(new_email),
        customer=customer,
        moves_from=customer.email,
        asked_in=int(session) if session else None,
        expires_at=Now() + VERIFICATION_LIFETIME,
    )
    emit("customers", EmailChangeRequested(version=1, request_id=request.pk))


def _void_moves(customer_id: int) -> None:
    """The rows stay for a while, because mails are counted by them."""
    MailRequest.objects.filter(customer=customer_id, used_at=None).update(expires_at=Now())


_MAILS_AN_HOUR = {MailRequest.Purpose.PASSWORD_RESET: RESETS, MailRequest.Purpose.EMAIL_CHANGE: MOVES}


@writes("customers")
def issue_secret(*, request_id: int) -> tuple[Row, str]:
    """Make the secret of a mail; see ``Customers.new_secret``. AccountNotFound, EnoughMails.

    Returns it after the customer's row, which has the address that the mail goes to.
    """
    requests = MailRequest.objects.filter(pk=request_id, used_at=None, expires_at__gt=Now())
    request = requests.first()
    customer = selectors.owner_of(request=request) if request else None
    if request is None or customer is None or not locked(Customer.objects.filter(pk=customer.pk)):
        raise AccountNotFound("There is nobody to send this mail to.")
    limit = _MAILS_AN_HOUR.get(MailRequest.Purpose(request.purpose))
    if limit is not None and selectors.mailed_lately(request=request) >= limit:
        raise EnoughMails("This address has had enough of these mails for an hour.")
    secret = new_secret()
    requests.update(digest=digest(secret))
    row = selectors.row_of(customer=customer)
    if request.customer_id is not None:
        row |= {"email": customer.new_email, "email_verified_at": None}
    return row, secret


@writes("customers")
def reset_password(*, secret: str, password_hash: str) -> None:
    """Set the password of the customer who got the mail. Their address is now verified, and every login of theirs ends.

    InvalidRequest when the secret is unknown, used or expired.
    """
    customer = _redeem(MailRequest.Purpose.PASSWORD_RESET, secret)
    found = Customer.objects.filter(pk=customer.pk, erased_at=None)
    new = {"password": password_hash, "password_version": F("password_version") + 1, "version": F("version") + 1}
    if not found.update(**new, new_email="", updated_at=utcnow()):
        raise selectors.bad_secret()
    _after_new_password(customer.pk)
    MailRequest.objects.filter(purpose=MailRequest.Purpose.PASSWORD_RESET, email_key=customer.email_key).update(
        used_at=Coalesce("used_at", Now())
    )


@writes("customers")
def verify_email(*, secret: str) -> None:
    """Mark the address that got the mail as verified; an account that was to move there has moved.

    InvalidRequest when the secret is unknown, used or expired; DuplicateEmail when somebody has taken the address.
    """
    if selectors.request_with(purpose=MailRequest.Purpose.EMAIL_CHANGE, secret=secret):
        _move(secret)
    else:
        _redeem(MailRequest.Purpose.EMAIL_VERIFICATION, secret)


def _move(secret: str) -> None:
    """Give the account its new address, and end every login but the one that asked. The old address's secrets go."""
    request, customer = _used(MailRequest.Purpose.EMAIL_CHANGE, secret)
    try:
        Customer.objects.filter(pk=customer.pk).update(
            email=customer.new_email,
            email_key=request.email_key,
            new_email="",
            email_verified_at=Now(),
            updated_at=utcnow(),
            version=F("version") + 1,
        )
    except IntegrityError:
        raise _duplicate() from None
    MailRequest.objects.filter(email_key=customer.email_key, customer=None).delete()
    _end_families(customer.pk, besides=request.asked_in)
    after_commit("customers", partial(log.info, "customer_moved", subject=customer_account(customer.pk)))


def _redeem(purpose: MailRequest.Purpose, secret: str) -> Customer:
    _, customer = _used(purpose, secret)
    Customer.objects.filter(pk=customer.pk, email_verified_at=None).update(
        email_verified_at=Now(), version=F("version") + 1
    )
    return customer


def _used(purpose: MailRequest.Purpose, secret: str) -> tuple[MailRequest, Customer]:
    """Use the secret up. InvalidRequest when it is not good, or nobody is there for it."""
    request = selectors.request_with(purpose=purpose, secret=secret)
    customer = selectors.owner_of(request=request) if request else None
    if request is None or customer is None or not locked(Customer.objects.filter(pk=customer.pk)):
        raise selectors.bad_secret()
    if not selectors.live_requests(purpose=purpose).filter(pk=request.pk).update(used_at=Now()):  # it is void by now
        raise selectors.bad_secret()
    return request, customer
