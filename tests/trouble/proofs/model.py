"""What the shop should be, in plain Python: no database, no framework, none of the product's code.

Amounts are cents, times are minutes since the model began.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

TAX_PERCENT = 5
SHIPPING = 1000
DEADLINE, HOLD_OF_WAITING = 15, 17  # minutes

Place = tuple[int, str]  # product, warehouse


def half_up(cents_times_100: int) -> int:
    return (cents_times_100 + 50) // 100


@dataclass
class Hold:
    """``parts``: units and state by place. ``ends`` is None once it is firm."""

    parts: dict[Place, int]
    ends: int | None
    firm: bool = False
    states: dict[Place, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states = dict.fromkeys(self.parts, "OPEN")

    def of(self, warehouse: str | None) -> list[Place]:
        return [place for place in self.parts if warehouse in (None, place[1])]

    def in_state(self, state: str, warehouse: str | None = None) -> list[Place]:
        return [place for place in self.of(warehouse) if self.states[place] == state]

    def close(self, places: list[Place], state: str) -> None:
        self.states |= dict.fromkeys(places, state)

    @property
    def status(self) -> str:
        if self.in_state("OPEN"):
            return "CONFIRMED" if self.firm else "RESERVED"
        return next(state for state in ("SHIPPED", "EXPIRED", "RELEASED") if self.in_state(state))


@dataclass
class Order:
    lines: dict[int, int]  # units by product
    subtotal: int
    hold: Hold
    automatic: bool
    status: str
    payment_status: str
    deadline: int | None = None
    captured: int = 0
    refunded: int = 0
    back: dict[Place, int] = field(default_factory=dict)
    goods_back: int = 0
    tax_back: int = 0

    @property
    def tax(self) -> int:
        return half_up(self.subtotal * TAX_PERCENT)

    @property
    def total(self) -> int:
        return self.subtotal + self.tax + SHIPPING


class Model:
    def __init__(self, prices: dict[int, int], warehouses: list[str]) -> None:
        self.prices = prices
        self.preferred = list(warehouses)
        self.on_hand: dict[Place, int] = {(product, code): 0 for product in prices for code in warehouses}
        self.holds: dict[str, Hold] = {}
        self.orders: dict[str, Order] = {}
        self.now = 0

    # -- stock

    def reserved(self, place: Place) -> int:
        holds = [*self.holds.values(), *(order.hold for order in self.orders.values())]
        return sum(hold.parts[place] for hold in holds if hold.states.get(place) == "OPEN")

    def available(self, place: Place) -> int:
        return self.on_hand[place] - self.reserved(place)

    def enough(self, demand: dict[int, int], warehouses: list[str] | None = None) -> bool:
        codes = self.preferred if warehouses is None else warehouses
        return all(sum(self.available((product, code)) for code in codes) >= units for product, units in demand.items())

    def check_allocation(self, demand: dict[int, int], parts: dict[Place, int]) -> None:
        """The first single warehouse that has it all; otherwise any choice of the fewest."""
        for product, units in demand.items():
            assert sum(count for (of, _), count in parts.items() if of == product) == units
        assert all(0 < units <= self.available(place) for place, units in parts.items())
        used = {code for _, code in parts}
        alone = [code for code in self.preferred if self.enough(demand, [code])]
        if alone:
            assert used == {alone[0]}
        else:
            sizes = range(2, len(self.preferred) + 1)
            fewest = next(n for n in sizes if any(self.enough(demand, [*c]) for c in combinations(self.preferred, n)))
            assert len(used) == fewest

    # -- holds: each gives the answer's status or code

    def confirm(self, hold: Hold) -> str:
        if hold.in_state("EXPIRED"):
            return "reservation_expired"
        if hold.status == "RELEASED":
            return "invalid_transition"
        if hold.status == "RESERVED":
            hold.firm, hold.ends = True, None
        return "200"

    def release(self, hold: Hold, warehouse: str | None = None) -> str:
        if not hold.of(warehouse):
            return "not_found"
        claiming = hold.in_state("OPEN", warehouse)
        if not claiming and hold.in_state("SHIPPED", warehouse) == hold.of(warehouse):
            return "invalid_transition"
        hold.close(claiming, "RELEASED")
        return "200"

    def ship(self, hold: Hold, warehouse: str | None = None) -> str:
        if not hold.of(warehouse):
            return "not_found"
        if hold.in_state("EXPIRED", warehouse):
            return "reservation_expired"
        leaving = hold.in_state("OPEN", warehouse)
        if not leaving:
            return "200" if hold.in_state("SHIPPED", warehouse) else "invalid_transition"
        hold.close(leaving, "SHIPPED")
        for place in leaving:
            self.on_hand[place] -= hold.parts[place]
        return "200"

    # -- orders

    def price(self, lines: dict[int, int]) -> int:
        return sum(self.prices[product] * units for product, units in lines.items())

    def add_order(self, order_id: str, lines: dict[int, int], parts: dict[Place, int], *, automatic: bool) -> Order:
        hold = Hold(parts, ends=None, firm=True)
        order = Order(lines, self.price(lines), hold, automatic, "CONFIRMED", "PAID")
        self.orders[order_id] = order
        return order

    def pay(self, order: Order) -> None:
        order.status, order.payment_status, order.captured, order.deadline = "CONFIRMED", "PAID", order.total, None
        order.hold.firm, order.hold.ends = True, None
        if order.automatic:
            self.dispatch(order, None)

    def dispatch(self, order: Order, warehouse: str | None) -> None:
        self.ship(order.hold, warehouse)
        if not order.hold.in_state("OPEN"):
            order.status = "SHIPPED"

    def charge(self, order: Order) -> str:
        if order.captured:
            return "already_paid"
        if order.status == "CANCELLED":
            return "invalid_transition"
        if order.status == "EXPIRED" or order.deadline is None or order.deadline <= self.now:
            return "reservation_expired"
        self.pay(order)
        return "200"

    def cancel(self, order: Order) -> str:
        if order.status == "CANCELLED":
            return "200"
        if order.status not in ("AWAITING_PAYMENT", "CONFIRMED") or order.hold.in_state("SHIPPED"):
            return "invalid_transition"
        if order.captured:
            order.payment_status, order.refunded = "REFUNDED", order.captured
        order.status = "CANCELLED"
        self.release(order.hold)
        return "200"

    def give_back(self, order: Order, product: int, units: int, *, resell: bool) -> str:
        if order.status not in ("SHIPPED", "RETURNED"):
            return "invalid_transition"
        places = [place for place in self.on_hand if place[0] == product and place in order.hold.parts]
        if units > sum(order.hold.parts[place] - order.back.get(place, 0) for place in places):
            return "return_exceeds_shipped"
        missing = units
        for place in places:
            taken = min(missing, order.hold.parts[place] - order.back.get(place, 0))
            order.back[place] = order.back.get(place, 0) + taken
            self.on_hand[place] += taken if resell else 0
            missing -= taken
        goods = units * self.prices[product]
        if order.back == order.hold.parts:
            order.status = "RETURNED"
            tax = order.tax - order.tax_back
        else:
            due = (2 * order.tax * (order.goods_back + goods) + order.subtotal) // (2 * order.subtotal)
            tax = due - order.tax_back
        order.goods_back += goods
        order.tax_back += tax
        order.refunded += goods + tax
        order.payment_status = "PARTIALLY_REFUNDED"
        return "201"

    # -- time

    def pass_time(self, minutes: int) -> None:
        self.now += minutes
        for hold in [*self.holds.values(), *(order.hold for order in self.orders.values())]:
            if hold.ends is not None and hold.ends <= self.now:
                hold.close(hold.in_state("OPEN"), "EXPIRED")

    def work(self) -> None:
        """What the workers see to: unpaid orders whose time is over."""
        for order in self.orders.values():
            if order.status == "AWAITING_PAYMENT" and order.deadline is not None and order.deadline <= self.now:
                order.status = "EXPIRED"
                order.hold.close(order.hold.in_state("OPEN"), "RELEASED")
