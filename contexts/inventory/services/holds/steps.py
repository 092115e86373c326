"""What the writes of one hold share, each within its caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contexts.inventory.domain import settled
from contexts.inventory.models import Allocation, Reservation
from contexts.inventory.public.contracts import AllocationState, ReservationExpired, WarehouseNotFound
from contexts.inventory.selectors import ReservationRows
from contexts.inventory.services import owed, parts
from eci import trail


def lock_products(*, key: str) -> datetime:
    """Lock all stock rows of the reservation's products. When it is then: ``parts.instant``."""
    return parts.instant(rows=parts.lock_products_of(allocations=Allocation.objects.filter(reservation__key=key)))


def covered(*, rows: ReservationRows, at: datetime) -> ReservationRows:
    """The locked reservation again. What units of expired reservations can cover is not short any more."""
    short = {allocation.stock_id for allocation in rows.allocations if allocation.state == AllocationState.SHORT}
    if not short:
        return rows
    owed.reclaim(stock_ids=short, at=at)
    return parts.lock_reservation(key=rows.reservation.key)


def require_unexpired(*, allocations: list[Allocation]) -> None:
    if any(allocation.state == AllocationState.EXPIRED for allocation in allocations):
        raise ReservationExpired("This reservation has expired.")


def in_warehouse(*, allocations: list[Allocation], warehouse: str | None) -> list[Allocation]:
    if warehouse is None:
        return allocations
    concerned = [allocation for allocation in allocations if allocation.stock.warehouse_id == warehouse]
    if not concerned:
        raise WarehouseNotFound(f"This reservation holds nothing in warehouse {warehouse}.", warehouse=warehouse)
    return concerned


def healed(*, rows: ReservationRows) -> dict[str, Any]:
    """What changes when units are not owed any more; nothing while others are."""
    if any(allocation.state == AllocationState.SHORT for allocation in rows.allocations):
        return {}
    return {"needs_attention": False, "why": ""}


def record(*, rows: ReservationRows, changes: dict[str, Any], **units: int) -> None:
    """Write these changes and, if no allocation is left, the reservation's final status."""
    before = rows.reservation.status
    status = settled(allocation.state for allocation in rows.allocations)
    final = {"status": status, "paying": False, "paying_since": None, "needs_attention": False} if status else {}
    parts.change_reservation(reservation=rows.reservation, changes=changes | final)
    leave_trail(reservation=rows.reservation, before=before, **units)


def leave_trail(*, reservation: Reservation, before: str, **units: int) -> None:
    trail.record(
        "inventory",
        actor=reservation.actor,
        action="reservation.change",
        thing=f"reservation:{reservation.pk}",
        before={"status": str(before)},
        after={"status": str(reservation.status), **units},
    )
