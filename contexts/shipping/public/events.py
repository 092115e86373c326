"""The events of shipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class ShipmentDispatched(Event):
    """A shipment has left its warehouse. Once per shipment, even if it skips SHIPPED."""

    NAME: ClassVar[str] = "shipping.shipment_dispatched.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    shipment_id: int
    warehouse: str | None
    carrier: str
    tracking_no: str


@dataclass(frozen=True, kw_only=True)
class ShipmentDelivered(Event):
    """A shipment has arrived."""

    NAME: ClassVar[str] = "shipping.shipment_delivered.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    shipment_id: int
