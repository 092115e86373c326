"""Do the books agree? Compares stock with its ledger and reservations, and every settled order with its reservation,
payments and shipments.

Composed from the contexts' public APIs. It repairs nothing: a finding is for a person to look at.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import AllocationState, Reservation
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import OrderFacts, OrderStatus
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import Payment, PaymentStatus
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment, ShipmentStatus, Withheld

PAGE = 500
PAUSE = 2  # seconds between two looks; work under way has moved on by the second
_PAID = (OrderStatus.CONFIRMED, OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.RETURNED)
_UNDONE = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
_LEFT = (OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.RETURNED)


class Kind(StrEnum):
    """What contradicts what. ``order`` is everything about an order for which there is no safe action."""

    STOCK = "stock"
    LEDGER = "ledger"
    PAID_WITHOUT_ORDER = "paid-without-order"
    HOLD_WITHOUT_ORDER = "hold-without-order"
    REFUND_OWED = "refund-owed"
    HOLD_LEFT = "hold-left"
    SHIPMENT_LEFT = "shipment-left"
    OWED = "owed"
    ORDER = "order"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A contradiction: ``subject`` names the order or stock row, ``problem`` describes it in words."""

    kind: Kind
    subject: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """``findings`` were there at both looks. ``orders`` were looked at; ``in_flight`` of them have a workflow under way
    and are not judged."""

    orders: int
    in_flight: int
    findings: tuple[Finding, ...]


def audit() -> Verdict:
    """Look once. If there are findings, look again and keep those that are still there."""
    verdict = look()
    if not verdict.findings:
        return verdict
    time.sleep(PAUSE)
    again = look()
    lasting = [finding for finding in again.findings if finding in verdict.findings]
    return Verdict(orders=again.orders, in_flight=again.in_flight, findings=tuple(lasting))


def look() -> Verdict:
    """Look once. A finding may come from work that is under way.

    1. Ask inventory about its ledger, what the last verification of it found, and which orders hold stock; ask payments
       which orders hold money.
    2. Page through all orders, and compare each settled one with its reservation, payments and shipments.
    3. Report stock and money held for orders that do not exist.
    """
    findings = [Finding(kind=Kind.STOCK, subject=one.subject, problem=one.problem) for one in inventory.audit()]
    findings += [
        Finding(kind=Kind.LEDGER, subject=one.subject, problem=one.problem) for one in inventory.ledger().findings
    ]
    holding, paying = set(inventory.orders_holding()), set(payments.orders_with_money())
    count = in_flight = 0
    for page in _pages():
        ids = [facts.order_id for facts in page]
        reservations = inventory.reservations(keys=ids)
        paid = _by_order(payments.payments_of(order_ids=ids))
        shipments = _by_order(shipping.shipments_of(order_ids=ids))
        for facts in page:
            order_id = facts.order_id
            holding.discard(order_id)
            paying.discard(order_id)
            count += 1
            if not facts.settled:
                in_flight += 1
                continue
            problems = _problems(facts, reservations.get(order_id), paid[order_id], shipments[order_id])
            findings += [Finding(kind=kind, subject=order_id, problem=problem) for kind, problem in problems]
    findings += [
        Finding(kind=Kind.HOLD_WITHOUT_ORDER, subject=order_id, problem="stock is held for an order that isn't there")
        for order_id in sorted(holding)
    ]
    findings += [
        Finding(kind=Kind.PAID_WITHOUT_ORDER, subject=order_id, problem="money is held for an order that isn't there")
        for order_id in sorted(paying)
    ]
    return Verdict(orders=count, in_flight=in_flight, findings=tuple(findings))


def _pages() -> Iterator[tuple[OrderFacts, ...]]:
    after = ""
    while page := orders.facts(after=after, limit=PAGE):
        yield page
        after = page[-1].order_id


def _by_order(rows: Iterable[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.order_id].append(row)
    return groups


def _problems(
    facts: OrderFacts, reservation: Reservation | None, paid: list[Payment], shipments: list[Shipment]
) -> Iterator[tuple[Kind, str]]:
    captured = sum((payment.captured for payment in paid), Decimal(0))
    refunded = sum((payment.refunded for payment in paid), Decimal(0))
    if facts.status in _PAID:
        if captured != facts.order_total:
            yield Kind.ORDER, f"is {facts.status}; captured {captured} of {facts.order_total}"
        if refunded != facts.refunded:
            yield Kind.ORDER, f"says {facts.refunded} was refunded; payments say {refunded}"
        yield from ((Kind.ORDER, problem) for problem in _stock_problems(facts, reservation, shipments))
        yield from ((Kind.OWED, problem) for problem in _owed_problems(reservation, shipments))
    elif facts.status in _UNDONE:
        if captured != refunded or any(payment.status == PaymentStatus.AUTHORISED for payment in paid):
            held = captured - refunded
            yield Kind.REFUND_OWED, f"is {facts.status}; {held or 'an authorisation'} of its money is still held"
        if reservation is not None and _units(reservation, AllocationState.OPEN):
            yield Kind.HOLD_LEFT, f"is {facts.status}; its stock is still held"
        elif reservation is not None and _units(reservation, AllocationState.SHORT):
            yield Kind.HOLD_LEFT, f"is {facts.status}; units are still owed to it"
        if any(shipment.status != ShipmentStatus.CANCELLED for shipment in shipments):
            yield Kind.SHIPMENT_LEFT, f"is {facts.status}; a shipment is not cancelled"
    else:
        yield Kind.ORDER, f"is {facts.status} and nothing is under way"


def _stock_problems(facts: OrderFacts, reservation: Reservation | None, shipments: list[Shipment]) -> Iterator[str]:
    if reservation is None:
        yield f"is {facts.status} without a reservation"
        return
    shipments = [shipment for shipment in shipments if shipment.status != ShipmentStatus.CANCELLED]
    allocated: dict[int, int] = defaultdict(int)
    for allocation in reservation.allocations:
        allocated[allocation.product_id] += allocation.quantity
    if dict(allocated) != facts.units:
        yield f"ordered {facts.units}, allocated {dict(allocated)}"
    kept = [one for one in reservation.allocations if one.state != AllocationState.RELEASED]
    if {one.warehouse for one in shipments} != {one.warehouse for one in kept}:
        yield "its shipments and its allocations name different warehouses"
    given_up = _units(reservation, AllocationState.RELEASED)
    if given_up and facts.refunded < facts.order_total:
        yield f"{given_up} of its units were given up, and its money was not all refunded"
    if facts.status in _LEFT:
        if _units(reservation, AllocationState.SHIPPED) + given_up != sum(facts.units.values()):
            yield f"is {facts.status}; not all of its units have left"
        if not all(shipment.dispatched for shipment in shipments):
            yield f"is {facts.status}; a shipment has not been dispatched"


def _owed_problems(reservation: Reservation | None, shipments: list[Shipment]) -> Iterator[str]:
    """A shipment is withheld as short if, and only if, units of it are owed."""
    allocations = reservation.allocations if reservation else ()
    short = {one.warehouse for one in allocations if one.state == AllocationState.SHORT}
    for shipment in shipments:
        if shipment.dispatched or shipment.status == ShipmentStatus.CANCELLED:
            continue
        if shipment.warehouse in short and Withheld.SHORT not in shipment.withheld:
            yield f"units are owed to it in {shipment.warehouse}, and its shipment may leave from there"
        elif shipment.warehouse not in short and Withheld.SHORT in shipment.withheld:
            yield f"its shipment may not leave {shipment.warehouse}, and no units are owed to it there"


def _units(reservation: Reservation, state: AllocationState) -> int:
    return sum(allocation.quantity for allocation in reservation.allocations if allocation.state == state)
