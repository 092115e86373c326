"""The steps of an order, one function each. A step calls its participants, records what came of it and returns.

Nothing here calls another step: the runner's loop looks at what was recorded and goes on. The table of steps, and what
undoes each, stands in this package's docstring.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db.models.functions import Now

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import InsufficientStock
from contexts.orders import services
from contexts.orders.models import Order, Step, Undo
from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus
from contexts.orders.public.events import OrderConfirmed
from contexts.orders.workflows import admission, progress
from contexts.orders.workflows.progress import Run
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentDeclined, PaymentUnknown, RequestState
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment, ShipmentStatus
from eci import money
from eci.errors import Conflict, InvalidRequest, NotFound

HOLD_MARGIN = 120  # seconds a pay-later reservation outlives its deadline, so that a charge in the last second finds it


def place(run: Run) -> None:
    """Reserve, then take the money, or ask for it by a deadline.

    1. Reserve the stock. Too little of it: the order is discarded, as if it had never been.
    2. Pay later: open a payment request, and rest until it is paid or its time is over.
    3. Otherwise authorise the payment, confirm the reservation and create the shipments.
    4. Capture. From here on the order stands.
    A refusal after step 1 undoes the order. Where the provider does not answer, the order waits for it.
    """
    order = run.order
    try:
        run.view.reservation = inventory.reserve(
            order_id=order.pk,
            key=order.pk,
            items=admission.demand(lines=run.view.lines),
            seconds=settings.ECI_RESERVATION_SECONDS + (HOLD_MARGIN if order.pay_later else 0),
            paying=not order.pay_later,
        )
    except InsufficientStock as refusal:
        admission.remember_sold_out(refusal)
        progress.discard(run, refusal=refusal)
        return
    except Conflict as refusal:
        progress.refuse(run, why=Undo.REFUSED, refusal=refusal)
        return
    try:
        if order.pay_later:
            _open_request(run)
        else:
            _authorise(run)
            _prepare_dispatch(run)
            run.view.payments = (payments.capture(order_id=order.pk),)
            _confirm(run)
    except PaymentUnknown:
        shipping.expect(order_id=order.pk)
        run.view.payments = payments.payments_of(order_ids=[order.pk])
        progress.wait_for_provider(run)
    except PaymentDeclined as refusal:
        progress.refuse(run, why=Undo.DECLINED, refusal=refusal)
    except (Conflict, InvalidRequest) as refusal:
        progress.refuse(run, why=Undo.REFUSED, refusal=refusal)


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
    address, city = _address_of(order)
    warehouses = sorted({allocation.warehouse for allocation in run.view.reservation.allocations})
    run.view.shipments = shipping.create(
        order_id=order.pk,
        customer_id=order.customer_id,
        warehouses=tuple(warehouses),
        address=address,
        city=city,
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
    """The deadline has come: no charge may begin any more. One that is under way is waited for, and its stock kept."""
    order = run.order
    state = payments.close(order_id=order.pk, reason="expired")
    if state == RequestState.PAYING:
        inventory.mark_paying(key=order.pk)
        progress.rest(run, changes={"next_at": Now() + progress.ASK_AGAIN})
    elif state == RequestState.PAID:
        progress.record(run, changes={"step": Step.CONFIRM, "payment_status": OrderPaymentStatus.PAID}, event="paid")
    else:
        progress.undo(run, why=Undo.EXPIRED, reason="not paid in time")


def confirm_paid(run: Run) -> None:
    """A charge was the pivot. Only if the reservation is gone after all is the money given back."""
    try:
        _prepare_dispatch(run)
    except (NotFound, Conflict):
        progress.undo(run, why=Undo.STOCK_GONE, reason="its stock was gone")
    else:
        _confirm(run)


def fulfil(run: Run) -> None:
    """Stock leaves with the shipments: all at once, or as staff dispatches them."""
    order = run.order
    if order.fulfilment == "automatic" and order.status == OrderStatus.CONFIRMED:
        run.view.reservation = inventory.ship(key=order.pk)
        run.view.shipments = shipping.dispatch(order_id=order.pk)
    else:
        run.view.shipments = shipping.shipments_of(order_ids=[order.pk])
        for shipment in run.view.shipments:
            if shipment.dispatched and order.status == OrderStatus.CONFIRMED:
                run.view.reservation = inventory.ship(key=order.pk, warehouse=shipment.warehouse)
    status = _status_of(run.view.shipments)
    event = status.lower() if status != order.status else ""
    step = Step.DONE if status == OrderStatus.DELIVERED else Step.FULFIL
    progress.rest(run, changes={"status": status, "step": step}, event=event)


def done(run: Run) -> None:
    """Another runner ended the order after this one had seen that it was due."""
    progress.rest(run, changes={})


def _address_of(order: Order) -> tuple[str, str]:
    """Street and city for the shipments, from what the buyer gave: text, or an object with such fields."""
    given = order.shipping_address
    if isinstance(given, dict):
        street = given.get("address") or given.get("street") or given.get("line1") or ""
        return str(street)[:300], str(given.get("city") or "")[:100]
    return str(given or "")[:300], ""


def _status_of(shipments: Sequence[Shipment]) -> OrderStatus:
    """SHIPPED when every shipment that is not cancelled has left, DELIVERED when every one has arrived."""
    counted = [shipment for shipment in shipments if shipment.status != ShipmentStatus.CANCELLED]
    if counted and all(shipment.status == ShipmentStatus.DELIVERED for shipment in counted):
        return OrderStatus.DELIVERED
    if counted and all(shipment.dispatched for shipment in counted):
        return OrderStatus.SHIPPED
    return OrderStatus.CONFIRMED
