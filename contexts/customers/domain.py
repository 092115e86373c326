"""Customers' rules without a database: accounts, secrets, addresses and phone numbers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta

from eci import text

FAMILY_LIFETIME = timedelta(days=30)
FRESH = timedelta(minutes=15)  # after logging in; until then nobody is asked for the password again
REPLAYABLE = timedelta(seconds=60)  # after a refresh; until then its answer, if lost, can be asked for again
RESET_LIFETIME = timedelta(minutes=30)
VERIFICATION_LIFETIME = timedelta(days=3)
HOUR = timedelta(hours=1)
RESETS = 5  # mails an hour to one address, whoever asks
MOVES = 10  # the same, to an address that an account is to move to

NAME_KEY = 600  # characters


def customer_account(reference: object) -> str:
    """How tokens, events and limits on guessing name a customer: ``customer:5``."""
    return f"customer:{reference}"


def staff_account(reference: object) -> str:
    """How they name a member of staff: ``staff:3``."""
    return f"staff:{reference}"


def account_parts(account: str) -> tuple[str, int]:
    """``("customer", 5)`` of ``customer:5``."""
    kind, _, number = account.partition(":")
    return kind, int(number)


def new_secret() -> str:
    """256 random bits: a fast digest is enough to keep them by."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def successor_of(token: str, *, key: str, pepper: str) -> str:
    """The refresh token after ``token``: a random one, or, with an idempotency key, always the same for that key."""
    if not key:
        return new_secret()
    derived = hmac.digest(pepper.encode(), f"refresh:{token}:{key}".encode(), "sha256")
    return urlsafe_b64encode(derived).decode().rstrip("=")


def email_key(email: str) -> str:
    """The form in which addresses are compared: one mailbox, one key.

    A text that is no address is put in lower case: it finds only customers of before such texts were refused.
    """
    try:
        return text.email_key(email)
    except ValueError:
        return text.trim(email).lower()


def known_email(email: str) -> str:
    """An address to compare with those that are kept, some of which are older than today's rule. ValueError when it can
    be no address."""
    try:
        return text.email(email)
    except ValueError:
        text.earlier_email(email)
        return text.trim(email)


def name_key(full_name: str) -> str:
    """The form in which names are searched."""
    return text.fold(full_name)[:NAME_KEY]


def search_term(term: str) -> str:
    """What staff search for, in the form of the keys: addresses as addresses, all else folded."""
    return " ".join(email_key(word) if "@" in word else text.fold(word) for word in term.split())
