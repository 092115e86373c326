"""The contract, answered in this process."""

from __future__ import annotations

from collections.abc import Iterable

from contexts.shipping import models, selectors, services
from contexts.shipping.public.contracts import Shipment, ShipmentRecord, ShipmentStatus, ShipmentStep, Shipping


def _shipments(rows: Iterable[models.Shipment]) -> tuple[Shipment, ...]:
    return tuple(_shipment(row) for row in rows)


def _shipment(row: models.Shipment) -> Shipment:
    return Shipment(
        shipment_id=row.pk,
        order_id=row.order_id,
        carrier=row.carrier,
        tracking_no=row.tracking_no,
        status=ShipmentStatus(row.status),
        warehouse=row.warehouse,
        address=row.address,
        city=row.city,
        dispatched_at=row.dispatched_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _step(event: models.ShipmentEvent) -> ShipmentStep:
    return ShipmentStep(status=ShipmentStatus(event.status), location=event.location, at=event.at)


class LocalShipping(Shipping):
    def expect(self, *, order_id: str) -> None:
        services.expect(order_id=order_id)

    def create(
        self, *, order_id: str, customer_id: int | None, warehouses: tuple[str, ...], address: str, city: str
    ) -> tuple[Shipment, ...]:
        rows = services.create(
            order_id=order_id, customer_id=customer_id, warehouses=warehouses, address=address, city=city
        )
        return _shipments(rows)

    def dispatch(self, *, order_id: str) -> tuple[Shipment, ...]:
        return _shipments(services.dispatch(order_id=order_id))

    def cancel(self, *, order_id: str) -> tuple[Shipment, ...]:
        return _shipments(services.cancel(order_id=order_id))

    def shipments_of(self, *, order_ids: Iterable[str]) -> tuple[Shipment, ...]:
        return _shipments(selectors.shipments_of(order_ids=order_ids))

    def shipments_to(self, *, customer_id: int, after: int, limit: int) -> tuple[ShipmentRecord, ...]:
        return tuple(
            ShipmentRecord(shipment=_shipment(row), steps=tuple(_step(event) for event in row.events.all()))
            for row in selectors.shipments_to(customer_id=customer_id, after=after, limit=limit)
        )
