"""Passwords: which are too easy to guess, and their hashes.

Hashes are Argon2id with 19 MiB, two passes and one lane, OWASP's minimum. Django's default takes 100 MiB.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, Argon2PasswordHasher, check_password, make_password
from django.contrib.auth.password_validation import (
    CommonPasswordValidator,
    MinimumLengthValidator,
    NumericPasswordValidator,
    UserAttributeSimilarityValidator,
)
from django.core.exceptions import ValidationError

from eci.db import require_no_unit_of_work

NO_PASSWORD = UNUSABLE_PASSWORD_PREFIX
_FEWEST = 4  # different characters
_OWN = 6  # characters that are nobody's name, not all of them digits
_PERSONAL = ("username", "email", "full_name", "first_name", "last_name")


def _seen(password: str) -> str:
    """The password without white space and what is invisible: eight blanks are no eight characters."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", password) if sign.isprintable() and sign != " ")


class Plain:
    """Refuses what is short, common, only digits, or of a few characters repeated, whatever blanks it has."""

    def __init__(self) -> None:
        self._rules = (MinimumLengthValidator(), CommonPasswordValidator(), NumericPasswordValidator())

    def validate(self, password: str, user: Any = None) -> None:
        seen, wrong = _seen(password), []
        for rule in self._rules:
            try:
                rule.validate(seen, user)
            except ValidationError as error:
                wrong.append(error)
        if len(set(seen.casefold())) < _FEWEST:
            wrong.append(ValidationError(f"This password must have at least {_FEWEST} different characters."))
        if wrong and seen != password:
            wrong.append(ValidationError("Spaces and what is invisible do not count."))
        if wrong:
            raise ValidationError(wrong)

    def get_help_text(self) -> str:
        return (
            "Your password has at least 8 characters, of which 4 are different and not all are digits. Spaces do not "
            "count. It is not a commonly used one."
        )


class Impersonal(UserAttributeSimilarityValidator):
    """Refuses what is much like the person's names or address, also without spaces, punctuation and accents."""

    def __init__(self) -> None:
        super().__init__(user_attributes=_PERSONAL)

    def validate(self, password: str, user: Any = None) -> None:
        super().validate(password, user)
        own = _letters(password)
        for name in sorted(_names(user), key=len, reverse=True):
            own = own.replace(name, " ")
        rest = own.replace(" ", "")
        if " " in own and (len(rest) < _OWN or rest.isdigit()):
            raise ValidationError("The password is too similar to your name or address.", code="password_too_similar")


def _names(user: Any) -> set[str]:
    """A person's names as somebody would type them into a password: together, and each of three letters or more."""
    found = set()
    values = [str(getattr(user, attribute, "") or "") for attribute in _PERSONAL]
    for value in [*values, f"{values[-2]} {values[-1]}"]:
        words = [_letters(word) for word in re.split(r"[\W_]+", value.partition("@")[0])]
        found |= {"".join(words), "".join(reversed(words))} | {word for word in words if len(word) > 2}
    return {name for name in found if len(name) > 1}


def _letters(text: str) -> str:
    """Its letters and digits, without case and accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text).casefold()))


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
