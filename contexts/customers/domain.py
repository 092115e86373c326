"""Pure rules about people's data."""

from __future__ import annotations

import re

_PHONE = re.compile(r"\+?[0-9][0-9 -]{3,18}[0-9]")
PHONE_RULE = "A phone number has 5 to 20 digits, spaces and dashes, and may begin with '+'."


def email_key(email: str) -> str:
    """The form in which addresses are unique: without regard to case."""
    return email.lower()


def is_phone(text: str) -> bool:
    return len(text) <= 20 and bool(_PHONE.fullmatch(text))
