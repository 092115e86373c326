"""Staff accounts: the first administrator, one account for an address, and no default password anywhere."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS

from config.staff import demo
from config.staff.groups import make_groups
from eci import text, trail
from eci.db import unit_of_work
from eci.identity.auth import command_name, staff_name
from eci.identity.roles import GROUPS, Role

ONE_TIME_ADMIN = "admin@localhost"
ONE_TIME_PASSWORD = "admin_password"  # noqa: S105 - a file's name
MACHINES = next(group for group, role in GROUPS.items() if role is Role.SERVICE)
ONLY_A_MACHINE = f"An account in {MACHINES} is a machine's: it is in no other group, and no administrator's."


def prepare() -> None:
    """Make groups and the first administrator where they are missing; quick when nothing is. CommandError."""
    make_groups()
    free_demo_address()
    if not settings.ECI_OPEN:
        lock_demo_login()
    make_first_admin()


def lock_demo_login() -> None:
    """Disable the demo's well-known password, which data from open mode may still have."""
    login = User.objects.filter(username=demo.USERNAME).first()
    if login is not None and login.check_password(demo.PASSWORD):
        login.set_unusable_password()
        login.save(update_fields=["password"])


def free_demo_address() -> None:
    """The demo's login has no address: one that it was given once may be an administrator's."""
    login = User.objects.filter(username=demo.USERNAME, email__iexact=demo.ADDRESS).first()
    if login is not None and (not login.has_usable_password() or login.check_password(demo.PASSWORD)):
        login.email = ""
        login.save(update_fields=["email"])


def make_first_admin() -> None:
    """Make it from ECI_ADMIN_EMAIL and ECI_ADMIN_PASSWORD, unless the address has an account. CommandError."""
    email, password = settings.ECI_ADMIN_EMAIL, settings.ECI_ADMIN_PASSWORD
    if not email and not password:
        return
    if not email or not password:
        raise CommandError("ECI_ADMIN_EMAIL and ECI_ADMIN_PASSWORD belong together: set both, or neither.")
    if not holder(email):
        make_account(
            email=email, password=password, groups=(), admin=True, source="ECI_ADMIN_PASSWORD", actor=command_name()
        )


def make_one_time_admin(file: Path) -> None:
    """If nobody can administer the shop, make an account with a random password and write the password to ``file``."""
    admins = User.objects.filter(is_superuser=True, is_active=True)
    if any(admin.has_usable_password() or (settings.ECI_OIDC_ISSUER and admin.email) for admin in admins):
        return
    password = secrets.token_urlsafe(18)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f"{password}\n")
        opened.flush()
        os.fsync(opened.fileno())  # before the account exists: losing its password would lock everybody out
    make_account(email=ONE_TIME_ADMIN, password=password, groups=(), admin=True, source=str(file), actor=command_name())


def has_one_time_password(username: str) -> bool:
    return username == ONE_TIME_ADMIN and (settings.DATA_DIR / ONE_TIME_PASSWORD).exists()


def forget_one_time_password(username: str) -> None:
    """Delete the file once the owner has chosen another password."""
    if username == ONE_TIME_ADMIN:
        (settings.DATA_DIR / ONE_TIME_PASSWORD).unlink(missing_ok=True)


def make_account(*, email: str, password: str, groups: tuple[str, ...], admin: bool, source: str, actor: str) -> User:
    """A staff account, which signs in with its address. CommandError; for a weak password it names ``source``."""
    try:
        email = email if email == ONE_TIME_ADMIN else text.email(email)
    except ValueError:
        raise CommandError(f"{email!r} is not an e-mail address.") from None
    if MACHINES in groups and (admin or len(set(groups)) > 1):
        raise CommandError(f"{ONLY_A_MACHINE} Make two accounts.")
    user = User(username=email, email=email, is_staff=True, is_superuser=admin)
    try:
        validate_password(password, user)
    except ValidationError as error:
        why = error.messages[0]
        raise CommandError(f"{source} is too weak: {why[0].lower()}{why[1:]}") from None
    if holder(email):
        raise CommandError(f"{email} has an account already.")
    if User.objects.filter(username__iexact=email).exists():
        raise CommandError(f"{email} has an account already, which is locked: unlock it in the admin.")
    user.set_password(password)
    with unit_of_work(DEFAULT_DB_ALIAS):
        user.save()
        user.groups.set(Group.objects.filter(name__in=groups))
        trail.record("staff", actor=actor, action="account created", thing=thing(user), after=facts(user))
    return user


_NAME = re.compile(r"[A-Za-z0-9._+-]{1,150}")


def new_name(name: str, *, besides: int | None = None) -> str:
    """The name of an account, as it is kept: an e-mail address, or ASCII letters, digits and ``. _ + -``. So no two
    look alike. ValueError."""
    if "@" in name:
        name = text.email(name) if name != ONE_TIME_ADMIN else name
    elif not _NAME.fullmatch(name):
        raise ValueError("A user name is an e-mail address, or has only the letters a to z, digits, and . _ + -.")
    if User.objects.filter(username__iexact=name).exclude(pk=besides or 0).exists():
        raise ValueError("A user with that username already exists.")
    return name


def holder(address: str, *, besides: int | None = None) -> User | None:
    """Whose address this is, as name or e-mail address. Locked accounts do not count: they cannot sign in."""
    key = _address_key(address)
    accounts = User.objects.filter(is_active=True).exclude(pk=besides or 0)
    found = (user for user in accounts if key in (_address_key(user.username), _address_key(user.email)))
    return next((user for user in found if user.has_usable_password()), None)


def _address_key(address: str) -> str:
    """By which addresses are compared. A name that is no address is compared without case."""
    try:
        return text.email_key(address)
    except ValueError:
        return text.trim(address).casefold()


def record_new_password(user: Any, *, actor: str = "") -> None:
    """Note that the account has another password; without ``actor`` its owner set it."""
    with unit_of_work(DEFAULT_DB_ALIAS):
        name = actor or staff_name(user)
        trail.record("staff", actor=name, action="account password set", thing=thing(user))


def thing(row: User | Group) -> str:
    """Its name in the trail."""
    return f"{'account' if isinstance(row, User) else 'group'}:{row.pk}"


def facts(row: User | Group) -> dict[str, Any]:
    """What the trail tells of an account or a group: who it is and what it may do, never a password."""
    permissions = row.user_permissions if isinstance(row, User) else row.permissions
    pairs = permissions.values_list("content_type__app_label", "codename")
    codes = sorted(f"{app}.{codename}" for app, codename in pairs)
    if isinstance(row, Group):
        return {"name": row.name, "permissions": codes}
    told = {name: getattr(row, name) for name in ("username", "email", "is_active", "is_staff", "is_superuser")}
    return told | {"groups": sorted(row.groups.values_list("name", flat=True)), "permissions": codes}
