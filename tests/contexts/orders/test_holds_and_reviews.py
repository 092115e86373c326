"""How much one customer may reserve without paying, and which payments staff review first."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from contexts.inventory.models import Allocation, Reservation
from contexts.orders.models import Order
from contexts.payments.models import Payment
from tests.support.api import Api, settle
from tests.support.ledger import Ledger
from tests.support.pages import Browser
from tests.support.people import Person, customer, staff

pytestmark = pytest.mark.usefixtures("own_counters")


@pytest.fixture
def boss(settings: Any, tmp_path: Path) -> Person:
    settings.ECI_KEYS_DIR = tmp_path
    return staff("admin")


@pytest.fixture
def lamp(boss: Person) -> int:
    boss.post("/v1/warehouses", {"code": "W", "name": "W"})
    product_id = boss.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "100.00"}).data["product_id"]
    boss.post("/v1/inventory", {"product_id": product_id, "warehouse": "W", "onhand": 1000})
    return int(product_id)


@pytest.fixture
def ann(boss: Person) -> Person:
    return customer("ann@example.com")


def order(person: Api, lamp: int, *, quantity: int = 1, key: str | None = None, **more: Any) -> Any:
    body = {"items": [{"product_id": lamp, "quantity": quantity}]} | more
    return person.post("/v1/orders", body, key=key)


def available(boss: Person, lamp: int) -> int:
    return int(boss.get(f"/v1/inventory/availability/{lamp}").data["total_available"])


def test_a_customer_holds_only_so_much_unpaid(boss: Person, ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_UNPAID_ORDERS = 2
    first, second = (order(ann, lamp, pay_later=True) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    third = order(ann, lamp, pay_later=True)
    assert (third.status, third.code) == (409, "too_many_unpaid_orders")
    assert order(ann, lamp).status == 409, "nor one paid at once, whose payment may stay open"
    assert available(boss, lamp) == 998, "nothing is held for what was refused"
    assert len(ann.get("/v1/orders").data) == 2, "nor is it listed"
    ann.post(f"/v1/orders/{first.data['order_id']}/cancel", {})
    assert order(ann, lamp, pay_later=True).status == 201


def test_others_and_staff_are_not_held_to_it(boss: Person, ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_UNPAID_ORDERS = 1
    order(ann, lamp, pay_later=True)
    assert order(customer("bob@example.com"), lamp, pay_later=True).status == 201
    for _ in range(2):
        assert order(boss, lamp, pay_later=True, customer_id=ann.customer_id).status == 201


def test_a_customer_holds_only_so_much_value_unpaid(boss: Person, ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_UNPAID_VALUE = Decimal("500.00")
    first = order(ann, lamp, quantity=2, pay_later=True)  # 220.00
    assert first.status == 201
    third = order(ann, lamp, quantity=3, pay_later=True)  # 325.00
    assert (third.status, third.code) == (409, "too_many_unpaid_orders")
    assert order(ann, lamp, quantity=6).status == 201, "one paid at once does not wait"
    assert order(boss, lamp, quantity=9, pay_later=True, customer_id=ann.customer_id).status == 201
    assert ann.post(f"/v1/orders/{first.data['order_id']}/cancel", {}).status == 200
    assert order(ann, lamp, quantity=3, pay_later=True).status == 201
    assert available(boss, lamp) == 1000 - 6 - 9 - 3


def test_a_customer_orders_only_so_many_units_of_a_product(boss: Person, ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_MAX_UNITS_PER_LINE = 5
    line = {"product_id": lamp, "quantity": 3}
    for path in ("/v1/orders", "/v1/orders/quote"):
        for items in ([line | {"quantity": 6}], [line, line]):
            refused = ann.post(path, {"items": items})
            assert (refused.status, refused.code, list(refused.details)) == (400, "validation_error", ["items"])
    assert order(ann, lamp, quantity=5).status == 201
    assert order(boss, lamp, quantity=6, customer_id=ann.customer_id).status == 201


def review(boss: Person, action: str, *payment_ids: int) -> None:
    client = Browser()
    client.force_login(User.objects.get(is_superuser=True))
    form = {"action": action, "_selected_action": [str(payment_id) for payment_id in payment_ids]}
    assert client.post("/admin/payments/payment/", form).status_code == 302


@pytest.fixture
def suspected(ann: Person, lamp: int, settings: Any) -> str:
    """An order whose payment is under review."""
    settings.ECI_REVIEW_AMOUNT = 500
    placed = order(ann, lamp, quantity=6)
    assert (placed.status, placed.data["status"]) == (202, "PAYMENT_PENDING")
    return str(placed.data["order_id"])


def state(boss: Person, order_id: str) -> tuple[str, str]:
    settle()
    data = boss.get(f"/v1/orders/{order_id}").data
    return data["status"], data["payment_status"]


def due_now() -> None:
    """Make everything that waits for its next check due at once."""
    from eci.clock import utcnow

    Order.objects.filter(next_at__isnull=False).update(next_at=utcnow())
    Payment.objects.filter(status="PENDING").update(next_at=utcnow())


def test_the_provider_is_not_asked_before_a_person_has_looked(boss: Person, suspected: str, ledger: Ledger) -> None:
    due_now()
    assert state(boss, suspected) == ("PAYMENT_PENDING", "PENDING")
    assert ledger.operations() == []
    payment = Payment.objects.get()
    assert (payment.review, payment.suspicion) == ("waiting", "a large amount")


def lapse(order_id: str) -> None:
    """Let the time of its reservation be over."""
    past = Now() - timedelta(seconds=1)
    Reservation.objects.filter(key=order_id).update(expires_at=past)
    Allocation.objects.filter(reservation__key=order_id).update(lapses_at=past)
    assert Allocation.objects.get(reservation__key=order_id).lapses_at is not None


def test_its_stock_is_kept_no_longer_than_any_other(boss: Person, suspected: str, lamp: int) -> None:
    waiting = boss.get(f"/v1/orders/{suspected}").data["reservation"]
    assert (waiting["paying"], waiting["expires_at"] is not None) == (False, True)
    assert available(boss, lamp) == 994
    lapse(suspected)
    for _ in range(2):
        assert available(boss, lamp) == 1000
        due_now()
        assert state(boss, suspected) == ("PAYMENT_PENDING", "PENDING")


def test_released_too_late_its_stock_is_reserved_again(boss: Person, suspected: str, lamp: int, ledger: Ledger) -> None:
    lapse(suspected)
    review(boss, "release", Payment.objects.get().pk)
    due_now()
    assert state(boss, suspected) == ("SHIPPED", "PAID")
    assert available(boss, lamp) == 994
    assert len(ledger.done("charge")) == 1


def test_released_too_late_for_its_stock_it_is_cancelled(
    boss: Person, ann: Person, suspected: str, lamp: int, ledger: Ledger
) -> None:
    lapse(suspected)
    assert order(boss, lamp, quantity=999, customer_id=ann.customer_id).status == 201
    review(boss, "release", Payment.objects.get(order_id=suspected).pk)
    due_now()
    assert state(boss, suspected)[0] == "CANCELLED"
    assert len(ledger.done("charge")) == 1, "the other order's"
    told = [row["type"] for row in boss.get(f"/v1/notifications?order_id={suspected}").data]
    assert told == ["order_cancellation"]


def test_what_nobody_reviews_ends_by_itself(boss: Person, suspected: str, lamp: int, ledger: Ledger) -> None:
    Order.objects.update(created_at=Now() - timedelta(hours=73))
    due_now()
    assert state(boss, suspected) == ("EXPIRED", "UNPAID")
    assert available(boss, lamp) == 1000
    assert ledger.operations() == []
    review(boss, "release", Payment.objects.get().pk)
    assert Payment.objects.get().status == "FAILED"


def test_a_later_charge_under_review_keeps_no_stock_either(
    boss: Person, ann: Person, lamp: int, settings: Any, ledger: Ledger
) -> None:
    settings.ECI_REVIEW_AMOUNT = 500
    placed = order(ann, lamp, quantity=6, pay_later=True).data
    charged = ann.post("/v1/payments/charge", {"order_id": placed["order_id"], "amount": placed["order_total"]})
    assert charged.status == 202
    lapse(placed["order_id"])
    due_now()
    assert state(boss, placed["order_id"])[0] == "AWAITING_PAYMENT"
    assert available(boss, lamp) == 1000
    review(boss, "release", charged.data["payment_id"])
    due_now()
    assert state(boss, placed["order_id"]) == ("SHIPPED", "PAID")
    assert available(boss, lamp) == 994


def test_released_it_goes_on(boss: Person, suspected: str, ledger: Ledger) -> None:
    review(boss, "release", Payment.objects.get().pk)
    due_now()
    assert state(boss, suspected) == ("SHIPPED", "PAID")
    assert len(ledger.done("charge")) == 1
    assert Payment.objects.get().reviewed_by.startswith("staff:")


def test_refused_it_ends_and_its_stock_is_free(boss: Person, suspected: str, lamp: int, ledger: Ledger) -> None:
    review(boss, "refuse", Payment.objects.get().pk)
    due_now()
    assert state(boss, suspected) == ("CANCELLED", "FAILED")
    assert available(boss, lamp) == 1000
    assert ledger.operations() == []
    assert boss.get(f"/v1/payments?order_id={suspected}").data[0]["decline_reason"] == "suspected_fraud"


def test_the_customer_may_cancel_meanwhile(boss: Person, ann: Person, suspected: str, lamp: int) -> None:
    assert ann.post(f"/v1/orders/{suspected}/cancel", {}).status == 202
    due_now()
    assert state(boss, suspected)[0] == "CANCELLED"
    assert available(boss, lamp) == 1000


def test_a_decision_counts_once(boss: Person, suspected: str) -> None:
    payment_id = Payment.objects.get().pk
    review(boss, "refuse", payment_id)
    review(boss, "release", payment_id)
    assert Payment.objects.get().review == "refused"


def test_a_later_charge_is_looked_at_too(boss: Person, ann: Person, lamp: int, settings: Any, ledger: Ledger) -> None:
    settings.ECI_REVIEW_AMOUNT = 500
    placed = order(ann, lamp, quantity=6, pay_later=True).data
    charged = ann.post("/v1/payments/charge", {"order_id": placed["order_id"], "amount": placed["order_total"]})
    assert (charged.status, charged.data["status"]) == (202, "PENDING")
    assert ledger.operations() == []
    review(boss, "release", charged.data["payment_id"])
    due_now()
    assert state(boss, placed["order_id"]) == ("SHIPPED", "PAID")


def test_many_declines_are_suspicious(ann: Person, lamp: int, settings: Any, ledger: Ledger) -> None:
    settings.ECI_REVIEW_DECLINES = 2
    declined = {"payment": {"token": "tok_declined"}}
    assert [order(ann, lamp, **declined).status for _ in range(3)] == [402, 402, 202]
    assert len(ledger.operations("charge")) == 2


def test_many_payments_are_suspicious(ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_REVIEW_PAYMENTS = 2
    assert [order(ann, lamp).status for _ in range(3)] == [201, 201, 202]


def test_what_staff_orders_is_not_looked_at(boss: Person, ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_REVIEW_AMOUNT = 1
    assert order(boss, lamp, quantity=6, customer_id=ann.customer_id).status == 201
