"""What other contexts may know of shipping: shipments, and how far they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from eci.activity import KeepsTrail
from eci.errors import Conflict, NotFound

ORDERS = "orders"
"""The actor of what the orders context commands by itself."""


AddressGiven = dict[str, str | list[str]] | str
"""A whole address as somebody wrote it: a text, or an object with the names of any shop."""


class ShipmentStatus(StrEnum):
    PENDING = "PENDING"
    PACKED = "PACKED"
    SHIPPED = "SHIPPED"
    IN_TRANSIT = "IN_TRANSIT"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"
    RETURNED = "RETURNED"


class Withheld(StrEnum):
    """Why a shipment must not leave. SHORT: its units are not there. REFUNDED: its order was refunded in full."""

    SHORT = "short"
    REFUNDED = "refunded"


@dataclass(frozen=True, kw_only=True)
class ShipTo:
    """A whole address. ``lines``: the street, and everything given that has no field here, in the order given."""

    name: str = ""
    company: str = ""
    lines: tuple[str, ...] = ()
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    phone: str = ""


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """``warehouse`` is None for another system's order. ``withheld``: the reasons why it must not leave, if any.
    ``version`` goes up with every change.
    """

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
    ship_to: ShipTo = ShipTo()
    withheld: tuple[Withheld, ...] = ()
    version: int = 0

    @property
    def dispatched(self) -> bool:
        """It has left the warehouse, whatever happened since."""
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


class ShipmentShort(Conflict):
    """The units of a shipment are not there, so it cannot leave."""

    code = "insufficient_stock"


class OrderRefunded(Conflict):
    """The shipment's order was refunded in full, so it leaves only if staff insists."""

    code = "order_refunded"


class Shipping(KeepsTrail):
    """The shipments of our own orders. Every command may be repeated."""

    @abstractmethod
    def expect(self, *, order_id: str) -> None:
        """Note that the order exists and may get shipments later, so that nobody else makes any for it."""

    @abstractmethod
    def create(
        self,
        *,
        order_id: str,
        customer_id: int | None,
        warehouses: tuple[str, ...],
        address: str,
        city: str,
        ship_to: AddressGiven | None = None,
    ) -> tuple[Shipment, ...]:
        """Make one PENDING shipment per warehouse; existing ones stay as they are.

        - ``customer_id``: the customer who may see them; None for a guest's order.
        - ``ship_to``: the whole address as the buyer gave it; None where ``address`` and ``city`` are all there is.
          Where one of these is empty, it is taken from ``ship_to``.

        InvalidTransition when the order's shipments were cancelled before.
        """

    @abstractmethod
    def send(
        self,
        *,
        order_id: str,
        customer_id: int | None,
        warehouses: tuple[str, ...],
        address: str,
        city: str,
        ship_to: AddressGiven | None = None,
    ) -> tuple[Shipment, ...]:
        """As ``create``, but the shipments leave at once, and so do those that wait; returns all of the order.

        InvalidTransition when they were cancelled before; ShipmentShort, OrderRefunded when one is withheld.
        """

    @abstractmethod
    def rearrange(
        self,
        *,
        order_id: str,
        customer_id: int | None,
        warehouses: tuple[str, ...],
        address: str,
        city: str,
        ship_to: AddressGiven | None = None,
    ) -> tuple[Shipment, ...]:
        """As ``create``; shipments that wait in other warehouses are cancelled, and one that was cancelled waits again
        if its warehouse is named. What has left stays as it is. Returns all shipments of the order.

        InvalidTransition when the order's shipments were all cancelled before.
        """

    @abstractmethod
    def dispatch(self, *, order_id: str) -> tuple[Shipment, ...]:
        """Dispatch all shipments of the order that have not left; returns all its shipments. Only processes of an
        earlier release call it: ``send`` does this too.

        ShipmentShort, OrderRefunded when one is withheld; then none leaves.
        """

    @abstractmethod
    def withhold(self, *, order_id: str, warehouse: str | None, reason: str) -> tuple[Shipment, ...]:
        """Let no shipment of the order leave, or only not the one from ``warehouse``, until ``allow`` is called with
        the same ``reason``, a ``Withheld``. Returns all shipments of the order. Those that have left are not changed.
        """

    @abstractmethod
    def allow(self, *, order_id: str, warehouse: str | None, reason: str) -> tuple[Shipment, ...]:
        """Undo ``withhold``. Other reasons stay. Returns all shipments of the order."""

    @abstractmethod
    def cancel(self, *, order_id: str, actor: str = ORDERS) -> tuple[Shipment, ...]:
        """Cancel all shipments of the order, or none: InvalidTransition when one has left.

        When there are none, leave a tombstone, which rejects a late ``create`` for the order.
        """

    @abstractmethod
    def change(
        self,
        *,
        shipment_id: int,
        actor: str,
        status: ShipmentStatus | None = None,
        carrier: str | None = None,
        tracking_no: str | None = None,
        version: int | None = None,
    ) -> Shipment:
        """Move one shipment along its journey, or give it another carrier or tracking number; None leaves a field.

        What it has already changes nothing. ShipmentNotFound; PreconditionFailed if it has another ``version``;
        InvalidTransition, OwnedByOrder; DuplicateTrackingNumber; ShipmentShort, OrderRefunded when it is to leave.
        """

    @abstractmethod
    def erase(self, *, order_ids: Iterable[str]) -> None:
        """Forget whose these orders were: their guest has been erased. What waits keeps its address until it leaves."""

    @abstractmethod
    def shipments_of(self, *, order_ids: Iterable[str]) -> tuple[Shipment, ...]:
        """All shipments of these orders, oldest first."""

    @abstractmethod
    def records_of(self, *, order_id: str) -> tuple[ShipmentRecord, ...]:
        """All shipments of the order, oldest first."""

    @abstractmethod
    def order_of(self, *, tracking_no: str) -> str | None:
        """The order whose shipment has this number."""

    @abstractmethod
    def to_dispatch(self) -> dict[str, int]:
        """How many shipments of our orders wait to be dispatched, by warehouse. What is withheld is not counted."""

    @abstractmethod
    def to_pack(self, *, warehouse: str, after: int, limit: int) -> tuple[Shipment, ...]:
        """The shipments of ``to_dispatch`` in this warehouse, by id, so the oldest first: those above ``after``, at
        most ``limit``."""

    @abstractmethod
    def shipments(self, *, shipment_ids: Iterable[int]) -> tuple[Shipment, ...]:
        """Those of these shipments that there are, oldest first."""

    @abstractmethod
    def shipments_to(self, *, customer_id: int, after: int, limit: int) -> tuple[ShipmentRecord, ...]:
        """A customer's shipments by id, those above ``after``, at most ``limit``."""
