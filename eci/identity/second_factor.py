"""The second factor of staff: codes of an authenticator app (TOTP), and recovery codes for when the phone is lost.

A login with a password, at the admin and at ``POST /v1/staff/token``, asks for a code where ``is_due`` says so. Each
code works once. A session and a chain of tokens belong to the device that the account had when they began
(``device_id``): with another device, or none, they end.

Accounts of machines (group ``services``) have none: nobody reads codes off a phone for them. They have no session,
and their passwords are long and made by chance.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DEFAULT_DB_ALIAS
from django.db.models import OuterRef, QuerySet, Subquery
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp.util import random_hex

from eci import trail
from eci.db import locked, unit_of_work
from eci.errors import EciError
from eci.identity.auth import staff_name, staff_roles
from eci.identity.locks import Lock, times_locked
from eci.identity.roles import Role, Roles

OFF, OPTIONAL, REQUIRED = "off", "optional", "required"
RECOVERY_CODES = 10
_DEVICE, _LOCKS = "device_of_second_factor", "times_locked"  # with which ``with_device`` annotates accounts
_RECOVERY_LENGTH = 16  # letters and digits of base 32: 80 bits, which nobody finds out from a digest


class SecondFactorRequired(EciError):
    """The password was right, and a code is missing: send the request again with ``otp``."""

    status = 401
    code = "second_factor_required"


# -- what an account has and needs ------------------------------------------------------------------------------------


def is_on() -> bool:
    return bool(settings.ECI_STAFF_2FA != OFF)


def device_id(user: User) -> int | None:
    """The device with which the account signs in. None without one, and where second factors are off."""
    if not is_on():
        return None
    if _DEVICE in vars(user):
        annotated: int | None = vars(user)[_DEVICE]
        return annotated
    device: int | None = _devices(user).values_list("pk", flat=True).first()
    return device


def with_device(users: QuerySet[User]) -> QuerySet[User]:
    """The accounts with their devices and how often each was locked, for ``stamp``, in one statement."""
    devices = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True).order_by("pk").values("pk")
    locks = Lock.objects.filter(pk=OuterRef("pk")).values("times")
    return users.annotate(**{_DEVICE: Subquery(devices[:1]), _LOCKS: Subquery(locks)})


def stamp(user: User) -> str:
    """A value that changes with the account's password and device, and whenever it is locked. A login that began with
    another one has ended."""
    device, password = device_id(user), str(user.get_session_auth_hash())
    locks = vars(user)[_LOCKS] if _LOCKS in vars(user) else times_locked(user)
    if device is None and not locks:
        return password
    parts = f"{password}:{device}:{locks}" if locks else f"{password}:{device}"
    return hashlib.sha256(parts.encode()).hexdigest()


def is_missing(*, device: int | None, roles: Roles) -> bool:
    """Whether an account with these roles must have a device, and has none."""
    return bool(settings.ECI_STAFF_2FA == REQUIRED) and device is None and Role.SERVICE not in roles


def is_due(user: User) -> bool:
    """Whether the password alone lets the account in nowhere."""
    device, roles = device_id(user), staff_roles(user)
    return Role.SERVICE not in roles and (device is not None or is_missing(device=device, roles=roles))


# -- codes ------------------------------------------------------------------------------------------------------------


def check(user: User, code: str) -> bool:
    """Whether this is a code of the account's device, or one of its recovery codes. It does not work a second time.

    After each wrong code the device takes none for a while, wherever the next comes from: 1 s, 2 s, 4 s, and so on.
    Recovery codes cannot be guessed, so that they end the waiting.
    """
    code = "".join(code.split()).replace("-", "").upper()
    with unit_of_work(DEFAULT_DB_ALIAS):
        device = locked(_devices(user)).first()
        if device is None:
            return False
        if len(code) != _RECOVERY_LENGTH:
            return code.isascii() and bool(device.verify_token(code))
        used, _ = StaticToken.objects.filter(device__user=user, token=_digest(code)).delete()
        if used:
            device.throttle_reset()
            record(user, "recovery code used")
        return bool(used)


def recovery_codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


def new_recovery_codes(user: User) -> list[str]:
    """Ten codes in place of all earlier ones. They are shown once: the database has their digests."""
    codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
    with unit_of_work(DEFAULT_DB_ALIAS):
        StaticDevice.objects.filter(user=user).delete()
        kept = StaticDevice.objects.create(user=user, name="recovery codes")
        StaticToken.objects.bulk_create(StaticToken(device=kept, token=_digest(code)) for code in codes)
    return ["-".join(code[part : part + 4].lower() for part in range(0, _RECOVERY_LENGTH, 4)) for code in codes]


def _digest(code: str) -> str:
    """As much of it as the library's column holds: 96 bits."""
    return base64.b64encode(hashlib.sha256(code.encode()).digest()[:12]).decode()


# -- the device -------------------------------------------------------------------------------------------------------


def new_key() -> str:
    return str(random_hex(20))


def address_of(user: User, key: str) -> str:
    """What the QR code tells the authenticator app: ``otpauth://totp/…``."""
    return str(TOTPDevice(user=user, key=key).config_url)


def secret_of(key: str) -> str:
    """The key as people type it into an app, in groups of four."""
    text = base64.b32encode(bytes.fromhex(key)).decode()
    return " ".join(text[part : part + 4] for part in range(0, len(text), 4))


def confirm(user: User, key: str, code: str) -> list[str] | None:
    """If the code is of the key, make that the account's device in place of an earlier one. Recovery codes, or None."""
    clock = TOTP(bytes.fromhex(key))
    code = "".join(code.split())
    if not (code.isascii() and code.isdigit() and len(code) == clock.digits and clock.verify(int(code), tolerance=1)):
        return None
    with unit_of_work(DEFAULT_DB_ALIAS):
        locked(User.objects.filter(pk=user.pk)).get()  # whoever sends the form twice has one device all the same
        TOTPDevice.objects.filter(user=user).delete()
        TOTPDevice.objects.create(user=user, name="authenticator app", key=key, last_t=clock.t(), drift=clock.drift)
        return new_recovery_codes(user)


def remove(user: User) -> bool:
    """Take device and recovery codes away, inside the unit of work that records it. Whether there was a device."""
    removed, _ = TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    return bool(removed)


def record(user: User, action: str, *, actor: str = "") -> None:
    """A line in the trail of staff's accounts; without ``actor`` of what its owner did."""
    trail.record("staff", actor=actor or staff_name(user), action=action, thing=f"account:{user.pk}")


def _devices(user: User) -> Any:
    return TOTPDevice.objects.filter(user=user, confirmed=True)
