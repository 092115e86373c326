"""Reads of orders: this context's rows, completed with what inventory, payments and shipping say of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, Q, Sum
from django.db.models.functions import Now

from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Reservation
from contexts.orders.models import Order, OrderLine, Return, Switch, TimelineEntry
from contexts.orders.public import contracts
from contexts.orders.public.contracts import OrderFacts, OrderNotFound, OrderPaymentStatus, OrderStatus, Recipient
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import Payment
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Shipment
from eci import money
from eci.idempotency import Key
from eci.paging import Paging


@dataclass(kw_only=True)
class OrderView:
    """An order with everything that belongs to it. A workflow fills it as it goes, a read in one go."""

    order: Order
    lines: list[OrderLine]
    timeline: list[TimelineEntry] = field(default_factory=list)
    reservation: Reservation | None = None
    payments: tuple[Payment, ...] = ()
    shipments: tuple[Shipment, ...] = ()


def order(*, order_id: str, owner: int | None = None) -> Order:
    """OrderNotFound, also when ``owner`` is given and it is another customer's."""
    found = Order.objects.filter(pk=order_id).first()
    if found is None or (owner is not None and found.customer_id != owner):
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    return found


def require_order(*, order_id: str, owner: int | None) -> None:
    """As ``order``, when it matters whose it is; otherwise nothing is asked."""
    if owner is not None:
        order(order_id=order_id, owner=owner)


def unpaid_beside(*, order: Order) -> int:
    """How many other orders their customer has placed that hold stock and are not paid."""
    others = Order.objects.filter(customer_id=order.customer_id, by_customer=True).exclude(pk=order.pk)
    resting = Q(status__in=(OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PENDING))
    return others.filter(resting | Q(status=OrderStatus.PENDING, pay_later=True)).count()


def order_of_key(*, key: Key) -> Order | None:
    return Order.objects.filter(idempotency_scope=key.scope, idempotency_key=key.key).first()


def order_view(*, order_id: str, owner: int | None = None) -> OrderView:
    """OrderNotFound, as ``order``."""
    return views_of([order(order_id=order_id, owner=owner)])[0]


def order_views(
    paging: Paging,
    *,
    customer_id: int | None,
    status: str | None,
    created_after: datetime | None,
    created_before: datetime | None,
) -> list[OrderView]:
    rows = Order.objects.all()
    if customer_id is not None:
        rows = rows.filter(customer_id=customer_id)
    # an order being placed may yet be refused and never have been: it is listed only when asked for
    rows = rows.exclude(status=OrderStatus.PENDING) if status is None else rows.filter(status=status)
    if created_after is not None:
        rows = rows.filter(created_at__gte=created_after + timedelta(milliseconds=1))  # answers show milliseconds
    if created_before is not None:
        rows = rows.filter(created_at__lt=created_before)
    return views_of(paging.slice(rows))


def views_of(orders: list[Order]) -> list[OrderView]:
    """Everything that belongs to these orders, in a constant number of statements."""
    ids = [row.order_id for row in orders]
    lines = _grouped(OrderLine.objects.filter(order__in=ids).order_by("pk"), "order_id")
    timeline = _grouped(TimelineEntry.objects.filter(order__in=ids).order_by("pk"), "order_id")
    holds = inventory.reservations(keys=ids) if ids else {}
    paid = _grouped(payments.payments_of(order_ids=ids) if ids else (), "order_id")
    parcels = _grouped(shipping.shipments_of(order_ids=ids) if ids else (), "order_id")
    return [
        OrderView(
            order=row,
            lines=lines[row.order_id],
            timeline=timeline[row.order_id],
            reservation=holds.get(row.order_id),
            payments=tuple(paid[row.order_id]),
            shipments=tuple(parcels[row.order_id]),
        )
        for row in orders
    ]


def _grouped(rows: Any, name: str) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, name)].append(row)
    return groups


def due_orders(*, limit: int) -> list[str]:
    """Orders that wait for a runner, and that no runner has."""
    due = Order.objects.filter(Q(lease_until=None) | Q(lease_until__lte=Now()), next_at__lte=Now())
    return list(due.order_by("next_at").values_list("pk", flat=True)[:limit])


def due_returns(*, limit: int) -> list[int]:
    return list(Return.objects.filter(next_at__lte=Now()).order_by("next_at").values_list("pk", flat=True)[:limit])


def is_due(*, order_id: str) -> bool:
    return Order.objects.filter(pk=order_id, next_at__lte=Now()).exists()


def due_returns_of(*, order_id: str) -> list[int]:
    return list(Return.objects.filter(order=order_id, next_at__lte=Now()).values_list("pk", flat=True))


def recipient(*, order_id: str) -> Recipient:
    found = order(order_id=order_id)
    return Recipient(customer_id=found.customer_id, email=found.email)


def facts(*, after: str, limit: int) -> tuple[OrderFacts, ...]:
    rows = list(Order.objects.filter(order_id__gt=after).order_by("order_id")[:limit])
    units: dict[str, dict[int, int]] = defaultdict(dict)
    sums = (
        OrderLine.objects.filter(order__in=[row.order_id for row in rows])
        .order_by()
        .values("order_id", "product_id")
        .annotate(ordered=Sum("quantity"))
    )
    for row in sums:
        units[row["order_id"]][row["product_id"]] = row["ordered"]
    return tuple(
        contracts.OrderFacts(
            order_id=row.order_id,
            status=OrderStatus(row.status),
            payment_status=OrderPaymentStatus(row.payment_status),
            order_total=money.from_minor(row.total_minor, row.currency),
            refunded=money.from_minor(row.refunded_minor, row.currency),
            currency=row.currency,
            units=units[row.order_id],
            settled=row.next_at is None and row.lease_owner == "",
            needs_attention=row.needs_attention,
            updated_at=row.updated_at,
        )
        for row in rows
    )


def records(*, customer_id: int, after: str, limit: int) -> tuple[contracts.OrderRecord, ...]:
    rows = list(Order.objects.filter(customer_id=customer_id, order_id__gt=after).order_by("order_id")[:limit])
    ids = [row.order_id for row in rows]
    lines = _grouped(OrderLine.objects.filter(order__in=ids).order_by("pk"), "order_id")
    returns = _grouped(Return.objects.filter(order__in=ids).order_by("pk"), "order_id")
    timeline = _grouped(TimelineEntry.objects.filter(order__in=ids).order_by("pk"), "order_id")
    return tuple(_record(row, lines[row.order_id], returns[row.order_id], timeline[row.order_id]) for row in rows)


def _record(
    row: Order, lines: list[OrderLine], returns: list[Return], timeline: list[TimelineEntry]
) -> contracts.OrderRecord:
    def amount(minor: int) -> Decimal:
        return money.from_minor(minor, row.currency)

    return contracts.OrderRecord(
        order_id=row.order_id,
        status=OrderStatus(row.status),
        payment_status=OrderPaymentStatus(row.payment_status),
        method=row.method,
        subtotal=amount(row.subtotal_minor),
        tax=amount(row.tax_minor),
        shipping=amount(row.shipping_minor),
        total=amount(row.total_minor),
        refunded=amount(row.refunded_minor),
        currency=row.currency,
        shipping_address=row.shipping_address,
        cancel_reason=row.undo_reason,
        lines=tuple(
            contracts.LineRecord(
                product_id=line.product_id,
                sku=line.sku,
                name=line.name,
                quantity=line.quantity,
                returned_quantity=line.returned_quantity,
                unit_price=amount(line.unit_price_minor),
                currency=row.currency,
            )
            for line in lines
        ),
        returns=tuple(
            contracts.ReturnRecord(
                return_id=back.pk,
                items=back.items,
                reason=back.reason,
                disposition=back.disposition,
                refund=amount(back.refund_minor),
                currency=row.currency,
                created_at=back.created_at,
            )
            for back in returns
        ),
        timeline=tuple(
            contracts.TimelineRecord(at=entry.at, event=entry.event, detail=entry.detail) for entry in timeline
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def lag() -> float:
    unleased = Q(lease_until=None) | Q(lease_until__lte=Now())
    due = Order.objects.filter(unleased, next_at__lte=Now())
    found = due.aggregate(oldest=Min("next_at"), now=Max(Now()))
    return 0.0 if found["oldest"] is None else max(0.0, (found["now"] - found["oldest"]).total_seconds())


def _overdue(*, seconds: int) -> Q:
    late = Now() - timedelta(seconds=seconds)
    return Q(next_at__lte=late) & (Q(lease_until=None) | Q(lease_until__lte=late))


def stuck(*, seconds: int) -> tuple[contracts.Stuck, ...]:
    late = Now() - timedelta(seconds=seconds)
    found = list(Order.objects.filter(Q(needs_attention=True) | _overdue(seconds=seconds)).order_by("order_id"))
    given_up = TimelineEntry.objects.filter(order__in=found, event="needs_attention").order_by("pk")
    reasons = dict(given_up.values_list("order_id", "detail"))
    returns = Return.objects.filter(done_at=None, created_at__lte=late).select_related("order").order_by("pk")
    return tuple(
        contracts.Stuck(
            order_id=row.order_id,
            status=OrderStatus(row.status),
            attention=row.needs_attention,
            settled=row.next_at is None and row.lease_owner == "",
            detail=reasons.get(row.order_id, ""),
            since=row.updated_at if row.needs_attention or row.next_at is None else row.next_at,
        )
        for row in found
    ) + tuple(
        contracts.Stuck(
            order_id=row.order_id,
            status=OrderStatus(row.order.status),
            return_id=row.pk,
            detail=row.reason,
            since=row.created_at,
        )
        for row in returns
    )


def switch() -> contracts.Switch:
    last = Switch.objects.order_by("-pk").first()
    if last is None:
        return contracts.Switch(taking=True)
    return contracts.Switch(taking=last.taking, reason=last.reason, actor=last.actor, at=last.at)


def statistics() -> contracts.Statistics:
    placed = Q(confirmed_at__isnull=False)
    rows = list(
        Order.objects.values("currency").annotate(
            placed=Count("confirmed_at"),
            value=Sum("total_minor", filter=placed, default=0),
            attention=Count("pk", filter=Q(needs_attention=True)),
        )
    )
    return contracts.Statistics(
        sales=tuple(
            contracts.Sales(
                currency=row["currency"],
                orders=row["placed"],
                value=money.from_minor(int(row["value"]), row["currency"]),
            )
            for row in rows
        ),
        by_status=dict(Order.objects.values_list("status").annotate(Count("status"))),
        attention=sum(row["attention"] for row in rows),
        overdue=Order.objects.filter(_overdue(seconds=60)).count(),
    )
