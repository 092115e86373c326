"""The sheet of an order: everything that seven contexts know of it, and what can be done now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import attrgetter

from config.desk.asking import User, address, may, unless_away
from config.desk.dialogs import DIALOGS
from contexts.customers.public.api import customers
from contexts.customers.public.contracts import Customer, CustomerNotFound
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Reservation
from contexts.notifications.public.api import notifications
from contexts.notifications.public.contracts import NoticeRecord
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import LineRecord, OrderBrief, OrderSheet
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentRecord
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import ShipmentRecord
from eci import money
from eci.staff import page

OTHERS = 5  # of a buyer's other orders that a sheet shows


@dataclass(frozen=True, kw_only=True)
class Happened:
    """One line of the merged timeline. ``context`` tells of it, ``what`` and ``detail`` say it, ``actor`` did it."""

    at: datetime
    context: str
    what: str
    detail: str = ""
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """An order with what the other contexts say of it; the part of one that is away is empty, and it is named.

    ``others``: the buyer's newest orders besides this one. A guest's are found by the address.
    """

    of: OrderSheet
    buyer: Customer | None
    buyer_url: str
    reservation: Reservation | None
    payments: tuple[PaymentRecord, ...]
    shipments: tuple[ShipmentRecord, ...]
    notices: tuple[NoticeRecord, ...]
    others: tuple[OrderBrief, ...]
    unavailable: tuple[str, ...]

    @property
    def lines(self) -> Iterator[tuple[LineRecord, str, str]]:
        """Each line with its unit price and its total as text."""
        for line in self.of.order.lines:
            yield line, self.amount(line.unit_price), self.amount(line.unit_price * line.quantity)

    @property
    def amounts(self) -> list[tuple[str, str]]:
        """The money of the order, by name."""
        order = self.of.order
        captured = sum((one.payment.captured for one in self.payments), Decimal(0))
        refunded = sum((one.payment.refunded for one in self.payments), Decimal(0))
        named = [("Subtotal", order.subtotal), ("Tax", order.tax), ("Shipping", order.shipping), ("Total", order.total)]
        if self.payments:
            named += [("Captured", captured), ("Refunded", refunded), ("Left", captured - refunded)]
        return [(name, self.amount(value)) for name, value in named]

    @property
    def address(self) -> str:
        """As a label has it, to be copied: the first shipment's, for that is where it goes."""
        if not self.shipments:
            return ""
        return "\n".join(address(self.shipments[0].shipment.ship_to))

    @property
    def timeline(self) -> list[Happened]:
        """What all contexts tell, the oldest first."""
        told = [*self._of_orders(), *self._of_payments(), *self._of_shipping(), *self._of_notifications()]
        return sorted(told, key=attrgetter("at"))

    @property
    def of_the_buyer(self) -> str:
        """The list of all orders of the buyer."""
        email = self.buyer.email if self.buyer else self.of.email
        return page("admin:orders_order_changelist", q=email) if email else ""

    def amount(self, value: Decimal) -> str:
        currency = self.of.order.currency
        return f"{money.text(value, currency)} {currency}"

    def _of_orders(self) -> Iterable[Happened]:
        for entry in self.of.order.timeline:
            what = entry.event.replace("_", " ")
            yield Happened(at=entry.at, context="orders", what=what, detail=entry.detail, actor=entry.actor)

    def _of_payments(self) -> Iterable[Happened]:
        for record in self.payments:
            paid = record.payment
            what = f"payment {paid.payment_id} of {self.amount(paid.amount)} begun"
            yield Happened(at=paid.created_at, context="payments", what=what, detail=f"it is {paid.status} now")
            for back in record.refunds:
                what = f"refund {back.refund_id} of {self.amount(back.amount)} asked for"
                detail = f"{back.reason}: it is {back.status} now"
                yield Happened(at=back.created_at, context="payments", what=what, detail=detail, actor=back.actor)

    def _of_shipping(self) -> Iterable[Happened]:
        for record in self.shipments:
            for step in record.steps:
                what = f"shipment {record.shipment.shipment_id} {step.status}"
                yield Happened(at=step.at, context="shipping", what=what, detail=step.location)

    def _of_notifications(self) -> Iterable[Happened]:
        for notice in self.notices:
            again = f" again (as {notice.again_of})" if notice.again_of else ""
            yield Happened(
                at=notice.created_at,
                context="notifications",
                what=f"{notice.kind.replace('_', ' ')} queued{again}",
                detail=f"it is {notice.status} now",
                actor=notice.actor if again else "",
            )


@dataclass(frozen=True, kw_only=True)
class Command:
    """A button. ``why_not``: why it cannot be pressed now."""

    title: str
    url: str
    why_not: str


def commands(sheet: Sheet, user: User) -> list[Command]:
    """What the user may ask for."""
    return [
        Command(
            title=dialog.title,
            url=page("desk-dialog", sheet.of.order.order_id, name),
            why_not=sheet.of.commands[name],
        )
        for name, dialog in DIALOGS.items()
        if may(user, dialog.verb)
    ]


def sheet(order_id: str) -> Sheet:
    """OrderNotFound."""
    found = orders.sheet(order_id=order_id)
    away: list[str] = []
    reservations = unless_away("inventory", away, lambda: inventory.reservations(keys=[order_id]))
    return Sheet(
        of=found,
        buyer=unless_away("customers", away, lambda: _buyer(found.customer_id)),
        buyer_url=page("admin:customers_customer_change", found.customer_id) if found.customer_id else "",
        reservation=(reservations or {}).get(order_id),
        payments=unless_away("payments", away, lambda: payments.records_of(order_id=order_id)) or (),
        shipments=unless_away("shipping", away, lambda: shipping.records_of(order_id=order_id)) or (),
        others=_others(found),
        notices=unless_away("notifications", away, lambda: notifications.notices_of(order_id=order_id)) or (),
        unavailable=tuple(away),
    )


def _others(found: OrderSheet) -> tuple[OrderBrief, ...]:
    if found.customer_id is None:
        return ()
    newest = orders.placed_by(customer_id=found.customer_id, limit=OTHERS + 1)
    return tuple(one for one in newest if one.order_id != found.order.order_id)[:OTHERS]


def told(of: OrderSheet) -> str:
    """Who is told of what happens to the order, as far as that can be said just now."""
    if of.customer_id is None:
        return of.email
    buyer = unless_away("customers", [], lambda: _buyer(of.customer_id))
    return (buyer.email or buyer.phone) if buyer else f"customer {of.customer_id}"


def _buyer(customer_id: int | None) -> Customer | None:
    """None for a guest, and for a customer who has been erased."""
    if customer_id is None:
        return None
    try:
        return customers.customer(customer_id=customer_id)
    except CustomerNotFound:
        return None
