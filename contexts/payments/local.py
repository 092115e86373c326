from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from contexts.payments import selectors, services, workflows
from contexts.payments.public.contracts import (
    Payment,
    PaymentRecord,
    Payments,
    Refund,
    RequestState,
    Settlement,
    Statistics,
    Unanswered,
)
from eci.money import to_minor


class LocalPayments(Payments):
    def open_request(
        self, *, order_id: str, amount: Decimal, currency: str, customer_id: int | None, seconds: int
    ) -> datetime:
        return services.open_request(
            order_id=order_id,
            amount_minor=to_minor(amount, currency),
            currency=currency,
            customer_id=customer_id,
            seconds=seconds,
        )

    def authorise(
        self,
        *,
        order_id: str,
        amount: Decimal,
        currency: str,
        customer_id: int | None,
        method: str,
        token: str,
        screened: bool = False,
    ) -> Payment:
        return workflows.authorise(
            order_id=order_id,
            amount_minor=to_minor(amount, currency),
            currency=currency,
            customer_id=customer_id,
            method=method,
            token=token,
            screened=screened,
        )

    def capture(self, *, order_id: str) -> Payment:
        return workflows.capture(order_id=order_id)

    def close(self, *, order_id: str, reason: str) -> RequestState:
        return services.close(order_id=order_id, reason=reason)

    def cancel(self, *, order_id: str, reason: str) -> tuple[Payment, ...]:
        return workflows.cancel(order_id=order_id, reason=reason)

    def refund(self, *, order_id: str, amount: Decimal | None, reason: str, key: str) -> Refund | None:
        return workflows.refund(order_id=order_id, amount=amount, reason=reason, key=key)

    def payments_of(self, *, order_ids: Iterable[str]) -> tuple[Payment, ...]:
        return selectors.payments_of(order_ids)

    def payments_by(self, *, customer_id: int, after: int, limit: int) -> tuple[PaymentRecord, ...]:
        return selectors.payments_by(customer_id=customer_id, after=after, limit=limit)

    def orders_with_money(self) -> tuple[str, ...]:
        return selectors.orders_with_money()

    def unanswered(self, *, seconds: int) -> tuple[Unanswered, ...]:
        return selectors.unanswered(seconds)

    def ask_provider(self, *, kind: str, row_id: int) -> str:
        return workflows.ask_provider(kind=kind, row_id=row_id)

    def settlement(self, *, day: date) -> Settlement:
        return workflows.settlement(day=day)

    def statistics(self) -> Statistics:
        return selectors.statistics()
