"""The events of shipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eci.events import Event


@dataclass(frozen=True, kw_only=True)
class ShipmentDispatched(Event):
    """A shipment has left its warehouse. Once per shipment, even if it skips SHIPPED. ``actor``: who dispatched it."""

    NAME: ClassVar[str] = "shipping.shipment_dispatched.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    shipment_id: int
    warehouse: str | None
    carrier: str
    tracking_no: str
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class ShipmentDelivered(Event):
    """A shipment has arrived."""

    NAME: ClassVar[str] = "shipping.shipment_delivered.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    shipment_id: int
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class ShipmentChanged(Event):
    """A shipment has another carrier or tracking number. ``dispatched``: it had left, so its buyer knew the old one."""

    NAME: ClassVar[str] = "shipping.shipment_changed.v1"
    AGGREGATE: ClassVar[str] = "order_id"

    order_id: str
    shipment_id: int
    carrier: str
    tracking_no: str
    dispatched: bool
    actor: str = ""
