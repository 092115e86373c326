"""Orders as docs/api.md shows them."""

from __future__ import annotations

from typing import Any

from contexts.inventory.public.contracts import Reservation
from contexts.orders.composed import OrderView
from contexts.orders.domain import Line, Quote
from eci import money
from eci.clock import iso
from eci.http.present import as_json


def _amount(minor: int, currency: str) -> str:
    return money.text(money.from_minor(minor, currency), currency)


def order(view: OrderView) -> dict[str, Any]:
    row = view.order
    return {
        "order_id": row.order_id,
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
                "unit_price": _amount(line.unit_price_minor, row.currency),
                "line_total": _amount(line.unit_price_minor * line.quantity, row.currency),
                "returned_quantity": line.returned_quantity,
            }
            for line in view.lines
        ],
        "subtotal": _amount(row.subtotal_minor, row.currency),
        "tax_amount": _amount(row.tax_minor, row.currency),
        "shipping_amount": _amount(row.shipping_minor, row.currency),
        "order_total": _amount(row.total_minor, row.currency),
        "refunded_amount": _amount(row.refunded_minor, row.currency),
        "shipping_address": row.shipping_address,
        "fulfilment": row.fulfilment,
        "needs_attention": row.needs_attention,
        "expires_at": iso(row.expires_at),
        "reservation": reservation(view.reservation) if view.reservation else None,
        "payments": [as_json(payment) for payment in view.payments],
        "shipments": [as_json(shipment) for shipment in view.shipments],
        "timeline": [{"at": iso(entry.at), "event": entry.event, "detail": entry.detail} for entry in view.timeline],
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


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
            "unit_price": _amount(item.unit_price, priced.currency),
            "line_total": _amount(item.total, priced.currency),
        }

    return {
        "currency": priced.currency,
        "items": [line(item) for item in priced.lines],
        "subtotal": _amount(priced.totals.subtotal, priced.currency),
        "tax_amount": _amount(priced.totals.tax, priced.currency),
        "shipping_amount": _amount(priced.totals.shipping, priced.currency),
        "order_total": _amount(priced.totals.total, priced.currency),
    }


def returned(row: Any) -> dict[str, Any]:
    currency = row.order.currency
    return {
        "return_id": row.pk,
        "order_id": row.order_id,
        "items": row.items,
        "reason": row.reason,
        "disposition": row.disposition,
        "refund": _amount(row.refund_minor, currency),
        "currency": currency,
        "created_at": iso(row.created_at),
    }
