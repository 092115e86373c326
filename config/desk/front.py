"""The front page's figures. Each links to the list behind it, and costs the same however long the shop has traded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from config.books import checkup
from config.books.pages import LOOKS
from config.desk.asking import User, may, page, unless_away
from contexts.inventory.public.api import inventory
from contexts.orders.public.api import orders
from contexts.shipping.public.api import shipping
from eci import money
from eci.clock import iso, utcnow
from eci.remembered import Remembered

KEPT = 5.0  # seconds
NOT_KNOWN = "not known just now"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """``needed``: who has one of these permissions of the list that ``url`` leads to may see it."""

    name: str
    figure: str
    note: str
    url: str
    needed: tuple[str, ...]
    urgent: bool = False


_kept: Remembered[str, tuple[Tile, ...]] = Remembered(KEPT)


def tiles(user: User) -> list[Tile]:
    """Today's figures, as far as the user may see them. A context that is away leaves its figure unknown."""
    found = _kept.get_or_load("tiles", _tiles)
    return [tile for tile in found if tile.url and any(may(user, code) for code in tile.needed)]


def _tiles() -> tuple[Tile, ...]:
    day = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)
    switch = orders.switch()
    stopped = Tile(
        name="New orders",
        figure="stopped",
        note=f"since {iso(switch.at)}, by {switch.actor}: {switch.reason}",
        url=page("staff-reconcile"),
        needed=LOOKS,
        urgent=True,
    )
    return (*([] if switch.taking else [stopped]), _paid(day), _low(), _to_dispatch(), _stuck())


def _paid(day: datetime) -> Tile:
    sales = orders.sales(since=day)
    value = ", ".join(f"{money.text(one.value, one.currency)} {one.currency}" for one in sales) or "nothing yet"
    return Tile(
        name="Orders of today that are paid",
        figure=str(sum(one.orders for one in sales)),
        note=f"{value}, since midnight UTC",
        url=page("admin:orders_order_changelist", created_at__gte=f"{day:%Y-%m-%d %H:%M:%S+00:00}"),
        needed=("orders.view_order",),
    )


def _low() -> Tile:
    low = unless_away("inventory", [], inventory.low)
    return Tile(
        name="Low stock",
        figure=NOT_KNOWN if low is None else str(low),
        note="stock rows below their reorder point",
        url=page("admin:inventory_stock_changelist", low="1"),
        needed=("inventory.view_stock",),
        urgent=bool(low),
    )


def _to_dispatch() -> Tile:
    waiting = unless_away("shipping", [], shipping.to_dispatch)
    each = ", ".join(f"{warehouse}: {count}" for warehouse, count in (waiting or {}).items())
    return Tile(
        name="To pack and dispatch",
        figure=NOT_KNOWN if waiting is None else str(sum(waiting.values())),
        note=each or "nothing waits",
        url=page("desk-pack"),
        needed=("shipping.view_shipment",),
    )


def _stuck() -> Tile:
    last = checkup.last()
    return Tile(
        name="Stuck or at odds",
        figure=NOT_KNOWN if last is None else str(len(last.items)),
        note=f"at the check-up of {iso(last.at)}" if last else "there is a check-up every five minutes",
        url=page("staff-reconcile"),
        needed=LOOKS,
        urgent=bool(last and last.items),
    )
