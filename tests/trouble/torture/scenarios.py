"""What is killed: each command of an order's life with each way it may go, on a product and an order of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from django.db.models.functions import Now

from contexts.inventory.models import OutboxEvent
from contexts.inventory.public.api import inventory
from contexts.orders.models import Order
from contexts.orders.workflows import placing, recovery
from contexts.payments import workflows as payments
from contexts.payments.adapters.gateway import GatewayTimeout
from contexts.payments.models import PaymentRequest
from contexts.shipping.public.api import shipping
from eci import events
from eci.calls import rpc
from eci.errors import ContextUnavailable
from eci.ids import new_order_id
from tests.support.api import Answer, Api

GUEST = "buyer@example.com"
UNITS = 10


@dataclass(kw_only=True)
class Case:
    """One run of a scenario: what it works on, and the key its client repeats. ``order``: as the API showed it."""

    product_id: int
    key: str
    order_id: str = ""
    order: Mapping[str, Any] = field(default_factory=dict)


Prepare = Callable[[Api, Case], None]
Act = Callable[[Api, Case], Answer]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """``prepare`` makes what is there before, ``act`` is what is killed and what the client then repeats.

    ``answer``: what the client is told in the end, status and code. ``end``: the order and payment status, empty
    when there is no order. ``end_of_later_runner``: as it may end, too, if its first runner is killed: who carries an
    order on cannot know whether somebody was told of it, and does not take it back. ``unanswered``: a call of the
    provider that is made, and whose answer does not come. ``away``: a participant and its command that is refused until
    the order needs attention, and then answered again.
    ``pressing``: what comes of it depends on when it is asked, so the client repeats it at once.
    """

    name: str
    act: Act
    answer: tuple[int, str]
    end: str
    end_of_later_runner: str = ""
    prepare: Prepare = lambda api, case: None
    unanswered: str = ""
    away: tuple[str, str] | None = None
    pressing: bool = False

    def begin(self, api: Api, key: str) -> Case:
        product = _created(api.post("/v1/products", {"sku": key, "name": key, "price": "19.99"}))
        case = Case(product_id=product["product_id"], key=key)
        _receive(api, case, "WH001")
        self.prepare(api, case)
        return case


def _receive(api: Api, case: Case, warehouse: str) -> None:
    stock = {"product_id": case.product_id, "warehouse": warehouse, "onhand": UNITS}
    _created(api.post("/v1/inventory", stock))


def open_warehouses(api: Api) -> None:
    for code, priority in (("WH001", 1), ("WH002", 2)):
        _created(api.post("/v1/warehouses", {"code": code, "name": code, "priority": priority}))


def _created(answer: Answer) -> Any:
    assert answer.status in (200, 201), answer.json
    return answer.data


# -- what goes wrong with others --------------------------------------------------------------------------------------


def lose_answers_of(call: str) -> None:
    """The provider does what it is asked, and the answer to ``call`` is lost; for the rest of this process."""
    provider = type(payments.gateway)
    inner = getattr(provider, call)

    @functools.wraps(inner)
    def unanswered(*args: Any, **kwargs: Any) -> Any:
        inner(*args, **kwargs)
        raise GatewayTimeout("No answer.")

    setattr(provider, call, unanswered)


def send_away(context: str, command: str) -> None:
    """The participant no longer answers this command; for the rest of this process."""

    def away(**arguments: Any) -> Any:
        raise ContextUnavailable(f"{context} is away")

    setattr(rpc.served(context)[1], command, away)


# -- what is there before ---------------------------------------------------------------------------------------------


def _placed(quantity: int = 2, **body: Any) -> Prepare:
    def prepare(api: Api, case: Case) -> None:
        answer = _place(quantity, **body)(api, Case(product_id=case.product_id, key=f"{case.key}-before"))
        assert answer.status in (201, 202), answer.json
        case.order, case.order_id = answer.data, answer.data["order_id"]

    return prepare


def _shipping_refuses(api: Api, case: Case) -> None:
    case.order_id = new_order_id()
    shipping.cancel(order_id=case.order_id)


def _inventory_refuses(api: Api, case: Case) -> None:
    case.order_id = new_order_id()
    inventory.release(key=case.order_id, order_id=case.order_id)


def _hold_is_gone(api: Api, case: Case) -> None:
    _placed(pay_later=True)(api, case)
    inventory.release(key=case.order_id, order_id=case.order_id)


def _deadline_has_passed(api: Api, case: Case) -> None:
    _placed(pay_later=True)(api, case)
    Order.objects.filter(pk=case.order_id).update(next_at=Now(), expires_at=Now())
    PaymentRequest.objects.filter(pk=case.order_id).update(deadline=Now())


def _in_two_warehouses(api: Api, case: Case) -> None:
    _receive(api, case, "WH002")


def _one_of_two_parcels_has_left(api: Api, case: Case) -> None:
    _in_two_warehouses(api, case)
    _placed(UNITS + 2, fulfilment="warehouse")(api, case)
    _move_parcel("SHIPPED")(api, case)


# -- what is killed ---------------------------------------------------------------------------------------------------


def _place(quantity: int = 2, **body: Any) -> Act:
    def place(api: Api, case: Case) -> Answer:
        items = [{"product_id": case.product_id, "quantity": quantity}]
        # The id of one that somebody will refuse must be known before; the next one asked has its own again.
        known = patch.object(placing, "new_order_id", lambda: case.order_id) if case.order_id else nullcontext()
        with known:
            return api.post("/v1/orders", {"email": GUEST, "items": items} | body, key=case.key)

    return place


def _charge(token: str = "tok_ok") -> Act:
    def charge(api: Api, case: Case) -> Answer:
        body = {"order_id": case.order_id, "amount": case.order["order_total"], "token": token}
        return api.post("/v1/payments/charge", body, key=case.key)

    return charge


def _cancel(api: Api, case: Case) -> Answer:
    return api.post(f"/v1/orders/{case.order_id}/cancel", {"reason": "changed my mind"}, key=case.key)


def _return(quantity: int, disposition: str = "resell") -> Act:
    def give_back(api: Api, case: Case) -> Answer:
        items = [{"product_id": case.product_id, "quantity": quantity}]
        body = {"items": items, "reason": "too small", "disposition": disposition}
        return api.post(f"/v1/orders/{case.order_id}/returns", body, key=case.key)

    return give_back


def _move_parcel(status: str) -> Act:
    def move(api: Api, case: Case) -> Answer:
        return api.patch(f"/v1/shipments/{case.order['shipments'][0]['shipment_id']}", {"status": status})

    return move


def _count_nothing(api: Api, case: Case) -> Answer:
    """A stock count finds the shelf empty, though an order that is paid holds units of it."""
    [row] = api.get(f"/v1/inventory?product_id={case.product_id}&warehouse=WH001").data
    return api.patch(f"/v1/inventory/{row['inventory_id']}", {"onhand": 0, "reason": "count", "force": True})


def _placed_with_others_elsewhere(api: Api, case: Case) -> None:
    _placed_warehouse(api, case)
    _in_two_warehouses(api, case)


def _counted_in_this_moment(api: Api, case: Case) -> None:
    """The order's parcel leaves while it has not been told that a count has not found its units."""
    _placed_warehouse(api, case)
    with events.replaced({}):
        _count_nothing(api, case)
    OutboxEvent.objects.filter(aggregate_id=case.order_id, delivered_at=None).delete()


def _expire(api: Api, case: Case) -> Answer:
    recovery.advance(order_id=case.order_id)
    return api.get(f"/v1/orders/{case.order_id}")


_WAREHOUSE = {"fulfilment": "warehouse"}
_LATER = {"pay_later": True}


def _paying(token: str) -> dict[str, Any]:
    return {"payment": {"token": token}}


_placed_warehouse, _placed_later, _placed_and_shipped = _placed(**_WAREHOUSE), _placed(**_LATER), _placed()

SCENARIOS = (
    Scenario(name="place", act=_place(), answer=(201, ""), end="SHIPPED PAID"),
    Scenario(
        name="place, two warehouses",
        prepare=_in_two_warehouses,
        act=_place(UNITS + 2),
        answer=(201, ""),
        end="SHIPPED PAID",
    ),
    Scenario(name="place, shipped by staff", act=_place(**_WAREHOUSE), answer=(201, ""), end="CONFIRMED PAID"),
    Scenario(
        name="place, declined",
        act=_place(**_paying("tok_declined")),
        answer=(402, "payment_declined"),
        end="CANCELLED FAILED",
    ),
    Scenario(
        name="place, out of stock",
        act=_place(UNITS + 1),
        answer=(409, "insufficient_stock"),
        end="",
        end_of_later_runner="CANCELLED UNPAID",
    ),
    Scenario(
        name="place, charging not answered",
        act=_place(**_paying("tok_timeout")),
        answer=(201, ""),
        end="SHIPPED PAID",
    ),
    Scenario(
        name="place, declining not answered",
        act=_place(**_paying("tok_timeout_declined")),
        answer=(402, "payment_declined"),
        end="CANCELLED FAILED",
    ),
    Scenario(
        name="place, shipped by staff, authorising not answered",
        act=_place(**_WAREHOUSE, **_paying("tok_timeout")),
        answer=(201, ""),
        end="CONFIRMED PAID",
    ),
    Scenario(
        name="place, shipped by staff, capture not answered",
        act=_place(**_WAREHOUSE),
        unanswered="capture",
        answer=(201, ""),
        end="CONFIRMED PAID",
    ),
    Scenario(
        name="place, inventory refuses",
        prepare=_inventory_refuses,
        act=_place(),
        answer=(409, "order_refused"),
        end="CANCELLED UNPAID",
    ),
    Scenario(
        name="place, shipping refuses",
        prepare=_shipping_refuses,
        act=_place(),
        answer=(409, "order_refused"),
        end="CANCELLED REFUNDED",
    ),
    Scenario(
        name="place, shipping refuses, refund not answered",
        prepare=_shipping_refuses,
        act=_place(),
        unanswered="refund",
        answer=(409, "order_refused"),
        end="CANCELLED REFUNDED",
    ),
    Scenario(
        name="place, shipped by staff, shipping refuses, void not answered",
        prepare=_shipping_refuses,
        act=_place(**_WAREHOUSE),
        unanswered="void",
        answer=(409, "order_refused"),
        end="CANCELLED VOIDED",
    ),
    Scenario(
        name="place, shipping away before the pivot",
        act=_place(**_WAREHOUSE),
        away=("shipping", "create"),
        answer=(201, ""),
        end="CONFIRMED PAID",
    ),
    Scenario(
        name="place, shipping away after the pivot",
        act=_place(),
        away=("shipping", "send"),
        answer=(201, ""),
        end="SHIPPED PAID",
    ),
    Scenario(name="pay later: place", act=_place(**_LATER), answer=(201, ""), end="AWAITING_PAYMENT UNPAID"),
    Scenario(
        name="pay later: place, out of stock",
        act=_place(UNITS + 1, **_LATER),
        answer=(409, "insufficient_stock"),
        end="",
        end_of_later_runner="CANCELLED UNPAID",
    ),
    Scenario(
        name="pay later: place, inventory refuses",
        prepare=_inventory_refuses,
        act=_place(**_LATER),
        answer=(409, "order_refused"),
        end="CANCELLED UNPAID",
    ),
    Scenario(name="pay later: charge", prepare=_placed_later, act=_charge(), answer=(200, ""), end="SHIPPED PAID"),
    Scenario(
        name="pay later: charge, declined",
        prepare=_placed_later,
        act=_charge("tok_declined"),
        answer=(402, "payment_declined"),
        end="AWAITING_PAYMENT UNPAID",
    ),
    Scenario(
        name="pay later: charge, not answered",
        prepare=_placed_later,
        act=_charge("tok_timeout"),
        answer=(200, ""),
        end="SHIPPED PAID",
    ),
    Scenario(
        name="pay later: charge, stock gone",
        prepare=_hold_is_gone,
        act=_charge(),
        answer=(200, ""),
        end="CANCELLED REFUNDED",
    ),
    Scenario(
        name="pay later: charge, shipping away",
        prepare=_placed_later,
        act=_charge(),
        away=("shipping", "create"),
        answer=(200, ""),
        end="SHIPPED PAID",
    ),
    Scenario(
        name="pay later: deadline passed",
        prepare=_deadline_has_passed,
        act=_expire,
        answer=(200, ""),
        end="EXPIRED UNPAID",
    ),
    Scenario(name="cancel", prepare=_placed_warehouse, act=_cancel, answer=(200, ""), end="CANCELLED REFUNDED"),
    Scenario(name="cancel, not yet paid", prepare=_placed_later, act=_cancel, answer=(200, ""), end="CANCELLED UNPAID"),
    Scenario(
        name="cancel, charging not answered",
        prepare=_placed(**_paying("tok_timeout")),
        act=_cancel,
        pressing=True,
        answer=(200, ""),
        end="CANCELLED REFUNDED",
    ),
    Scenario(
        name="cancel, authorising not answered",
        prepare=_placed(**_WAREHOUSE, **_paying("tok_timeout")),
        act=_cancel,
        pressing=True,
        answer=(200, ""),
        end="CANCELLED VOIDED",
    ),
    Scenario(
        name="cancel, refund not answered",
        prepare=_placed_warehouse,
        act=_cancel,
        unanswered="refund",
        answer=(200, ""),
        end="CANCELLED REFUNDED",
    ),
    Scenario(
        name="cancel, refund refused",
        prepare=_placed(**_WAREHOUSE, **_paying("tok_refund_refused")),
        act=_cancel,
        answer=(200, ""),
        end="CANCELLED REFUNDED",
    ),
    Scenario(
        name="cancel, shipping refuses",
        prepare=_one_of_two_parcels_has_left,
        act=_cancel,
        answer=(409, "invalid_transition"),
        end="CONFIRMED PAID",
    ),
    Scenario(
        name="cancel, inventory away",
        prepare=_placed_warehouse,
        act=_cancel,
        away=("inventory", "release"),
        answer=(200, ""),
        end="CANCELLED REFUNDED",
    ),
    Scenario(
        name="return", prepare=_placed_and_shipped, act=_return(2), answer=(201, ""), end="RETURNED PARTIALLY_REFUNDED"
    ),
    Scenario(
        name="return, one of two, damaged",
        prepare=_placed_and_shipped,
        act=_return(1, "damaged"),
        answer=(201, ""),
        end="SHIPPED PARTIALLY_REFUNDED",
    ),
    Scenario(
        name="return, more than was shipped",
        prepare=_placed_and_shipped,
        act=_return(3),
        answer=(409, "return_exceeds_shipped"),
        end="SHIPPED PAID",
    ),
    Scenario(
        name="return, refund not answered",
        prepare=_placed_and_shipped,
        act=_return(2),
        unanswered="refund",
        answer=(201, ""),
        end="RETURNED PARTIALLY_REFUNDED",
    ),
    Scenario(
        name="return, refund refused",
        prepare=_placed(**_paying("tok_refund_refused")),
        act=_return(2),
        answer=(201, ""),
        end="RETURNED PARTIALLY_REFUNDED",
    ),
    Scenario(
        name="return, inventory away",
        prepare=_placed_and_shipped,
        act=_return(2),
        away=("inventory", "restock"),
        answer=(201, ""),
        end="RETURNED PARTIALLY_REFUNDED",
    ),
    Scenario(
        name="staff: parcel delivered",
        prepare=_placed_warehouse,
        act=_move_parcel("DELIVERED"),
        answer=(200, ""),
        end="DELIVERED PAID",
    ),
    Scenario(
        name="staff: count finds too little",
        prepare=_placed_warehouse,
        act=_count_nothing,
        answer=(200, ""),
        end="CONFIRMED PAID",
    ),
    Scenario(
        name="staff: count finds too little, others are elsewhere",
        prepare=_placed_with_others_elsewhere,
        act=_count_nothing,
        answer=(200, ""),
        end="CONFIRMED PAID",
    ),
    Scenario(
        name="staff: parcel leaves in the moment of a count",
        prepare=_counted_in_this_moment,
        act=_move_parcel("SHIPPED"),
        answer=(200, ""),
        end="SHIPPED PAID",
    ),
)
