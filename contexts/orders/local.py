"""Orders' contract, answered in this process."""

from __future__ import annotations

from contexts.orders import selectors, services, workflows
from contexts.orders.public.contracts import (
    OrderFacts,
    OrderRecord,
    Orders,
    OrderStatus,
    Recipient,
    Statistics,
    Stuck,
    Switch,
)


class LocalOrders(Orders):
    def recipient(self, *, order_id: str) -> Recipient:
        return selectors.recipient(order_id=order_id)

    def orders_of(self, *, customer_id: int, after: str, limit: int) -> tuple[OrderRecord, ...]:
        return selectors.records(customer_id=customer_id, after=after, limit=limit)

    def facts(self, *, after: str, limit: int) -> tuple[OrderFacts, ...]:
        return selectors.facts(after=after, limit=limit)

    def stop(self, *, reason: str, actor: str) -> None:
        services.set_switch(taking=False, reason=reason, actor=actor)

    def start(self, *, actor: str) -> None:
        services.set_switch(taking=True, reason="", actor=actor)

    def switch(self) -> Switch:
        return selectors.switch()

    def lag(self) -> float:
        return selectors.lag()

    def stuck(self, *, seconds: int) -> tuple[Stuck, ...]:
        return selectors.stuck(seconds=seconds)

    def retry(self, *, order_id: str, actor: str) -> OrderStatus:
        return workflows.retry(order_id=order_id, actor=actor)

    def attended(self, *, order_id: str, actor: str) -> None:
        services.record_attended(order_id=order_id, actor=actor)

    def statistics(self) -> Statistics:
        return selectors.statistics()
