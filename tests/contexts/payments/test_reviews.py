"""Payments that staff look at first: the provider is asked only once that is decided, and the stock is there again."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from contexts.payments import services, workflows
from contexts.payments.models import OutboxEvent, Payment, Trail
from contexts.payments.public.contracts import PaymentDeclined, PaymentUnknown
from eci.ids import new_order_id
from tests.contexts.payments.conftest import Killed, captured, due, make_due, settle
from tests.support.people import customer, staff


@pytest.fixture(autouse=True)
def _suspicious_above_50(settings: Any) -> None:
    settings.ECI_REVIEW_AMOUNT = 50


def authorise(payments: Any, order_id: str, *, amount: str = "100.00", currency: str = "USD", token: str = "") -> Any:
    return payments.authorise(
        order_id=order_id,
        amount=Decimal(amount),
        currency=currency,
        customer_id=7,
        method="credit_card",
        token=token,
        screened=True,
        actor="customer:7",
    )


@pytest.fixture
def order_id(payments: Any) -> str:
    """An order whose authorisation is under review."""
    order_id = new_order_id()
    with pytest.raises(PaymentUnknown):
        authorise(payments, order_id)
    return order_id


def payment() -> Payment:
    return Payment.objects.get()


def release() -> None:
    assert services.release_payment(payment_id=payment().pk, actor="staff:ann")


def charged_later(payments: Any) -> str:
    """A pay-later order whose charge is under review."""
    order_id = due(payments)
    asked = workflows.ChargeAsked(
        order_id=order_id,
        amount_minor=10000,
        currency="USD",
        customer_id=7,
        method="credit_card",
        token="",
        actor="customer:7",
        screened=True,
    )
    workflows.carry_out_charge(payment_id=workflows.begin_charge(asked=asked, key=None))
    return order_id


class TestWaiting:
    def test_is_told_and_counted(self, payments: Any, api: Any, order_id: str) -> None:
        (told,) = payments.payments_of(order_ids=[order_id])
        assert (told.status, told.under_review) == ("PENDING", True)
        assert api.get(f"/v1/payments/{told.payment_id}").data["under_review"] is True
        (waiting,) = payments.reviews_waiting()
        assert (waiting.order_id, waiting.amount, waiting.currency) == (order_id, Decimal("100.00"), "USD")
        assert (waiting.suspicion, waiting.since) == ("a large amount", payment().created_at)
        counts = payments.statistics()
        assert (counts.in_review, counts.unknown) == (1, 0)

    def test_asks_nobody_and_nothing_prolongs_it(self, payments: Any, ledger: Any, order_id: str) -> None:
        before = Payment.objects.values().get()
        with pytest.raises(PaymentUnknown):
            authorise(payments, order_id)
        make_due()
        assert payments.ask_provider(kind="payment", row_id=payment().pk) == "PENDING"
        assert workflows.settle_unknown() == 0
        after = Payment.objects.values().get()
        assert {name for name in before if before[name] != after[name]} == {"next_at"}, "made due by this test only"
        assert payments.unanswered(seconds=0) == ()
        assert ledger.operations() == []

    def test_ends_with_its_order(self, payments: Any, ledger: Any, order_id: str) -> None:
        (ended,) = payments.cancel(order_id=order_id, reason="cancelled")
        assert (ended.status, ended.under_review) == ("FAILED", False)
        assert not services.release_payment(payment_id=ended.payment_id, actor="staff:ann")
        assert payments.reviews_waiting() == ()
        assert ledger.operations() == []


class TestReleasedAuthorisation:
    def test_only_its_order_has_the_provider_asked(self, payments: Any, ledger: Any, order_id: str) -> None:
        release()
        assert settle() == 0
        assert payments.ask_provider(kind="payment", row_id=payment().pk) == "PENDING"
        assert payments.unanswered(seconds=0) == ()
        (told,) = payments.payments_of(order_ids=[order_id])
        assert (told.status, told.under_review) == ("PENDING", False)
        assert ledger.operations() == []
        assert authorise(payments, order_id).status == "AUTHORISED"
        assert authorise(payments, order_id).status == "AUTHORISED"
        assert ledger.done("authorise") == [10000]

    def test_whose_stock_is_gone_never_reaches_the_provider(self, payments: Any, ledger: Any, order_id: str) -> None:
        release()
        (ended,) = payments.cancel(order_id=order_id, reason="stock gone")
        assert ended.status == "FAILED"
        with pytest.raises(PaymentDeclined):
            authorise(payments, order_id)
        assert settle() == 0
        assert ledger.operations() == []

    def test_is_unknown_once_the_order_has_asked(self, payments: Any, ledger: Any, faulty: Any, order_id: str) -> None:
        release()
        faulty.die_after = {"authorise"}
        with pytest.raises(Killed):
            authorise(payments, order_id)
        faulty.recover()
        assert payments.statistics().unknown == 1
        assert settle() == 1
        assert payment().status == "AUTHORISED"
        assert ledger.done("authorise") == [10000]

    def test_is_not_declined_unasked_while_it_is_being_asked(
        self, payments: Any, ledger: Any, order_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever undoes the order has read the payment before its order asked: the authorisation is voided."""
        release()
        seen = payment()
        authorise(payments, order_id)
        monkeypatch.setattr("contexts.payments.selectors.live_payments", lambda order_id: [seen])
        (ended,) = payments.cancel(order_id=order_id, reason="by hand")
        assert ended.status == "VOIDED"
        assert len(ledger.operations("void")) == 1


class TestReleasedCharge:
    def test_is_asked_at_once(self, payments: Any, ledger: Any) -> None:
        order_id = charged_later(payments)
        assert settle() == 0
        assert payments.close(order_id=order_id, reason="expired") == "PAYING"
        release()
        assert workflows.settle_unknown() == 1
        assert ledger.done("charge") == [10000]
        assert [event["order_id"] for event in captured()] == [order_id]

    def test_refused_it_leaves_the_order_to_be_charged_or_to_expire(self, payments: Any, ledger: Any) -> None:
        order_id = charged_later(payments)
        assert services.refuse_payment(payment_id=payment().pk, actor="staff:ann")
        assert payments.close(order_id=order_id, reason="expired") == "CLOSED"
        assert ledger.operations() == []


@pytest.mark.parametrize(
    ("decide", "word", "status"),
    [(services.release_payment, "released", "PENDING"), (services.refuse_payment, "refused", "FAILED")],
)
def test_a_decision_counts_once_is_told_and_has_a_name(
    payments: Any, order_id: str, decide: Any, word: str, status: str
) -> None:
    payment_id = payment().pk
    assert decide(payment_id=payment_id, actor="staff:ann")
    assert not services.release_payment(payment_id=payment_id, actor="staff:bob")
    assert not services.refuse_payment(payment_id=payment_id, actor="staff:bob")
    row = payment()
    assert (row.review, row.reviewed_by, row.status) == (word, "staff:ann", status)
    (event,) = OutboxEvent.objects.filter(name="payments.payment_reviewed.v1")
    told = {"order_id": order_id, "payment_id": payment_id, "released": word == "released"}
    assert told.items() <= event.payload.items()
    (line,) = Trail.objects.all()
    assert (line.actor, line.thing) == ("staff:ann", f"payment:{payment_id}")
    assert (line.before, line.after) == ({"review": "waiting"}, {"review": word})


class TestLimitsByCurrency:
    """A limit in one currency says nothing of another."""

    @pytest.fixture(autouse=True)
    def _limits(self, settings: Any) -> None:
        settings.ECI_REVIEW_AMOUNTS = {"USD": Decimal("50"), "KWD": Decimal("15.500")}

    @pytest.mark.parametrize(
        ("amount", "currency", "suspicious"),
        [
            ("50.00", "USD", False),
            ("50.01", "USD", True),
            ("15.500", "KWD", False),
            ("15.501", "KWD", True),
            ("5000", "JPY", False),
        ],
    )
    def test_each_has_its_own(self, payments: Any, amount: str, currency: str, suspicious: bool) -> None:
        with suppress(PaymentUnknown):
            authorise(payments, new_order_id(), amount=amount, currency=currency)
        assert payment().is_under_review is suspicious

    def test_are_read_from_one_setting(self) -> None:
        from config import fees

        read = fees.parse("500,JPY:75000", currency="EUR", setting="ECI_REVIEW_AMOUNT")
        assert read == {"EUR": Decimal(500), "JPY": Decimal(75000)}
        with pytest.raises(Exception, match="ECI_REVIEW_AMOUNT"):
            fees.parse("500.5", currency="JPY", setting="ECI_REVIEW_AMOUNT")


@pytest.mark.usefixtures("own_counters")
def test_an_order_hears_at_once_that_its_payment_is_released(settings: Any, tmp_path: Any, ledger: Any) -> None:
    settings.ECI_KEYS_DIR = tmp_path
    boss, ann = staff("admin"), customer("ann@example.com")
    boss.post("/v1/warehouses", {"code": "W", "name": "W"})
    lamp = boss.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "100.00"}).data["product_id"]
    boss.post("/v1/inventory", {"product_id": lamp, "warehouse": "W", "onhand": 9})
    placed = ann.post("/v1/orders", {"items": [{"product_id": lamp, "quantity": 1}]})
    assert (placed.status, placed.data["status"]) == (202, "PAYMENT_PENDING")
    assert ledger.operations() == []
    release()
    after = boss.get(f"/v1/orders/{placed.data['order_id']}").data
    assert (after["status"], after["payment_status"]) == ("SHIPPED", "PAID")
    assert [one["under_review"] for one in after["payments"]] == [False]
