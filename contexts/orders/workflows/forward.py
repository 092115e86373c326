"""The steps of an order, one function each. A step calls its participants, records what came of it and returns.

Nothing here calls another step: the runner's loop looks at what was recorded and goes on. The table of steps, and what
undoes each, stands in this package's docstring.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import AllocationState, InsufficientStock, Reservation, ReservationExpired
from contexts.orders import services
from contexts.orders.models import Step, Undo
from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus, TooManyUnpaid
from contexts.orders.public.events import OrderConfirmed
from contexts.orders.workflows import admission, progress
from contexts.orders.workflows.progress import Run
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentDeclined, PaymentUnknown, RequestState
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment, ShipmentStatus, Withheld
from eci import money
from eci.clock import utcnow
from eci.errors import Conflict, InvalidRequest, NotFound
from eci.watch.requests import logger

log = logger(__name__)

HOLD_MARGIN = 120  # seconds a pay-later reservation outlives its deadline, so that a charge in the last second finds it
LOOK_AGAIN = timedelta(seconds=30)  # whether staff has reviewed a payment; the event of that comes first


def place(run: Run) -> None:
    """Reserve, then take the money, or ask for it by a deadline.

    1. Reserve the stock, again if that has run out while the payment waited for staff. Too little of it: the order is
       discarded, as if it had never been; one that its buyer has been told of is refused.
    2. Nothing is due: confirm the reservation, create the shipments, and the order stands.
    3. Pay later: open a payment request, and rest until it is paid or its time is over.
    4. Otherwise authorise the payment, confirm the reservation and create the shipments.
    5. Capture. From here on the order stands.
    A refusal after step 1 undoes the order. Where the provider does not answer, the order waits for it; where staff
    reviews the payment, it waits for them, and its reservation runs out meanwhile.
    """
    order = run.order
    told = order.status != OrderStatus.PENDING
    if told and _is_under_review(run):
        _wait_for_review(run)
        return
    try:
        if order.attempts == 0:  # the request that brought it, and not a later runner: nothing is reserved yet
            admission.require_few_unpaid(order)
        _reserve(run, paying=order.total_minor == 0 or not order.pay_later, again=told)
    except (InsufficientStock, TooManyUnpaid) as refusal:
        if isinstance(refusal, InsufficientStock):
            admission.remember_sold_out(refusal)
        if told:
            progress.refuse(run, why=Undo.STOCK_GONE, refusal=refusal)
        else:
            progress.discard(run, refusal=refusal)
        return
    except Conflict as refusal:
        progress.refuse(run, why=Undo.REFUSED, refusal=refusal)
        return
    try:
        if order.total_minor == 0:
            _prepare_dispatch(run)
            _confirm(run)
        elif order.pay_later:
            _open_request(run)
        else:
            _authorise(run)
            _prepare_dispatch(run)
            run.view.payments = (payments.capture(order_id=order.pk),)
            _confirm(run)
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
    progress.rest(run, changes=changes, event="awaiting_payment")


def _authorise(run: Run) -> None:
    order = run.order
    payment = payments.authorise(
        order_id=order.pk,
        amount=money.from_minor(order.total_minor, order.currency),
        currency=order.currency,
        customer_id=order.customer_id,
        method=order.method,
        token=order.token,
        screened=order.by_customer,
    )
    run.view.payments = (payment,)


def _prepare_dispatch(run: Run) -> None:
    order = run.order
    run.view.reservation = inventory.confirm(key=order.pk)
    warehouses = sorted({allocation.warehouse for allocation in run.view.reservation.allocations})
    run.view.shipments = shipping.create(
        order_id=order.pk,
        customer_id=order.customer_id,
        warehouses=tuple(warehouses),
        address="",
        city="",
        ship_to=order.shipping_address,
    )


def _confirm(run: Run) -> None:
    """The money is taken: record the pivot."""
    order = run.order
    fact = OrderConfirmed(
        order_id=order.pk,
        order_total=money.text(money.from_minor(order.total_minor, order.currency), order.currency),
        currency=order.currency,
        version=order.version + 1,
    )
    progress.note(run, entry=services.record_confirmed(order=order, fact=fact))


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
        _confirm(run)


def fulfil(run: Run) -> None:
    """Stock leaves with the shipments: all at once, or as staff dispatches them.

    1. Withhold the shipments whose units are missing, and allow them once the units are back.
    2. Withhold those of an order whose money was all refunded: staff may insist.
    3. Ship what leaves, and rest. While units are missing, the order waits for them.
    """
    order = run.order
    waiting = order.status == OrderStatus.CONFIRMED
    automatic = order.fulfilment == "automatic"
    if waiting and (order.short or not automatic):
        _withhold_short(run, run.view.reservation)
    if waiting and order.payment_status == OrderPaymentStatus.REFUNDED:
        automatic = False
        shipping.withhold(order_id=order.pk, warehouse=None, reason=Withheld.REFUNDED)
    try:
        _ship(run, at_once=waiting and automatic and not order.short)
    except InsufficientStock:
        _withhold_short(run, None)
        if not order.short:  # the units have come meanwhile
            raise
    _erase_guest(run)
    status = _status_of(run.view.shipments)
    event = status.lower() if status != order.status else ""
    step = Step.DONE if status == OrderStatus.DELIVERED else Step.FULFIL
    progress.rest(run, changes={"status": status, "step": step}, event=event)


def _ship(run: Run, *, at_once: bool) -> None:
    order = run.order
    if at_once:
        run.view.reservation = inventory.ship(key=order.pk)
        run.view.shipments = shipping.dispatch(order_id=order.pk)
        return
    run.view.shipments = shipping.shipments_of(order_ids=[order.pk])
    for shipment in run.view.shipments:
        if shipment.dispatched and order.status == OrderStatus.CONFIRMED:
            run.view.reservation = inventory.ship(key=order.pk, warehouse=shipment.warehouse)


def _withhold_short(run: Run, reservation: Reservation | None) -> None:
    """Withhold the shipments whose units are missing, allow the others, and record whether there are any.

    ``reservation``: as it is known to be; None asks.
    """
    order = run.order
    held = reservation or inventory.reservations(keys=[order.pk])[order.pk]
    run.view.reservation = held
    short = {part.warehouse for part in held.allocations if part.state == AllocationState.SHORT}
    if not short and not order.short:
        return
    for warehouse in sorted({part.warehouse for part in held.allocations}):
        change = shipping.withhold if warehouse in short else shipping.allow
        run.view.shipments = change(order_id=order.pk, warehouse=warehouse, reason=Withheld.SHORT)
    if bool(short) != order.short:
        changes = {"short": bool(short), "needs_attention": bool(short)}
        progress.record(run, changes=changes, event="units_missing" if short else "units_back")


def done(run: Run) -> None:
    """Another runner ended the order after this one had seen that it was due, or its guest has been erased."""
    _erase_guest(run)
    progress.rest(run, changes={})


def _erase_guest(run: Run) -> None:
    if run.order.buyer_erased:
        shipping.erase(order_ids=[run.order.pk])


def _status_of(shipments: Sequence[Shipment]) -> OrderStatus:
    """SHIPPED when every shipment that is not cancelled has left, DELIVERED when every one has arrived."""
    counted = [shipment for shipment in shipments if shipment.status != ShipmentStatus.CANCELLED]
    if counted and all(shipment.status == ShipmentStatus.DELIVERED for shipment in counted):
        return OrderStatus.DELIVERED
    if counted and all(shipment.dispatched for shipment in counted):
        return OrderStatus.SHIPPED
    return OrderStatus.CONFIRMED
