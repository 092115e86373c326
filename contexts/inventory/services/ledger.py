"""The stock ledger: every change of on hand is written here, in its own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from contexts.inventory.models import Movement, MovementKind, Stock
from eci.statements import Inserts

_add = Inserts(Movement)


def record(
    *,
    changes: list[tuple[Stock, int]],
    kind: MovementKind,
    reason: str,
    actor: str,
    at: datetime,
    order_id: str = "",
    reference: str = "",
    references: Sequence[str] = (),
) -> None:
    """Write a movement for each change of on hand, a locked stock row and its delta, that was just made ``at`` then.
    ``references``: one for each, where they differ.

    Each row's ``on_hand`` is still what was read; it is raised by the delta here.
    """
    lines = []
    for (row, delta), said in zip(changes, references or [reference] * len(changes), strict=True):
        row.on_hand += delta
        lines.append(
            Movement(
                product_id=row.product_id,
                warehouse_id=row.warehouse_id,
                delta=delta,
                on_hand=row.on_hand,
                kind=kind,
                reason=reason,
                order_id=order_id,
                reference=said,
                actor=actor,
                at=at,
            )
        )
    _add.along(lines)
