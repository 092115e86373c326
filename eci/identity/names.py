"""Names that people sign in with: which account of staff one means, and the form in which guesses are counted."""

from __future__ import annotations

import contextlib
import string
import unicodedata

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import User
from django.db.models import Q

from eci import text

_LONGEST = 320  # characters: no name and no address has more
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_PROPOSED = 20


def likeness(typed: str) -> str:
    """One form for all that folds to the same name, known or not: 300 spellings are guesses at one account.

    It is for counting only, so it may take two names for one: width, case, accents, white space, what is invisible.
    """
    name = unicodedata.normalize("NFKC", text.trim(typed)[:_LONGEST])
    with contextlib.suppress(ValueError):
        name = text.email_key(name)
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold()).replace("\u0131", "i")
    return "".join(
        sign for sign in plain if sign.isprintable() and not sign.isspace() and not unicodedata.combining(sign)
    )


def staff_named(typed: str) -> User | None:
    """The member of staff with this name or address; None when nobody has it, or several. Locked accounts have none.

    The database only proposes accounts: PostgreSQL takes \u017f for s, and would find people by names they do not have.
    """
    key = _key(typed)
    if not key or "\x00" in key:
        return None
    like = Q()
    for form in (key, text.trim(typed)):
        like |= Q(username__iexact=form) | Q(email__iexact=form)
    unlocked = User.objects.filter(is_active=True, is_staff=True).exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    proposed = unlocked.filter(like)[:_PROPOSED]
    found = [user for user in proposed if key in (_key(user.username), _key(user.email))]
    return found[0] if len(found) == 1 else None


def _key(name: str) -> str:
    """An address as its mailbox; any other name in ASCII's lower case."""
    try:
        return text.email_key(name)
    except ValueError:
        return text.trim(name).translate(_LOWER)
