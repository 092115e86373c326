"""Reads. Rows are dictionaries of the columns the API shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import F, Prefetch, QuerySet

from contexts.shipping.models import Shipment, ShipmentEvent
from contexts.shipping.public import contracts

_COLUMNS = (
    "order_id",
    "carrier",
    "tracking_no",
    "status",
    "warehouse",
    "address",
    "city",
    "dispatched_at",
    "created_at",
    "updated_at",
)


def row_of(shipment: Shipment) -> dict[str, Any]:
    return {"shipment_id": shipment.pk} | {name: getattr(shipment, name) for name in _COLUMNS}


def shipments(
    *, order_id: str | None = None, status: str | None = None, owner: int | None = None
) -> QuerySet[Shipment, dict[str, Any]]:
    """``owner``: that customer's only."""
    found = Shipment.objects.all() if owner is None else Shipment.objects.filter(customer_id=owner)
    if order_id is not None:
        found = found.filter(order_id=order_id)
    if status is not None:
        found = found.filter(status=status)
    rows: QuerySet[Shipment, dict[str, Any]] = found.values(*_COLUMNS, shipment_id=F("pk"))
    return rows


def shipment(*, shipment_id: int, owner: int | None = None) -> dict[str, Any]:
    """The row with its ``events``, oldest first. ShipmentNotFound, also for what is not the owner's."""
    row = shipments(owner=owner).filter(pk=shipment_id).first()
    return _with_events(row)


def tracked(*, tracking_no: str) -> dict[str, Any]:
    """As ``shipment``, by tracking number."""
    row = shipments().filter(tracking_no=tracking_no).first()
    return _with_events(row)


def _with_events(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise contracts.ShipmentNotFound("There is no such shipment.")
    events = ShipmentEvent.objects.filter(shipment_id=row["shipment_id"]).order_by("pk")
    return row | {"events": list(events.values("status", "location", "note", "actor", "at"))}


def shipments_of(*, order_ids: Iterable[str]) -> list[Shipment]:
    """All shipments of these orders, oldest first."""
    return list(Shipment.objects.filter(order_id__in=list(order_ids)).order_by("pk"))


def shipments_to(*, customer_id: int, after: int, limit: int) -> list[Shipment]:
    """A customer's shipments by id, with their events at hand."""
    events = Prefetch("events", ShipmentEvent.objects.order_by("pk"))
    rows = Shipment.objects.filter(customer_id=customer_id, pk__gt=after).prefetch_related(events)
    return list(rows.order_by("pk")[:limit])
