"""Orders' contract, answered in this process."""

from __future__ import annotations

from contexts.orders import selectors
from contexts.orders.public.contracts import OrderFacts, Orders, Recipient, Statistics


class LocalOrders(Orders):
    def recipient(self, *, order_id: str) -> Recipient:
        return selectors.recipient(order_id=order_id)

    def facts(self, *, after: str, limit: int) -> tuple[OrderFacts, ...]:
        return selectors.facts(after=after, limit=limit)

    def statistics(self) -> Statistics:
        return selectors.statistics()
