"""Stand-ins for the contexts that notifications calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from contexts.customers.public.contracts import Customer, CustomerNotFound
from contexts.orders.public.contracts import OrderNotFound, Recipient
from eci.calls import rpc
from eci.errors import ContextUnavailable


@dataclass
class OtherSide:
    """Stands for orders and customers. A test sets what they know, or makes orders unreachable."""

    buyers: dict[str, Recipient] = field(default_factory=dict)
    people: dict[int, Customer] = field(default_factory=dict)
    away: bool = False
    asked: int = 0  # how often, of many at once

    def recipient(self, *, order_id: str) -> Recipient:
        if self.away:
            raise ContextUnavailable("Orders cannot be reached.")
        if order_id not in self.buyers:
            raise OrderNotFound("There is no such order.")
        return self.buyers[order_id]

    def recipients(self, *, order_ids: Iterable[str]) -> dict[str, Recipient]:
        self.asked += 1
        if self.away:
            raise ContextUnavailable("Orders cannot be reached.")
        return {order_id: self.buyers[order_id] for order_id in order_ids if order_id in self.buyers}

    def customers(self, *, customer_ids: Iterable[int]) -> tuple[Customer, ...]:
        self.asked += 1
        return tuple(self.people[number] for number in customer_ids if number in self.people)

    def customer(self, *, customer_id: int) -> Customer:
        if customer_id not in self.people:
            raise CustomerNotFound("There is no such customer.")
        return self.people[customer_id]

    def customer_with(self, *, email: str) -> int | None:
        return next((number for number, person in self.people.items() if person.email == email), None)

    def guest(self, order_id: str, email: str = "guest@example.com") -> None:
        self.buyers[order_id] = Recipient(customer_id=None, email=email)

    def buyer(self, order_id: str, *, email: str = "jane@example.com", phone: str = "") -> None:
        self.buyers[order_id] = Recipient(customer_id=7, email="")
        self.people[7] = Customer(customer_id=7, email=email, full_name="Jane Doe", phone=phone)


@pytest.fixture
def others(settings: Any) -> Iterator[OtherSide]:
    settings.ECI_SMS_BACKEND = "console"
    stand_in = OtherSide()
    with rpc.replaced("orders", stand_in), rpc.replaced("customers", stand_in):
        yield stand_in
