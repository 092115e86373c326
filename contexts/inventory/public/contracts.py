"""Inventory's contract: reservations of stock, and what other contexts may ask about them.

Words: *on hand* are the units that are there, *reserved* those that reservations hold, *owed* those that paid
reservations lack. *Available* is what is left of on hand, never less than 0.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from eci.activity import KeepsTrail
from eci.errors import Conflict, NotFound


class ReservationStatus(StrEnum):
    RESERVED = "RESERVED"
    CONFIRMED = "CONFIRMED"
    SHIPPED = "SHIPPED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class AllocationState(StrEnum):
    """OPEN counts as reserved, SHORT as owed: a stock count found fewer units than this paid reservation needs.

    Units that come in make SHORT allocations OPEN again, the oldest first; from another warehouse, they move it there.
    """

    OPEN = "OPEN"
    SHORT = "SHORT"
    SHIPPED = "SHIPPED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, kw_only=True)
class Demand:
    """``quantity`` units of a product are wanted."""

    product_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Returned:
    """Units of a product that come back. ``disposition``: resell, damaged or lost. ``warehouse``: the one they come to;
    empty: those they left."""

    product_id: int
    quantity: int
    disposition: str
    warehouse: str = ""


@dataclass(frozen=True, kw_only=True)
class WarehouseRecord:
    code: str
    name: str
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """One stock row's part of a reservation. ``moved_from``: the warehouses that units of it have moved from, until
    ``accept_moves`` is called."""

    product_id: int
    warehouse: str
    quantity: int
    state: AllocationState
    moved_from: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """Units held for an order. ``key`` is its name, unique across callers.

    ``paying``: it neither expires nor is reclaimed. ``warehouse`` is None if the units are in several, ``expires_at``
    once the reservation is firm. ``choice`` says why these warehouses were chosen. ``why`` says why it needs attention,
    or why it ended though nobody asked for it; ``actor`` changed it last.
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
    why: str = ""
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A difference that an audit found. ``subject`` names the stock row, ``problem`` describes the difference."""

    subject: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Level:
    """The units of a product that one warehouse can sell now."""

    product_id: int
    warehouse: str
    available: int


@dataclass(frozen=True, kw_only=True)
class StockLevel:
    """A product's stock row, with ``reserved`` as it is now. ``is_open``: its warehouse sells."""

    inventory_id: int
    warehouse: str
    is_open: bool
    on_hand: int
    reserved: int
    owed: int
    available: int
    reorder_point: int


@dataclass(frozen=True, kw_only=True)
class HoldsAlive:
    """Reservations that are not firm: those that hold units now, and of these the ones that end soon."""

    alive: int
    ending: int


@dataclass(frozen=True, kw_only=True)
class DayValue:
    """What the units on hand cost by the catalog's prices, at the end of a day of UTC, or now."""

    day: date
    currency: str
    units: int
    value: Decimal


@dataclass(frozen=True, kw_only=True)
class LowRow:
    """A stock row of an active warehouse with fewer units available than its reorder point."""

    inventory_id: int
    product_id: int
    warehouse: str
    on_hand: int
    available: int
    reorder_point: int


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """``holds``: the number of reservations ever made, by the status they have now.

    ``lowest``: the stock rows of active warehouses with the fewest units available. ``low``: the number of such rows
    below their reorder point. ``owed``: the units that paid reservations lack. The holds are as of ``counted_at``.
    """

    holds: dict[str, int]
    counted_at: datetime
    lowest: tuple[Level, ...]
    low: int
    owed: int


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What proves the stock ledger. ``sealed``: movements, by the last checkpoint, which is of ``sealed_at``.

    ``findings``: what the last verification found, at ``verified_at``, at most 100.
    """

    sealed: int
    sealed_at: datetime | None
    verified_at: datetime | None
    findings: tuple[Finding, ...]


class InsufficientStock(Conflict):
    """``details.items``: [{product_id, requested, available}] of every product that falls short."""

    code = "insufficient_stock"


class ReservationExpired(Conflict):
    code = "reservation_expired"


class BelowReserved(Conflict):
    """A stock count or adjustment would leave fewer units than are reserved. ``details``: on_hand, reserved."""

    code = "below_reserved"


class ChangedMeanwhile(Conflict):
    """The stock row has moved since the caller looked.

    ``details``: on_hand and, of a single count, the movements since, newest first.
    """

    code = "changed_meanwhile"


class TooManyUnits(Conflict):
    """On hand would be more than a stock count can say. ``details``: on_hand, limit."""

    code = "too_many_units"


class ReservationNotFound(NotFound):
    pass


class WarehouseNotFound(NotFound):
    """``details.warehouse`` names it."""


class Inventory(KeepsTrail):
    """Commands for the reservations of our own orders. A repeated command answers the same and changes nothing."""

    @abstractmethod
    def reserve(
        self,
        *,
        order_id: str,
        key: str,
        items: tuple[Demand, ...],
        seconds: int,
        paying: bool = False,
        again: bool = False,
    ) -> Reservation:
        """Hold all items or none, for ``seconds`` or, if ``paying``, until the payment has an outcome.

        With ``again`` a reservation of this key that has expired is made anew, and one that has not becomes ``paying``
        if that is asked. InsufficientStock if some items are missing; InvalidTransition if the key was released before.
        """

    @abstractmethod
    def require_available(self, *, items: tuple[Demand, ...]) -> None:
        """InsufficientStock if ``reserve`` would raise it now. Nothing is held or locked, so success is no promise."""

    @abstractmethod
    def confirm(self, *, key: str) -> Reservation:
        """Make the reservation firm. ReservationNotFound, ReservationExpired, InvalidTransition (released)."""

    @abstractmethod
    def mark_paying(self, *, key: str) -> Reservation:
        """From now on the reservation does not expire. ReservationNotFound, ReservationExpired, InvalidTransition."""

    @abstractmethod
    def stop_paying(self, *, key: str, seconds: int) -> Reservation:
        """The payment waits for somebody: a ``paying`` reservation expires in ``seconds``, as any other does.

        One that a stock count made short expires at once, for nothing is owed to what is not paid. All others stay as
        they are. ReservationNotFound.
        """

    @abstractmethod
    def release(self, *, key: str, order_id: str, actor: str = "orders") -> Reservation:
        """Give back the units still held. InvalidTransition if everything was shipped.

        If there is no such reservation, a tombstone is left, so that a late reserve with this key is rejected.
        """

    @abstractmethod
    def ship(self, *, key: str, warehouse: str | None = None, actor: str = "orders", left: bool = False) -> Reservation:
        """The units leave, so on hand and reserved go down. With ``warehouse``, only the units in that one.

        ``left``: the shipment from there has left already, so its units were there. A count that did not find them is
        corrected, and moves that this shipment did not know of are taken back.

        ReservationNotFound, ReservationExpired, InvalidTransition (released). Unless ``left``: InsufficientStock, with
        no effect, if a count took units of it and they are not back, or have moved.
        """

    @abstractmethod
    def accept_moves(self, *, key: str) -> Reservation:
        """From now on the units that moved belong to the shipments from where they are. None leaves meanwhile.

        ReservationNotFound.
        """

    @abstractmethod
    def give_up(self, *, key: str, warehouse: str, actor: str = "orders") -> Reservation:
        """What the reservation is owed in this warehouse is owed no more: those units are released, what is there
        stays. ReservationNotFound.
        """

    @abstractmethod
    def restock(
        self,
        *,
        order_id: str,
        reference: str,
        items: tuple[Demand, ...],
        disposition: str,
        actor: str = "orders",
        warehouse: str = "",
    ) -> None:
        """Units come back to ``warehouse``, or to those they left, once per ``reference``. InvalidTransition if more
        come back than have left; WarehouseNotFound.

        ``disposition`` resell adds them to on hand. With damaged or lost, the ledger shows them as returned and as
        written off.
        """

    @abstractmethod
    def restock_plan(self, *, order_id: str, returned: tuple[Returned, ...]) -> tuple[Returned, ...]:
        """Where these would come, each with its warehouse, if ``restock`` were called for one after the other. Errors
        as there."""

    @abstractmethod
    def warehouses(self) -> tuple[WarehouseRecord, ...]:
        """All of them, by code."""

    @abstractmethod
    def reservations(self, *, keys: Iterable[str]) -> dict[str, Reservation]:
        """The reservations with these keys that exist, by key."""

    @abstractmethod
    def orders_holding(self) -> tuple[str, ...]:
        """The ids of our orders for which units are held now, or owed."""

    @abstractmethod
    def low(self) -> int:
        """How many stock rows of active warehouses are below their reorder point."""

    @abstractmethod
    def low_rows(self, *, limit: int) -> tuple[LowRow, ...]:
        """At most so many of the rows that ``low`` counts, those with the fewest units available first."""

    @abstractmethod
    def stock_of(self, *, product_id: int) -> tuple[StockLevel, ...]:
        """A product's stock rows, by warehouse."""

    @abstractmethod
    def in_stock(self) -> tuple[int, ...]:
        """The ids of the products of which an open warehouse has units available, in order."""

    @abstractmethod
    def holds_alive(self, *, seconds: int) -> HoldsAlive:
        """How many reservations wait for their payment, and how many of them end within so many seconds."""

    @abstractmethod
    def value_by_day(self, *, since: date) -> tuple[DayValue, ...]:
        """The value of the stock on each day since then that is known, the oldest first."""

    @abstractmethod
    def statistics(self) -> Statistics:
        """Counts for the metrics."""

    @abstractmethod
    def audit(self) -> tuple[Finding, ...]:
        """Stock rows that differ from the ledger (on hand) or the allocations: open (reserved) and short (owed)."""

    @abstractmethod
    def ledger(self) -> Ledger:
        """How far the stock ledger is sealed, and what its last verification found."""
