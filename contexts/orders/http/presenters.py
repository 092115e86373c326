"""Orders as docs/api.md shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contexts.inventory.public.contracts import Reservation
from contexts.orders.composed import OrderView
from contexts.orders.domain import Line, Quote
from contexts.orders.public.contracts import ReturnStatus
from eci import metadata, money
from eci.clock import iso
from eci.http.present import as_json


def order(view: OrderView) -> dict[str, Any]:
    row = view.order
    return {
        "order_id": row.order_id,
        "number": row.number,
        "reference": row.reference,
        "metadata": metadata.shown(row.metadata),
        "customer_id": row.customer_id,
        "email": row.email or None,
        "status": str(row.status),
        "payment_status": str(row.payment_status),
        "currency": row.currency,
        "items": [
            {
                "product_id": line.product_id,
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "unit_price": money.text_of(line.unit_price_minor, row.currency),
                "line_total": money.text_of(line.unit_price_minor * line.quantity, row.currency),
                "returned_quantity": line.returned_quantity,
            }
            for line in view.lines
        ],
        "subtotal": money.text_of(row.subtotal_minor, row.currency),
        "tax_amount": money.text_of(row.tax_minor, row.currency),
        "shipping_amount": money.text_of(row.shipping_minor, row.currency),
        "order_total": money.text_of(row.total_minor, row.currency),
        "refunded_amount": money.text_of(row.refunded_minor, row.currency),
        "shipping_address": row.shipping_address,
        "fulfilment": row.fulfilment,
        "needs_attention": row.needs_attention,
        "expires_at": iso(row.expires_at),
        "reservation": reservation(view.reservation) if view.reservation else None,
        "payments": _unless_away("payments", view, view.payments),
        "shipments": _unless_away("shipping", view, view.shipments),
        "unavailable": list(view.unavailable),
        "returns": [returned(one, currency=row.currency) for one in view.returns],
        "timeline": [
            {"at": iso(entry.at), "event": entry.event, "detail": entry.detail, "actor": entry.actor or "system"}
            for entry in view.timeline
        ],
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def _unless_away(context: str, view: OrderView, parts: Sequence[Any]) -> list[Any] | None:
    return None if context in view.unavailable else list(map(as_json, parts))


def reservation(hold: Reservation) -> dict[str, Any]:
    shown = as_json(hold)
    shown["idempotency_key"] = shown.pop("key")
    return shown


def quote(priced: Quote) -> dict[str, Any]:
    def line(item: Line) -> dict[str, Any]:
        return {
            "product_id": item.product_id,
            "sku": item.sku,
            "name": item.name,
            "quantity": item.quantity,
            "unit_price": money.text_of(item.unit_price, priced.currency),
            "line_total": money.text_of(item.total, priced.currency),
        }

    return {
        "currency": priced.currency,
        "items": [line(item) for item in priced.lines],
        "subtotal": money.text_of(priced.totals.subtotal, priced.currency),
        "tax_amount": money.text_of(priced.totals.tax, priced.currency),
        "shipping_amount": money.text_of(priced.totals.shipping, priced.currency),
        "order_total": money.text_of(priced.totals.total, priced.currency),
    }


def returned(row: Any, *, currency: str) -> dict[str, Any]:
    """What is refunded is known once the goods are received."""
    is_received = row.status == ReturnStatus.RECEIVED
    return {
        "return_id": row.pk,
        "order_id": row.order_id,
        "status": str(row.status),
        "items": row.items,
        "received": row.received,
        "reason": row.reason,
        "disposition": row.disposition,
        "refusal": row.refusal or None,
        "refund": money.text_of(row.refund_minor, currency) if is_received else None,
        "currency": currency,
        "actor": row.actor or "system",
        "answered_by": row.answered_by or None,
        "created_at": iso(row.created_at),
    }
