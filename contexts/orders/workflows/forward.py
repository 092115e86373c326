"""The steps of an order, one function each. A step calls its participants, records what came of it and returns.

Nothing here calls another step: the runner's loop looks at what was recorded and goes on. The table of steps, and what
undoes each, stands in this package's docstring.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import (
    Allocation,
    AllocationState,
    InsufficientStock,
    Reservation,
    ReservationExpired,
)
from contexts.orders import services
from contexts.orders.composed import OrderView
from contexts.orders.models import Order, Step, Undo
from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus, TooManyUnpaid
from contexts.orders.workflows import admission, progress
from contexts.orders.workflows.progress import Run
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentDeclined, PaymentUnknown, RequestState
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment, ShipmentShort, ShipmentStatus, Withheld
from eci import money
from eci.clock import utcnow
from eci.errors import Conflict, InvalidRequest, InvalidTransition, NotFound
from eci.watch.requests import logger

log = logger(__name__)

HOLD_MARGIN = 120  # seconds a pay-later reservation outlives its deadline, so that a charge in the last second finds it
LOOK_AGAIN = timedelta(seconds=30)  # whether staff has reviewed a payment; the event of that comes first


def place(run: Run) -> None:
    """Reserve, then take the money, or ask for it by a deadline.

    1. Reserve the stock, again if that has run out while the payment waited for staff. Too little of it: the order is
       discarded, as if it had never been, by the request that brought it. A later runner cannot know whether somebody
       was told of it, and refuses it.
    2. Nothing is due: confirm the reservation, create the shipments, and the order stands.
    3. Pay later: open a payment request, and rest until it is paid or its time is over.
    4. Shipped at once: charge. From here on the order stands, and it leaves (``_send``).
    5. Otherwise authorise the payment, confirm the reservation, create the shipments, and capture: it stands.
    A refusal after step 1 undoes the order. Where the provider does not answer, the order waits for it; where staff
    reviews the payment, it waits for them, and its reservation runs out meanwhile.
    """
    order = run.order
    waited = order.status != OrderStatus.PENDING
    first = order.attempts == 0  # the runner is the request that brought it
    if waited and _is_under_review(run):
        _wait_for_review(run)
        return
    try:
        if first:  # nothing is reserved yet
            admission.require_few_unpaid(order)
        _reserve(run, paying=order.total_minor == 0 or not order.pay_later, again=waited)
    except (InsufficientStock, TooManyUnpaid) as refusal:
        if isinstance(refusal, InsufficientStock):
            admission.remember_sold_out(refusal)
        if first:
            progress.discard(run, refusal=refusal)
        else:
            progress.refuse(run, why=Undo.STOCK_GONE, refusal=refusal)
        return
    except Conflict as refusal:
        progress.refuse(run, why=Undo.REFUSED, refusal=refusal)
        return
    at_once = order.fulfilment == "automatic" and not order.pay_later and order.total_minor > 0
    try:
        if order.total_minor == 0:
            _prepare_dispatch(run)
            progress.confirm(run)
        elif order.pay_later:
            _open_request(run)
        elif at_once:
            run.view.payments = (payments.charge(**_due(order)),)
        else:
            run.view.payments = (payments.authorise(**_due(order)),)
            _prepare_dispatch(run)
            run.view.payments = (payments.capture(order_id=order.pk),)
            progress.confirm(run)
    except PaymentUnknown:
        shipping.expect(order_id=order.pk)
        if _is_under_review(run):
            _wait_for_review(run)
        else:
            progress.wait_for_provider(run)
    except PaymentDeclined as refusal:
        progress.refuse(run, why=Undo.DECLINED, refusal=refusal)
    except (Conflict, InvalidRequest) as refusal:
        progress.refuse(run, why=Undo.REFUSED, refusal=refusal)
    else:
        if at_once:
            _send(run)


def _reserve(run: Run, *, paying: bool, again: bool) -> None:
    order = run.order
    run.view.reservation = inventory.reserve(
        order_id=order.pk,
        key=order.pk,
        items=admission.demand(lines=run.view.lines),
        seconds=settings.ECI_RESERVATION_SECONDS + (HOLD_MARGIN if order.pay_later else 0),
        paying=paying,
        again=again,
    )


def _is_under_review(run: Run) -> bool:
    """Whether a payment of the order waits for staff, as payments says now."""
    run.view.payments = payments.payments_of(order_ids=[run.order.pk])
    return any(payment.under_review for payment in run.view.payments)


def _wait_for_review(run: Run) -> None:
    """What waits for staff keeps no stock from others for longer than a reservation lasts, and ends by itself."""
    order = run.order
    run.view.reservation = inventory.stop_paying(key=order.pk, seconds=settings.ECI_RESERVATION_SECONDS)
    if utcnow() - order.created_at > timedelta(hours=settings.ECI_REVIEW_HOURS):
        progress.undo(run, why=Undo.EXPIRED, reason="its payment was not reviewed in time")
    else:
        progress.wait_for_provider(run, pause=LOOK_AGAIN)


def _open_request(run: Run) -> None:
    order = run.order
    shipping.expect(order_id=order.pk)
    deadline = payments.open_request(
        order_id=order.pk,
        amount=money.from_minor(order.total_minor, order.currency),
        currency=order.currency,
        customer_id=order.customer_id,
        seconds=settings.ECI_RESERVATION_SECONDS,
    )
    changes = {
        "status": OrderStatus.AWAITING_PAYMENT,
        "step": Step.AWAIT_PAYMENT,
        "expires_at": deadline,
        "next_at": deadline,
    }
    progress.rest(run, changes=changes, events=["awaiting_payment"])


def _due(order: Order) -> dict[str, Any]:
    """What payments is told of an order that is paid at once."""
    return {
        "order_id": order.pk,
        "amount": money.from_minor(order.total_minor, order.currency),
        "currency": order.currency,
        "customer_id": order.customer_id,
        "method": order.method,
        "token": order.token,
        "screened": order.by_customer,
    }


def _prepare_dispatch(run: Run) -> None:
    run.view.reservation = inventory.confirm(key=run.order.pk)
    run.view.shipments = shipping.create(**_shipments_of(run.order, run.view.reservation))


def _shipments_of(order: Order, held: Reservation) -> dict[str, Any]:
    """What shipping is told of an order: a shipment from each warehouse that has units for it."""
    return {
        "order_id": order.pk,
        "customer_id": order.customer_id,
        "warehouses": tuple(sorted({part.warehouse for part in _kept(held)})),
        "address": "",
        "city": "",
        "ship_to": order.shipping_address,
    }


def _send(run: Run) -> None:
    """The order is paid, and leaves. Both are recorded once, at the end.

    1. If a count has found too little of it, before this was walked again, it is paid, and waits (``fulfil``).
    2. Its shipments leave. Shipping refuses an order that was cancelled, whose money is refunded then.
    3. So does its stock, unless a count has found too little in this moment.
    What fails in 2 or 3 is repeated, and undoes nothing, so it is recorded first that the order is paid.
    """
    order, held = run.order, run.view.reservation
    assert held is not None
    try:
        if not _is_whole(held):
            run.view.shipments = shipping.create(**_shipments_of(order, held))
            progress.confirm(run)
            return
        run.view.shipments = shipping.send(**_shipments_of(order, held))
    except InvalidTransition as refusal:
        progress.refuse(run, why=Undo.REFUSED, refusal=refusal)
        return
    except Exception:
        progress.confirm(run)
        raise
    try:
        run.view.reservation = inventory.ship(key=order.pk)
    except InsufficientStock:
        progress.confirm(run)
        return
    except Exception:
        progress.confirm(run)
        raise
    _erase_guest(run)
    status = _status_of(run.view)
    changes = services.confirmed(order=order) | {"status": status}
    progress.rest(run, changes=changes, events=["confirmed", status.lower()], facts=[progress.confirmation(order)])


def _is_whole(held: Reservation) -> bool:
    """Every unit is where the reservation was made."""
    return not any(part.state == AllocationState.SHORT or part.moved_from for part in held.allocations)


def await_payment(run: Run) -> None:
    """The deadline has come: no charge may begin any more. One that is under way is waited for, and its stock kept,
    unless it waits for staff."""
    order = run.order
    state = payments.close(order_id=order.pk, reason="expired")
    if state == RequestState.PAYING and _is_under_review(run):
        _wait_for_review(run)
    elif state == RequestState.PAYING:
        try:
            _reserve(run, paying=True, again=True)
        except Conflict:  # gone: the money is refunded if it is taken
            log.warning("stock_gone_while_paying", order_id=order.pk)
        progress.rest(run, changes={"next_at": Now() + progress.ASK_AGAIN})
    elif state == RequestState.PAID:
        progress.record(run, changes={"step": Step.CONFIRM, "payment_status": OrderPaymentStatus.PAID}, event="paid")
    else:
        progress.undo(run, why=Undo.EXPIRED, reason="not paid in time")


def confirm_paid(run: Run) -> None:
    """A charge was the pivot. The money is refunded only if the stock is gone after all."""
    try:
        try:
            _prepare_dispatch(run)
        except ReservationExpired:  # its payment was under review
            _reserve(run, paying=True, again=True)
            _prepare_dispatch(run)
    except (NotFound, Conflict):
        progress.undo(run, why=Undo.STOCK_GONE, reason="its stock was gone")
    else:
        progress.confirm(run)


def fulfil(run: Run) -> None:
    """Stock leaves with the shipments: all at once, or as staff dispatches them.

    1. Withhold the shipments of an order whose money was all refunded: staff may insist.
    2. Make the shipments fit what the reservation has. If it has nothing, the order is undone.
    3. Ship what leaves, and rest. While units are missing, the order waits for them.
    """
    order = run.order
    waiting = order.status == OrderStatus.CONFIRMED
    refunded = waiting and order.payment_status == OrderPaymentStatus.REFUNDED
    automatic = order.fulfilment == "automatic" and not refunded
    if refunded:
        shipping.withhold(order_id=order.pk, warehouse=None, reason=Withheld.REFUNDED)
    if not waiting:
        run.view.shipments = shipping.shipments_of(order_ids=[order.pk])
    elif order.short or not automatic:
        _fit_shipments(run)
    if waiting and automatic and not order.short:
        try:
            _ship_at_once(run)
        except (InsufficientStock, ShipmentShort):
            run.view.reservation = None  # it is not as it was known to be
            _fit_shipments(run)
            if not order.short:  # the units have come meanwhile
                _ship_at_once(run)
    if refunded and run.view.reservation is not None and not _kept(run.view.reservation):
        progress.undo(run, why=Undo.CANCELLED, reason="refunded in full, and its units are not there")
        return
    _erase_guest(run)
    status = _status_of(run.view)
    events = [status.lower()] if status != order.status else []
    step = Step.DONE if status == OrderStatus.DELIVERED else Step.FULFIL
    progress.rest(run, changes={"status": status, "step": step}, events=events)


def _ship_at_once(run: Run) -> None:
    run.view.reservation = inventory.ship(key=run.order.pk)
    run.view.shipments = shipping.send(**_shipments_of(run.order, run.view.reservation))


def _fit_shipments(run: Run) -> None:
    """Make the shipments fit the reservation: a stock count may have taken units of it, and others may have come in.

    1. Tell inventory which shipments have left: their units were there, whatever was counted.
    2. Where units have moved to another warehouse, withhold all that waits, so that nothing leaves without them.
    3. Make a shipment for each warehouse that has units, and cancel those that wait elsewhere.
    4. Withhold the shipments whose units are missing, allow the others.
    5. Nothing is owed to an order whose money was all refunded: give up what is missing, and begin again.
    6. Record whether units are missing.
    """
    order = run.order
    run.view.shipments = shipping.shipments_of(order_ids=[order.pk])
    _ship_dispatched(run)
    held = run.view.reservation or inventory.reservations(keys=[order.pk])[order.pk]
    while any(part.moved_from for part in held.allocations):  # accepting lets others move
        run.view.shipments = shipping.withhold(order_id=order.pk, warehouse=None, reason=Withheld.SHORT)
        _ship_dispatched(run)
        held = inventory.accept_moves(key=order.pk)
    run.view.reservation = held
    wanted = _shipments_of(order, held)
    warehouses = list(wanted["warehouses"])
    if warehouses and not run.view.shipments:  # it was paid while shipping was away
        run.view.shipments = shipping.create(**wanted)
        if order.payment_status == OrderPaymentStatus.REFUNDED:
            run.view.shipments = shipping.withhold(order_id=order.pk, warehouse=None, reason=Withheld.REFUNDED)
    if warehouses and warehouses != sorted(str(shipment.warehouse) for shipment in _counted(run.view.shipments)):
        run.view.shipments = shipping.rearrange(**wanted)
        progress.record(run, changes={}, event="units_moved")
    short = {part.warehouse for part in held.allocations if part.state == AllocationState.SHORT}
    withheld = {str(shipment.warehouse) for shipment in run.view.shipments if Withheld.SHORT in shipment.withheld}
    for warehouse in sorted(short.symmetric_difference(withheld).intersection(warehouses)):
        change = shipping.withhold if warehouse in short else shipping.allow
        run.view.shipments = change(order_id=order.pk, warehouse=warehouse, reason=Withheld.SHORT)
    if short and order.payment_status == OrderPaymentStatus.REFUNDED:
        _give_up(run, short)
        _fit_shipments(run)
        return
    if bool(short) != order.short:
        changes = {"short": bool(short), "needs_attention": bool(short)}
        progress.record(run, changes=changes, event="units_missing" if short else "units_back")


def _give_up(run: Run, warehouses: set[str]) -> None:
    """Their shipments are withheld, so that none leaves with units that are given up; one that has left has them."""
    order = run.order
    _ship_dispatched(run)
    for warehouse in sorted(warehouses):
        run.view.reservation = inventory.give_up(key=order.pk, warehouse=warehouse)
    changes = {"short": False, "needs_attention": False} if order.short else {}
    progress.record(run, changes=changes, event="units_given_up")


def _kept(reservation: Reservation) -> list[Allocation]:
    """The parts that are held, missing or shipped: not those that were given up."""
    return [part for part in reservation.allocations if part.state != AllocationState.RELEASED]


def _ship_dispatched(run: Run) -> None:
    for shipment in run.view.shipments:
        if shipment.dispatched:
            run.view.reservation = inventory.ship(key=run.order.pk, warehouse=shipment.warehouse, left=True)


def done(run: Run) -> None:
    """Another runner ended the order after this one had seen that it was due, or its guest has been erased."""
    _erase_guest(run)
    progress.rest(run, changes={})


def _erase_guest(run: Run) -> None:
    if run.order.buyer_erased:
        shipping.erase(order_ids=[run.order.pk])


def _counted(shipments: Sequence[Shipment]) -> list[Shipment]:
    return [shipment for shipment in shipments if shipment.status != ShipmentStatus.CANCELLED]


def _status_of(view: OrderView) -> OrderStatus:
    """SHIPPED when every shipment has left, and no units are held any more; DELIVERED when every one has arrived."""
    shipments = _counted(view.shipments)
    holding = (AllocationState.OPEN, AllocationState.SHORT)
    held = view.reservation is not None and any(part.state in holding for part in view.reservation.allocations)
    if held or not shipments:
        return OrderStatus.CONFIRMED
    if all(shipment.status == ShipmentStatus.DELIVERED for shipment in shipments):
        return OrderStatus.DELIVERED
    if all(shipment.dispatched for shipment in shipments):
        return OrderStatus.SHIPPED
    return OrderStatus.CONFIRMED
