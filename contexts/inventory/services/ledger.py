"""The stock ledger: every change of on hand is written here, in its own transaction."""

from __future__ import annotations

from contexts.inventory.models import Movement, MovementKind, Stock
from eci.clock import utcnow
from eci.statements import Inserts

_add = Inserts(Movement)


def record(
    *,
    changes: list[tuple[Stock, int]],
    kind: MovementKind,
    reason: str,
    actor: str,
    order_id: str = "",
    reference: str = "",
) -> None:
    """Write a movement for each change of on hand, a locked stock row and its delta, that was just made.

    Each row's ``on_hand`` is still what was read; it is raised by the delta here.
    """
    at = utcnow()  # SQLite's own clock has fewer digits, which would break paging by time
    lines = []
    for row, delta in changes:
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
                reference=reference,
                actor=actor,
                at=at,
            )
        )
    _add(lines)
