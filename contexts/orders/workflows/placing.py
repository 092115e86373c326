"""Placing an order, as the API asks for it: begin, carry on, find out how it went."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from django.db import Error as AnyDatabaseError
from django.db import IntegrityError, InterfaceError, OperationalError

from contexts.inventory.public.contracts import InsufficientStock
from contexts.orders import composed, selectors, services
from contexts.orders.composed import OrderView
from contexts.orders.domain import OrderAsked, Outcome
from contexts.orders.models import Order, Undo
from contexts.orders.public.contracts import DuplicateReference, OrderNotFound, OrderStatus
from contexts.orders.workflows import admission, progress, runner
from contexts.orders.workflows.progress import Caller
from contexts.payments.public.contracts import PaymentDeclined
from eci.db import CommitUnknown
from eci.errors import Conflict, IdempotencyInProgress
from eci.idempotency import Key
from eci.ids import new_order_id
from eci.watch import requests

log = requests.logger(__name__)

PAUSES = (0.05, 0.1, 0.2, 0.4)  # seconds before an order is recorded again whose COMMIT told nothing


class RefusedBeforePivot(Conflict):
    """A participant refused and everything was undone. ``details.order_id``."""

    code = "order_refused"


def begin(*, asked: OrderAsked, key: Key | None) -> OrderView:
    """Admit the order and record it, with its key, leased to the caller.

    What ``admission.admit`` raises; DuplicateReference; IdempotencyInProgress when the key has been taken meanwhile.
    """
    quote = admission.admit(asked=asked)
    order_id, owner = new_order_id(), uuid.uuid4().hex
    requests.about_order(order_id)

    def create() -> OrderView:
        order, lines, entry = services.create_order(
            order_id=order_id, owner=owner, asked=asked, quote=quote, key=key, trace=requests.trace_headers()
        )
        return OrderView(order=order, lines=lines, timeline=[entry])

    try:
        return _once(create, order_id=order_id, owner=owner)
    except IntegrityError:
        if key is not None and selectors.record_of_key(key=key) is not None:
            raise IdempotencyInProgress("A request with this idempotency key is still running.") from None
        other = selectors.order_with_reference(reference=asked.reference)
        if other is None:
            raise
        sentence = f"There already is an order with the reference {asked.reference}."
        raise DuplicateReference(sentence, reference=asked.reference, order_id=other.order_id) from None


def _once(create: Callable[[], OrderView], *, order_id: str, owner: str) -> OrderView:
    """Record the order, and again where its COMMIT tells nothing: by its id only one of them can be, and a later one
    waits for an earlier one, so it is known then. IdempotencyInProgress where the database stays away."""
    try:
        return create()
    except CommitUnknown:
        log.warning("commit_unknown", exc_info=True)
    for pause in PAUSES:
        time.sleep(pause)
        try:
            return create()
        except (IntegrityError, IdempotencyInProgress):
            with suppress(OrderNotFound):
                order: Order = selectors.order(order_id=order_id)
                order.lease_owner = owner  # if another has taken it over, this one's run ends at its first record
                return composed.views_of(orders=[order])[0]
            raise
        except (OperationalError, InterfaceError):
            log.warning("commit_still_unknown", exc_info=True)
    raise IdempotencyInProgress(progress.UNKNOWN)


def carry_on(*, view: OrderView, caller: Caller | None) -> OrderView:
    """Carry a new order as far as it goes now; the order as it is then.

    TooManyUnpaid, InsufficientStock: the order never was, and that is remembered for its key.
    """
    return runner.run_for_caller(view, caller=caller)


def resume(*, order_id: str, caller: Caller) -> OrderView:
    """An order whose first answer was never given, or was "pending": as it is now, carried on if nobody does.

    IdempotencyInProgress while its runner is still at it, or its rows cannot be read.
    """
    try:
        order = selectors.order(order_id=order_id)
        if order.status in progress.BEING_PLACED or order.lease_owner:
            leased = services.claim(order_id=order_id, version=order.version)
            if leased is not None:
                return runner.run_for_caller(composed.views_of(orders=[leased])[0], caller=caller)
            if order.status != OrderStatus.PAYMENT_PENDING:
                raise IdempotencyInProgress("The order is still being placed.")
        return composed.views_of(orders=[order])[0]
    except AnyDatabaseError:
        raise IdempotencyInProgress("The order is being placed.") from None


def outcome(view: OrderView) -> Outcome:
    """How the request to place this order ends. Raises its refusal: PaymentDeclined, InsufficientStock,
    RefusedBeforePivot."""
    order = view.order
    if order.status in progress.BEING_PLACED:
        return Outcome.PENDING
    if order.refusal is not None:
        error = order.refusal["error"]
        if order.undo == Undo.DECLINED:
            raise PaymentDeclined(error["message"], **error["details"])
        if error["code"] == InsufficientStock.code:
            raise InsufficientStock(error["message"], **error["details"])
        raise RefusedBeforePivot(error["message"], **error["details"])
    return Outcome.DONE
