"""What the packing desk shows: the queue of a warehouse, and what goes into each parcel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from config.desk.asking import unless_away
from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import AllocationState, Reservation
from contexts.orders.public.api import orders
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment, ShipmentStatus
from eci.clock import utcnow

BATCH = 50  # shipments of a page, and of one command
LATE = timedelta(days=1)  # that a parcel waits
_ON_ITS_WAY = (ShipmentStatus.SHIPPED, ShipmentStatus.IN_TRANSIT, ShipmentStatus.OUT_FOR_DELIVERY)
_IN_PARCEL = (AllocationState.OPEN, AllocationState.SHIPPED)


@dataclass(frozen=True, kw_only=True)
class Item:
    """Units of a product in a parcel."""

    sku: str
    name: str
    units: int
    product_id: int


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A shipment with what goes into it; ``items`` are None while that cannot be asked. ``number``: its order's."""

    shipment: Shipment
    items: tuple[Item, ...] | None
    number: int | None

    @property
    def waits(self) -> bool:
        return self.shipment.status in (ShipmentStatus.PENDING, ShipmentStatus.PACKED)

    @property
    def is_on_its_way(self) -> bool:
        return self.shipment.status in _ON_ITS_WAY

    @property
    def is_late(self) -> bool:
        return utcnow() - self.shipment.created_at > LATE


@dataclass(frozen=True, kw_only=True)
class Queue:
    """``waiting``: how many wait, by warehouse. ``more``: others follow. ``unavailable``: who could not be asked.
    ``unknown``: there is no such warehouse."""

    warehouse: str
    unknown: bool
    waiting: dict[str, int]
    parcels: tuple[Parcel, ...]
    more: bool
    unavailable: tuple[str, ...]


def queue(warehouse: str, *, after: int) -> Queue:
    """Without a warehouse, that of the first in which something waits. ContextUnavailable without shipping."""
    waiting = shipping.to_dispatch()
    known = {code.casefold(): code for code in waiting}
    chosen = known.get(warehouse.casefold(), warehouse) or next(iter(waiting), "")
    found = shipping.to_pack(warehouse=chosen, after=after, limit=BATCH + 1) if chosen else ()
    away: list[str] = []
    return Queue(
        warehouse=chosen,
        unknown=not found and bool(chosen) and _is_unknown(chosen, away),
        waiting=waiting,
        parcels=parcels(found[:BATCH], away),
        more=len(found) > BATCH,
        unavailable=tuple(away),
    )


def _is_unknown(warehouse: str, away: list[str]) -> bool:
    known = unless_away("inventory", away, inventory.warehouses)
    return known is not None and warehouse not in {one.code for one in known}


def next_in(warehouse: str, *, after: int) -> int | None:
    """The shipment that is to be packed after this one; at the end, the first that was passed over."""
    found = shipping.to_pack(warehouse=warehouse, after=after, limit=1)
    found = found or shipping.to_pack(warehouse=warehouse, after=0, limit=1)
    return found[0].shipment_id if found else None


def parcels(shipments: Iterable[Shipment], away: list[str]) -> tuple[Parcel, ...]:
    """One question to inventory, to orders and to the catalog, however many shipments."""
    shipments = list(shipments)
    order_ids = {one.order_id for one in shipments}
    numbers = (unless_away("orders", away, lambda: orders.numbers(order_ids=order_ids)) if order_ids else None) or {}
    held = unless_away("inventory", away, lambda: inventory.reservations(keys=order_ids)) if order_ids else {}
    units = {one.shipment_id: _units((held or {}).get(one.order_id), one.warehouse) for one in shipments}
    ids = {product_id for each in units.values() for product_id in each}
    products = unless_away("catalog", away, lambda: catalog.products(product_ids=ids)) if ids else {}
    return tuple(
        Parcel(
            shipment=one,
            items=None if held is None else _items(units[one.shipment_id], products or {}),
            number=numbers.get(one.order_id),
        )
        for one in shipments
    )


def _units(reservation: Reservation | None, warehouse: str | None) -> dict[int, int]:
    units: dict[int, int] = defaultdict(int)
    for allocation in reservation.allocations if reservation else ():
        if allocation.warehouse == warehouse and allocation.state in _IN_PARCEL:
            units[allocation.product_id] += allocation.quantity
    return units


def _items(units: dict[int, int], products: dict[int, Product]) -> tuple[Item, ...]:
    items = [
        Item(
            sku=products[product_id].sku if product_id in products else f"product {product_id}",
            name=products[product_id].name if product_id in products else "",
            units=count,
            product_id=product_id,
        )
        for product_id, count in units.items()
    ]
    return tuple(sorted(items, key=lambda item: item.sku))
