"""The orders of years, with all that each has left in the contexts' databases.

Nine of ten were shipped; the others were declined, ran out unpaid, or wait in a warehouse. Rows are those that the
product writes for such orders, so that the audit finds nothing and lists, searches and tasks have what they look for.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import models

from bench.filling.goods import CURRENCY, Article, Shelves, moment
from bench.filling.writer import write
from contexts.inventory.domain import span_of
from contexts.inventory.models import Allocation, Movement, MovementKind, Reservation
from contexts.inventory.models import Idempotency as InventoryAnswer
from contexts.notifications.models import Attempt, Notification
from contexts.notifications.models import InboxEvent as NotificationsInbox
from contexts.orders.models import Idempotency, Order, OrderLine, OutboxEvent, Step, TimelineEntry, Undo
from contexts.payments.models import Payment, PaymentRequest
from contexts.shipping.models import Consignment, Shipment, ShipmentEvent
from contexts.shipping.models import OutboxEvent as ShippingOutbox
from eci.clock import utcnow
from eci.ids import ORDER_PREFIX, event_id

PILE = 2_000  # orders written together
YEARS = timedelta(days=400)
SOON = timedelta(seconds=1)  # from the order to what became of it
REMEMBERED = timedelta(hours=40)  # answers and messages are younger than that: nothing of them is to be pruned
TAX, FEE = 5, 1000  # per cent; minor units
_DIGEST = "d8fabbe0e805f7262d3bff91ac6cd7cd8697c5fb54b2340808ac6a8fda8167cd"
_ANSWER = '{"data": {"filler": "' + "x" * 1500 + '"}}'

COLUMNS: dict[type[models.Model], tuple[str, ...]] = {
    Idempotency: ("scope", "key", "fingerprint", "resource", "status", "answer", "created_at"),
    InventoryAnswer: ("scope", "key", "fingerprint", "resource", "status", "answer", "created_at"),
    Order: (
        *("order_id", "customer_id", "status", "payment_status", "currency", "subtotal_minor", "tax_minor"),
        *("shipping_minor", "total_minor", "fulfilment", "method", "step", "undo", "confirmed_at", "created_at"),
        *("updated_at", "version", "idempotency_scope", "idempotency_key", "idempotency_fingerprint"),
    ),
    OrderLine: (
        *("order_id", "line_no", "product_id", "sku", "name", "quantity", "unit_price_minor", "catalog_price_minor"),
    ),
    TimelineEntry: ("order_id", "at", "event", "actor"),
    Reservation: (
        *(
            "id",
            "key",
            "order_id",
            "fingerprint",
            "status",
            "choice",
            "actor",
            "expires_at",
            "created_at",
            "updated_at",
        ),
    ),
    Allocation: ("reservation_id", "stock_id", "quantity", "state", "lapses_at", "since", "until", "lasted"),
    Movement: ("product_id", "warehouse_id", "delta", "on_hand", "kind", "reason", "order_id", "actor", "at"),
    PaymentRequest: ("order_id", "amount_minor", "currency", "customer_id", "state", "created_at", "updated_at"),
    Payment: (
        *("id", "order_id", "customer_id", "amount_minor", "currency", "method", "mode", "status", "captured_minor"),
        *("reference", "decline_reason", "captured_at", "next_at", "nonce", "actor", "created_at", "updated_at"),
    ),
    Consignment: ("order_id", "created_at"),
    Shipment: (
        *("id", "order_id", "customer_id", "warehouse", "tracking_no", "status", "dispatched_at", "created_at"),
        *("updated_at",),
    ),
    ShipmentEvent: ("shipment_id", "status", "actor", "at"),
    OutboxEvent: (
        *("event_id", "name", "consumer", "aggregate_id", "payload", "created_at", "next_at", "attempts"),
        *("delivered_at",),
    ),
    ShippingOutbox: (
        *("event_id", "name", "consumer", "aggregate_id", "payload", "created_at", "next_at", "attempts"),
        *("delivered_at",),
    ),
    NotificationsInbox: ("event_id", "name", "received_at"),
    Notification: (
        *("id", "kind", "channel", "recipient", "subject", "message", "order_id", "dedupe_key", "customer_id"),
        *("status", "attempts", "tries", "next_at", "lease_until", "created_at", "updated_at"),
    ),
    Attempt: ("notification_id", "at", "ok", "answer"),
}


@dataclass(frozen=True)
class Fate:
    """What became of an order, in the words of each context."""

    status: str
    payment_status: str
    hold: str
    part: str  # the allocation's state
    request: str
    payment: str  # empty: nobody was asked
    shipment: str  # empty: none
    step: str = Step.FULFIL
    undo: str = Undo.NONE
    fulfilment: str = "automatic"

    @property
    def paid(self) -> bool:
        return self.payment_status == "PAID"

    @property
    def left(self) -> bool:
        return self.part == "SHIPPED"


_SHIPPED = Fate("SHIPPED", "PAID", "SHIPPED", "SHIPPED", "PAID", "COMPLETED", "SHIPPED")
_DELIVERED = Fate("DELIVERED", "PAID", "SHIPPED", "SHIPPED", "PAID", "COMPLETED", "DELIVERED", Step.DONE)
_DECLINED = Fate("CANCELLED", "FAILED", "RELEASED", "RELEASED", "CLOSED", "FAILED", "", Step.DONE, Undo.DECLINED)
_EXPIRED = Fate("EXPIRED", "UNPAID", "RELEASED", "RELEASED", "CLOSED", "", "", Step.DONE, Undo.EXPIRED)
_PACKING = Fate("CONFIRMED", "PAID", "CONFIRMED", "OPEN", "PAID", "COMPLETED", "PENDING", fulfilment="warehouse")


def fate_of(number: int) -> Fate:
    match number % 20:
        case 0:
            return _DECLINED
        case 1:
            return _EXPIRED if number % 40 == 1 else _PACKING
        case 2 | 3 | 4 | 5 | 6:
            return _SHIPPED
    return _DELIVERED


@dataclass
class Trade:
    """Writes orders that take units from these shelves. ``lines``: of an order, on average."""

    goods: Sequence[Article]
    shelves: Shelves
    customers: int
    lines: int
    chance: random.Random = field(default_factory=lambda: random.Random(4711))
    movements: int = 0

    def write(self, orders: int) -> None:
        now = utcnow()
        rows: defaultdict[type[models.Model], list[tuple[Any, ...]]] = defaultdict(list)
        for number in range(1, orders + 1):
            share = number / orders
            at = now - YEARS * (1 - share) - timedelta(hours=1)
            for model, row in self._order(number, at, now - REMEMBERED * (1 - share)):
                rows[model].append(row)
            if number % PILE == 0 or number == orders:
                self.movements += len(rows[Movement])
                for model, columns in COLUMNS.items():
                    write(model, columns, rows[model])
                rows.clear()

    def _order(
        self, number: int, at: datetime, lately: datetime
    ) -> Iterator[tuple[type[models.Model], tuple[Any, ...]]]:
        """The rows of one order. ``lately``: the time of its messages and of the remembered answer."""
        fate = fate_of(number)
        order_id = f"{ORDER_PREFIX}{number:026}"  # before those that are placed from now on
        customer = self.chance.randint(1, self.customers)
        count = self.chance.randint(1, 2 * self.lines - 1)
        products = self.chance.sample(range(1, len(self.goods) + 1), min(count, len(self.goods)))
        bought = [(product, self.chance.randint(1, 3)) for product in products]
        subtotal = sum(self.goods[product - 1].price * units for product, units in bought)
        tax = (subtotal * TAX + 50) // 100
        total = subtotal + tax + FEE
        when, soon = moment(at), moment(at + SOON)
        key = f"order-{number}"
        yield Idempotency, ("staff:1:orders.place", key, _DIGEST, order_id, 201, _ANSWER, moment(lately))
        yield (
            Order,
            (order_id, customer, fate.status, fate.payment_status, CURRENCY, subtotal, tax, FEE, total)
            + (fate.fulfilment, "credit_card", fate.step, fate.undo, soon if fate.paid else None, when, soon, 3)
            + ("staff:1:orders.place", key, _DIGEST),
        )
        for line_no, (product, units) in enumerate(bought, 1):
            one = self.goods[product - 1]
            yield OrderLine, (order_id, line_no, product, one.sku, one.name, units, one.price, one.price)
        yield TimelineEntry, (order_id, when, "placed", "staff:1")
        yield TimelineEntry, (order_id, soon, "confirmed" if fate.paid else fate.status.lower(), "system")
        if fate.left:
            yield TimelineEntry, (order_id, soon, "shipped", "system")
        yield from self._hold(number, fate, order_id, bought, when, soon)
        yield PaymentRequest, (order_id, total, CURRENCY, customer, fate.request, when, soon)
        if fate.payment:
            declined = "" if fate.paid else "The card was declined."
            yield (
                Payment,
                (number, order_id, customer, total, CURRENCY, "credit_card", "charge", fate.payment)
                + (total if fate.paid else 0, f"sbx_{number:024x}" if fate.paid else "", declined)
                + (soon if fate.paid else None, soon, f"{number:016x}", "system", when, soon),
            )
        if fate.shipment:
            yield from self._parcels(number, fate, order_id, customer, bought, when, soon)
        if fate.paid:
            yield from self._letters(number, fate, order_id, customer, lately)

    def _hold(
        self, number: int, fate: Fate, order_id: str, bought: Sequence[tuple[int, int]], when: str, soon: str
    ) -> Iterator[tuple[type[models.Model], tuple[Any, ...]]]:
        """A product's first stock row has its number (``goods.open_shop``)."""
        made = (number, order_id, order_id, _DIGEST, fate.hold, "first single warehouse", "orders", soon, when, soon)
        yield Reservation, made
        for product, units in bought:
            row = product - 1
            ended = (None, None) if fate.part == "OPEN" else (soon, span_of([SOON]))
            yield Allocation, (number, product, units, fate.part, None, when, *ended)
            if fate.part == "OPEN":
                self.shelves.reserved[row] += units
            elif fate.left:
                self.shelves.on_hand[row] -= units
                place = self.shelves.warehouses[self.shelves.places[row]]
                left = (product, place, -units, self.shelves.on_hand[row], MovementKind.SHIPMENT.value)
                yield Movement, (*left, "shipment", order_id, "orders", soon)

    def _parcels(
        self,
        number: int,
        fate: Fate,
        order_id: str,
        customer: int,
        bought: Sequence[tuple[int, int]],
        when: str,
        soon: str,
    ) -> Iterator[tuple[type[models.Model], tuple[Any, ...]]]:
        yield Consignment, (order_id, when)
        places = sorted({self.shelves.places[product - 1] for product, _ in bought})
        for place in places:
            # Ids stay apart: an order has at most one shipment for each warehouse.
            shipment = number * len(self.shelves.warehouses) + place
            dispatched = soon if fate.left else None
            warehouse = self.shelves.warehouses[place]
            yield (
                Shipment,
                (shipment, order_id, customer, warehouse, f"ECI{shipment:012}", fate.shipment, dispatched, when, soon),
            )
            for status in {"PENDING": ("PENDING",), "SHIPPED": ("SHIPPED",)}.get(
                fate.shipment, ("SHIPPED", "DELIVERED")
            ):
                yield ShipmentEvent, (shipment, status, "orders", soon)

    def _letters(
        self, number: int, fate: Fate, order_id: str, customer: int, lately: datetime
    ) -> Iterator[tuple[type[models.Model], tuple[Any, ...]]]:
        """What was told and mailed: the order's confirmation, and that it is on its way."""
        sent = moment(lately)
        told = [(OutboxEvent, "orders.order_confirmed.v1", "order_confirmation")]
        if fate.left:
            told.append((ShippingOutbox, "shipping.shipment_dispatched.v1", "shipping_confirmation"))
        for letter, (outbox, name, kind) in enumerate(told):
            event = event_id(int(lately.timestamp() * 1000), self.chance.getrandbits(74)).hex
            payload = f'{{"version": 2, "order_id": "{order_id}"}}'
            yield outbox, (event, name, "notifications", order_id, payload, sent, sent, 1, sent)
            yield NotificationsInbox, (event, name, sent)
            notification = 2 * number + letter
            yield (
                Notification,
                (notification, kind, "email", f"c{customer}@example.com", f"Your order {order_id}", "Thank you. " * 12)
                + (order_id, f"{kind}:{order_id}", customer, "SENT", 1, 1, sent, sent, sent, sent),
            )
            yield Attempt, (notification, sent, True, "Accepted.")


def write_counts(shelves: Shelves, lines: int) -> None:
    """Lines of the ledger that change nothing together: each count finds a unit more, the next one less."""
    at = utcnow() - timedelta(minutes=55)  # after the last order

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(lines // 2):
            row = number % len(shelves.products)
            product, place = shelves.products[row], shelves.warehouses[shelves.places[row]]
            for delta, on_hand in ((1, shelves.on_hand[row] + 1), (-1, shelves.on_hand[row])):
                counted = (product, place, delta, on_hand, MovementKind.COUNT.value, "count", "")
                yield (*counted, "staff:1", moment(at + timedelta(microseconds=number)))

    write(Movement, COLUMNS[Movement], rows())


def write_expired_holds(shelves: Shelves, first: int, holds: int) -> None:
    """Holds of another system that ran out a minute ago, one unit each; the sweep has not seen them."""
    past, before = (moment(utcnow() - timedelta(minutes=minutes)) for minutes in (1, 16))
    rows = [(number, number % len(shelves.products)) for number in range(holds)]
    for _, row in rows:
        shelves.reserved[row] += 1
    write(
        Reservation,
        COLUMNS[Reservation],
        (
            (first + number, f"hold-{number}", f"EXT-{number}", _DIGEST, "RESERVED", "", "service:x", past, past, past)
            for number, _ in rows
        ),
    )
    write(
        Allocation,
        COLUMNS[Allocation],
        ((first + number, row + 1, 1, "OPEN", past, before, None, None) for number, row in rows),
    )


def write_waiting_events(events: int) -> None:
    """Events that were handed over in vain, and wait for their next turn in an hour."""
    now = utcnow()
    before, later = moment(now - timedelta(hours=1)), moment(now + timedelta(hours=1))
    for outbox in (OutboxEvent, ShippingOutbox):
        write(
            outbox,
            COLUMNS[OutboxEvent],
            (
                (uuid.uuid4().hex, "orders.order_confirmed.v1", "notifications", f"WAIT-{number}")
                + (
                    '{"version": 1, "order_id": "WAIT", "order_total": "1.00", "currency": "USD"}',
                    before,
                    later,
                    9,
                    None,
                )
                for number in range(events)
            ),
        )
