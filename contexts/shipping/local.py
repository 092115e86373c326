"""The contract, answered in this process: the one place where shipping's rows become contracts."""

from __future__ import annotations

from collections.abc import Iterable

from contexts.shipping import domain, models, selectors, services
from contexts.shipping.public.contracts import (
    ORDERS,
    AddressGiven,
    Shipment,
    ShipmentRecord,
    ShipmentStatus,
    ShipmentStep,
    Shipping,
    ShipTo,
    Withheld,
)
from eci.trail import TellsTrail

_STATUSES = {status.value: status for status in ShipmentStatus}  # quicker than the enumeration itself
_REASONS = tuple(Withheld)


def shipment(row: models.Shipment) -> Shipment:
    return Shipment(
        shipment_id=row.id,
        order_id=row.order_id,
        carrier=row.carrier,
        tracking_no=row.tracking_no,
        status=_STATUSES[row.status],
        warehouse=row.warehouse,
        address=row.address,
        city=row.city,
        dispatched_at=row.dispatched_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ship_to=ship_to(row),
        withheld=tuple([reason for reason in _REASONS if getattr(row, reason)]),
        version=row.version,
    )


def ship_to(row: models.Shipment) -> ShipTo:
    if row.ship_to is None:
        return domain.ship_to(row.address, city=row.city)
    return ShipTo(**row.ship_to | {"lines": tuple(row.ship_to["lines"])})


def shipment_step(row: models.ShipmentEvent) -> ShipmentStep:
    return ShipmentStep(status=ShipmentStatus(row.status), location=row.location, at=row.at)


def shipment_record(row: models.Shipment) -> ShipmentRecord:
    """Reads the shipment's events too: they must be at hand."""
    return ShipmentRecord(shipment=shipment(row), steps=tuple(shipment_step(event) for event in row.events.all()))


class LocalShipping(TellsTrail, Shipping):
    context = "shipping"

    def expect(self, *, order_id: str) -> None:
        services.expect_shipments(order_id=order_id)

    def create(
        self,
        *,
        order_id: str,
        customer_id: int | None,
        warehouses: tuple[str, ...],
        address: str,
        city: str,
        ship_to: AddressGiven | None = None,
    ) -> tuple[Shipment, ...]:
        rows = services.create_shipments(
            order_id=order_id,
            customer_id=customer_id,
            warehouses=warehouses,
            address=address,
            city=city,
            ship_to=ship_to,
        )
        return tuple(shipment(row) for row in rows)

    def send(
        self,
        *,
        order_id: str,
        customer_id: int | None,
        warehouses: tuple[str, ...],
        address: str,
        city: str,
        ship_to: AddressGiven | None = None,
    ) -> tuple[Shipment, ...]:
        rows = services.send_shipments(
            order_id=order_id,
            customer_id=customer_id,
            warehouses=warehouses,
            address=address,
            city=city,
            ship_to=ship_to,
        )
        return tuple(shipment(row) for row in rows)

    def rearrange(
        self,
        *,
        order_id: str,
        customer_id: int | None,
        warehouses: tuple[str, ...],
        address: str,
        city: str,
        ship_to: AddressGiven | None = None,
    ) -> tuple[Shipment, ...]:
        rows = services.rearrange_shipments(
            order_id=order_id,
            customer_id=customer_id,
            warehouses=warehouses,
            address=address,
            city=city,
            ship_to=ship_to,
        )
        return tuple(shipment(row) for row in rows)

    def dispatch(self, *, order_id: str) -> tuple[Shipment, ...]:
        return tuple(shipment(row) for row in services.dispatch_shipments(order_id=order_id))

    def withhold(self, *, order_id: str, warehouse: str | None, reason: str) -> tuple[Shipment, ...]:
        rows = services.withhold_shipments(order_id=order_id, warehouse=warehouse, reason=Withheld(reason))
        return tuple(shipment(row) for row in rows)

    def allow(self, *, order_id: str, warehouse: str | None, reason: str) -> tuple[Shipment, ...]:
        rows = services.allow_shipments(order_id=order_id, warehouse=warehouse, reason=Withheld(reason))
        return tuple(shipment(row) for row in rows)

    def cancel(self, *, order_id: str, actor: str = ORDERS) -> tuple[Shipment, ...]:
        return tuple(shipment(row) for row in services.cancel_shipments(order_id=order_id, actor=actor))

    def change(
        self,
        *,
        shipment_id: int,
        actor: str,
        status: ShipmentStatus | None = None,
        carrier: str | None = None,
        tracking_no: str | None = None,
        version: int | None = None,
    ) -> Shipment:
        row = services.change_shipment(
            shipment_id=shipment_id,
            actor=actor,
            status=status,
            carrier=carrier,
            tracking_no=tracking_no,
            version=version,
        )
        return shipment(row)

    def erase(self, *, order_ids: Iterable[str]) -> None:
        services.erase_orders(order_ids=order_ids)

    def shipments_of(self, *, order_ids: Iterable[str]) -> tuple[Shipment, ...]:
        return tuple(map(shipment, selectors.shipments_of(order_ids=list(order_ids))))

    def records_of(self, *, order_id: str) -> tuple[ShipmentRecord, ...]:
        return tuple(shipment_record(row) for row in selectors.shipments_with_events_of(order_id=order_id))

    def order_of(self, *, tracking_no: str) -> str | None:
        return selectors.order_of(tracking_no=tracking_no)

    def to_dispatch(self) -> dict[str, int]:
        return selectors.to_dispatch()

    def to_pack(self, *, warehouse: str, after: int, limit: int) -> tuple[Shipment, ...]:
        return tuple(map(shipment, selectors.to_pack(warehouse=warehouse, after=after, limit=limit)))

    def shipments(self, *, shipment_ids: Iterable[int]) -> tuple[Shipment, ...]:
        return tuple(map(shipment, selectors.shipments_with_ids(shipment_ids=list(shipment_ids))))

    def shipments_to(self, *, customer_id: int, after: int, limit: int) -> tuple[ShipmentRecord, ...]:
        rows = selectors.shipments_to(customer_id=customer_id, after=after, limit=limit)
        return tuple(shipment_record(row) for row in rows)
