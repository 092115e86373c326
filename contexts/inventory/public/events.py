"""The events that inventory announces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class HoldNeedsAttention(Event):
    """An order's reservation needs attention, because its payment takes over a day."""

    NAME: ClassVar[str] = "inventory.hold_needs_attention.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    reservation_id: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class StockLow(Event):
    """A stock row has fewer units available than its reorder point, and had enough until now."""

    NAME: ClassVar[str] = "inventory.stock_low.v1"
    AGGREGATE: ClassVar[str] = "inventory_id"

    inventory_id: int
    product_id: int
    warehouse: str
    on_hand: int
    available: int
    reorder_point: int


@dataclass(frozen=True, kw_only=True)
class AllocationEvent(Event):
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    reservation_id: int
    warehouse: str
    product_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class AllocationShort(AllocationEvent):
    """A stock count left too few units for this part of an order's reservation: they are owed to it."""

    NAME: ClassVar[str] = "inventory.allocation_short.v1"


@dataclass(frozen=True, kw_only=True)
class AllocationCovered(AllocationEvent):
    """Units came in, and what was owed to this part of an order's reservation is held for it again, in ``warehouse``,
    where it may have moved to."""

    NAME: ClassVar[str] = "inventory.allocation_covered.v1"
