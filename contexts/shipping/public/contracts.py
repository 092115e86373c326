"""Shipping: parcels, and how far they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from eci.errors import Conflict, NotFound


class ShipmentStatus(StrEnum):
    PENDING = "PENDING"
    PACKED = "PACKED"
    SHIPPED = "SHIPPED"
    IN_TRANSIT = "IN_TRANSIT"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"
    RETURNED = "RETURNED"


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """``warehouse`` is None for another system's order."""

    shipment_id: int
    order_id: str
    carrier: str
    tracking_no: str
    status: ShipmentStatus
    warehouse: str | None
    address: str
    city: str
    dispatched_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def dispatched(self) -> bool:
        """It has left, whatever happened since."""
        return self.dispatched_at is not None


@dataclass(frozen=True, kw_only=True)
class ShipmentStep:
    status: ShipmentStatus
    location: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ShipmentRecord:
    """A shipment and its steps, without staff's names and notes."""

    shipment: Shipment
    steps: tuple[ShipmentStep, ...]


class ShipmentNotFound(NotFound):
    pass


class DuplicateTrackingNumber(Conflict):
    code = "duplicate_tracking_no"


class Shipping(ABC):
    """Commands for shipments of our own orders; each may be repeated."""

    @abstractmethod
    def expect(self, *, order_id: str) -> None:
        """The order exists and may get shipments later: nobody else makes any for it."""

    @abstractmethod
    def create(
        self, *, order_id: str, customer_id: int | None, warehouses: tuple[str, ...], address: str, city: str
    ) -> tuple[Shipment, ...]:
        """One PENDING shipment per warehouse; those that exist already stay as they are. ``customer_id``: who may see
        them; None for a guest's.

        InvalidTransition when the order's shipments were cancelled before.
        """

    @abstractmethod
    def dispatch(self, *, order_id: str) -> tuple[Shipment, ...]:
        """Everything of the order that has not left, leaves."""

    @abstractmethod
    def cancel(self, *, order_id: str) -> tuple[Shipment, ...]:
        """Cancel what has not left, all or nothing; InvalidTransition when some of it has.

        Finding no shipments, it leaves a tombstone: a late ``create`` for the order is refused.
        """

    @abstractmethod
    def shipments_of(self, *, order_ids: Iterable[str]) -> tuple[Shipment, ...]:
        """All shipments of these orders, oldest first."""

    @abstractmethod
    def shipments_to(self, *, customer_id: int, after: int, limit: int) -> tuple[ShipmentRecord, ...]:
        """A customer's shipments by id, beginning after the id ``after``."""
