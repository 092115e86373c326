"""Hold units for an order, all that it asks for or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet

from contexts.inventory import selectors
from contexts.inventory.domain import Pick, StockRow, allocate
from contexts.inventory.models import Allocation, Reservation, Stock
from contexts.inventory.public.contracts import AllocationState, InsufficientStock, ReservationStatus
from contexts.inventory.selectors import HOLDING, ReservationRows, ReservationView
from contexts.inventory.services import low, owed, parts
from contexts.inventory.services.holds.waiting import mark_paying
from eci.db import Stale, writes
from eci.errors import IdempotencyKeyReused, InvalidTransition
from eci.idempotency import fingerprint
from eci.statements import Inserts, reads

_add_reservation = Inserts(Reservation)
_add_allocations = Inserts(Allocation)


@reads
def _of_key(*, key: str) -> QuerySet[Reservation]:
    return Reservation.objects.filter(key=key)


class _KeyIsKnown(Exception):
    """A reservation was thought to be new, and its key has been used."""


def reserve_new(
    *, key: str, order_id: str, demand: Mapping[int, int], seconds: int, paying: bool, actor: str
) -> ReservationView:
    """As ``reserve``, for a key that was hardly used before: it is looked for only where it stands in the way."""
    asked = partial(reserve, key=key, order_id=order_id, demand=demand, seconds=seconds, paying=paying, actor=actor)
    try:
        return asked(is_new=True)
    except _KeyIsKnown:
        return asked()


@writes("inventory")
def reserve(
    *,
    key: str,
    order_id: str,
    demand: Mapping[int, int],
    seconds: int,
    warehouse: str | None = None,
    paying: bool = False,
    again: bool = False,
    actor: str = "",
    is_new: bool = False,
) -> ReservationView:
    """Hold every unit of ``demand`` (product id -> units) for ``seconds``, or none.

    1. If the key has made this reservation before, return it. With ``again``, one that has expired is made anew, and
       one that has not becomes ``paying`` if that is asked.
    2. Lock the products' stock rows, and choose among those that may be taken from: InsufficientStock.
    3. Reclaim expired allocations of the chosen rows whose units are needed.
    4. Add the units to what is reserved, if they are still available.
    5. Record the reservation and its allocations.
    6. Announce the rows that have become low.

    InvalidTransition if the key's reservation was released; IdempotencyKeyReused if the key asked for another one.
    ``is_new``: without 1, for ``reserve_new``.
    """
    asked = fingerprint([order_id, sorted(demand.items()), warehouse])
    existing = None if is_new else _of_key.first(key=key)
    if existing is not None:
        repeated = _repeated(existing, asked)
        status = repeated.reservation.status
        if not again or status not in (ReservationStatus.EXPIRED, ReservationStatus.RESERVED):
            return repeated
        if status == ReservationStatus.RESERVED:
            return mark_paying(key=key) if paying else repeated
        _clear_away(existing, demand)
    rows = parts.lock_stock_of(product_ids=demand)
    at = parts.instant(rows=rows)
    choices = selectors.allocatable(rows=rows, warehouse=warehouse)
    try:
        picks, choice = allocate(demand, choices)
    except InsufficientStock:
        if is_new and _of_key.first(key=key) is not None:  # it holds the units itself
            raise _KeyIsKnown from None
        raise
    stock = {row.pk: row for row in rows}
    _take(picks, stock, at)
    now: datetime = rows[0].now
    expires_at = now + timedelta(seconds=seconds)
    promise = {
        "status": ReservationStatus.RESERVED,
        "paying": paying,
        "paying_since": now if paying else None,
        "choice": choice,
        "expires_at": expires_at,
        "actor": actor,
    }
    if existing is None:
        about = {"key": key, "order_id": order_id, "fingerprint": asked, "asked_warehouse": warehouse or ""}
        taken = _KeyIsKnown if is_new else Stale
        reservation = _create(taken, **about, **promise, created_at=now, updated_at=now)
    else:
        reservation = existing
        parts.change_reservation(reservation=reservation, changes=promise | {"why": ""})
    lapses_at = None if paying else expires_at
    allocations = [
        Allocation(
            reservation=reservation, stock=stock[pick.stock_id], quantity=pick.quantity, lapses_at=lapses_at, since=at
        )
        for pick in picks
    ]
    _add_allocations.along(allocations)
    low.tell(crossed=_become_low(picks, choices, stock))
    return ReservationRows(reservation=reservation, allocations=allocations)


def _repeated(existing: Reservation, asked: str) -> ReservationView:
    if existing.fingerprint not in (parts.TOMBSTONE, asked):
        raise IdempotencyKeyReused("This reservation's key was used for a different request.")
    if existing.status == ReservationStatus.RELEASED:
        raise InvalidTransition("This reservation was released.")
    return selectors.reservations_by_key(keys=[existing.key])[existing.key]


def _clear_away(expired: Reservation, demand: Mapping[int, int]) -> None:
    """Make room for the reservation's new allocations: its old ones, which count for nothing any more, are deleted.

    Every stock row of the demand is locked first, also in warehouses that have closed since.
    """
    at = parts.instant(rows=parts.lock_stock_of(product_ids=demand))
    old = list(expired.allocations.all())
    holding = [one for one in old if one.state in HOLDING]
    parts.close_allocations(allocations=holding, state=AllocationState.EXPIRED, at=at)
    parts.remember(allocations=expired.allocations.all(), at=at)
    Allocation.objects.filter(pk__in=[one.pk for one in old]).delete()
    owed.cover(stock_ids={one.stock_id for one in old}, at=at)


def _take(picks: Sequence[Pick], stock: Mapping[int, Stock], at: datetime) -> None:
    """Reserve the units of these stock rows; some may be those of expired reservations, which are tidied up first."""
    reclaimable = [pick.stock_id for pick in picks if pick.quantity > parts.free_units(row=stock[pick.stock_id])]
    if reclaimable:
        owed.reclaim(stock_ids=reclaimable, at=at)
    parts.reserve_units(units={pick.stock_id: pick.quantity for pick in picks}, at=at)


def _create(taken: type[Exception], **fields: Any) -> Reservation:
    """``taken``: where the key is, so that the caller begins again, and finds its reservation."""
    made = Reservation(**fields)
    try:
        _add_reservation([made])
    except IntegrityError:
        raise taken from None
    return made


def _become_low(
    picks: Sequence[Pick], choices: Sequence[StockRow], stock: Mapping[int, Stock]
) -> Iterator[tuple[Stock, int, int]]:
    """The rows that fall below their reorder point, as ``low.tell`` takes them."""
    available = {one.stock_id: one.available for one in choices}
    for pick in picks:
        row, before = stock[pick.stock_id], available[pick.stock_id]
        after = before - pick.quantity
        if before >= row.reorder_point > after:
            yield row, after, row.version + 1
