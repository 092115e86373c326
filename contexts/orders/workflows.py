"""Place order, pay later, cancel and return: persisted steps that may be walked again, with their compensations.

A runner holds an order's lease, calls one participant after the other outside any transaction, and records what
matters: the beginning, the pivot, the end. Every participant answers a repeated command the same, so after a crash the
next runner simply walks the step again. Capture is the pivot: before it a refusal undoes everything, after it steps are
only repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.db import IntegrityError
from django.db.models.functions import Now

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.customers.public.api import customers
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Demand, InsufficientStock
from contexts.orders import selectors, services
from contexts.orders.domain import Line, Totals, totals
from contexts.orders.models import Order, OrderLine, Return, Step, TimelineEntry, Undo
from contexts.orders.public.contracts import (
    OrderPaymentStatus,
    OrdersStopped,
    OrderStatus,
    PriceChanged,
    ProductUnavailable,
    Switch,
    TooManyUnpaid,
)
from contexts.orders.public.events import OrderCancelled, OrderConfirmed, OrderExpired, PaymentFailed
from contexts.orders.selectors import OrderView
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import (
    PaymentDeclined,
    PaymentStatus,
    PaymentUnknown,
    RefundExceedsCaptured,
    RefundRefused,
    RequestState,
)
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment, ShipmentStatus
from eci import idempotency, money
from eci.errors import (
    Conflict,
    ContextUnavailable,
    EciError,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidRequest,
    InvalidTransition,
)
from eci.ids import new_order_id
from eci.watch import requests, tracing
from eci.watch.requests import continued, logger

log = logger(__name__)

HOLD_MARGIN = 120  # seconds a pay-later hold outlives its deadline, so that a charge in the last second finds it
RUN_BATCH = 50
ASK_AGAIN = timedelta(seconds=2)
SWITCH_KEPT = 1.0  # seconds
SOLD_OUT_KEPT = 10.0  # seconds


class MixedCurrencies(Conflict):
    code = "mixed_currencies"


@dataclass(frozen=True, kw_only=True)
class LineAsked:
    """``price`` is what the buyer saw, ``unit_price`` what staff says is to be charged."""

    product_id: int
    quantity: int
    price: Decimal | None = None
    unit_price: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class OrderAsked:
    """A validated request for an order, for a customer or a guest with an e-mail address. ``by_customer``: who asks is
    the customer, and not staff or a service, so the cap on unpaid orders and the screening of payments bind them."""

    customer_id: int | None
    email: str
    lines: Sequence[LineAsked]
    shipping_address: Any = None
    method: str = "credit_card"
    token: str = ""
    pay_later: bool = False
    fulfilment: str = "automatic"
    by_customer: bool = False


@dataclass(frozen=True, kw_only=True)
class Quote:
    currency: str
    lines: Sequence[Line]
    totals: Totals


Present = Callable[[OrderView], dict[str, Any]]
"""How an order is shown to the caller: needed here because the answer is remembered with the last step."""


# -- placing ----------------------------------------------------------------------------------------------------------


def quote(*, asked: OrderAsked) -> Quote:
    """What the order would cost; nothing is held."""
    if asked.customer_id is not None:
        customers.customer(customer_id=asked.customer_id)
    products = catalog.products(product_ids=sorted({line.product_id for line in asked.lines}))
    _require_sellable(asked.lines, products)
    currency = _one_currency(products)
    lines = [_priced(number, line, products[line.product_id], currency) for number, line in enumerate(asked.lines)]
    fee = money.half_up(settings.ECI_SHIPPING_FEE.scaleb(money.places(currency)))
    cost = totals(lines, tax_rate=settings.ECI_TAX_RATE, shipping=fee)
    if cost.total >= 10**money.MAX_DIGITS:
        raise InvalidRequest(
            f"An order's total has at most {money.MAX_DIGITS} digits.", items=["The total is too large."]
        )
    return Quote(currency=currency, lines=lines, totals=cost)


def _require_sellable(lines: Sequence[LineAsked], products: Mapping[int, Product]) -> None:
    for line in lines:
        if not products[line.product_id].is_active:
            raise ProductUnavailable(f"Product {line.product_id} is no longer sold.", product_id=line.product_id)
    changed = {
        line.product_id: products[line.product_id]
        for index, line in enumerate(lines)
        if line.price is not None
        and _minor(index, "price", line.price, products[line.product_id].currency)
        != money.to_minor(products[line.product_id].price, products[line.product_id].currency)
    }
    if changed:
        raise PriceChanged(
            "A price has changed.",
            items=[
                {"product_id": product_id, "price": money.text(product.price, product.currency)}
                for product_id, product in changed.items()
            ],
        )


def _one_currency(products: Mapping[int, Product]) -> str:
    currencies = sorted({product.currency for product in products.values()})
    if len(currencies) > 1:
        raise MixedCurrencies(f"One order has one currency, not {' and '.join(currencies)}.", currencies=currencies)
    return currencies[0]


def _minor(index: int, field: str, amount: Decimal, currency: str) -> int:
    try:
        return money.to_minor(amount, currency)
    except ValueError as error:
        details = {str(index): {field: [str(error)]}}
        raise InvalidRequest(f"items[{index}].{field}: {error}", items=details) from None


def _priced(index: int, line: LineAsked, product: Product, currency: str) -> Line:
    catalog_price = money.to_minor(product.price, currency)
    unit_price = catalog_price if line.unit_price is None else _minor(index, "unit_price", line.unit_price, currency)
    return Line(
        product_id=product.product_id,
        sku=product.sku,
        name=product.name,
        quantity=line.quantity,
        unit_price=unit_price,
        catalog_price=catalog_price,
    )


def admit(*, asked: OrderAsked) -> Quote:
    """What is to be placed, as long as nothing is known to speak against it; nothing is written or held.

    OrdersStopped, what ``quote`` raises, InsufficientStock.
    """
    _require_taking_orders()
    priced = quote(asked=asked)
    if _sold_out_lately(asked.lines):
        inventory.require_available(items=_demand(asked.lines))
    return priced


def place(*, asked: OrderAsked, priced: Quote, key: idempotency.Key | None, present: Present) -> tuple[int, OrderView]:
    """Place what was admitted and carry it as far as it goes now; status and order, as API.md answers them.

    Refusals are raised, and remembered for the key: TooManyUnpaid, InsufficientStock, PaymentDeclined.
    IdempotencyInProgress, KeyHasOrder: the key has been taken since it was looked for.
    """
    order_id = new_order_id()
    requests.about_order(order_id)
    new = services.NewOrder(
        order_id=order_id,
        customer_id=asked.customer_id,
        email=asked.email,
        currency=priced.currency,
        lines=priced.lines,
        totals=priced.totals,
        shipping_address=asked.shipping_address,
        fulfilment=asked.fulfilment,
        pay_later=asked.pay_later,
        by_customer=asked.by_customer,
        method=asked.method,
        token=asked.token,
        trace=requests.trace_headers(),
    )
    try:
        order, lines, entry = services.create_order(new=new, key=key)
    except IntegrityError:
        raise _order_of(key) from None
    if order.by_customer and selectors.unpaid_beside(order=order) >= settings.ECI_UNPAID_ORDERS:
        refusal = TooManyUnpaid("Too many of your orders wait to be paid. Please pay or cancel some of them first.")
        services.discard_order(order=order, key=key, refusal=refusal)
        raise refusal
    runner = Runner(OrderView(order=order, lines=lines, timeline=[entry]), key=key, present=present)
    return runner.run_for_caller()


_switch_seen: tuple[float, Switch] | None = None  # when, by this process


def _require_taking_orders() -> None:
    """The switch is read once a second and not for every order."""
    global _switch_seen
    now = time.monotonic()
    if _switch_seen is None or now - _switch_seen[0] >= SWITCH_KEPT:
        _switch_seen = now, selectors.switch()
    switch = _switch_seen[1]
    if not switch.taking:
        raise OrdersStopped(f"No new orders are taken just now: {switch.reason}")


_sold_out: dict[int, float] = {}  # product id -> until when, by this process' clock, it is looked at first


def _sold_out_lately(lines: Sequence[LineAsked]) -> bool:
    """The many who come for what has just been sold out are refused by one read, and no lock, for each of them."""
    now = time.monotonic()
    return any(_sold_out.get(line.product_id, 0.0) > now for line in lines)


def _remember_sold_out(refusal: InsufficientStock) -> None:
    global _sold_out
    now = time.monotonic()
    fresh = {product_id: until for product_id, until in _sold_out.items() if until > now}
    _sold_out = fresh | {item["product_id"]: now + SOLD_OUT_KEPT for item in refusal.details["items"]}


class KeyHasOrder(Exception):
    """The key placed an order whose remembered answer has been pruned since."""

    def __init__(self, order_id: str, key: idempotency.Key) -> None:
        super().__init__(order_id)
        self.order_id = order_id
        self.key = key


def _order_of(key: idempotency.Key | None) -> Exception:
    """What to raise when the key's own order stands in the way of a new one."""
    existing = selectors.order_of_key(key=key) if key else None
    if key is None or existing is None:
        return RuntimeError("An order could not be recorded, and not because of its key.")
    if existing.idempotency_fingerprint != key.fingerprint:
        return IdempotencyKeyReused("This idempotency key was used for a different request.")
    return KeyHasOrder(existing.order_id, key)


def resume(*, order_id: str, key: idempotency.Key | None, present: Present) -> tuple[int, OrderView]:
    """The outcome, as it is now, of an order whose first answer was never given or was 202; carried on if nobody is."""
    order = selectors.order(order_id=order_id)
    if order.status in (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING) or order.lease_owner:
        leased = services.claim(order_id=order_id, version=order.version)
        if leased is not None:
            return Runner(selectors.views_of([leased])[0], key=key, present=present).run_for_caller()
        if order.status != OrderStatus.PAYMENT_PENDING:
            raise IdempotencyInProgress("The order is still being placed.")
    view = selectors.views_of([order])[0]
    return outcome(view), view


def outcome(view: OrderView) -> int:
    """The status that answers a request to place this order; its refusal is raised."""
    order = view.order
    if order.status in (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING):
        return 202
    if order.refusal is not None:
        error = order.refusal["error"]
        if order.undo == Undo.DECLINED:
            raise PaymentDeclined(error["message"], **error["details"])
        raise RefusedBeforePivot(error["message"], **error["details"])
    return 201


class RefusedBeforePivot(Conflict):
    """A participant refused and everything was undone. ``details.order_id``."""

    code = "order_refused"


class Paused(Exception):
    """The step can't go on now, and has recorded when to look again."""


class Runner:
    """Carries one leased order on. ``view`` gathers what participants answer: the caller's answer needs no reading."""

    def __init__(self, view: OrderView, *, key: idempotency.Key | None = None, present: Present | None = None) -> None:
        self.view = view
        self.order: Order = view.order
        self.key = key
        self.present = present

    # -- entry points

    def run_for_caller(self) -> tuple[int, OrderView]:
        """Run, and say what the caller is to be told; refusals are raised."""
        try:
            self._run()
        except services.LeaseLost:
            self.view = selectors.order_view(order_id=self.order.pk)
        except (AnyDatabaseError, ContextUnavailable) as error:
            self._postpone(error)
            raise
        return outcome(self.view), self.view

    def run(self) -> None:
        """Run for nobody in particular: what fails is tried again later."""
        try:
            self._run()
        except InsufficientStock:
            pass  # refused and forgotten: the order never was
        except services.LeaseLost:
            log.info("lease_lost", order_id=self.order.pk)
        except Exception as error:
            log.warning("order_step_failed", order_id=self.order.pk, step=self.order.step, exc_info=True)
            self._postpone(error)

    def _run(self) -> None:
        order = self.order
        about: tracing.Attributes = {
            "eci.context": "orders",
            "eci.order.step": order.step,
            "eci.order.attempts": order.attempts,
        }
        name = f"undo order: {order.undo}" if order.undo else f"order: {order.step}"
        with continued(order.trace or {}, name, about, order_id=order.pk):
            self._walk()
            tracing.note({"eci.order.status": order.status})

    def _walk(self) -> None:
        try:
            if self.order.step == Step.DONE:  # another runner ended it after this one had seen it due
                self._rest({})
            elif self.order.undo:
                self._undo()
            elif self.order.step == Step.PLACE:
                self._place()
            elif self.order.step == Step.AWAIT_PAYMENT:
                self._await_payment()
            elif self.order.step == Step.CONFIRM:
                self._confirm_paid()
            else:
                self._fulfil()
        except Paused:
            pass

    # -- steps

    def _place(self) -> None:
        order = self.order
        try:
            self.view.reservation = inventory.reserve(
                order_id=order.pk,
                key=order.pk,
                items=_demand(self.view.lines),
                seconds=settings.ECI_RESERVATION_SECONDS + (HOLD_MARGIN if order.pay_later else 0),
                paying=not order.pay_later,
            )
        except InsufficientStock as refusal:
            _remember_sold_out(refusal)
            services.discard_order(order=order, key=self.key or _key_of(order), refusal=refusal)
            raise
        except Conflict as refusal:
            self._refuse(Undo.REFUSED, refusal)
            return
        try:
            if order.pay_later:
                self._open_request()
                return
            self._authorise()
            self._prepare_dispatch()
            captured = payments.capture(order_id=order.pk)
        except PaymentUnknown:
            shipping.expect(order_id=order.pk)
            self.view.payments = payments.payments_of(order_ids=[order.pk])
            self._payment_pending()
        except PaymentDeclined as refusal:
            self._refuse(Undo.DECLINED, refusal)
            return
        except (Conflict, InvalidRequest) as refusal:
            self._refuse(Undo.REFUSED, refusal)
            return
        self.view.payments = (captured,)
        self._confirmed()

    def _open_request(self) -> None:
        order = self.order
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
        self._rest(changes, event="awaiting_payment")

    def _authorise(self) -> None:
        order = self.order
        payment = payments.authorise(
            order_id=order.pk,
            amount=money.from_minor(order.total_minor, order.currency),
            currency=order.currency,
            customer_id=order.customer_id,
            method=order.method,
            token=order.token,
            screened=order.by_customer,
        )
        self.view.payments = (payment,)

    def _prepare_dispatch(self) -> None:
        order = self.order
        self.view.reservation = inventory.confirm(key=order.pk)
        address, city = _address_of(order)
        warehouses = sorted({allocation.warehouse for allocation in self.view.reservation.allocations})
        self.view.shipments = shipping.create(
            order_id=order.pk,
            customer_id=order.customer_id,
            warehouses=tuple(warehouses),
            address=address,
            city=city,
        )

    def _confirmed(self) -> None:
        order = self.order
        fact = OrderConfirmed(
            order_id=order.pk,
            order_total=money.text(money.from_minor(order.total_minor, order.currency), order.currency),
            currency=order.currency,
            version=order.version + 1,
        )
        self._noted(services.record_confirmed(order=order, fact=fact))
        try:
            self._fulfil()
        except (EciError, AnyDatabaseError) as error:  # past the pivot: the order stands, the rest follows
            log.warning("fulfilment_postponed", order_id=order.pk, exc_info=True)
            self._postpone(error)

    def _await_payment(self) -> None:
        """The deadline has come: no further charge may begin. One under way is waited for, its hold kept."""
        order = self.order
        state = payments.close(order_id=order.pk, reason="expired")
        if state == RequestState.PAYING:
            inventory.mark_paying(key=order.pk)
            self._rest({"next_at": Now() + ASK_AGAIN})
        elif state == RequestState.PAID:
            self._paid()
        else:
            services.record_undo(order=order, undo=Undo.EXPIRED, reason="not paid in time")
            self._undo()

    def _paid(self) -> None:
        changes = {"step": Step.CONFIRM, "payment_status": OrderPaymentStatus.PAID}
        self._noted(services.record_progress(order=self.order, changes=changes, event="paid"))
        self._confirm_paid()

    def _confirm_paid(self) -> None:
        """The charge was the pivot; only if the hold is gone after all is the money given back."""
        try:
            self._prepare_dispatch()
        except EciError as refusal:
            if refusal.status not in (404, 409):
                raise
            services.record_undo(order=self.order, undo=Undo.STOCK_GONE, reason="its stock was gone")
            self._undo()
            return
        self._confirmed()

    def _fulfil(self) -> None:
        """Stock leaves with the shipments: all at once, or as staff dispatches them."""
        order = self.order
        if order.fulfilment == "automatic" and order.status == OrderStatus.CONFIRMED:
            self.view.reservation = inventory.ship(key=order.pk)
            self.view.shipments = shipping.dispatch(order_id=order.pk)
        else:
            self.view.shipments = shipping.shipments_of(order_ids=[order.pk])
            for shipment in self.view.shipments:
                if shipment.dispatched and order.status == OrderStatus.CONFIRMED:
                    self.view.reservation = inventory.ship(key=order.pk, warehouse=shipment.warehouse)
        status = _status_of(self.view.shipments)
        event = status.lower() if status != order.status else ""
        step = Step.DONE if status == OrderStatus.DELIVERED else Step.FULFIL
        self._rest({"status": status, "step": step}, event=event)

    # -- undoing

    def _refuse(self, undo: Undo, refusal: EciError) -> None:
        refusal.details = {**refusal.details, "order_id": self.order.pk}
        services.record_undo(order=self.order, undo=undo, reason=refusal.message, refusal=refusal)
        self._undo()

    def _undo(self) -> None:
        """Compensations, each harmless when there is nothing to undo; what has left the house can't be undone."""
        order = self.order
        try:
            self.view.shipments = shipping.cancel(order_id=order.pk)
        except InvalidTransition:
            if order.confirmed_at is None:  # a parcel left before it was paid for: a person must decide
                raise
            self._noted(
                services.record_progress(
                    order=order, changes={"undo": Undo.NONE, "undo_reason": ""}, event="cancellation_refused"
                )
            )
            self._fulfil()
            return
        try:
            self.view.payments = payments.cancel(order_id=order.pk, reason=_close_reason(order))
        except PaymentUnknown:
            self._payment_pending()
        self.view.reservation = inventory.release(key=order.pk, order_id=order.pk)
        self._undone()

    def _undone(self) -> None:
        order = self.order
        refunded = sum((payment.refunded for payment in self.view.payments), Decimal(0))
        expired = order.undo == Undo.EXPIRED
        changes: dict[str, Any] = {
            "status": OrderStatus.EXPIRED if expired else OrderStatus.CANCELLED,
            "payment_status": _payment_status_after_undo(self.view),
            "refunded_minor": money.to_minor(refunded, order.currency),
            "step": Step.DONE,
            "expires_at": None,
        }
        version = order.version + 1
        if order.undo == Undo.DECLINED:
            fact: Any = PaymentFailed(order_id=order.pk, reason=order.undo_reason, version=version)
            event = "payment_declined"
        elif expired:
            fact, event = OrderExpired(order_id=order.pk, version=version), "expired"
        else:
            fact = OrderCancelled(order_id=order.pk, reason=order.undo, version=version)
            event = "cancelled"
        self._rest(changes, event=event, detail=order.undo_reason, facts=[fact])

    # -- recording

    def _payment_pending(self) -> None:
        changes = {
            "status": OrderStatus.PAYMENT_PENDING,
            "payment_status": OrderPaymentStatus.PENDING,
            "next_at": Now() + ASK_AGAIN,
        }
        event = "payment_pending" if self.order.status != OrderStatus.PAYMENT_PENDING else ""
        if self.order.status in (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING):
            self._rest(changes, event=event)
        else:
            self._rest({"next_at": changes["next_at"]})
        raise Paused

    def _rest(self, changes: dict[str, Any], *, event: str = "", detail: str = "", facts: Sequence[Any] = ()) -> None:
        """Pause or end here. The caller's answer is remembered in the same transaction, unless it is a 202."""
        order = self.order
        status = changes.get("status", order.status)
        final = status not in (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING)
        self._noted(
            services.record_rest(
                order=order,
                changes=changes,
                event=event,
                detail=detail,
                facts=facts,
                key=self.key if final else None,
                answer=self._answer,
            )
        )

    def _answer(self, entry: TimelineEntry | None) -> idempotency.Answer:
        timeline = [*self.view.timeline, entry] if entry else self.view.timeline
        view = OrderView(**{**vars(self.view), "timeline": timeline})
        try:
            status = outcome(view)
        except EciError as refusal:
            return idempotency.refusal_answer(refusal)
        assert self.present is not None
        return idempotency.Answer(status=status, body={"data": self.present(view)})

    def _noted(self, entry: TimelineEntry | None) -> None:
        if entry is not None:
            self.view.timeline.append(entry)

    def _postpone(self, error: Exception) -> None:
        try:
            services.postpone(order=self.order, error=type(error).__name__)
        except AnyDatabaseError:
            log.warning("postpone_failed", order_id=self.order.pk)  # its lease runs out by itself


def _demand(lines: Iterable[LineAsked | OrderLine]) -> tuple[Demand, ...]:
    return tuple(Demand(product_id=line.product_id, quantity=line.quantity) for line in lines)


def _key_of(order: Order) -> idempotency.Key | None:
    """The key an order was placed with, for a runner that isn't its caller's."""
    if order.idempotency_key is None:
        return None
    return idempotency.Key(
        scope=str(order.idempotency_scope), key=order.idempotency_key, fingerprint=order.idempotency_fingerprint
    )


def _address_of(order: Order) -> tuple[str, str]:
    """Street and city for the parcels, from what the buyer gave: text, or an object with such fields."""
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


def _close_reason(order: Order) -> str:
    return "expired" if order.undo == Undo.EXPIRED else "cancelled"


def _payment_status_after_undo(view: OrderView) -> OrderPaymentStatus:
    if view.order.undo == Undo.DECLINED:
        return OrderPaymentStatus.FAILED
    for status in (PaymentStatus.REFUNDED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.VOIDED):
        if any(payment.status == status for payment in view.payments):
            return OrderPaymentStatus(status.value)
    return OrderPaymentStatus.UNPAID


# -- after placing ----------------------------------------------------------------------------------------------------


def advance(*, order_id: str) -> bool:
    """Carry an order on if it is free; False when another runner has it."""
    order = services.claim(order_id=order_id)
    if order is None:
        return False
    Runner(OrderView(order=order, lines=list(OrderLine.objects.filter(order=order)))).run()
    return True


def retry(*, order_id: str, actor: str) -> OrderStatus:
    """See ``Orders.retry``."""
    services.make_due(order_id=order_id, actor=actor)
    if selectors.is_due(order_id=order_id):
        advance(order_id=order_id)
    for return_id in selectors.due_returns_of(order_id=order_id):
        opened = services.claim_return(return_id=return_id)
        if opened is not None:
            _carry_return(opened)
    return OrderStatus(selectors.order(order_id=order_id).status)


def recover() -> int:
    """Carry on whatever is due: paused, woken by an event, or left behind by a runner that died. Returns how many."""
    due = selectors.due_orders(limit=RUN_BATCH)
    for order_id in due:
        advance(order_id=order_id)
    returns = selectors.due_returns(limit=RUN_BATCH)
    for return_id in returns:
        opened = services.claim_return(return_id=return_id)
        if opened is not None:
            _carry_return(opened)
    return len(due) + len(returns)


def cancel(*, order_id: str, reason: str) -> tuple[int, OrderView]:
    """Cancel before the first dispatch. 200 when it is cancelled, 202 while the provider hasn't spoken.

    OrderNotFound; InvalidTransition when it has left, expired, or was never to be.
    """
    order = selectors.order(order_id=order_id)
    if order.status != OrderStatus.CANCELLED:
        asked = services.request_cancel(order_id=order_id, reason=reason)
        if asked and order.status not in (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING):
            advance(order_id=order_id)  # where the provider has yet to speak, a runner waits for it, not the caller
    view = selectors.order_view(order_id=order_id)
    if view.order.status == OrderStatus.CANCELLED:
        return 200, view
    if view.order.undo and view.order.status in services.UNFINISHED:
        return 202, view
    raise InvalidTransition(f"An order that is {view.order.status} cannot be cancelled.", status=str(view.order.status))


def return_items(
    *,
    order_id: str,
    wanted: Mapping[int, int],
    reason: str,
    disposition: str,
    key: idempotency.Key | None,
    present: Callable[[Return], dict[str, Any]],
) -> Return:
    """Take units back, into stock or off the books, and give their money back. Recovery finishes what a crash, or a
    provider that doesn't answer, cut off: ``done_at`` is None until then.

    OrderNotFound; InvalidTransition before SHIPPED; ReturnExceedsShipped.
    """
    selectors.order(order_id=order_id)
    opened = services.open_return(order_id=order_id, wanted=wanted, reason=reason, disposition=disposition, key=key)
    _try_return(opened, key=key, present=present)
    return opened


def resume_return(*, return_id: int, key: idempotency.Key, present: Callable[[Return], dict[str, Any]]) -> Return:
    """A return whose first answer was never given: carried on if it is due. IdempotencyInProgress."""
    due = services.claim_return(return_id=return_id)
    if due is not None:
        _try_return(due, key=key, present=present)
        return due
    opened = Return.objects.get(pk=return_id)
    if opened.done_at is None and opened.attempts == 0:
        raise IdempotencyInProgress("The return is still being taken.")
    return opened


def _try_return(opened: Return, *, key: idempotency.Key | None, present: Callable[[Return], dict[str, Any]]) -> None:
    try:
        carry_return(opened, key=key, present=present)
    except (PaymentUnknown, RefundRefused) as error:
        services.postpone_return(opened=opened, error=type(error).__name__)


def carry_return(
    opened: Return,
    *,
    key: idempotency.Key | None = None,
    present: Callable[[Return], dict[str, Any]] | None = None,
) -> None:
    order = selectors.order(order_id=opened.order_id)
    with continued(order.trace or {}, "return", {"eci.context": "orders"}, order_id=order.pk):
        _carry(order, opened, key, present)


def _carry(
    order: Order, opened: Return, key: idempotency.Key | None, present: Callable[[Return], dict[str, Any]] | None
) -> None:
    reference = f"return-{opened.pk}"
    inventory.restock(
        order_id=order.pk,
        reference=reference,
        items=tuple(Demand(**item) for item in opened.items),
        disposition=opened.disposition,
    )
    refunded = _refund_return(order, opened, reference)
    paid = payments.payments_of(order_ids=[order.pk]) if refunded else ()

    def answer(finished: Return) -> idempotency.Answer:
        assert present is not None
        return idempotency.Answer(status=201, body={"data": present(finished)})

    services.finish_return(
        opened=opened,
        refund_minor=refunded,
        order_refunded_minor=sum(money.to_minor(payment.refunded, order.currency) for payment in paid),
        order_captured_minor=sum(money.to_minor(payment.captured, order.currency) for payment in paid),
        key=key,
        answer=answer,
    )


def _refund_return(order: Order, opened: Return, reference: str) -> int:
    """Refund what the return is worth, or what is left if staff has refunded some of it by hand; in minor units."""
    if opened.refund_minor == 0:
        return 0
    amount = money.from_minor(opened.refund_minor, order.currency)
    try:
        refund = payments.refund(order_id=order.pk, amount=amount, reason=opened.reason, key=reference)
    except RefundExceedsCaptured:
        refund = payments.refund(order_id=order.pk, amount=None, reason=opened.reason, key=f"{reference}-rest")
    return 0 if refund is None else money.to_minor(refund.amount, order.currency)


def _carry_return(opened: Return) -> None:
    try:
        carry_return(opened)
    except Exception as error:
        log.warning("return_postponed", return_id=opened.pk, exc_info=True)
        services.postpone_return(opened=opened, error=type(error).__name__)
