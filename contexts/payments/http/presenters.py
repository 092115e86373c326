from __future__ import annotations

from typing import Any

from contexts.payments.public.contracts import Payment, Refund
from eci.clock import iso
from eci.money import text


def payment(row: Payment) -> dict[str, Any]:
    return {
        "payment_id": row.payment_id,
        "order_id": row.order_id,
        "customer_id": row.customer_id,
        "amount": text(row.amount, row.currency),
        "currency": row.currency,
        "method": row.method,
        "status": str(row.status),
        "captured": text(row.captured, row.currency),
        "refunded": text(row.refunded, row.currency),
        "reference": row.reference,
        "decline_reason": row.decline_reason,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def refund(row: Refund) -> dict[str, Any]:
    return {
        "refund_id": row.refund_id,
        "payment_id": row.payment_id,
        "order_id": row.order_id,
        "amount": text(row.amount, row.currency),
        "currency": row.currency,
        "reason": row.reason,
        "status": str(row.status),
        "created_at": iso(row.created_at),
    }
