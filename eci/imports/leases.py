"""The right of one worker to carry an import on, for some seconds. Whoever loses it has written nothing since."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from functools import cache, partial
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from eci.db import after_commit
from eci.imports.rows import UNDER_WAY, ImportRow, Status, imports_of
from eci.statements import Reads, reads

LEASE = timedelta(seconds=10)
_SHORTEST = timedelta(seconds=3)
_PIECES = 8
_RENEWED_AFTER = 2.0  # seconds


class Lost(Exception):
    """Another worker has the import now, or it is to be read anew."""


class Lease:
    """An import that this worker carries on."""

    def __init__(self, context: str, row: ImportRow, owner: str) -> None:
        self.context = context
        self.row = row
        self._owner = owner
        self._renewed = time.monotonic()

    def hold(self, *, lasts: timedelta = LEASE, **changes: Any) -> None:
        """Write to the import's row, and have it for longer. Lost."""
        held = imports_of(self.context).filter(pk=self.row.pk, lease_owner=self._owner, status=self.row.status)
        if not held.update(lease_until=Now() + lasts, **changes):
            raise Lost
        self._renewed = time.monotonic()
        after_commit(self.context, partial(vars(self.row).update, changes))

    def advance(self, **changes: Any) -> None:
        """As ``hold``, at the end of a piece: for as long as some more of them take. When this process dies, the others
        wait for so long; if the next piece takes longer than all these, another worker may do it over. Lost."""
        took = timedelta(seconds=time.monotonic() - self._renewed)
        self.hold(lasts=min(LEASE, max(_SHORTEST, _PIECES * took)), attempts=0, **changes)

    def renew(self) -> None:
        """Called now and then while nothing is written."""
        if time.monotonic() - self._renewed > _RENEWED_AFTER:
            self.hold()

    def finish(self, status: Status, **changes: Any) -> None:
        """The stage is over. Lost."""
        self.hold(status=status, lease_owner="", attempts=0, **changes)

    def give_back(self, *, tried: bool = True) -> None:
        """For another worker to carry on, at once. ``tried``: this counts as an attempt at the stage."""
        imports_of(self.context).filter(pk=self.row.pk, lease_owner=self._owner).update(
            lease_owner="", lease_until=None, attempts=F("attempts") + int(tried)
        )


@cache
def _oldest_free_in(context: str) -> Reads[..., int]:
    @reads
    def oldest_free() -> QuerySet[ImportRow, int]:
        return _free(context).order_by("pk").values_list("pk", flat=True)[:1]

    return oldest_free


def _free(context: str) -> QuerySet[ImportRow]:
    free = Q(lease_until=None) | Q(lease_until__lte=Now())
    rows: QuerySet[ImportRow] = imports_of(context).filter(free, status__in=UNDER_WAY)
    return rows


def any_free(context: str) -> bool:
    """Whether an import waits for somebody to carry it on."""
    return _oldest_free_in(context).first() is not None


def take(context: str) -> Lease | None:
    """The oldest import that nobody carries on, if there is one."""
    found = _oldest_free_in(context).first()
    owner = uuid.uuid4().hex
    if found is None or not _free(context).filter(pk=found).update(lease_owner=owner, lease_until=Now() + LEASE):
        return None
    return Lease(context, imports_of(context).get(pk=found), owner)
