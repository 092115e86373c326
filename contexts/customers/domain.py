"""Pure rules about people's data."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta

_PHONE = re.compile(r"\+?[0-9][0-9 -]{3,18}[0-9]")
PHONE_RULE = "A phone number has 5 to 20 digits, spaces and dashes, and may begin with '+'."


FAMILY_LIFETIME = timedelta(days=30)
FRESH = timedelta(minutes=15)  # how long after logging in nobody is asked for the password again
REPLAYABLE = timedelta(seconds=60)  # how long a lost answer to a refresh may be asked for again
RESET_LIFETIME = timedelta(minutes=30)
VERIFICATION_LIFETIME = timedelta(days=3)


def new_secret() -> str:
    """256 random bits: its digest need not be slow."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def successor_of(token: str, *, key: str, pepper: str) -> str:
    """The refresh token that follows ``token``. With an idempotency key, the same one again for the same key."""
    if not key:
        return new_secret()
    derived = hmac.digest(pepper.encode(), f"refresh:{token}:{key}".encode(), "sha256")
    return urlsafe_b64encode(derived).decode().rstrip("=")


def email_key(email: str) -> str:
    """The form in which addresses are unique: without regard to case."""
    return email.lower()


def is_phone(text: str) -> bool:
    return len(text) <= 20 and bool(_PHONE.fullmatch(text))
