"""Deleting what is old, some rows at a time: no statement is long, nobody waits for it, and no log grows by it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from eci.db import alias_of, give_way

STEP = 1_000  # rows of one transaction


def delete(rows: QuerySet[Any], *, by: str) -> int:
    """Delete the rows in the order of an indexed column; returns their number. Cut off, it has deleted the oldest.

    Each step begins where the last one ended, past the entries of the index that it has left behind.
    """
    gone, left = 0, rows.order_by(by)
    while step := list(left.values_list("pk", by)[:STEP]):
        deleted, _ = rows.filter(pk__in=[pk for pk, _ in step]).delete()
        gone += deleted
        left = left.filter(**{f"{by}__gte": step[-1][1]})
        if len(step) < STEP or not deleted:
            break
        give_way(alias_of(rows.model._meta.app_label))
    return gone
