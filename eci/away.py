"""Whether an error says that somebody could not be asked at all. Then nothing is wrong with what was to be asked, so it
is no failed attempt at it: it waits for the same short while each time, and is never given up."""

from __future__ import annotations

from datetime import timedelta

from django.db import InterfaceError, OperationalError

from eci.databases import TIMED_OUT, UNREACHABLE, kind_of, was_too_slow
from eci.errors import ContextUnavailable

PAUSE = timedelta(seconds=5)


def is_away(error: Exception) -> bool:
    """Another context's service, or a database. One that only takes too long for this statement is there."""
    if isinstance(error, (OperationalError, InterfaceError)):
        return kind_of(error) in (UNREACHABLE, TIMED_OUT) and not was_too_slow(error)
    return isinstance(error, ContextUnavailable)
