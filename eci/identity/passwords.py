"""Password hashes: Argon2id with 19 MiB, two passes and one lane, OWASP's minimum. Django's default takes 100 MiB."""

from __future__ import annotations

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, Argon2PasswordHasher, check_password, make_password

from eci.db import require_no_unit_of_work

NO_PASSWORD = UNUSABLE_PASSWORD_PREFIX


class Argon2id(Argon2PasswordHasher):
    """Django's hasher with these parameters."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1


def hash_password(password: str) -> str:
    """Slow on purpose, so forbidden inside a unit of work: on SQLite every other writer would wait."""
    require_no_unit_of_work("a password hashed")
    return make_password(password)


def matches(password: str, encoded: str | None) -> bool:
    """Whether the hash is of this password. It takes as long without a hash, so the time does not reveal that."""
    require_no_unit_of_work("a password checked")
    return check_password(password, encoded or NO_PASSWORD)
