"""Argon2id at 19 MiB, two passes, one lane: OWASP's minimum. Django's default would take 100 MiB a login."""

from __future__ import annotations

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, Argon2PasswordHasher, check_password, make_password

from eci.db import require_no_unit_of_work

NO_PASSWORD = UNUSABLE_PASSWORD_PREFIX


class Argon2id(Argon2PasswordHasher):
    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1


def hash_password(password: str) -> str:
    """Slow on purpose, so never inside a unit of work: on SQLite every other writer would wait."""
    require_no_unit_of_work("a password hashed")
    return make_password(password)


def matches(password: str, encoded: str | None) -> bool:
    """Is this the password of the hash? As slow when there is no hash, so that the time tells nobody which it was."""
    require_no_unit_of_work("a password checked")
    return check_password(password, encoded or NO_PASSWORD)
