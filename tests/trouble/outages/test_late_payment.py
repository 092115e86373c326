"""A payment around an order's deadline. The database's clock decides; who pays gets the goods or the money back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from contexts.inventory.models import Allocation, Reservation
from contexts.orders.models import Order
from contexts.orders.workflows.recovery import recover
from contexts.payments.models import PaymentRequest
from tests.support.api import due_now, settle
from tests.support.ledger import Ledger
from tests.support.shop import Shop, charge

AT_ONCE, LATER = "tok_ok", "tok_timeout"


def waiting_order(shop: Shop) -> Any:
    order = shop.order(pay_later=True).data
    assert order["status"] == "AWAITING_PAYMENT"
    return order


def let_pass(order_id: str, span: timedelta) -> None:
    """Let the order, its payment request and its hold be older by so much."""
    Order.objects.filter(pk=order_id).update(expires_at=F("expires_at") - span, next_at=F("next_at") - span)
    PaymentRequest.objects.filter(pk=order_id).update(deadline=F("deadline") - span)
    Reservation.objects.filter(key=order_id).update(expires_at=F("expires_at") - span)
    Allocation.objects.filter(reservation__key=order_id).update(lapses_at=F("lapses_at") - span)


def reach_deadline(order_id: str, *, after: float = 0) -> None:
    """Let the deadline have been ``after`` seconds ago; negative: be so far ahead."""
    (left,) = PaymentRequest.objects.filter(pk=order_id).annotate(left=F("deadline") - Now()).values_list("left")
    let_pass(order_id, left[0] + timedelta(seconds=after))


def require_bought(shop: Shop, ledger: Ledger, order: Any) -> None:
    after = shop.read(order["order_id"])
    assert (after["status"], after["payment_status"]) == ("SHIPPED", "PAID")
    assert (ledger.done("charge"), ledger.done("refund")) == ([price(order)], [])
    assert shop.stock() == (98, 0, 98)


def require_refunded(shop: Shop, ledger: Ledger, order: Any) -> None:
    after = shop.read(order["order_id"])
    assert (after["status"], after["payment_status"]) == ("CANCELLED", "REFUNDED")
    assert ledger.done("charge") == ledger.done("refund") == [price(order)]
    assert {allocation["state"] for allocation in after["reservation"]["allocations"]} <= {"RELEASED", "EXPIRED"}
    assert shop.notices(order["order_id"]) == ["order_cancellation", "refund"]


def price(order: Any) -> int:
    return int(order["order_total"].replace(".", ""))


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after the sweep"])
@pytest.mark.parametrize(("after", "token"), [(0, AT_ONCE), (0, LATER), (1, AT_ONCE), (1, LATER), (600, AT_ONCE)])
def test_from_the_deadline_on_nothing_is_taken(
    shop: Shop, ledger: Ledger, after: float, token: str, swept: bool
) -> None:
    order = waiting_order(shop)
    reach_deadline(order["order_id"], after=after)
    if swept:
        settle()
    late = charge(shop, order, token=token)
    assert (late.status, late.code) == (409, "reservation_expired")
    settle()
    assert ledger.operations() == []
    assert shop.read(order["order_id"])["status"] == "EXPIRED"
    assert shop.stock() == (100, 0, 100)


@pytest.mark.parametrize("token", [AT_ONCE, LATER])
def test_in_the_last_second_it_is_bought(shop: Shop, ledger: Ledger, token: str) -> None:
    order = waiting_order(shop)
    reach_deadline(order["order_id"], after=-1)
    assert charge(shop, order, token=token).status == (200 if token == AT_ONCE else 202)
    reach_deadline(order["order_id"], after=1)
    due_now()
    settle()
    require_bought(shop, ledger, order)


def test_an_answer_ten_minutes_late_finds_its_stock_still_held(shop: Shop, ledger: Ledger) -> None:
    order = waiting_order(shop)
    reach_deadline(order["order_id"], after=-1)
    assert charge(shop, order, token=LATER).status == 202
    reach_deadline(order["order_id"], after=1)
    recover()  # sees that a charge is under way
    let_pass(order["order_id"], timedelta(minutes=10))
    assert shop.order(99).status == 409, "the units of an order being paid for were sold"
    due_now()
    settle()
    require_bought(shop, ledger, order)


@pytest.mark.parametrize("sold", [False, True], ids=["units still there", "units sold to another"])
def test_an_answer_after_the_reservation_has_expired(shop: Shop, ledger: Ledger, sold: bool) -> None:
    """Nobody looked after the order from its charge until ten minutes after its deadline. Its units are reserved again
    if they are still there; otherwise the money goes back."""
    order = waiting_order(shop)
    assert charge(shop, order, token=LATER).status == 202
    reach_deadline(order["order_id"], after=600)
    if sold:
        everything = {"product_id": shop.product_id, "quantity": 100, "order_id": "FOREIGN-1"}
        assert shop.api.post("/v1/inventory/reserve", everything).status == 200
    due_now()
    settle()
    if sold:
        require_refunded(shop, ledger, order)
        assert shop.stock() == (100, 100, 0)
    else:
        require_bought(shop, ledger, order)
