"""What staff asks for, through the contract: previewed by the rules that carry it out, and done once for its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import AllocationState, Returned
from contexts.orders import selectors, services
from contexts.orders.domain import Came, Outcome, refund_of_return, why_not_cancel, why_not_refund, worth
from contexts.orders.models import Order, OrderLine, Return
from contexts.orders.public.contracts import (
    Done,
    ExceedsLeft,
    Preview,
    Refunding,
    StockChange,
    StockEffect,
    UnitsBack,
)
from contexts.orders.public.events import OrderCancelled, ReturnReceived, ReturnRefused
from contexts.orders.workflows import cancelling, progress, returning
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentStatus, PaymentUnknown
from contexts.payments.public.events import RefundCompleted
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import ShipmentStatus
from eci import idempotency, money
from eci.errors import EciError, InvalidRequest, InvalidTransition, PreconditionFailed
from eci.idempotency import Key

B = TypeVar("B")
_REPEATED = Done(finished=True, repeated=True)


def note(*, order_id: str, text: str, actor: str, key: str) -> Done:
    named = _key("note", order_id, actor, key)
    _, repeated = _once(named, lambda: services.add_note(order_id=order_id, text=text, actor=actor, key=named))
    return Done(finished=True, repeated=repeated)


def _key(command: str, order_id: str, actor: str, key: str) -> Key:
    """It does not depend on what was typed, so a form that is corrected and sent again is a repeated one."""
    return Key(scope=f"{actor}:orders.{command}", key=key, fingerprint=idempotency.fingerprint(order_id))


def _once(key: Key, begin: Callable[[], B]) -> tuple[B | None, bool]:
    """What ``begin``, which claims the key, returns, and whether the key was taken before."""
    if idempotency.find("orders", key) is not None:
        return None, True
    try:
        return begin(), False
    except EciError:
        if idempotency.find("orders", key) is None:
            raise
        return None, True  # by a double click


def _as_shown(preview: Preview, shown: str) -> int:
    """The version for which the preview holds. PreconditionFailed if another one was shown."""
    if shown and shown != preview.digest:
        raise PreconditionFailed("What this does has changed since it was shown.")
    return preview.version


# -- cancel -----------------------------------------------------------------------------------------------------------


def preview_cancel(*, order_id: str) -> Preview:
    """See ``backward.undo``, which does it."""
    order = selectors.order(order_id=order_id)
    if why_not := why_not_cancel(status=order.status, undone=bool(order.undo)):
        raise InvalidTransition(why_not, status=str(order.status))
    paid = payments.payments_of(order_ids=[order_id])
    shipments = shipping.shipments_of(order_ids=[order_id])
    if any(shipment.dispatched for shipment in shipments):
        raise InvalidTransition("A shipment of it has left, so it can only come back.")
    refund = sum((payment.left for payment in paid), Decimal(0))
    whole = refund == money.from_minor(order.total_minor, order.currency)
    reservation = inventory.reservations(keys=[order_id]).get(order_id)
    held = [
        Returned(product_id=one.product_id, quantity=one.quantity, disposition="released", warehouse=one.warehouse)
        for one in (reservation.allocations if reservation else ())
        if one.state == AllocationState.OPEN
    ]
    return Preview(
        version=order.version,
        currency=order.currency,
        refund=refund,
        goods=_amount(order, order.subtotal_minor if whole else 0),
        tax=_amount(order, order.tax_minor if whole else 0),
        shipping=_amount(order, order.shipping_minor if whole else 0),
        voided=sum((one.amount for one in paid if one.status == PaymentStatus.AUTHORISED), Decimal(0)),
        stock=_stock(held, selectors.lines_of(order_ids=[order_id])[order_id]),
        shipments=tuple(one.shipment_id for one in shipments if one.status != ShipmentStatus.CANCELLED),
        announces=(OrderCancelled.NAME, *([RefundCompleted.NAME] if refund else [])),
        waits=order.status in progress.BEING_PLACED or any(one.status == PaymentStatus.PENDING for one in paid),
    )


def cancel(*, order_id: str, reason: str, actor: str, key: str, shown: str) -> Done:
    named = _key("cancel", order_id, actor, key)

    def begin() -> cancelling.Cancellation:
        version = _as_shown(preview_cancel(order_id=order_id), shown)
        return cancelling.begin(order_id=order_id, reason=reason, actor=actor, key=named, version=version)

    begun, repeated = _once(named, begin)
    if begun is None:
        return _REPEATED
    return Done(finished=cancelling.outcome(cancelling.carry_on(begun)) == Outcome.DONE, repeated=repeated)


# -- refund -----------------------------------------------------------------------------------------------------------


def preview_refund(*, order_id: str, refunding: Refunding) -> Preview:
    order = selectors.order(order_id=order_id)
    if why_not := why_not_refund(payment_status=order.payment_status):
        raise InvalidTransition(why_not)
    lines = selectors.whole_lines_of(order_id=order_id)
    value = worth(services.sold(order=order, lines=lines), services.spread_over(wanted=refunding.units, lines=lines))
    goods, tax = (_amount(order, minor if refunding.units else 0) for minor in (value.goods, value.tax))
    fee = _amount(order, order.shipping_minor if refunding.shipping else 0)
    left = _amount(order, returning.left_minor(order))
    refund = goods + tax + fee + refunding.more
    if refund > left:
        shown = f"{money.text(left, order.currency)} {order.currency}"
        raise ExceedsLeft(f"{shown} of what was paid are left, and no more.", left=str(left))
    if not refund:
        raise InvalidRequest("Say what is to be refunded.")
    return Preview(
        version=order.version,
        currency=order.currency,
        refund=refund,
        goods=goods,
        tax=tax,
        shipping=fee,
        more=refunding.more,
        announces=(RefundCompleted.NAME,),
    )


def refund(*, order_id: str, refunding: Refunding, reason: str, actor: str, key: str, shown: str) -> Done:
    """The payment keeps the key, so a repeated command refunds what the first one did. It is noted here once that is
    done, so that a form that is sent again is told so."""
    named = _key("refund", order_id, actor, key)
    if idempotency.find("orders", named) is not None:
        return _REPEATED
    preview = preview_refund(order_id=order_id, refunding=refunding)
    _as_shown(preview, shown)
    finished = True
    try:
        payments.refund(order_id=order_id, amount=preview.refund, reason=reason, key=f"desk-{key}", actor=actor)
        returning.record_refunded(order_id=order_id, reason=reason, actor=actor)
    except PaymentUnknown:
        finished = False
    _, repeated = _once(named, lambda: idempotency.claim("orders", named, resource=order_id))
    return Done(finished=finished, repeated=repeated)


# -- returns ----------------------------------------------------------------------------------------------------------


def preview_return(*, order_id: str, came: Sequence[UnitsBack], return_id: int | None) -> Preview:
    """See ``services.open_return``, ``services.receive_return`` and ``returning.run_return``, which do it."""
    order, lines = services.returnable(order_id=order_id)
    units = _came(came)
    if return_id is None:
        by_line = services.spread_over(wanted=services.units_of(came=units), lines=lines)
    else:
        by_line = services.spread_over_requested(
            asked=services.requested_return(order=order, return_id=return_id), came=units, lines=lines
        )
    value = worth(services.sold(order=order, lines=lines), by_line)
    due = refund_of_return(worth=value.total, left=returning.left_minor(order), shipping=order.shipping_minor)
    batches = returning.in_batches(came=units)
    back = inventory.restock_plan(
        order_id=order_id, returned=tuple(Returned(**vars(one)) for batch in batches.values() for one in batch)
    )
    return Preview(
        version=order.version,
        currency=order.currency,
        refund=_amount(order, due),
        goods=_amount(order, value.goods),
        tax=_amount(order, value.tax),
        stock=_stock(back, lines),
        announces=(*([] if return_id is None else [ReturnReceived.NAME]), *([RefundCompleted.NAME] if due else [])),
    )


def return_units(
    *,
    order_id: str,
    came: Sequence[UnitsBack],
    reason: str,
    actor: str,
    key: str,
    shown: str,
    return_id: int | None,
) -> Done:
    named = _key("return" if return_id is None else "receive_return", order_id, actor, key)
    units = _came(came)

    def begin() -> Return:
        version = _as_shown(preview_return(order_id=order_id, came=came, return_id=return_id), shown)
        who: dict[str, Any] = {"actor": actor, "key": named, "version": version}
        if return_id is None:
            return services.open_return(order_id=order_id, came=units, reason=reason, **who)
        return services.receive_return(order_id=order_id, return_id=return_id, came=units, **who)

    begun, repeated = _once(named, begin)
    if begun is None:
        return _REPEATED
    return Done(finished=returning.outcome(returning.run_return_for_caller(begun)) == Outcome.DONE, repeated=repeated)


def preview_refuse(*, order_id: str, return_id: int) -> Preview:
    order, _ = services.returnable(order_id=order_id)
    services.requested_return(order=order, return_id=return_id)
    return Preview(version=order.version, currency=order.currency, refund=Decimal(0), announces=(ReturnRefused.NAME,))


def refuse_return(*, order_id: str, return_id: int, reason: str, actor: str, key: str, shown: str) -> Done:
    named = _key("refuse_return", order_id, actor, key)

    def begin() -> Return:
        version = _as_shown(preview_refuse(order_id=order_id, return_id=return_id), shown)
        return services.refuse_return(
            order_id=order_id, return_id=return_id, reason=reason, actor=actor, key=named, version=version
        )

    return Done(finished=True, repeated=_once(named, begin)[1])


def _came(came: Iterable[UnitsBack]) -> list[Came]:
    units = [Came(**vars(one)) for one in came if one.quantity]
    if not units:
        raise InvalidRequest("Say how many units are back.")
    return units


def _stock(changes: Iterable[Returned], lines: Iterable[OrderLine | selectors.Line]) -> tuple[StockChange, ...]:
    known: Mapping[int, OrderLine | selectors.Line] = {line.product_id: line for line in lines}
    return tuple(
        StockChange(
            sku=known[one.product_id].sku,
            name=known[one.product_id].name,
            warehouse=one.warehouse,
            units=one.quantity,
            effect=StockEffect(one.disposition),
        )
        for one in changes
    )


def _amount(order: Order, minor: int) -> Decimal:
    return money.from_minor(minor, order.currency)
