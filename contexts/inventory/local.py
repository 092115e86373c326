"""Inventory's contract, answered in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from contexts.inventory import selectors, services
from contexts.inventory.public.contracts import Demand, Finding, Inventory, Reservation, Statistics

ACTOR = "orders"


def units(items: Iterable[Demand]) -> dict[int, int]:
    """Units by product: the same product on two lines is one demand."""
    total: dict[int, int] = defaultdict(int)
    for item in items:
        total[item.product_id] += item.quantity
    return dict(total)


class LocalInventory(Inventory):
    def reserve(
        self, *, order_id: str, key: str, items: tuple[Demand, ...], seconds: int, paying: bool = False
    ) -> Reservation:
        return services.reserve(key=key, order_id=order_id, demand=units(items), seconds=seconds, paying=paying)

    def require_available(self, *, items: tuple[Demand, ...]) -> None:
        selectors.require_available(demand=units(items))

    def confirm(self, *, key: str) -> Reservation:
        return services.confirm(key=key)

    def mark_paying(self, *, key: str) -> Reservation:
        return services.mark_paying(key=key)

    def release(self, *, key: str, order_id: str) -> Reservation:
        return services.release(key=key, tombstone_for=order_id)

    def ship(self, *, key: str, warehouse: str | None = None) -> Reservation:
        return services.ship(key=key, warehouse=warehouse, actor=ACTOR)

    def restock(self, *, order_id: str, reference: str, items: tuple[Demand, ...], disposition: str) -> None:
        services.restock(
            order_id=order_id, reference=reference, returned=units(items), disposition=disposition, actor=ACTOR
        )

    def reservations(self, *, keys: Iterable[str]) -> dict[str, Reservation]:
        return selectors.reservations_by_key(keys=keys)

    def orders_holding(self) -> tuple[str, ...]:
        return selectors.orders_holding()

    def statistics(self) -> Statistics:
        return selectors.statistics()

    def audit(self) -> tuple[Finding, ...]:
        return selectors.audit()
