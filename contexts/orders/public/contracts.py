"""What other contexts, and the rooms that look across contexts, may ask of orders."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from eci.activity import KeepsTrail
from eci.errors import Conflict, EciError, NotFound


class OrderStatus(StrEnum):
    PENDING = "PENDING"
    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    PAYMENT_PENDING = "PAYMENT_PENDING"
    CONFIRMED = "CONFIRMED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    RETURNED = "RETURNED"


class OrderPaymentStatus(StrEnum):
    UNPAID = "UNPAID"
    PENDING = "PENDING"
    AUTHORISED = "AUTHORISED"
    PAID = "PAID"
    FAILED = "FAILED"
    VOIDED = "VOIDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class ReturnStatus(StrEnum):
    """REQUESTED by a customer: staff answers. RECEIVED: the goods are back. REFUSED by staff."""

    REQUESTED = "REQUESTED"
    RECEIVED = "RECEIVED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """The recipient of an order's notifications: a customer's id, or a guest's e-mail address."""

    customer_id: int | None
    email: str


@dataclass(frozen=True, kw_only=True)
class OrderFacts:
    """What an audit needs to know of an order. ``settled``: no workflow is under way on it."""

    order_id: str
    status: OrderStatus
    payment_status: OrderPaymentStatus
    order_total: Decimal
    refunded: Decimal
    currency: str
    units: dict[int, int]
    settled: bool
    needs_attention: bool
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class LineRecord:
    product_id: int
    sku: str
    name: str
    quantity: int
    returned_quantity: int
    unit_price: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class ReturnRecord:
    """``items``: as asked. ``received``: [{product_id, quantity, disposition}], None as long as nothing is back.
    ``refusal``: why staff refused it."""

    return_id: int
    status: ReturnStatus
    items: list[dict[str, int]]
    received: list[dict[str, int | str]] | None
    reason: str
    disposition: str
    refusal: str
    refund: Decimal
    currency: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class TimelineRecord:
    at: datetime
    event: str
    detail: str
    actor: str


@dataclass(frozen=True, kw_only=True)
class OrderRecord:
    """An order as it stands in its buyer's export. ``shipping_address``: as it was given."""

    order_id: str
    status: OrderStatus
    payment_status: OrderPaymentStatus
    method: str
    subtotal: Decimal
    tax: Decimal
    shipping: Decimal
    total: Decimal
    refunded: Decimal
    currency: str
    shipping_address: dict[str, str | list[str]] | str | None
    cancel_reason: str
    number: int | None = None
    reference: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    lines: tuple[LineRecord, ...]
    returns: tuple[ReturnRecord, ...]
    timeline: tuple[TimelineRecord, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class NoteRecord:
    """What staff noted on an order; its text is empty once the buyer has been erased."""

    text: str
    actor: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderBrief:
    order_id: str
    number: int | None
    status: OrderStatus
    total: Decimal
    currency: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ProductSold:
    """An order of a product: so many ``units`` of it."""

    order: OrderBrief
    units: int


@dataclass(frozen=True, kw_only=True)
class UnitsBack:
    """Units of a product that came back. ``disposition``: resell, damaged or lost. ``warehouse``: the one they came to;
    empty: those they left."""

    product_id: int
    quantity: int
    disposition: str
    warehouse: str = ""


@dataclass(frozen=True, kw_only=True)
class Refunding:
    """What money is to be refunded, without goods coming back: ``units`` by product with their tax, the ``shipping``
    fee, and an amount of one's own."""

    units: dict[int, int]
    shipping: bool
    more: Decimal


class StockEffect(StrEnum):
    """What becomes of units: ``released`` are for sale again and never left; the others came back."""

    RELEASED = "released"
    RESELL = "resell"
    DAMAGED = "damaged"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class StockChange:
    sku: str
    name: str
    warehouse: str
    units: int
    effect: StockEffect


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a command would do to the order as it is now, by the rules that carry it out.

    - ``version``: of the order.
    - ``refund`` is what is refunded; ``goods``, ``tax``, ``shipping`` and ``more`` are what it is for, as far as that
      can be said. ``voided``: authorised, and set free.
    - ``shipments``: cancelled. ``announces``: names of the events that others are told.
    - ``waits``: it is recorded, and done once the payment provider has answered.
    """

    version: int
    currency: str
    refund: Decimal
    goods: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    shipping: Decimal = Decimal(0)
    more: Decimal = Decimal(0)
    voided: Decimal = Decimal(0)
    stock: tuple[StockChange, ...] = ()
    shipments: tuple[int, ...] = ()
    announces: tuple[str, ...] = ()
    waits: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended. ``finished``: all of it is done; otherwise it is recorded, and carried on. ``repeated``: its
    key had been carried out before, and nothing was done now."""

    finished: bool
    repeated: bool


@dataclass(frozen=True, kw_only=True)
class OrderSheet:
    """An order for staff, with its buyer: a customer's id, or a guest's address.

    ``commands``: what staff may ask for, each with the reason why it cannot be done now; no reason: it can.
    ``notes``: staff's own, oldest first.
    """

    order: OrderRecord
    customer_id: int | None
    email: str
    needs_attention: bool
    commands: dict[str, str]
    notes: tuple[NoteRecord, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sales:
    """Orders in one currency that passed the pivot, whatever became of them, and the sum of their totals."""

    currency: str
    orders: int
    value: Decimal
    units: int = 0


@dataclass(frozen=True, kw_only=True)
class DaySales:
    """What was sold on a day of UTC in one currency, by the orders placed then. ``cancelled`` of these were cancelled
    since, and ``refunded`` was refunded."""

    day: date
    currency: str
    orders: int
    units: int
    value: Decimal
    cancelled: int
    refunded: Decimal


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """``by_status``: numbers of orders. ``attention``: those that need a person. ``overdue``: those due for a
    minute, without a runner. Sales and statuses are as of ``counted_at``."""

    counted_at: datetime
    sales: tuple[Sales, ...]
    by_status: dict[str, int]
    attention: int
    overdue: int


@dataclass(frozen=True, kw_only=True)
class Switch:
    """Whether new orders are taken; if not, why, since when, and who stopped them."""

    taking: bool
    reason: str = ""
    actor: str = ""
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """An order, or with its id a return, whose workflow is stuck. ``since``: when it should have gone on.

    ``attention``: it was given up to a person, for the reason ``detail``. ``settled``: no workflow is under way.
    ``refunded``: all of its money was, and it waits for staff, who may let it leave or cancel it.
    """

    order_id: str
    status: OrderStatus
    return_id: int | None = None
    attention: bool = False
    settled: bool = False
    detail: str = ""
    since: datetime
    refunded: bool = False


class OrdersStopped(EciError):
    """New orders are rejected for a while; those under way go on. The same request may be sent again."""

    status = 503
    code = "orders_stopped"
    retry_after: ClassVar[int] = 60


class OrderNotFound(NotFound):
    pass


class DuplicateReference(Conflict):
    """Another order has the reference. ``details.reference``, and its ``order_id``."""

    code = "duplicate_reference"


class PriceChanged(Conflict):
    """``details.items``: [{product_id, price}] with the current prices."""

    code = "price_changed"


class ProductUnavailable(Conflict):
    """``details.product_id``: no longer sold."""

    code = "product_unavailable"


class TooManyUnpaid(Conflict):
    """The customer has reached the cap on unpaid orders, their number or their value: each keeps stock from others."""

    code = "too_many_unpaid_orders"


class ReturnExceedsShipped(Conflict):
    """``details.items``: [{product_id, requested, returnable}]."""

    code = "return_exceeds_shipped"


class ExceedsLeft(Conflict):
    """More is to be refunded than is left of what was paid. ``details.left``."""

    code = "refund_exceeds_captured"


class ReturnTooLate(Conflict):
    """The order left too long ago for its customer to return it. ``details.days``: how many days they have."""

    code = "return_too_late"


class ReturnNotFound(NotFound):
    pass


class NoFeeForCurrency(Conflict):
    """The shop has no shipping fee in the order's currency. ``details.currency``."""

    code = "no_fee_for_currency"


class Orders(KeepsTrail):
    @abstractmethod
    def recipient(self, *, order_id: str) -> Recipient:
        """OrderNotFound."""

    @abstractmethod
    def recipients(self, *, order_ids: Iterable[str]) -> dict[str, Recipient]:
        """By order id; those of unknown orders are left out."""

    @abstractmethod
    def numbers(self, *, order_ids: Iterable[str]) -> dict[str, int]:
        """The orders' numbers by id; those of unknown orders, and of those without one, are left out."""

    @abstractmethod
    def orders_of(self, *, customer_id: int, after: str, limit: int) -> tuple[OrderRecord, ...]:
        """A customer's orders by id, as ``facts``."""

    @abstractmethod
    def sheet(self, *, order_id: str) -> OrderSheet:
        """OrderNotFound."""

    @abstractmethod
    def placed_by(self, *, customer_id: int, limit: int) -> tuple[OrderBrief, ...]:
        """A customer's orders, newest first."""

    @abstractmethod
    def who_ordered(self, *, customer_ids: Iterable[int]) -> tuple[int, ...]:
        """Those of these customers who have an order."""

    @abstractmethod
    def of_product(self, *, product_id: int, limit: int) -> tuple[ProductSold, ...]:
        """The newest orders that have this product."""

    # Commands of staff. Each is carried out once for its ``key``, which is the actor's. One that the order does not
    # allow as it is raises InvalidTransition. ``shown`` is the digest of the preview that its actor has seen: where it
    # would do something else by now, it raises PreconditionFailed.

    @abstractmethod
    def note(self, *, order_id: str, text: str, actor: str, key: str) -> Done:
        """Keep a note of staff's own. OrderNotFound."""

    @abstractmethod
    def preview_cancel(self, *, order_id: str) -> Preview:
        """OrderNotFound, InvalidTransition."""

    @abstractmethod
    def cancel(self, *, order_id: str, reason: str, actor: str, key: str, shown: str = "") -> Done:
        """Undo the order. OrderNotFound."""

    @abstractmethod
    def preview_refund(self, *, order_id: str, refunding: Refunding) -> Preview:
        """OrderNotFound, InvalidTransition; ReturnExceedsShipped for more units than are not back; ExceedsLeft."""

    @abstractmethod
    def refund(
        self, *, order_id: str, refunding: Refunding, reason: str, actor: str, key: str, shown: str = ""
    ) -> Done:
        """Refund money; nothing comes back. As ``preview_refund``; what payments refuses."""

    @abstractmethod
    def preview_return(self, *, order_id: str, came: tuple[UnitsBack, ...], return_id: int | None = None) -> Preview:
        """Units are back; with ``return_id`` those of a return that the customer asked for.

        OrderNotFound, ReturnNotFound, InvalidTransition, ReturnExceedsShipped; WarehouseNotFound.
        """

    @abstractmethod
    def return_units(
        self,
        *,
        order_id: str,
        came: tuple[UnitsBack, ...],
        reason: str,
        actor: str,
        key: str,
        shown: str = "",
        return_id: int | None = None,
    ) -> Done:
        """Register that units are back: stock and money follow. As ``preview_return``."""

    @abstractmethod
    def preview_refuse(self, *, order_id: str, return_id: int) -> Preview:
        """As ``refuse_return``."""

    @abstractmethod
    def refuse_return(
        self, *, order_id: str, return_id: int, reason: str, actor: str, key: str, shown: str = ""
    ) -> Done:
        """Refuse what the customer asked to return, and tell them why. OrderNotFound, ReturnNotFound."""

    @abstractmethod
    def named(self, *, name: str) -> tuple[str, ...]:
        """The ids of the orders that have this id, number (``#10023`` or ``10023``) or reference; without such an order
        those whose id ends so, from six letters on, or whose guest has this e-mail address."""

    @abstractmethod
    def sales(self, *, since: datetime) -> tuple[Sales, ...]:
        """Of the orders placed since then, those that passed the pivot: numbers, units and totals by currency."""

    @abstractmethod
    def placed(self, *, since: datetime) -> int:
        """How many orders were placed since then, whatever became of them."""

    @abstractmethod
    def sales_by_day(self, *, since: date) -> tuple[DaySales, ...]:
        """What was sold on each day since then, the oldest first, as it was told a minute ago. Days without sales are
        left out."""

    @abstractmethod
    def facts(self, *, after: str, limit: int) -> tuple[OrderFacts, ...]:
        """Orders by id, beginning after the id ``after`` (the empty string: from the first)."""

    @abstractmethod
    def stop(self, *, reason: str, actor: str) -> None:
        """Refuse new orders from now on (every process within a second); nothing else changes."""

    @abstractmethod
    def start(self, *, actor: str) -> None:
        """Take new orders again."""

    @abstractmethod
    def switch(self) -> Switch:
        """Whether new orders are taken."""

    @abstractmethod
    def lag(self) -> float:
        """Seconds by which the longest waiting order is overdue; 0 when none is."""

    @abstractmethod
    def stuck(self, *, seconds: int) -> tuple[Stuck, ...]:
        """Orders that need attention, or were refunded in full and have not left; and orders and returns that are
        overdue by more than ``seconds``."""

    @abstractmethod
    def retry(self, *, order_id: str, actor: str) -> OrderStatus:
        """Walk the order's step, and its unfinished returns, again now; harmless at any time. OrderNotFound."""

    @abstractmethod
    def attended(self, *, order_id: str, actor: str) -> None:
        """Record that a person has seen to the order: it no longer needs attention. OrderNotFound."""

    @abstractmethod
    def statistics(self) -> Statistics:
        """Counts for the metrics."""
