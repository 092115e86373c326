"""How much one customer may reserve without paying, and which payments staff review first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from contexts.payments.models import Payment
from tests.support.api import Api, settle
from tests.support.ledger import Ledger
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


def review(boss: Person, action: str, *payment_ids: int) -> None:
    client = Client()
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
    from contexts.orders.models import Order
    from eci.clock import utcnow

    Order.objects.filter(next_at__isnull=False).update(next_at=utcnow())
    Payment.objects.filter(status="PENDING").update(next_at=utcnow())


def test_the_provider_is_not_asked_before_a_person_has_looked(boss: Person, suspected: str, ledger: Ledger) -> None:
    due_now()
    assert state(boss, suspected) == ("PAYMENT_PENDING", "PENDING")
    assert ledger.operations() == []
    payment = Payment.objects.get()
    assert (payment.review, payment.suspicion) == ("waiting", "a large amount")


def test_released_it_goes_on(boss: Person, suspected: str, ledger: Ledger) -> None:
    review(boss, "release", Payment.objects.get().pk)
    due_now()
    assert state(boss, suspected) == ("SHIPPED", "PAID")
    assert len(ledger.done("capture")) == 1
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
    assert len(ledger.operations("authorise")) == 2


def test_many_payments_are_suspicious(ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_REVIEW_PAYMENTS = 2
    assert [order(ann, lamp).status for _ in range(3)] == [201, 201, 202]


def test_what_staff_orders_is_not_looked_at(boss: Person, ann: Person, lamp: int, settings: Any) -> None:
    settings.ECI_REVIEW_AMOUNT = 1
    assert order(boss, lamp, quantity=6, customer_id=ann.customer_id).status == 201
