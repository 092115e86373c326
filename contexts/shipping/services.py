"""Writes: each a transaction on shipping's database."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.db import IntegrityError, connections
from django.db.models import CharField, F, Q, QuerySet
from django.db.models.functions import Cast

from contexts.shipping import domain, selectors
from contexts.shipping.models import Consignment, Erasure, Shipment, ShipmentEvent
from contexts.shipping.public.contracts import (
    ORDERS,
    AddressGiven,
    DuplicateTrackingNumber,
    OrderRefunded,
    ShipmentShort,
    ShipmentStatus,
    Withheld,
)
from contexts.shipping.public.events import ShipmentChanged, ShipmentDelivered, ShipmentDispatched
from eci import erasure, idempotency, trail
from eci.clock import utcnow
from eci.db import Stale, locked, writes
from eci.erasure import blank
from eci.errors import InvalidTransition, NotFound, OwnedByOrder, PreconditionFailed
from eci.events import Event
from eci.ids import is_our_order
from eci.outbox import deliver_after_commit, emit
from eci.statements import Inserts

_add_order = Inserts(Consignment)
_add_shipments = Inserts(Shipment)
_add_steps = Inserts(ShipmentEvent)

# -- our own orders, commanded by orders ------------------------------------------------------------------------------


@writes("shipping")
def expect_shipments(*, order_id: str) -> None:
    """Note that the order is one of ours, before it has shipments."""
    Consignment.objects.bulk_create([Consignment(order_id=order_id)], ignore_conflicts=True)


def create_shipments(
    *,
    order_id: str,
    customer_id: int | None,
    warehouses: Iterable[str],
    address: str,
    city: str,
    ship_to: AddressGiven | None = None,
) -> list[Shipment]:
    """Make one PENDING shipment per warehouse, and return all shipments of the order.

    1. Insert the order and its shipments.
    2. If the order is there already, this is a repetition: make the shipments that are missing.

    InvalidTransition when the order's shipments were cancelled before.
    """
    wanted = sorted(set(warehouses))
    where = {"customer_id": customer_id, **_where(ship_to, address=address, city=city)}
    try:
        return _create_first(order_id, wanted, where)
    except IntegrityError:
        return _create_missing(order_id, wanted, where)


def send_shipments(
    *,
    order_id: str,
    customer_id: int | None,
    warehouses: Iterable[str],
    address: str,
    city: str,
    ship_to: AddressGiven | None = None,
) -> list[Shipment]:
    """As ``create_shipments``, but they leave at once: in the same transaction, unless the order is there already. What
    waits there leaves too.

    InvalidTransition, ShipmentShort, OrderRefunded.
    """
    wanted = sorted(set(warehouses))
    where = {"customer_id": customer_id, **_where(ship_to, address=address, city=city)}
    try:
        return _send_first(order_id, wanted, where)
    except IntegrityError:
        _create_missing(order_id, wanted, where)
        return dispatch_shipments(order_id=order_id)


def _where(given: AddressGiven | None, *, address: str, city: str) -> dict[str, Any]:
    """The address columns. Where ``address`` or ``city`` is empty, it is taken from the whole address."""
    if given is None:
        return {"address": address, "city": city, "ship_to": None}
    whole = domain.ship_to(given, address=address, city=city)
    street, town = domain.street_and_city(whole)
    return {"address": address or street, "city": city or town, "ship_to": asdict(whole)}


@writes("shipping")
def _create_first(order_id: str, warehouses: list[str], where: dict[str, Any]) -> list[Shipment]:
    _add_order([Consignment(order_id=order_id)])
    return _insert_pending(order_id, warehouses, where)


@writes("shipping")
def _send_first(order_id: str, warehouses: list[str], where: dict[str, Any]) -> list[Shipment]:
    _add_order([Consignment(order_id=order_id)])
    sent = _insert(_new(order_id, warehouses, where, status=ShipmentStatus.SHIPPED), ORDERS)
    emit("shipping", *(event for one in sent for event in _news(one, ORDERS, left=True)), known_to=ORDERS)
    return sent


@writes("shipping")
def _create_missing(order_id: str, warehouses: list[str], where: dict[str, Any]) -> list[Shipment]:
    _require_not_cancelled(order_id)
    found = selectors.shipments_of(order_ids=[order_id])
    missing = sorted(set(warehouses) - {shipment.warehouse for shipment in found})
    return found + _insert_pending(order_id, missing, where)


def _require_not_cancelled(order_id: str) -> None:
    """Lock the order, and see whether its shipments were cancelled: InvalidTransition."""
    if locked(Consignment.objects.filter(order_id=order_id)).get().cancelled:
        raise InvalidTransition("The shipments of this order were cancelled.", order_id=order_id)


@writes("shipping")
def rearrange_shipments(
    *,
    order_id: str,
    customer_id: int | None,
    warehouses: Iterable[str],
    address: str,
    city: str,
    ship_to: AddressGiven | None = None,
) -> list[Shipment]:
    """Let the order have one shipment from each of these warehouses, and let none wait elsewhere; returns all.

    1. Cancel those that wait elsewhere.
    2. Let those that were cancelled before wait again, and make the missing ones. They are withheld as the others are
       when the order was refunded.

    What has left is not touched. InvalidTransition when the order's shipments were all cancelled before.
    """
    wanted = set(warehouses)
    _require_not_cancelled(order_id)
    found = _locked_shipments(order_id)
    where = {
        "customer_id": customer_id,
        "refunded": any(shipment.refunded for shipment in found),
        **_where(ship_to, address=address, city=city),
    }
    for shipment in found:
        if shipment.status in domain.WAITING and shipment.warehouse not in wanted:
            _move([shipment], ShipmentStatus.CANCELLED, ORDERS, changes={"short": False})
        elif shipment.status == ShipmentStatus.CANCELLED and shipment.warehouse in wanted:
            _move([shipment], ShipmentStatus.PENDING, ORDERS, changes=where)
    missing = sorted(wanted - {shipment.warehouse for shipment in found})
    return found + _insert_pending(order_id, missing, where)


@writes("shipping")
def dispatch_shipments(*, order_id: str) -> list[Shipment]:
    """Dispatch the shipments of the order that wait; returns all its shipments. ShipmentShort, OrderRefunded."""
    shipments = _locked_shipments(order_id)
    waiting = [shipment for shipment in shipments if shipment.status in domain.WAITING]
    _move(waiting, ShipmentStatus.SHIPPED, ORDERS, known_to=ORDERS)
    return shipments


@writes("shipping")
def withhold_shipments(*, order_id: str, warehouse: str | None, reason: Withheld) -> list[Shipment]:
    """Mark what waits of the order, or of its one warehouse; returns all its shipments."""
    _mark(order_id, warehouse, reason, True)
    return selectors.shipments_of(order_ids=[order_id])


@writes("shipping")
def allow_shipments(*, order_id: str, warehouse: str | None, reason: Withheld) -> list[Shipment]:
    """Take the mark away again; returns all shipments of the order."""
    _mark(order_id, warehouse, reason, False)
    return selectors.shipments_of(order_ids=[order_id])


def _mark(order_id: str, warehouse: str | None, reason: Withheld, marked: bool) -> None:
    """``version`` goes up, so that a dispatch that has read the shipment before reads it again."""
    waiting = Shipment.objects.filter(order_id=order_id, status__in=domain.WAITING, **{reason: not marked})
    if warehouse is not None:
        waiting = waiting.filter(warehouse=warehouse)
    waiting.update(**{reason: marked}, version=F("version") + 1, updated_at=utcnow())


@writes("shipping")
def cancel_shipments(*, order_id: str, actor: str = ORDERS) -> list[Shipment]:
    """Cancel all shipments of the order; returns them.

    1. Mark the order as cancelled; if shipping does not know it, insert a tombstone and stop.
    2. Cancel the shipments that wait. InvalidTransition when one has left; then nothing is cancelled.
    """
    if not Consignment.objects.filter(order_id=order_id).update(cancelled=True):
        try:
            Consignment.objects.bulk_create([Consignment(order_id=order_id, cancelled=True)])
        except IntegrityError:
            raise Stale from None
        return []
    shipments = _locked_shipments(order_id)
    if any(shipment.status in domain.LEFT for shipment in shipments):
        raise InvalidTransition("A shipment of this order has already left.", order_id=order_id)
    waiting = [shipment for shipment in shipments if shipment.status in domain.WAITING]
    before = [_in_trail(shipment) for shipment in waiting]
    _move(waiting, ShipmentStatus.CANCELLED, actor)
    for shipment, was in zip(waiting, before, strict=True):
        after = _in_trail(shipment)
        trail.record("shipping", actor=actor, action="changed", thing=_thing(shipment), before=was, after=after)
    return shipments


# -- staff and other systems ------------------------------------------------------------------------------------------


def create_foreign_shipment(
    *,
    order_id: str,
    address: str,
    city: str,
    carrier: str,
    tracking_no: str | None,
    status: ShipmentStatus,
    actor: str,
    ship_to: AddressGiven | None = None,
) -> Shipment:
    """Make a shipment for another system's order, anywhere along the journey. Where ``address`` or ``city`` is empty,
    it is taken from ``ship_to``.

    DuplicateTrackingNumber; for an order id of ours OwnedByOrder, or NotFound when shipping does not know the order.
    """
    if is_our_order(order_id):
        if Consignment.objects.filter(order_id=order_id).exists():
            raise OwnedByOrder("Shipments of this order are made by the order itself.", order_id=order_id)
        raise NotFound("There is no such order.", order_id=order_id)
    now = utcnow()
    shipment = Shipment(
        order_id=order_id,
        carrier=carrier,
        tracking_no=tracking_no or domain.new_tracking_no(),
        **_where(ship_to, address=address, city=city),
        status=status,
        dispatched_at=now if status in domain.LEFT else None,
        created_at=now,
        updated_at=now,
    )
    try:
        _create_foreign(shipment, actor)
    except IntegrityError:
        raise _number_taken(shipment.tracking_no) from None
    return shipment


@writes("shipping")
def _create_foreign(shipment: Shipment, actor: str) -> None:
    _insert([shipment], actor)
    emit("shipping", *_news(shipment, actor, left=shipment.status in domain.LEFT))
    trail.record("shipping", actor=actor, action="created", thing=_thing(shipment), after=_in_trail(shipment))


def change_shipment(
    *,
    shipment_id: int,
    actor: str,
    status: ShipmentStatus | None = None,
    carrier: str | None = None,
    tracking_no: str | None = None,
    location: str = "",
    note: str = "",
    force: bool = False,
    version: int | None = None,
) -> Shipment:
    """Move one shipment, or give it another carrier or tracking number. None leaves a field as it is.

    What it already has changes nothing; without a status, ``location`` and ``note`` become an event of their own.
    ShipmentNotFound, DuplicateTrackingNumber, InvalidTransition; PreconditionFailed when it has another ``version``;
    OwnedByOrder for cancelling or returning a shipment of one of our orders; ShipmentShort; OrderRefunded, unless
    ``force``.
    """
    try:
        return _change(
            shipment_id=shipment_id,
            actor=actor,
            status=status,
            carrier=carrier,
            tracking_no=tracking_no,
            location=location,
            note=note,
            force=force,
            version=version,
        )
    except IntegrityError:
        raise _number_taken(tracking_no or "") from None


@writes("shipping")
def _change(
    *,
    shipment_id: int,
    actor: str,
    status: ShipmentStatus | None,
    carrier: str | None,
    tracking_no: str | None,
    location: str,
    note: str,
    force: bool,
    version: int | None,
) -> Shipment:
    shipment = Shipment.objects.filter(pk=shipment_id).first()
    if shipment is None:
        raise selectors.not_found()
    if version not in (None, shipment.version):
        raise PreconditionFailed("This shipment has changed since you read it.")
    current = ShipmentStatus(shipment.status)
    wanted = current if status is None else status
    given = {"carrier": carrier, "tracking_no": tracking_no}
    labels = {name: text for name, text in given.items() if text not in (None, getattr(shipment, name))}
    if wanted is current and not labels and (status is not None or not (location or note)):
        return shipment
    ours = is_our_order(shipment.order_id)
    if wanted is not current:
        if ours and wanted not in domain.JOURNEY:
            raise OwnedByOrder("Shipments of this order are cancelled and returned through the order itself.")
        if not domain.may_move(current, wanted):
            message = f"A shipment that is {current} cannot become {wanted}."
            raise InvalidTransition(message, current=current, wanted=wanted)
    if labels and current not in domain.UNDER_WAY:
        raise InvalidTransition(f"A shipment that is {current} keeps its carrier and tracking number.", current=current)
    before = _in_trail(shipment)
    note = note or ", ".join(f"{name} was {before[name]}" for name in labels)
    announced = _move([shipment], wanted, actor, labels=labels, location=location, note=note, force=force)
    after = _in_trail(shipment) | ({"force": True} if force else {})
    trail.record("shipping", actor=actor, action="changed", thing=_thing(shipment), before=before, after=after)
    if ours and announced:
        deliver_after_commit("shipping", shipment.order_id)
    return shipment


# -- parts they share -------------------------------------------------------------------------------------------------


def _number_taken(tracking_no: str) -> DuplicateTrackingNumber:
    return DuplicateTrackingNumber("Another shipment has this tracking number.", tracking_no=tracking_no)


def _thing(shipment: Shipment) -> str:
    return f"shipment:{shipment.pk}"


def _in_trail(shipment: Shipment) -> dict[str, str]:
    """Nothing of people: no address, location or note."""
    return {name: getattr(shipment, name) for name in ("order_id", "status", "carrier", "tracking_no")}


def _locked_shipments(order_id: str) -> list[Shipment]:
    return list(locked(Shipment.objects.filter(order_id=order_id).order_by("pk")))


def _insert_pending(order_id: str, warehouses: list[str], where: dict[str, Any]) -> list[Shipment]:
    return _insert(_new(order_id, warehouses, where, status=ShipmentStatus.PENDING), ORDERS)


def _new(order_id: str, warehouses: list[str], where: dict[str, Any], *, status: ShipmentStatus) -> list[Shipment]:
    now = utcnow()
    return [
        Shipment(
            order_id=order_id,
            warehouse=warehouse,
            tracking_no=domain.new_tracking_no(),
            status=status,
            dispatched_at=now if status in domain.LEFT else None,
            created_at=now,
            updated_at=now,
            **where,
        )
        for warehouse in warehouses
    ]


def _insert(shipments: list[Shipment], actor: str) -> list[Shipment]:
    _add_shipments(shipments)
    if not connections["shipping"].features.can_return_rows_from_bulk_insert:  # MySQL
        numbers = [shipment.tracking_no for shipment in shipments]
        keys = dict(Shipment.objects.filter(tracking_no__in=numbers).values_list("tracking_no", "pk"))
        for shipment in shipments:
            shipment.pk = keys[shipment.tracking_no]
    _record(shipments, actor)
    return shipments


def _record(shipments: list[Shipment], actor: str, *, location: str = "", note: str = "") -> None:
    steps = [
        ShipmentEvent(
            shipment=shipment,
            status=shipment.status,
            location=location,
            note=note,
            actor=actor,
            at=shipment.updated_at,
        )
        for shipment in shipments
    ]
    _add_steps.along(steps)


def _require_allowed(shipments: list[Shipment], *, force: bool) -> None:
    """ShipmentShort, always; OrderRefunded, unless staff insists."""
    short = [shipment.pk for shipment in shipments if shipment.short]
    if short:
        raise ShipmentShort("The units of this shipment are not there, so it cannot leave.", shipment_ids=short)
    refunded = [shipment.pk for shipment in shipments if shipment.refunded]
    if refunded and not force:
        raise OrderRefunded("This order was refunded in full, so its shipment does not leave.", shipment_ids=refunded)


def _move(
    shipments: list[Shipment],
    status: ShipmentStatus,
    actor: str,
    *,
    labels: Mapping[str, str] | None = None,
    changes: Mapping[str, Any] | None = None,
    location: str = "",
    note: str = "",
    force: bool = False,
    known_to: str = "",
) -> bool:
    """Move shipments to ``status``; returns whether events were emitted. ShipmentShort, OrderRefunded (not if forced).

    ``labels``: another carrier or tracking number, for one shipment. ``changes``: what else changes with the status.
    ``known_to``: as ``emit`` has it.

    1. When they leave, require that none is withheld.
    2. Update the shipments, if nobody has changed them since they were read. They all wait, or have all left.
    3. Add an event row to each.
    4. Emit the events that others subscribe to.
    """
    if not shipments:
        return False
    now = utcnow()
    waited = shipments[0].status in domain.WAITING
    leaving = status in domain.LEFT and waited
    moved = shipments[0].status != status
    if leaving:
        _require_allowed(shipments, force=force)
    as_read = functools.reduce(operator.or_, (Q(pk=shipment.pk, version=shipment.version) for shipment in shipments))
    written: dict[str, Any] = {"status": status, "updated_at": now, **(labels or {}), **(changes or {})}
    if leaving:
        written["dispatched_at"] = now
    if Shipment.objects.filter(as_read).update(**written, version=F("version") + 1) != len(shipments):
        raise Stale
    for shipment in shipments:
        shipment.version += 1
        for name, value in written.items():
            setattr(shipment, name, value)
    _record(shipments, actor, location=location, note=note)
    news = [event for shipment in shipments for event in _news(shipment, actor, left=leaving, moved=moved)]
    if labels:
        news += [_changed(shipment, actor, dispatched=not waited) for shipment in shipments]
    emit("shipping", *news, known_to=known_to)
    return bool(news)


def _news(shipment: Shipment, actor: str, *, left: bool, moved: bool = True) -> list[Event]:
    news: list[Event] = []
    if left:
        news.append(
            ShipmentDispatched(
                version=shipment.version,
                order_id=shipment.order_id,
                shipment_id=shipment.pk,
                warehouse=shipment.warehouse,
                carrier=shipment.carrier,
                tracking_no=shipment.tracking_no,
                actor=actor,
            )
        )
    if moved and shipment.status == ShipmentStatus.DELIVERED:
        news.append(
            ShipmentDelivered(
                version=shipment.version, order_id=shipment.order_id, shipment_id=shipment.pk, actor=actor
            )
        )
    return news


def _changed(shipment: Shipment, actor: str, *, dispatched: bool) -> Event:
    return ShipmentChanged(
        version=shipment.version,
        order_id=shipment.order_id,
        shipment_id=shipment.pk,
        carrier=shipment.carrier,
        tracking_no=shipment.tracking_no,
        dispatched=dispatched,
        actor=actor,
    )


# -- erasing people ---------------------------------------------------------------------------------------------------


@writes("shipping")
def erase_customer(*, customer_id: int) -> None:
    """Keep the customer's shipments, but blank what identifies the customer. A shipment that waits still needs its
    address, which is blanked after it has left."""
    erasure.record("shipping", customer_id)
    _erase(Shipment.objects.filter(customer_id=customer_id))


@writes("shipping")
def erase_orders(*, order_ids: Iterable[str]) -> None:
    """As ``erase_customer``, for the orders of a guest."""
    theirs = Shipment.objects.filter(order_id__in=list(order_ids))
    theirs.filter(buyer_erased=False).update(buyer_erased=True)
    _erase(theirs)


@writes("shipping")
def erase_late() -> None:
    """Erase shipments that left, or were created, after their customer or guest was erased."""
    if Erasure.objects.exists():
        _erase(Shipment.objects.filter(customer_id__in=erasure.erased("shipping")))
    _erase(Shipment.objects.filter(buyer_erased=True))


def _erase(theirs: QuerySet[Shipment]) -> None:
    shipments = theirs.exclude(status__in=domain.WAITING)
    if not shipments.exists():
        return
    names = shipments.values_list(Cast("pk", CharField()))
    idempotency.erase("shipping", endpoint="shipping.change_status", resources=names)
    steps = ShipmentEvent.objects.filter(shipment__in=shipments.values("pk"))
    blank(steps.exclude(location="", note=""), location="", note="")
    blank(shipments.exclude(address="", city="", ship_to=None), address="", city="", ship_to=None)
