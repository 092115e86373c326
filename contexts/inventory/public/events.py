"""The events that inventory announces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class HoldNeedsAttention(Event):
    """An order's reservation needs attention: a stock count left too few units, or its payment takes over a day."""

    NAME: ClassVar[str] = "inventory.hold_needs_attention.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    reservation_id: int
    reason: str
