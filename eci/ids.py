"""Ids of orders and of events, which sort by time; and how our orders are told from another system's.

This is the kernel's, because every context handles order ids and those below orders must recognise ours without
importing orders.
"""

from __future__ import annotations

import secrets
import time
import uuid

ORDER_PREFIX = "ORD-"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: sorts as its value does


def _base32(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, rest = divmod(value, 32)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


def new_order_id() -> str:
    """A new id: the time in 48 bits of milliseconds, by which ids sort, then 80 random bits, so none can be guessed."""
    return f"{ORDER_PREFIX}{_base32(time.time_ns() // 1_000_000, 10)}{_base32(secrets.randbits(80), 16)}"


def new_event_id() -> uuid.UUID:
    """As ``event_id``, of now; none can be guessed."""
    return event_id(time.time_ns() // 1_000_000, secrets.randbits(74))


def event_id(milliseconds: int, rest: int) -> uuid.UUID:
    """A UUID of version 7: the time in 48 bits, then 74 others. New ones stand side by side in the inbox's index; at
    random, each would change a page of its own there."""
    high, low = divmod(rest, 1 << 62)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


def is_our_order(order_id: str) -> bool:
    return order_id.startswith(ORDER_PREFIX)
