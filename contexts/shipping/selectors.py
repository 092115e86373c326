"""Reads of shipping's database."""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter

from django.db.models import Count, Prefetch, QuerySet

from contexts.shipping import domain
from contexts.shipping.models import Shipment, ShipmentEvent
from contexts.shipping.public.contracts import ShipmentNotFound
from eci.paging import Paging
from eci.statements import reads


def shipments(
    *, paging: Paging, order_id: str | None = None, status: str | None = None, owner: int | None = None
) -> list[Shipment]:
    """One page of shipments, and one row more when there are more. ``owner``: that customer's only."""
    found = _of_owner(owner)
    if order_id is not None:
        found = found.filter(order_id=order_id)
    if status is not None:
        found = found.filter(status=status)
    return paging.slice(found)


def shipment(*, shipment_id: int, owner: int | None = None) -> Shipment:
    """The shipment with its ``events`` at hand. ShipmentNotFound, also when it is not the owner's."""
    return _with_events(_of_owner(owner).filter(pk=shipment_id))


def tracked_shipment(*, tracking_no: str) -> Shipment:
    """As ``shipment``, by tracking number."""
    return _with_events(Shipment.objects.filter(tracking_no=tracking_no))


@reads
def shipments_of(*, order_ids: Collection[str]) -> QuerySet[Shipment]:
    """All shipments of these orders, oldest first."""
    return Shipment.objects.filter(order_id__in=order_ids).order_by("pk")


def shipments_with_events_of(*, order_id: str) -> list[Shipment]:
    """All shipments of the order, oldest first, each with its ``events`` at hand."""
    return list(Shipment.objects.filter(order_id=order_id).prefetch_related(_events()).order_by("pk"))


def order_of(*, tracking_no: str) -> str | None:
    """The order of the shipment with this number; else of one with it in capitals, as most carriers print them."""
    for number in (tracking_no, tracking_no.upper()):
        if found := Shipment.objects.filter(tracking_no=number).values_list("order_id", flat=True).first():
            return found
    return None


def to_dispatch() -> dict[str, int]:
    """Our orders' shipments that wait and are not withheld, by warehouse."""
    return dict(_to_dispatch().order_by("warehouse").values_list("warehouse").annotate(Count("pk")))


def to_pack(*, warehouse: str, after: int, limit: int) -> list[Shipment]:
    """Those of one warehouse, by id: those above ``after``. Asked by status, each is read in the order of its index."""
    rest = _to_dispatch().filter(warehouse=warehouse, pk__gt=after).order_by("pk")
    found = [one for status in domain.WAITING for one in rest.filter(status=status)[:limit]]
    return sorted(found, key=attrgetter("pk"))[:limit]


def _to_dispatch() -> QuerySet[Shipment]:
    return Shipment.objects.filter(status__in=domain.WAITING, warehouse__isnull=False, short=False, refunded=False)


def shipments_with_ids(*, shipment_ids: Collection[int]) -> list[Shipment]:
    """Those that there are, oldest first."""
    return list(Shipment.objects.filter(pk__in=shipment_ids).order_by("pk"))


def shipments_to(*, customer_id: int, after: int, limit: int) -> list[Shipment]:
    """A customer's shipments by id, those above ``after``, each with its ``events`` at hand."""
    rows = Shipment.objects.filter(customer_id=customer_id, pk__gt=after)
    return list(rows.prefetch_related(_events()).order_by("pk")[:limit])


def not_found() -> ShipmentNotFound:
    return ShipmentNotFound("There is no such shipment.")


def _of_owner(owner: int | None) -> QuerySet[Shipment]:
    return Shipment.objects.all() if owner is None else Shipment.objects.filter(customer_id=owner)


def _with_events(found: QuerySet[Shipment]) -> Shipment:
    row = found.prefetch_related(_events()).first()
    if row is None:
        raise not_found()
    return row


def _events() -> Prefetch[str]:
    """Oldest first."""
    return Prefetch("events", ShipmentEvent.objects.order_by("pk"))
