"""Orders: what other contexts, and the pages that look across contexts, may ask of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from eci.errors import Conflict, NotFound


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


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Where news of an order goes: a customer's id, or a guest's e-mail address."""

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
class Statistics:
    """``placed``: orders that passed the pivot, whatever became of them. ``stuck``: need a person."""

    placed: int
    stuck: int


class OrderNotFound(NotFound):
    pass


class PriceChanged(Conflict):
    """``details.items``: [{product_id, price}] with the current prices."""

    code = "price_changed"


class ProductUnavailable(Conflict):
    """``details.product_id``: no longer sold."""

    code = "product_unavailable"


class ReturnExceedsShipped(Conflict):
    """``details.items``: [{product_id, requested, returnable}]."""

    code = "return_exceeds_shipped"


class Orders(ABC):
    @abstractmethod
    def recipient(self, *, order_id: str) -> Recipient:
        """OrderNotFound."""

    @abstractmethod
    def facts(self, *, after: str, limit: int) -> tuple[OrderFacts, ...]:
        """Orders by id, beginning after the id ``after`` (the empty string: from the first)."""

    @abstractmethod
    def statistics(self) -> Statistics:
        """Counts for the metrics."""
