"""Why a stock row's numbers are what they are, as a sentence for people. Pure: what it is told comes from selectors."""

from __future__ import annotations

from contexts.inventory.models import Allocation
from contexts.inventory.public.contracts import AllocationState, ReservationStatus
from contexts.inventory.selectors import Explained
from eci.clock import iso

NAMED = 5  # reservations that a sentence names


def sentence(*, stock: Explained) -> str:
    """``8 on hand - 3 reserved - 0 owed = 5 available. Reserved: 3 for X-1, unpaid, until 2026-01-31T20:30:00Z.``"""
    row = stock.row
    owed = row.owed + stock.owed_elsewhere
    sums = f"{row.on_hand} on hand - {row.held} reserved - {owed} owed = {row.on_hand - row.held - owed}"
    told = [f"{sums} available." if row.on_hand - row.held - owed == row.available else f"{sums}, so 0 are available."]
    if not row.warehouse.is_active:
        told = [f"{sums}, but nothing is sold from {row.warehouse_id}: the warehouse is not active."]
    if stock.owed_elsewhere:
        told.append(f"{stock.owed_elsewhere} of those owed are owed from other warehouses.")
    for word, state in (("Reserved", AllocationState.OPEN), ("Owed", AllocationState.SHORT)):
        holds = [_hold(one) for one in stock.holds if one.state == state]
        if holds:
            others = len(holds) - NAMED + (stock.more if state == AllocationState.OPEN else 0)
            told.append(f"{word}: {'; '.join(holds[:NAMED])}{f'; and {others} more' if others > 0 else ''}.")
    return " ".join(told)


def why_here(*, hold: Allocation) -> str:
    """Why this part of a reservation is held in this warehouse."""
    if hold.moved_from:
        return f"moved here from {', '.join(sorted(hold.moved_from))}"
    if hold.reservation.asked_warehouse:
        return "this warehouse was asked for"
    return hold.reservation.choice


def _hold(hold: Allocation) -> str:
    reservation = hold.reservation
    return f"{hold.quantity} for {reservation.order_id or f'reservation {reservation.key}'}, {_until(hold)}"


def _until(hold: Allocation) -> str:
    reservation = hold.reservation
    if hold.state == AllocationState.SHORT:
        return "paid, and a stock count did not find them"
    if reservation.status != ReservationStatus.RESERVED:
        return "firm"
    if reservation.paying:
        return "while its payment is under way"
    return f"unpaid, until {iso(reservation.expires_at)}"
