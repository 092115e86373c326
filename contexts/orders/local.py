"""Orders' contract, answered in this process: the one place where rows become contracts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from contexts.orders import models, selectors, services
from contexts.orders.domain import why_not_cancel, why_not_refund, why_not_return
from contexts.orders.public.contracts import (
    DaySales,
    Done,
    LineRecord,
    NoteRecord,
    OrderBrief,
    OrderFacts,
    OrderPaymentStatus,
    OrderRecord,
    Orders,
    OrderSheet,
    OrderStatus,
    Preview,
    ProductSold,
    Recipient,
    Refunding,
    ReturnRecord,
    ReturnStatus,
    Sales,
    Statistics,
    Stuck,
    Switch,
    TimelineRecord,
    UnitsBack,
)
from contexts.orders.workflows import commands, recovery
from eci import metadata, money
from eci.trail import TellsTrail


def recipient(row: models.Order) -> Recipient:
    return Recipient(customer_id=row.customer_id, email="" if row.buyer_erased else row.email)


class LocalOrders(TellsTrail, Orders):
    context = "orders"

    def recipient(self, *, order_id: str) -> Recipient:
        return recipient(selectors.order(order_id=order_id))

    def recipients(self, *, order_ids: Iterable[str]) -> dict[str, Recipient]:
        return {order.pk: recipient(order) for order in selectors.buyers_of(order_ids=list(order_ids))}

    def numbers(self, *, order_ids: Iterable[str]) -> dict[str, int]:
        return selectors.numbers_of(order_ids=list(order_ids))

    def orders_of(self, *, customer_id: int, after: str, limit: int) -> tuple[OrderRecord, ...]:
        orders = selectors.orders_after(after=after, limit=limit, customer_id=customer_id)
        ids = [order.order_id for order in orders]
        lines = selectors.lines_of(order_ids=ids)
        returns = selectors.returns_of(order_ids=ids)
        timelines = selectors.timeline_of(order_ids=ids)
        return tuple(
            order_record(order, lines[order.order_id], returns[order.order_id], timelines[order.order_id])
            for order in orders
        )

    def sheet(self, *, order_id: str) -> OrderSheet:
        order, ids = selectors.order(order_id=order_id), [order_id]
        lines, returns = selectors.lines_of(order_ids=ids)[order_id], selectors.returns_of(order_ids=ids)[order_id]
        timeline = selectors.timeline_of(order_ids=ids)[order_id]
        notes = selectors.notes_of(order_id=order_id)
        return order_sheet(order, order_record(order, lines, returns, timeline), notes)

    def placed_by(self, *, customer_id: int, limit: int) -> tuple[OrderBrief, ...]:
        return tuple(map(order_brief, selectors.placed_by(customer_id=customer_id, limit=limit)))

    def who_ordered(self, *, customer_ids: Iterable[int]) -> tuple[int, ...]:
        return tuple(selectors.who_ordered(customer_ids=customer_ids))

    def of_product(self, *, product_id: int, limit: int) -> tuple[ProductSold, ...]:
        units = selectors.newest_of_product(product_id=product_id, limit=limit)
        found = selectors.orders_by_id(order_ids=list(units))
        return tuple(ProductSold(order=order_brief(found[order_id]), units=units[order_id]) for order_id in units)

    def note(self, *, order_id: str, text: str, actor: str, key: str) -> Done:
        return commands.note(order_id=order_id, text=text, actor=actor, key=key)

    def preview_cancel(self, *, order_id: str) -> Preview:
        return commands.preview_cancel(order_id=order_id)

    def cancel(self, *, order_id: str, reason: str, actor: str, key: str, shown: str = "") -> Done:
        return commands.cancel(order_id=order_id, reason=reason, actor=actor, key=key, shown=shown)

    def preview_refund(self, *, order_id: str, refunding: Refunding) -> Preview:
        return commands.preview_refund(order_id=order_id, refunding=refunding)

    def refund(
        self, *, order_id: str, refunding: Refunding, reason: str, actor: str, key: str, shown: str = ""
    ) -> Done:
        return commands.refund(order_id=order_id, refunding=refunding, reason=reason, actor=actor, key=key, shown=shown)

    def preview_return(self, *, order_id: str, came: tuple[UnitsBack, ...], return_id: int | None = None) -> Preview:
        return commands.preview_return(order_id=order_id, came=came, return_id=return_id)

    def return_units(
        self,
        *,
        order_id: str,
        came: tuple[UnitsBack, ...],
        reason: str,
        actor: str,
        key: str,
        shown: str = "",
        return_id: int | None = None,
    ) -> Done:
        return commands.return_units(
            order_id=order_id,
            came=came,
            reason=reason,
            actor=actor,
            key=key,
            shown=shown,
            return_id=return_id,
        )

    def preview_refuse(self, *, order_id: str, return_id: int) -> Preview:
        return commands.preview_refuse(order_id=order_id, return_id=return_id)

    def refuse_return(
        self, *, order_id: str, return_id: int, reason: str, actor: str, key: str, shown: str = ""
    ) -> Done:
        return commands.refuse_return(
            order_id=order_id, return_id=return_id, reason=reason, actor=actor, key=key, shown=shown
        )

    def named(self, *, name: str) -> tuple[str, ...]:
        return selectors.orders_named(name=name) or tuple(selectors.orders_of_guest(email=name) if "@" in name else ())

    def sales(self, *, since: datetime) -> tuple[Sales, ...]:
        return selectors.sales(since=since)

    def placed(self, *, since: datetime) -> int:
        return selectors.placed(since=since)

    def sales_by_day(self, *, since: date) -> tuple[DaySales, ...]:
        return tuple(map(day_sales, selectors.sales_days(since=since)))

    def facts(self, *, after: str, limit: int) -> tuple[OrderFacts, ...]:
        orders = selectors.orders_after(after=after, limit=limit)
        units = selectors.units_of(order_ids=[order.order_id for order in orders])
        return tuple(order_facts(order, units[order.order_id]) for order in orders)

    def stop(self, *, reason: str, actor: str) -> None:
        services.set_switch(taking=False, reason=reason, actor=actor)

    def start(self, *, actor: str) -> None:
        services.set_switch(taking=True, reason="", actor=actor)

    def switch(self) -> Switch:
        last = selectors.switch()
        if last is None:
            return Switch(taking=True)
        return Switch(taking=last.taking, reason=last.reason, actor=last.actor, at=last.at)

    def lag(self) -> float:
        return selectors.lag()

    def stuck(self, *, seconds: int) -> tuple[Stuck, ...]:
        orders = selectors.stuck_orders(seconds=seconds)
        reasons = selectors.attention_reasons(orders=orders)
        found = [stuck(order, detail=reasons.get(order.order_id, "")) for order in orders]
        return (*found, *map(stuck_return, selectors.stuck_returns(seconds=seconds)))

    def retry(self, *, order_id: str, actor: str) -> OrderStatus:
        return recovery.retry(order_id=order_id, actor=actor)

    def attended(self, *, order_id: str, actor: str) -> None:
        services.record_attended(order_id=order_id, actor=actor)

    def statistics(self) -> Statistics:
        return selectors.statistics()


def stuck(order: models.Order, *, detail: str) -> Stuck:
    return Stuck(
        order_id=order.order_id,
        status=OrderStatus(order.status),
        attention=order.needs_attention,
        settled=order.next_at is None and order.lease_owner == "",
        detail=detail,
        since=order.updated_at if order.needs_attention or order.next_at is None else order.next_at,
        refunded=order.status == OrderStatus.CONFIRMED and order.payment_status == OrderPaymentStatus.REFUNDED,
    )


def stuck_return(back: models.Return) -> Stuck:
    return Stuck(
        order_id=back.order_id,
        status=OrderStatus(back.order.status),
        return_id=back.pk,
        detail=back.reason,
        since=back.created_at,
    )


def order_facts(order: models.Order, units: dict[int, int]) -> OrderFacts:
    return OrderFacts(
        order_id=order.order_id,
        status=OrderStatus(order.status),
        payment_status=OrderPaymentStatus(order.payment_status),
        order_total=money.from_minor(order.total_minor, order.currency),
        refunded=money.from_minor(order.refunded_minor, order.currency),
        currency=order.currency,
        units=units,
        settled=order.next_at is None and order.lease_owner == "",
        needs_attention=order.needs_attention,
        updated_at=order.updated_at,
    )


def order_brief(order: models.Order) -> OrderBrief:
    return OrderBrief(
        order_id=order.order_id,
        number=order.number,
        status=OrderStatus(order.status),
        total=money.from_minor(order.total_minor, order.currency),
        currency=order.currency,
        created_at=order.created_at,
    )


def day_sales(row: models.SalesDay) -> DaySales:
    return DaySales(
        day=row.day,
        currency=row.currency,
        orders=row.orders,
        units=row.units,
        value=money.from_minor(row.value_minor, row.currency),
        cancelled=row.cancelled,
        refunded=money.from_minor(row.refunded_minor, row.currency),
    )


def order_sheet(order: models.Order, record: OrderRecord, notes: Iterable[models.Note]) -> OrderSheet:
    asked = any(back.status == ReturnStatus.REQUESTED for back in record.returns)
    unasked = "" if asked else "No return is asked for."
    return OrderSheet(
        order=record,
        customer_id=order.customer_id,
        email="" if order.buyer_erased else order.email,
        needs_attention=order.needs_attention,
        commands={
            "cancel": why_not_cancel(status=order.status, undone=bool(order.undo)),
            "refund": why_not_refund(payment_status=order.payment_status),
            "return": why_not_return(status=order.status),
            "receive": unasked,
            "refuse": unasked,
        },
        notes=tuple(NoteRecord(text=note.text, actor=note.actor, at=note.at) for note in notes),
    )


def order_record(
    order: models.Order,
    lines: Iterable[selectors.Line],
    returns: list[models.Return],
    timeline: Iterable[selectors.Entry],
) -> OrderRecord:
    def amount(minor: int) -> Decimal:
        return money.from_minor(minor, order.currency)

    return OrderRecord(
        order_id=order.order_id,
        status=OrderStatus(order.status),
        payment_status=OrderPaymentStatus(order.payment_status),
        method=order.method,
        subtotal=amount(order.subtotal_minor),
        tax=amount(order.tax_minor),
        shipping=amount(order.shipping_minor),
        total=amount(order.total_minor),
        refunded=amount(order.refunded_minor),
        currency=order.currency,
        shipping_address=order.shipping_address,
        cancel_reason=order.undo_reason,
        number=order.number,
        reference=order.reference,
        metadata=metadata.shown(order.metadata),
        lines=tuple(
            LineRecord(
                product_id=line.product_id,
                sku=line.sku,
                name=line.name,
                quantity=line.quantity,
                returned_quantity=line.returned_quantity,
                unit_price=amount(line.unit_price_minor),
                currency=order.currency,
            )
            for line in lines
        ),
        returns=tuple(
            ReturnRecord(
                return_id=back.pk,
                status=ReturnStatus(back.status),
                items=back.items,
                received=back.received,
                reason=back.reason,
                disposition=back.disposition,
                refusal=back.refusal,
                refund=amount(back.refund_minor),
                currency=order.currency,
                created_at=back.created_at,
            )
            for back in returns
        ),
        timeline=tuple(
            TimelineRecord(at=entry.at, event=entry.event, detail=entry.detail, actor=entry.actor or services.SYSTEM)
            for entry in timeline
        ),
        created_at=order.created_at,
        updated_at=order.updated_at,
    )
