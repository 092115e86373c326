"""Counts of many stock rows at once: read, judge and write them as a set, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F

from contexts.catalog.public.contracts import ProductNotFound
from contexts.inventory import selectors
from contexts.inventory.models import MovementKind, Stock, Warehouse
from contexts.inventory.public.contracts import BelowReserved, ChangedMeanwhile, TooManyUnits
from contexts.inventory.selectors import Moved
from contexts.inventory.services import ledger, low, owed, parts
from contexts.inventory.services.parts import Place
from contexts.inventory.services.stock import MAX_UNITS
from eci import trail
from eci.db import writes
from eci.errors import EciError
from eci.statements import per_row

_ACTIONS = {MovementKind.RECEIPT: "stock.receive", MovementKind.ADJUSTMENT: "stock.adjust"}  # others are counts


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Units of a product that were counted in a warehouse. ``product``: its id or SKU, as the caller wrote it.

    ``product_id`` is None for a product that the catalog does not know. ``counted_at``: as in ``stock.count``.
    ``reference``: its own, in place of the one that all have.
    """

    product: int | str
    product_id: int | None
    warehouse: str
    units: int
    expected_on_hand: int | None = None
    counted_at: datetime | None = None
    reference: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one count: the stock row, and by how many units it changed; or why it was refused."""

    stock_id: int | None = None
    delta: int = 0
    refusal: EciError | None = None


@writes("inventory")
def record(
    *,
    counts: list[Counted],
    add: bool,
    partial: bool,
    reason: str,
    actor: str,
    kind: MovementKind | None = None,
    reference: str = "",
) -> list[Outcome]:
    """Set on hand to what was counted, or with ``add`` change it by that; the outcomes, in the order of the counts.

    1. Lock all stock rows of the products, in the order of their keys; those that are missing are created.
    2. Take back the units of expired reservations where a count would leave too few.
    3. Judge each count: ProductNotFound, WarehouseNotFound, ChangedMeanwhile, TooManyUnits, BelowReserved.
    4. If one is refused, refuse all with its error, whose ``details.items`` are all refusals. With ``partial`` the
       others are recorded.
    5. Write on hand, ledger and trail; what came in goes first to what is owed.
    """
    codes = {one.warehouse for one in counts}
    known = set(Warehouse.objects.filter(pk__in=codes).values_list("pk", flat=True))
    found = [one for one in counts if one.product_id is not None and one.warehouse in known]
    new = {_place(one) for one in found if not one.expected_on_hand}
    rows = parts.lock_places(places={_place(one) for one in found}, new=new)
    at = parts.instant(rows=rows.values())
    moved = selectors.units_moved_since(times={_place(one): one.counted_at for one in found if one.counted_at})
    rows = _with_room(rows, found, moved, add=add, at=at)
    on_hand = {place: row.on_hand for place, row in rows.items()}
    outcomes = [
        _judge(one, rows.get(_place(one)), on_hand, moved.get(_place(one), Moved()), known=known, add=add)
        for one in counts
    ]
    refused = {index: one.refusal for index, one in enumerate(outcomes) if one.refusal}
    if refused and not partial:
        raise _refusal_of_all(refused)
    kind = kind or (MovementKind.ADJUSTMENT if add else MovementKind.COUNT)
    references = [one.reference or reference for one in counts]
    _write({row.pk: row for row in rows.values()}, outcomes, references, at=at, kind=kind, reason=reason, actor=actor)
    return outcomes


def _place(one: Counted) -> Place:
    return one.product_id or 0, one.warehouse


def _with_room(
    rows: dict[Place, Stock], counts: Iterable[Counted], moved: dict[Place, Moved], *, add: bool, at: datetime
) -> dict[Place, Stock]:
    tight = set()
    for one in counts:
        row = rows.get(_place(one))
        if row and not (add and one.units > 0):
            target = one.units + (row.on_hand if add else moved.get(_place(one), Moved()).units)
            if target < row.reserved + row.owed:
                tight.add(row.pk)
    if not tight:
        return rows
    owed.reclaim(stock_ids=tight, at=at)
    again = Stock.objects.in_bulk(list(tight))
    return {place: again.get(row.pk, row) for place, row in rows.items()}


def _judge(
    one: Counted, row: Stock | None, on_hand: dict[Place, int], moved: Moved, *, known: set[str], add: bool
) -> Outcome:
    """``on_hand``: what each row has after the counts before this one. ``moved``: since this one. ``known``: the
    warehouses that there are."""
    if one.product_id is None:
        return Outcome(refusal=ProductNotFound(f"There is no product {one.product}.", product=one.product))
    if one.warehouse not in known:
        return Outcome(refusal=selectors.no_warehouse(code=one.warehouse))
    now = on_hand.get(_place(one), 0)
    target = now + one.units if add else one.units + moved.units
    if row is None or one.expected_on_hand not in (None, now - moved.changed):
        message = f"On hand is {now} now: it has changed meanwhile."
        return Outcome(stock_id=row.pk if row else None, refusal=ChangedMeanwhile(message, on_hand=now))
    if target > MAX_UNITS:
        message = f"A warehouse can have at most {MAX_UNITS:,} units of a product."
        return Outcome(stock_id=row.pk, refusal=TooManyUnits(message, on_hand=now, limit=MAX_UNITS))
    if target < row.reserved:
        message = f"{row.reserved} units are reserved; on hand cannot become {target}."
        return Outcome(stock_id=row.pk, refusal=BelowReserved(message, on_hand=now, reserved=row.reserved))
    on_hand[_place(one)] = target
    return Outcome(stock_id=row.pk, delta=target - now)


def _refusal_of_all(refused: dict[int, EciError]) -> EciError:
    """The first refusal, with all of them in ``details.items``."""
    index, first = next(iter(refused.items()))
    items = [
        {"item": at, "code": one.code, "error": one.message, "details": one.details} for at, one in refused.items()
    ]
    message = f"Nothing was recorded. Item {index}: {first.message}"
    return type(first)(message, **(first.details | {"items": items}))


def _write(
    rows: dict[int, Stock],
    outcomes: list[Outcome],
    references: list[str],
    *,
    at: datetime,
    kind: MovementKind,
    reason: str,
    actor: str,
) -> None:
    changes, said = [], []
    for one, reference in zip(outcomes, references, strict=True):
        if one.stock_id and one.delta and not one.refusal:
            changes.append((rows[one.stock_id], one.delta))
            said.append(reference)
    if not changes:
        return
    units: dict[int, int] = defaultdict(int)
    for row, delta in changes:
        units[row.pk] += delta
    before = {pk: rows[pk].on_hand for pk in units}
    fewer = {rows[pk].product_id for pk, delta in units.items() if delta < 0}
    with low.watched(product_ids=fewer):
        Stock.objects.filter(pk__in=units).update(
            on_hand=F("on_hand") + per_row(units), version=F("version") + 1, updated_at=at
        )
        ledger.record(changes=changes, kind=kind, reason=reason, actor=actor, at=at, references=said)
        owed.cover(stock_ids=units, at=at)
    lines: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (f"stock:{pk}", {"on_hand": before[pk]}, {"on_hand": before[pk] + delta}) for pk, delta in units.items()
    ]
    trail.record_all("inventory", actor=actor, action=_ACTIONS.get(kind, "stock.count"), lines=lines)
