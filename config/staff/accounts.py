"""Staff accounts: the groups whose names are roles, the first administrator, and no default password anywhere."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_email

from config.staff import demo
from eci.identity.roles import GROUPS

# Which contexts' admin pages each group sees. The pages themselves decide what may be changed there.
_PAGES = {
    "catalog staff": ("catalog",),
    "stock staff": ("inventory", "shipping"),
    "support staff": ("customers", "orders", "payments", "shipping", "notifications"),
    "services": (),
}


ONE_TIME_ADMIN = "admin@localhost"
ONE_TIME_PASSWORD = "admin_password"  # noqa: S105 - a file's name


def prepare() -> None:
    """Make groups and the first administrator where they are missing; quick when nothing is. CommandError."""
    make_groups()
    if not settings.ECI_OPEN:
        lock_demo_login()
    make_first_admin()


def make_groups() -> None:
    """Make missing groups. An existing group keeps the permissions that somebody gave it."""
    present = set(Group.objects.filter(name__in=GROUPS).values_list("name", flat=True))
    for name in sorted(set(GROUPS) - present):
        group = Group.objects.create(name=name)
        group.permissions.set(Permission.objects.filter(content_type__app_label__in=_PAGES[name]))


def lock_demo_login() -> None:
    """Disable the demo's well-known password, which data from open mode may still have."""
    login = User.objects.filter(username=demo.USERNAME).first()
    if login is not None and login.check_password(demo.PASSWORD):
        login.set_unusable_password()
        login.save(update_fields=["password"])


def make_first_admin() -> None:
    """Make it from ECI_ADMIN_EMAIL and ECI_ADMIN_PASSWORD, unless the address has an account. CommandError."""
    email, password = settings.ECI_ADMIN_EMAIL, settings.ECI_ADMIN_PASSWORD
    if not email and not password:
        return
    if not email or not password:
        raise CommandError("ECI_ADMIN_EMAIL and ECI_ADMIN_PASSWORD belong together: set both, or neither.")
    if not User.objects.filter(username__iexact=email).exists():
        make_account(email=email, password=password, groups=(), admin=True, source="ECI_ADMIN_PASSWORD")


def make_one_time_admin(file: Path) -> None:
    """If nobody can administer the shop, make an account with a random password and write the password to ``file``."""
    if any(admin.has_usable_password() for admin in User.objects.filter(is_superuser=True, is_active=True)):
        return
    password = secrets.token_urlsafe(18)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(f"{password}\n")
        opened.flush()
        os.fsync(opened.fileno())  # before the account exists: losing its password would lock everybody out
    make_account(email=ONE_TIME_ADMIN, password=password, groups=(), admin=True, source=str(file))


def has_one_time_password(username: str) -> bool:
    return username == ONE_TIME_ADMIN and (settings.DATA_DIR / ONE_TIME_PASSWORD).exists()


def forget_one_time_password(username: str) -> None:
    """Delete the file once the owner has chosen another password."""
    if username == ONE_TIME_ADMIN:
        (settings.DATA_DIR / ONE_TIME_PASSWORD).unlink(missing_ok=True)


def make_account(*, email: str, password: str, groups: tuple[str, ...], admin: bool, source: str) -> User:
    """A staff account, which signs in with its address. CommandError; for a weak password it names ``source``."""
    user = User(username=email, email=email, is_staff=True, is_superuser=admin)
    try:
        validate_email(email)
    except ValidationError:
        raise CommandError(f"{email!r} is not an e-mail address.") from None
    try:
        validate_password(password, user)
    except ValidationError as error:
        why = error.messages[0]
        raise CommandError(f"{source} is too weak: {why[0].lower()}{why[1:]}") from None
    if User.objects.filter(username__iexact=email).exists():
        raise CommandError(f"{email} has an account already.")
    user.set_password(password)
    user.save()
    user.groups.set(Group.objects.filter(name__in=groups))
    return user
