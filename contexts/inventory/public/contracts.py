"""Inventory: holds on stock, and what other contexts may ask of them.

Words: *on hand* is what is there, *reserved* what open holds claim of it, *available* the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from eci.errors import Conflict, NotFound


class ReservationStatus(StrEnum):
    RESERVED = "RESERVED"
    CONFIRMED = "CONFIRMED"
    SHIPPED = "SHIPPED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class AllocationState(StrEnum):
    """OPEN counts as reserved. SHORT: a stock count found fewer units than a paid hold needs; it claims none."""

    OPEN = "OPEN"
    SHORT = "SHORT"
    SHIPPED = "SHIPPED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, kw_only=True)
class Demand:
    """``quantity`` units of a product wanted."""

    product_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """One warehouse's part of a hold."""

    product_id: int
    warehouse: str
    quantity: int
    state: AllocationState


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """``key`` is the reservation's name, unique across callers. ``paying``: it neither expires nor is reclaimed.

    ``warehouse`` is None when the hold is split, ``expires_at``
    once it is firm. ``choice`` says why its warehouses were chosen.
    """

    reservation_id: int
    key: str
    order_id: str
    status: ReservationStatus
    paying: bool
    warehouse: str | None
    choice: str
    allocations: tuple[Allocation, ...]
    expires_at: datetime | None
    needs_attention: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something at odds in the books. ``subject`` names what, ``problem`` says how, in words."""

    subject: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Level:
    """Units of a product in a warehouse that can be sold now."""

    product_id: int
    warehouse: str
    available: int


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """``holds`` ever made, by the state they are in now. ``lowest``: the stock rows of active warehouses with the least
    available, ``low`` how many are below their reorder point."""

    holds: dict[str, int]
    lowest: tuple[Level, ...]
    low: int


class InsufficientStock(Conflict):
    """``details.items``: [{product_id, requested, available}] of every product that falls short."""

    code = "insufficient_stock"


class ReservationExpired(Conflict):
    code = "reservation_expired"


class BelowReserved(Conflict):
    """A stock count or adjustment would leave less than is reserved. ``details``: on_hand, reserved."""

    code = "below_reserved"


class ReservationNotFound(NotFound):
    pass


class WarehouseNotFound(NotFound):
    """``details.warehouse`` names it."""


class Inventory(ABC):
    """Commands for holds of our own orders. Every one may be repeated: it answers the same and changes nothing more."""

    @abstractmethod
    def reserve(
        self, *, order_id: str, key: str, items: tuple[Demand, ...], seconds: int, paying: bool = False
    ) -> Reservation:
        """Hold all items or none, for ``seconds`` (for as long as it takes when ``paying``).

        InsufficientStock when they can't be had; InvalidTransition when the key was released before.
        """

    @abstractmethod
    def require_available(self, *, items: tuple[Demand, ...]) -> None:
        """InsufficientStock as ``reserve`` would say now. Nothing is held or locked: having passed promises nothing."""

    @abstractmethod
    def confirm(self, *, key: str) -> Reservation:
        """Make the hold firm. ReservationNotFound, ReservationExpired, InvalidTransition (released)."""

    @abstractmethod
    def mark_paying(self, *, key: str) -> Reservation:
        """From now on the hold does not lapse by itself. ReservationNotFound, ReservationExpired, InvalidTransition."""

    @abstractmethod
    def release(self, *, key: str, order_id: str) -> Reservation:
        """Give back what is still open. Finding nothing, it leaves a tombstone: a late reserve of this key is refused.

        InvalidTransition when everything was shipped.
        """

    @abstractmethod
    def ship(self, *, key: str, warehouse: str | None = None) -> Reservation:
        """The units leave: on hand and reserved go down. With ``warehouse`` only that part.

        ReservationNotFound, ReservationExpired, InvalidTransition (released).
        """

    @abstractmethod
    def restock(self, *, order_id: str, reference: str, items: tuple[Demand, ...], disposition: str) -> None:
        """Units come back to the warehouses they left, once per ``reference``.

        ``disposition`` resell adds them to on hand; damaged and lost are written to the ledger as in and out again.
        """

    @abstractmethod
    def reservations(self, *, keys: Iterable[str]) -> dict[str, Reservation]:
        """The holds of these names that exist, by name."""

    @abstractmethod
    def orders_holding(self) -> tuple[str, ...]:
        """Our orders for which units are held now."""

    @abstractmethod
    def statistics(self) -> Statistics:
        """Counts for the metrics."""

    @abstractmethod
    def audit(self) -> tuple[Finding, ...]:
        """Rows where on hand is not the sum of the ledger, or reserved not the sum of open holds."""
