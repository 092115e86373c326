"""Whether a hold runs out: make it firm, and let its time stand still while it is paid."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from contexts.inventory.models import Allocation, Reservation
from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from contexts.inventory.selectors import HOLDING, ReservationRows
from contexts.inventory.services import owed, parts
from contexts.inventory.services.holds import steps
from eci.db import Stale, writes
from eci.errors import InvalidTransition


@writes("inventory")
def confirm(*, key: str, actor: str = "") -> ReservationRows:
    """Make the reservation firm: it no longer expires."""
    rows = parts.lock_reservation(key=key)
    steps.require_unexpired(allocations=rows.allocations)
    if rows.reservation.status in (ReservationStatus.CONFIRMED, ReservationStatus.SHIPPED):
        return rows
    _require_reserved(rows.reservation)
    confirmed = {"status": ReservationStatus.CONFIRMED, "paying": False, "paying_since": None, "actor": actor}
    parts.change_reservation(reservation=rows.reservation, changes=confirmed)
    steps.leave_trail(reservation=rows.reservation, before=ReservationStatus.RESERVED)
    _stop_the_clock(rows.allocations)
    return rows


@writes("inventory")
def mark_paying(*, key: str) -> ReservationRows:
    """Record that the payment is under way: the reservation neither expires nor is reclaimed."""
    rows = parts.lock_reservation(key=key)
    steps.require_unexpired(allocations=rows.allocations)
    if rows.reservation.status != ReservationStatus.CONFIRMED and not rows.reservation.paying:
        _require_reserved(rows.reservation)
        parts.change_reservation(reservation=rows.reservation, changes={"paying": True, "paying_since": Now()})
        _stop_the_clock(rows.allocations)
    return rows


@writes("inventory")
def stop_paying(*, key: str, seconds: int) -> ReservationRows:
    """The payment waits for somebody, who may never come: the reservation expires in ``seconds``, as any other does.

    Nothing is owed to what is not paid, so one that a stock count made short expires at once. A reservation that is not
    ``paying`` stays as it is.
    """
    at = steps.lock_products(key=key)
    rows = steps.covered(rows=parts.lock_reservation(key=key), at=at)
    reservation = rows.reservation
    if reservation.status != ReservationStatus.RESERVED or not reservation.paying:
        return rows
    holding = [allocation for allocation in rows.allocations if allocation.state in HOLDING]
    is_short = any(allocation.state == AllocationState.SHORT for allocation in holding)
    waits = {"paying": False, "paying_since": None, "needs_attention": False, "why": ""}
    if is_short:
        parts.close_allocations(allocations=holding, state=AllocationState.EXPIRED, at=at)
        steps.record(
            rows=rows, changes=waits | {"expires_at": Now(), "why": "a stock count found too little before it was paid"}
        )
        owed.cover(stock_ids={allocation.stock_id for allocation in holding}, at=at)
    else:
        steps.record(rows=rows, changes=waits | {"expires_at": Now() + timedelta(seconds=seconds)})
    reservation.refresh_from_db(fields=["expires_at"])
    if not is_short:
        ids = [allocation.pk for allocation in holding]
        Allocation.objects.filter(pk__in=ids).update(lapses_at=reservation.expires_at)
    return rows


def _require_reserved(reservation: Reservation) -> None:
    if reservation.status != ReservationStatus.RESERVED:
        raise InvalidTransition(f"This reservation is {reservation.status} already.")


def _stop_the_clock(allocations: list[Allocation]) -> None:
    """The allocations no longer lapse. Stale if one was reclaimed since it was read."""
    ids = [allocation.pk for allocation in allocations if allocation.lapses_at]
    if ids and Allocation.objects.filter(pk__in=ids, lapses_at__isnull=False).update(lapses_at=None) != len(ids):
        raise Stale
