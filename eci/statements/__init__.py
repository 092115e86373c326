"""Prepared querysets: a queryset is written once, compiled once for each database, and run with new values.

    @reads
    def parts_of(*, key: str) -> QuerySet[Allocation]:
        return Allocation.objects.filter(reservation__key=key).order_by("stock")

    parts_of(key="A-1")  # as list(parts_of.definition(key="A-1"))

The queryset stays the definition, and its SQL is Django's own. Building and compiling it costs a process several times
what the question itself does, and is done once:

1. The function is called with a stand-in for each value. Django compiles its queryset; each stand-in leaves a slot.
2. A call fills the slots, and the driver's cursor executes the text. Where somebody looks on (traces, query logs), it
   is Django's cursor; errors are as ever.

Nothing stands in for a value that is false (None, "", 0, False, an empty collection) or True: each of these is compiled
by itself. So the function may ask ``if value`` and ``value is None``, and can do nothing else with a value but hand it
to its queryset. A collection may have any length. What the function computes, it computes once: a time must be a value,
or the database's ``Now()``.
"""

from __future__ import annotations

from eci.statements.inserts import Inserts
from eci.statements.packets import at_once
from eci.statements.querysets import Change, Changes, Reads, Statement, change, changes, reads
from eci.statements.stand_ins import Columns, Shaped, per_row

__all__ = [
    "Change", "Changes", "Columns", "Inserts", "Reads", "Shaped", "Statement", "at_once", "change", "changes",
    "per_row", "reads",
]  # fmt: skip
