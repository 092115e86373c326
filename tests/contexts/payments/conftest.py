"""What the tests of payments share: a provider that fails on command, and what orders asks for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

from contexts.payments import workflows
from contexts.payments.adapters.gateway import GatewayTimeout
from contexts.payments.adapters.sandbox import SandboxGateway
from contexts.payments.models import OutboxEvent, Payment, Refund
from contexts.payments.public.contracts import Payments
from eci.calls import rpc
from eci.clock import utcnow
from eci.ids import new_order_id


@pytest.fixture
def payments() -> Payments:
    return rpc.client("payments", Payments)


class Killed(BaseException):
    """The process died."""


class Faulty(SandboxGateway):
    """The sandbox, where the process dies just before or after an operation, or the answer is lost."""

    def __init__(self) -> None:
        self.die_before: set[str] = set()
        self.die_after: set[str] = set()
        self.silent: set[str] = set()

    def _operate(self, kind: str, *args: Any) -> Any:
        if kind in self.die_before:
            raise Killed
        result = super()._operate(kind, *args)
        if kind in self.die_after:
            raise Killed
        if kind in self.silent:
            raise GatewayTimeout("no answer")
        return result

    def lookup(self, *, key: str) -> Any:
        if "lookup" in self.silent:
            raise GatewayTimeout("no answer")
        return super().lookup(key=key)

    def recover(self) -> None:
        self.die_before, self.die_after, self.silent = set(), set(), set()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Faulty:
    gateway = Faulty()
    monkeypatch.setattr(workflows, "gateway", gateway)
    return gateway


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """``outage.begin()`` and ``outage.end()``: the provider cannot be reached in between."""

    class Outage:
        ledger = settings.ECI_SANDBOX_LEDGER

        def begin(self) -> None:
            settings.ECI_SANDBOX_LEDGER = tmp_path / "nowhere" / "sandbox.sqlite3"

        def end(self) -> None:
            settings.ECI_SANDBOX_LEDGER = self.ledger

    return Outage()


def settle() -> int:
    """What the beat's task does once the rows are due."""
    make_due()
    return workflows.settle_unknown()


def make_due() -> None:
    """Let all rows be due for asking the provider again."""
    for model in (Payment, Refund):
        model.objects.update(next_at=utcnow() - timedelta(seconds=1))


def events(name: str) -> list[dict[str, Any]]:
    """The payloads of the events of this name, as one of their consumers gets them."""
    rows = OutboxEvent.objects.filter(name=name, consumer="orders").order_by("pk")
    return [row.payload for row in rows]


def captured() -> list[dict[str, Any]]:
    return events("payments.payment_captured.v1")


def refunds() -> list[dict[str, Any]]:
    return events("payments.refund_completed.v1")


def due(payments: Payments, amount: str = "100.00", seconds: int = 900, currency: str = "USD") -> str:
    """The id of an order that waits for ``amount``."""
    order_id = new_order_id()
    payments.open_request(order_id=order_id, amount=Decimal(amount), currency=currency, customer_id=7, seconds=seconds)
    return order_id


def authorise(payments: Payments, order_id: str, *, token: str = "", amount: str = "100.00") -> Any:
    return payments.authorise(
        order_id=order_id,
        amount=Decimal(amount),
        currency="USD",
        customer_id=7,
        method="credit_card",
        token=token,
    )
