"""What is asked for, what an order costs and what a return refunds. Computed amounts are whole minor units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus
from eci import money
from eci.money import half_up


class Outcome(Enum):
    """Of what was asked: it is DONE, or recorded and carried on."""

    DONE = auto()
    PENDING = auto()


UNFINISHED = (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING, OrderStatus.AWAITING_PAYMENT, OrderStatus.CONFIRMED)
RETURNABLE = (OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.RETURNED)
RETURN_REQUESTED = "return_requested"  # in the timeline


def why_not_cancel(*, status: str, undone: bool) -> str:
    """Why the order cannot be cancelled; empty if it can be asked for."""
    if undone:
        return "It is being undone already, or has been."
    if status in RETURNABLE:
        return "It has left, so it can only come back."
    return "" if status in UNFINISHED else f"It is {status}."


def why_not_return(*, status: str) -> str:
    """Why no goods of the order can come back; empty if they can."""
    return "" if status in RETURNABLE else "Nothing of it has left."


def why_not_refund(*, payment_status: str) -> str:
    """Why no money of the order can be refunded; empty if it can."""
    if payment_status == OrderPaymentStatus.REFUNDED:
        return "All of its money has been refunded."
    refundable = (OrderPaymentStatus.PAID, OrderPaymentStatus.PARTIALLY_REFUNDED)
    return "" if payment_status in refundable else "It has not been paid."


@dataclass(frozen=True, kw_only=True)
class LineAsked:
    """``price`` is what the buyer saw, ``unit_price`` what staff says is to be charged; both in major units."""

    product_id: int
    quantity: int
    price: Decimal | None = None
    unit_price: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class OrderAsked:
    """A validated request for an order, for a customer or for a guest with an e-mail address.

    ``by_customer``: the customer asks, not staff or a service, so the cap on unpaid orders and the screening of
    payments apply. ``shipping_address``: JSON, as it was given. ``reference``: what another system calls the order.
    ``actor``: who asks.
    """

    customer_id: int | None
    email: str
    lines: Sequence[LineAsked]
    shipping_address: Any = None
    method: str = "credit_card"
    token: str = ""
    pay_later: bool = False
    fulfilment: str = "automatic"
    by_customer: bool = False
    reference: str = ""
    metadata: Mapping[str, str | None] = field(default_factory=dict)
    actor: str = "system"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line: ``unit_price`` is what is charged, ``catalog_price`` what the catalog asked, both in minor units."""

    product_id: int
    sku: str
    name: str
    quantity: int
    unit_price: int
    catalog_price: int

    @property
    def total(self) -> int:
        return self.quantity * self.unit_price


@dataclass(frozen=True, kw_only=True)
class Totals:
    subtotal: int
    tax: int
    shipping: int

    @property
    def total(self) -> int:
        return self.subtotal + self.tax + self.shipping


@dataclass(frozen=True, kw_only=True)
class Quote:
    currency: str
    lines: Sequence[Line]
    totals: Totals

    def own_prices(self) -> dict[str, str]:
        """The prices, by SKU, that are not the catalog's, each with the catalog's."""

        def shown(minor: int) -> str:
            return money.text(money.from_minor(minor, self.currency), self.currency)

        return {
            line.sku: f"{shown(line.unit_price)} instead of {shown(line.catalog_price)}"
            for line in self.lines
            if line.unit_price != line.catalog_price
        }


def totals(lines: Sequence[Line], *, tax_rate: Decimal, shipping: int) -> Totals:
    """Tax is taken once for the whole order, half-up, and not on shipping."""
    subtotal = sum(line.total for line in lines)
    return Totals(subtotal=subtotal, tax=half_up(subtotal * tax_rate), shipping=shipping)


def tax_share(*, tax: int, subtotal: int, returned_before: int, tax_before: int, returning: int) -> int:
    """The tax to refund with goods worth ``returning``. All shares add up to the order's tax, to the last unit."""
    if subtotal == 0:
        return 0
    due = half_up(Decimal(tax) * (returned_before + returning) / subtotal)
    return due - tax_before


@dataclass(frozen=True, kw_only=True)
class Sold:
    """What an order took for its goods, and what of that its returns have been worth, all in minor units. ``lines``:
    by the line's id, its unit price and the units of it that are not back."""

    subtotal: int
    tax: int
    shipping: int
    returned_goods: int
    returned_tax: int
    lines: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Goods and their share of tax, in minor units."""

    goods: int
    tax: int

    @property
    def total(self) -> int:
        return self.goods + self.tax


def worth(sold: Sold, by_line: Mapping[int, int]) -> Worth:
    """What these units (by line) are worth. The last ones take the remainder of the tax."""
    goods = sum(sold.lines[line_id][0] * units for line_id, units in by_line.items())
    if all(by_line.get(line_id, 0) == left for line_id, (_, left) in sold.lines.items()):
        return Worth(goods=goods, tax=sold.tax - sold.returned_tax)
    tax = tax_share(
        tax=sold.tax,
        subtotal=sold.subtotal,
        returned_before=sold.returned_goods,
        tax_before=sold.returned_tax,
        returning=goods,
    )
    return Worth(goods=goods, tax=tax)


def refund_of_return(*, worth: int, left: int, shipping: int) -> int:
    """What a return refunds: its worth, but no more than is ``left`` of what was paid, and never the shipping fee."""
    return max(0, min(worth, left - shipping))


@dataclass(frozen=True, kw_only=True)
class Came:
    """Units of a product that came back, and what becomes of them: ``resell``, ``damaged`` or ``lost``.

    ``warehouse``: the one they came to; empty: those they left.
    """

    product_id: int
    quantity: int
    disposition: str = "resell"
    warehouse: str = ""

    @property
    def kept(self) -> dict[str, Any]:
        """As a return keeps it."""
        return {name: value for name, value in vars(self).items() if value != ""}


@dataclass(frozen=True, kw_only=True)
class Returnable:
    """A line as a return sees it."""

    line_id: int
    product_id: int
    left: int


def spread_return(wanted: Mapping[int, int], lines: Sequence[Returnable]) -> dict[int, int] | None:
    """Units by line, in the order of the lines; None when more units are wanted than are left."""
    by_line: dict[int, int] = {}
    missing = dict(wanted)
    for line in lines:
        units = min(missing.get(line.product_id, 0), line.left)
        if units:
            by_line[line.line_id] = units
            missing[line.product_id] -= units
    return None if any(missing.values()) else by_line
