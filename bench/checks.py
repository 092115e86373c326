"""Compute what the answers must say, in Decimal and without the product's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bench.retail import CENT

FEW = 10


@dataclass(frozen=True)
class Rules:
    tax_rate: Decimal
    shipping_fee: Decimal

    def tax(self, amount: Decimal) -> Decimal:
        return (amount * self.tax_rate).quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Sale:
    product_id: int
    quantity: int
    price: Decimal

    @property
    def total(self) -> Decimal:
        return self.quantity * self.price


@dataclass
class Bought:
    """An order as placed, and what has been returned of it so far."""

    order_id: str
    sales: tuple[Sale, ...]
    rules: Rules
    refunded: Decimal = Decimal(0)
    left: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for sale in self.sales:
            self.left[sale.product_id] += sale.quantity

    @property
    def subtotal(self) -> Decimal:
        return sum((sale.total for sale in self.sales), Decimal(0))

    @property
    def tax(self) -> Decimal:
        return self.rules.tax(self.subtotal)

    @property
    def total(self) -> Decimal:
        return self.subtotal + self.tax + self.rules.shipping_fee

    def differences(self, order: dict[str, Any]) -> list[str]:
        """Differences between the answered order and what was asked and must be charged."""
        expected = {
            "subtotal": self.subtotal,
            "tax_amount": self.tax,
            "shipping_amount": self.rules.shipping_fee,
            "order_total": self.total,
        }
        found = [
            f"{name} {order.get(name)} instead of {amount:.2f}"
            for name, amount in expected.items()
            if order.get(name) != f"{amount:.2f}"
        ]
        asked = Counter((sale.product_id, sale.quantity, sale.price, sale.total) for sale in self.sales)
        if _answered_lines(order.get("items") or ()) != asked:
            found.append("its lines are not those of the request")
        if order.get("payment_status") != "PAID":
            found.append(f"payment_status {order.get('payment_status')} instead of PAID")
        return found

    def take_back(self, items: dict[int, int], refund: Decimal) -> list[str]:
        """Record a return; the differences between its refund and what the contract allows.

        A refund is the lines and their share of tax, within a cent; the last return gets the rest of both. If the order
        has a product at several prices, the contract does not say which units go first: any will do.
        """
        self.left -= Counter(items)  # keeps only positive counts
        self.refunded += refund
        if not self.left:
            refundable = self.subtotal + self.tax
            if self.refunded == refundable:
                return []
            return [f"refunds add up to {self.refunded} instead of {refundable:.2f} after everything was returned"]
        lowest = self._with_tax(sum((self._prices(product)[0] * units for product, units in items.items()), Decimal(0)))
        highest = self._with_tax(
            sum((self._prices(product)[-1] * units for product, units in items.items()), Decimal(0))
        )
        if lowest - CENT <= refund <= highest + CENT:
            return []
        return [f"refund {refund} outside {lowest:.2f} to {highest:.2f}"]

    def _with_tax(self, worth: Decimal) -> Decimal:
        """The value of goods plus their share of the order's tax, not rounded."""
        return worth + worth * self.tax / self.subtotal if self.subtotal else worth

    def _prices(self, product_id: int) -> list[Decimal]:
        return sorted(sale.price for sale in self.sales if sale.product_id == product_id)


def _answered_lines(items: Iterable[dict[str, Any]]) -> Counter[tuple[int, int, Decimal, Decimal]]:
    return Counter(
        (item["product_id"], item["quantity"], Decimal(item["unit_price"]), Decimal(item["line_total"]))
        for item in items
    )


@dataclass
class Stock:
    """One product's units on the server before the run, and what the run did to them."""

    on_hand: int
    available: int
    received: int = 0
    sold: int = 0
    returned: int = 0
    adjusted: int = 0

    @property
    def change(self) -> int:
        return self.received - self.sold + self.returned + self.adjusted

    def differences(self, on_hand: int, available: int) -> list[str]:
        expected = {"on hand": (on_hand, self.on_hand), "available": (available, self.available)}
        return [
            f"{now} {word} instead of {before + self.change} ({before} before, {self.received} received, "
            f"{self.sold} sold, {self.returned} returned, {self.adjusted:+} adjusted)"
            for word, (now, before) in expected.items()
            if now != before + self.change
        ]


def shares(units: int) -> tuple[int, int, int]:
    """Divide opening stock over three warehouses: about 50, 30 and 20 %, so that a product's last orders must split.

    Up to FEW units all go to the first.
    """
    if units <= FEW:
        return units, 0, 0
    first = -(-units // 2)
    second = min(units - first, -(-units * 3 // 10))
    return first, second, units - first - second


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that ``percent`` % of them do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0
